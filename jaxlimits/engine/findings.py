"""Findings: what the state of a reduction says, as variables with names and dimensions."""

from collections.abc import Iterable, Mapping

import numpy as np

from jaxlimits import schema
from jaxlimits.engine.frontier import Frontier
from jaxlimits.engine.reduce import (
    Arrays,
    Best,
    Counts,
    Crossing,
    Extreme,
    Histogram,
    Mean,
    Reduction,
    Top,
)
from jaxlimits.engine.reductions import SKETCH_ERROR
from jaxlimits.engine.stream import Job, collect, make_job
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.reduction_specs import ReductionSpec
from jaxlimits.grid.requirements import codes
from jaxlimits.grid.scenario import Scenario


def findings_of(
    specs: Iterable[ReductionSpec], job: Job, states: Mapping[str, Arrays]
) -> list[Finding]:
    """Turn the states of all reductions of a sweep into variables."""
    return [
        finding
        for spec, reduction in zip(specs, job.reductions, strict=True)
        for finding in find(job, spec, reduction, states[reduction.name])
    ]


def find(  # noqa: PLR0911  (one return a kind of reduction)
    job: Job, spec: ReductionSpec, reduction: Reduction, state: Arrays
) -> list[Finding]:
    """Turn the state of a reduction into variables.

    Parameters
    ----------
    job
        The sweep.
    spec, reduction
        The reduction as written, and what computed it.
    state
        What was merged.
    """
    axes = job.scenario.axes
    kept = tuple(axes[position].name for position in reduction.kept(len(axes)))
    match reduction:
        case Extreme() | Mean() | Best():
            meaning = f"{spec.op.removeprefix('arg')} of {spec.of[0]} over {', '.join(spec.over)}"
            value = _finding(spec.name, kept, reduction.values(state), spec.of[0], meaning)
            located = isinstance(reduction, Best)
            return [value, *(_winners(job, spec, reduction, state, kept) if located else [])]
        case Histogram() if spec.op == "quantiles":
            return _quantiles(spec, reduction, state, kept)
        case Histogram():
            return _histogram(spec, reduction, state, kept)
        case Counts():
            dims = (*kept, f"{spec.name}_code")
            names = np.array(list(codes(spec.of[0])))
            counts = _finding(spec.name, dims, state["count"], None, f"points by {spec.of[0]}")
            return [counts, _finding(dims[-1], dims[-1:], names, None, f"{spec.of[0]} by name")]
        case Top():
            dims = (*kept, f"{spec.name}_rank")
            meaning = f"{spec.op} {reduction.k} of {spec.of[0]}, best first"
            value = _finding(spec.name, dims, reduction.values(state), spec.of[0], meaning)
            return [value, *_winners(job, spec, reduction, state, dims)]
        case Crossing():
            return [_crossing(job, spec, state, kept)]
        case Frontier():
            return _frontier(job, spec, reduction, state)
    raise TypeError(f"no findings of a {type(reduction).__name__}")


def _finding(
    name: str, dims: tuple[str, ...], values: np.ndarray, quantity: str | None, meaning: str
) -> Finding:
    return Finding(name=name, dims=dims, values=values, quantity=quantity, meaning=meaning)


def _quantiles(
    spec: ReductionSpec, reduction: Histogram, state: Arrays, kept: tuple[str, ...]
) -> list[Finding]:
    shares = np.array(spec.options["at"])
    dims = (*kept, f"{spec.name}_share")
    meaning = f"quantiles of {spec.of[0]}, within {SKETCH_ERROR:.1%} relative"
    values = reduction.quantiles(state, shares)
    return [
        _finding(spec.name, dims, values, spec.of[0], meaning),
        _finding(dims[-1], dims[-1:], shares, None, "share of the points below"),
    ]


def _histogram(
    spec: ReductionSpec, reduction: Histogram, state: Arrays, kept: tuple[str, ...]
) -> list[Finding]:
    dims = (*kept, f"{spec.name}_bin")
    edges = np.concatenate([[0.0], reduction.edges])
    meaning = f"points by {spec.of[0]}; the outer bins take what lies below and above"
    return [
        _finding(spec.name, dims, state["count"], None, meaning),
        _finding(dims[-1], dims[-1:], edges, spec.of[0], "lower edge of a bin"),
    ]


def _crossing(job: Job, spec: ReductionSpec, state: Arrays, kept: tuple[str, ...]) -> Finding:
    (axis,) = (axis for axis in job.scenario.axes if axis.name == spec.over[0])
    relation = "at least" if spec.options["upward"] else "at most"
    meaning = f"first {axis.name} with {spec.of[0]} {relation} {spec.options['target']:g}"
    values = _labels(axis, state["index"])
    return _finding(spec.name, kept, values, axis.name, meaning)


def _frontier(job: Job, spec: ReductionSpec, reduction: Frontier, state: Arrays) -> list[Finding]:
    dims = (f"{spec.name}_point",)
    metrics = [
        _finding(f"{spec.name}_{metric}", dims, sign * state[f"metric{i}"], metric, metric)
        for i, (metric, sign) in enumerate(zip(spec.of, reduction.signs, strict=True))
    ]
    return [*metrics, *_winners(job, spec, reduction, state, dims)]


def _winners(
    job: Job, spec: ReductionSpec, reduction: Reduction, state: Arrays, dims: tuple[str, ...]
) -> list[Finding]:
    """Where the points are that a reduction found, and further metrics there."""
    positions = _positions(job, reduction, state["index"])
    found = state["index"] >= 0
    axes = {axis.name: axis for axis in job.scenario.axes}
    places = [
        _finding(
            f"{spec.name}_{name}",
            dims,
            _labels(axes[name], np.where(found, positions[name], -1)),
            name,
            f"{name} of {spec.name}",
        )
        for name in spec.over
    ]
    if not spec.also:
        return places
    metrics = evaluate_points(job, positions, spec.also)
    return places + [
        _finding(
            f"{spec.name}_{metric}",
            dims,
            np.where(found, values, _missing(values)),
            metric,
            f"{metric} of {spec.name}",
        )
        for metric, values in metrics.items()
    ]


def _positions(job: Job, reduction: Reduction, index: np.ndarray) -> dict[str, np.ndarray]:
    """Positions on every axis of the points that a reduction found, 0 where it found none."""
    shape = job.plan.shape
    over = np.unravel_index(np.maximum(index, 0), [shape[axis] for axis in reduction.over])
    # Of a single position numpy makes a scalar.
    positions = {axis: np.asarray(place) for axis, place in zip(reduction.over, over, strict=True)}
    kept = reduction.kept(len(shape))
    grids = np.indices(index.shape[: len(kept)]).reshape(len(kept), *index.shape[: len(kept)])
    for axis, grid in zip(kept, grids, strict=True):
        extra = index.ndim - len(kept)
        positions[axis] = np.broadcast_to(grid.reshape(grid.shape + (1,) * extra), index.shape)
    return {job.scenario.axes[axis].name: positions[axis] for axis in range(len(shape))}


def _labels(axis: Axis, positions: np.ndarray) -> np.ndarray:
    """Values of an axis by position: NaN, or an empty name, where there is none."""
    values = np.array(axis.values)
    taken = values[np.maximum(positions, 0)]
    return np.where(positions >= 0, taken, "" if values.dtype.kind == "U" else np.nan)


def _missing(values: np.ndarray) -> float | int:
    return np.nan if values.dtype.kind == "f" else -1


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
    )
