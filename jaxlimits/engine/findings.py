"""Findings: what the states of a sweep's reductions say, as variables with names and dimensions."""

import functools
from collections.abc import Mapping

import numpy as np

from jaxlimits import schema
from jaxlimits.engine.reduction import Arrays, Reduction, Swept
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import Job, make_job
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.scenario import Scenario


def findings_of(job: Job, states: Mapping[str, Arrays]) -> list[Finding]:
    """Turn the states of all reductions of a sweep into variables."""
    return [
        finding
        for reduction in job.reductions
        for finding in find(job, reduction, states[reduction.name])
    ]


def find(job: Job, reduction: Reduction, state: Arrays) -> list[Finding]:
    """Turn the state of a reduction into variables."""
    evaluate = functools.partial(evaluate_points, job)
    return reduction.findings(state, Swept(axes=job.scenario.axes, evaluate=evaluate))


def evaluate_points(
    job: Job, positions: Mapping[str, np.ndarray], outputs: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Evaluate single points of a grid.

    Parameters
    ----------
    job
        The sweep that the points belong to.
    positions
        Position on each axis, by its name, as arrays of one shape.
    outputs
        Metrics.
    """
    shape = next(iter(positions.values())).shape
    flat = {name: np.asarray(position).ravel() for name, position in positions.items()}
    switched = [axis.name for axis in job.scenario.axes if axis.name in schema.SWITCHES]
    results: dict[str, np.ndarray] = {}
    size = flat[job.scenario.axes[0].name].size
    if not size:  # an empty frontier keeps its variables
        kinds = {name: np.int8 if schema.is_code(name) else job.precision for name in outputs}
        return {name: np.empty(shape, kind) for name, kind in kinds.items()}
    choices = np.stack([flat[name] for name in switched]) if switched else np.zeros((0, size), int)
    for choice in np.unique(choices, axis=1).T:
        chosen = np.flatnonzero(np.all(choices == choice[:, None], axis=0))
        named = dict(zip(switched, choice.tolist(), strict=True))
        scenario = _listed(job.scenario, flat, chosen, named)
        arrays, _ = collect(
            make_job(
                scenario, outputs=outputs, requirements=job.requirements, precision=job.precision
            )
        )
        for name, array in arrays.items():
            results.setdefault(name, np.empty(size, array.dtype))[chosen] = array
    return {name: array.reshape(shape) for name, array in results.items()}


def _listed(
    scenario: Scenario,
    positions: Mapping[str, np.ndarray],
    chosen: np.ndarray,
    choice: Mapping[str, int],
) -> Scenario:
    """A scenario with one axis: the chosen points, one after another."""
    columns: dict[str, np.ndarray] = {}
    switches = dict(scenario.switches)
    for axis, fields in zip(scenario.axes, scenario.columns, strict=True):
        if axis.name in choice:
            switches[axis.name] = str(axis.values[choice[axis.name]])
        columns |= {name: column[positions[axis.name][chosen]] for name, column in fields.items()}
    axis = Axis(name="point", values=tuple(float(i) for i in range(len(chosen))), linked={})
    return Scenario(
        where=scenario.where,
        base=scenario.base,
        switches=switches,
        axes=(axis,),
        columns=(columns,),
        rules=scenario.rules,
        own=scenario.own,
    )
