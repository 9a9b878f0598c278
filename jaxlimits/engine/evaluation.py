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
    arrays = {name: np.empty(scenario.shape, _dtype(name, precision)) for name in outputs}
    combinations = list(scenario.switch_combinations())
    for done, (place, switches) in enumerate(combinations):
        progress("computing", done / len(combinations))
        part = evaluate_grid(
            scenario.base, mapped, switches=switches, outputs=outputs, precision=precision
        )
        for name, array in part.items():
            arrays[name][place] = array
    return arrays


def _dtype(output: str, precision: str) -> np.dtype:
    return np.dtype(np.int8 if output in schema.FLAGS else precision)
