"""Samplers: SALib's designs on the unit cube, a row a sample, a column an input."""

import importlib
from importlib.metadata import version
from typing import Any

import numpy as np

from jaxlimits.errors import InputError


def saltelli_shares(inputs: int, samples: int, *, seed: int, second_order: bool) -> np.ndarray:
    """Return Saltelli's blocks of a scrambled Sobol' sequence, one after another.

    Parameters
    ----------
    inputs
        Columns.
    samples
        Blocks: a power of two, for which the sequence is balanced.
    seed
        Of the scrambling.
    second_order
        Blocks of 2 inputs + 2 rows where true, of inputs + 2 where not.
    """
    return _sampler("sobol").sample(
        _unit_cube(inputs), samples, seed=seed, calc_second_order=second_order
    )


def morris_shares(inputs: int, samples: int, *, seed: int, levels: int) -> np.ndarray:
    """Return Morris's trajectories of inputs + 1 rows on a lattice of so many levels."""
    return _sampler("morris").sample(_unit_cube(inputs), samples, num_levels=levels, seed=seed)


def latin_shares(inputs: int, samples: int, *, seed: int) -> np.ndarray:
    """Return a Latin hypercube: in each column one row in every slice of equal share."""
    return _sampler("latin").sample(_unit_cube(inputs), samples, seed=seed)


def sampler_version() -> str:
    """Return the name and version of the library, for a result to state."""
    return f"SALib {version('SALib')}"


def _unit_cube(inputs: int) -> dict[str, Any]:
    names = [f"input{number}" for number in range(inputs)]
    return {"num_vars": inputs, "names": names, "bounds": [[0.0, 1.0]] * inputs}


def _sampler(name: str) -> Any:
    try:
        return importlib.import_module(f"SALib.sample.{name}")
    except ImportError:
        remedy = "pip install 'jaxlimits[uncertainty]'"
        raise InputError("uncertain inputs are sampled by SALib", remedy=remedy) from None
