"""What ``--select`` and ``--var`` keep of a result."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.cli.pairs import pair
from jaxlimits.errors import InputError, unknown_name


def selection(
    dataset: xr.Dataset, assignments: Iterable[str], variables: Iterable[str]
) -> xr.Dataset:
    """Keep one value of some axes, and some variables.

    Parameters
    ----------
    dataset
        A result.
    assignments
        ``name=value``: names as they stand, numbers in SI units or with a unit of their own. An
        axis that is named several times keeps each of its values.
    variables
        Names of variables; all where there is none.

    Raises
    ------
    InputError
        An unknown axis, variable or value.
    """
    kept: dict[str, np.ndarray] = {}
    for assignment in assignments:
        name, matches = _selected(dataset, assignment)
        kept[name] = kept.get(name, False) | matches
    dataset = dataset.isel(kept)
    names = list(variables)
    for name in names:
        if name not in dataset.data_vars:
            raise unknown_name("variable", name, map(str, dataset.data_vars), where="--var")
    return dataset[names] if names else dataset


def _selected(dataset: xr.Dataset, assignment: str) -> tuple[str, np.ndarray]:
    """The axis that an assignment names, and where its values are the one that it gives."""
    name, text = pair(assignment, "--select", example="seq_len=4096")
    if name not in dataset.dims:
        raise unknown_name("axis", name, map(str, dataset.dims), where="--select")
    coordinate = dataset[name].values
    matches = _matches(coordinate, text, unit=dataset[name].attrs.get("si_unit"), name=name)
    if not matches.any():
        values = ", ".join(str(value) for value in coordinate[:20])
        problem = "is not on this axis"
        raise InputError(
            problem, where="--select", key=name, value=text, remedy=f"there are {values}"
        )
    return name, matches


def _matches(coordinate: np.ndarray, text: str, *, unit: str | None, name: str) -> np.ndarray:
    if unit is None:
        return coordinate.astype(str) == text
    return np.isclose(coordinate.astype(float), _number(text, unit, name), rtol=1e-9, atol=0.0)


def _number(text: str, unit: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return units.parse(text, unit)
    except units.UnitError as error:
        raise InputError(str(error), where="--select", key=name) from None
