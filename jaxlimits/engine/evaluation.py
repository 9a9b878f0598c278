"""A scenario's outputs as arrays: the kernel called once for each combination of switches."""

from collections.abc import Callable

import numpy as np

from jaxlimits import schema
from jaxlimits.engine.kernel import evaluate_grid
from jaxlimits.grid.scenario import Scenario

Progress = Callable[[str, float], None]
"""Receives the name of a stage and the share of it that is done."""


def silent(_stage: str, _share: float) -> None:
    """Report nothing."""


def evaluate_scenario(
    scenario: Scenario,
    *,
    outputs: tuple[str, ...],
    precision: str,
    progress: Progress = silent,
) -> dict[str, np.ndarray]:
    """Return outputs over the whole grid; switches that vary cost one trace a choice.

    Parameters
    ----------
    scenario
        The grid as numbers.
    outputs
        Names of the metrics.
    precision
        ``"float32"`` or ``"float64"``.
    progress
        Told of every combination that is done.

    Returns
    -------
    dict
        One array of the scenario's shape for each output; codes as int8.
    """
    axes = zip(scenario.axes, scenario.columns, strict=True)
    mapped = tuple(columns for axis, columns in axes if axis.name not in schema.SWITCHES)
    placed = {"expert_parallel": scenario.reaches("ep_size", above=1.0)}
    combinations = list(scenario.switch_combinations())
    arrays: dict[str, np.ndarray] = {}
    for done, (place, switches) in enumerate(combinations):
        progress("computing", done / len(combinations))
        part = evaluate_grid(
            {**scenario.base, **_linked(scenario, place)},
            mapped,
            static={**switches, **placed},
            outputs=outputs,
            precision=precision,
        )
        if len(combinations) == 1:
            return {name: array.reshape(scenario.shape) for name, array in part.items()}
        for name, array in part.items():
            whole = arrays.setdefault(name, np.empty(scenario.shape, array.dtype))
            whole[place] = array
    return arrays


def _linked(scenario: Scenario, place: tuple[int | slice, ...]) -> dict[str, float]:
    """The fields linked to switch axes, at one combination of the switches."""
    return {
        name: float(column[position])
        for columns, position in zip(scenario.columns, place, strict=True)
        if isinstance(position, int)
        for name, column in columns.items()
    }
