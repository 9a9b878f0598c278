"""From measurements and catalog names to stacked points of the model."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxlimits.calibration.measurements import Measurement
from jaxlimits.catalog.entries import find_entry
from jaxlimits.catalog.loader import Catalog
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import step_operators
from jaxlimits.model.roofline import StepTimes, step_times

Rows = Float[np.ndarray, " rows"]


class Cases(eqx.Module):
    """Points to predict, stacked: one along the first axis of every number."""

    chip: Chip
    llm: LLM
    deployment: Deployment
    fabric: Fabric


def choose_fabrics(
    chips: Iterable[str], catalog: Catalog, *, stack: str, named: Mapping[str, str], where: str
) -> dict[str, str]:
    """Return the name of the measured all-reduces of each chip that has any.

    Parameters
    ----------
    chips
        Names of chips.
    catalog
        The fabrics.
    stack
        Software stack: ``STACK-CHIP`` is taken where the catalog has it.
    named
        Names by chip that take precedence.
    where
        What to name in an error of ``named``.
    """
    chips = list(dict.fromkeys(chips))
    for chip, name in named.items():
        find_entry(catalog.entries, "fabrics", name, where=where, key=chip)
    usual = {chip: f"{stack}-{chip}" for chip in chips if f"{stack}-{chip}" in catalog.fabrics}
    return {**usual, **named}


def make_cases(
    measurements: Sequence[Measurement], catalog: Catalog, fabrics: Mapping[str, str]
) -> Cases:
    """Stack the points of several measurements.

    Parameters
    ----------
    measurements
        The rows.
    catalog
        Where their names are looked up.
    fabrics
        Names of measured all-reduces by chip; the limit's own collectives for the others.
    """
    points = []
    for each in measurements:
        fabric = fabrics.get(each.chip)
        case = Cases(
            chip=catalog.chip(each.chip),
            llm=catalog.llm(each.llm),
            deployment=_as_engines_run(each.settings),
            fabric=Fabric() if fabric is None else catalog.fabric(fabric),
        )
        points.append(case)
    return jax.tree.map(lambda *numbers: np.array(numbers, dtype=np.float64), *points)


def _as_engines_run(settings: Mapping[str, Any]) -> Deployment:
    """A deployment whose chips beyond the KV heads hold copies of the cache.

    Collectives that no fabric measures take the constant: what the shipped constants were fitted
    with.
    """
    return Deployment(**settings, kv_sharding="heads", collective_algorithm="constant")


def limit_times(cases: Cases) -> StepTimes:
    """Times of the bare limit at each point [s]: nothing fitted."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, _limits(cases))


def _limit(case: Cases) -> StepTimes:
    operators = step_operators(case.llm, case.deployment)
    times = step_times(operators, case.chip, case.llm, case.deployment)
    return jax.tree.map(jnp.asarray, times)


_limits = jax.jit(jax.vmap(_limit))
