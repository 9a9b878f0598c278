"""The best points under a service target, of a grid or of a result that is there already.

A grid of any size is streamed, and only the points that keep the targets enter the reduction; of a
result the variables are read a slice at a time.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.engine.findings import find
from jaxlimits.engine.reduction import Reduction
from jaxlimits.engine.reductions.frontier import Frontier, undominated
from jaxlimits.engine.reductions.top import Top
from jaxlimits.engine.stream import Job, collect, make_job
from jaxlimits.errors import InputError, placed, unknown_name
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.rules import Budget, Rules
from jaxlimits.grid.scenario import bind, refuse_absent
from jaxlimits.grid.spec import GridSpec, refuse_unstated
from jaxlimits.model.metrics import Limit
from jaxlimits.questions.labelled_points import Row, label
from jaxlimits.questions.parts import parts_of_grid, parts_of_result
from jaxlimits.questions.question import Question
from jaxlimits.run.effects import check_effects
from jaxlimits.run.pipeline import load_grid
from jaxlimits.store.results import open_result
from jaxlimits.store.template import (
    absence_attributes,
    field_attributes,
    global_attributes,
    output_attributes,
)

Source = str | Path | Mapping[str, object] | xr.Dataset
"""A result, by its file or opened; or a grid, by its file, its name, or as a mapping."""


@placed("best")
def best(
    source: Source,
    question: Question,
    *,
    overrides: Mapping[str, object] | None = None,
    catalog: tuple[str | Path, ...] = (),
    allow_idle: bool = False,
) -> xr.Dataset:
    """Return the best points, best first.

    Parameters
    ----------
    source
        A result (``.nc``, or opened); a grid as :func:`jaxlimits.sweep` takes it: a file, the name
        of a shipped one, or a mapping.
    question
        As :func:`jaxlimits.ask` makes it.
    overrides, catalog, allow_idle
        For a grid, as for :func:`jaxlimits.sweep`. An axis counts too on which an output of the
        grid's own depends.

    Returns
    -------
    xarray.Dataset
        Along ``point``: coordinates by the names of the axes, and the metrics of the question, in
        SI units; what binds by its name. Fewer points, or none, where fewer keep the targets.

    Raises
    ------
    InputError
        A result that lacks a variable which the question needs, or that is to be set otherwise.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> question = jl.ask(maximise="stps_per_watt", where="utps >= 100", count=3)
    >>> points = jl.best("smoke", question)
    >>> points.sizes["point"], float(points.batch_size[0])
    (3, 128.0)
    """
    if isinstance(source, xr.Dataset) or _is_file(source):
        with _opened(source, overrides, catalog) as dataset, placed(_named_as(source)):
            _refuse_missing(dataset, question)
            parts = parts_of_result(dataset, question)
            rows = [row for part in parts for row in _of_result(part, question)]
            return _labelled(rows, dataset, question)
    spec = load_grid(source, overrides=overrides, catalog=catalog)
    kept = {"op": "top" if question.maximise else "bottom", "of": (question.objective,)}
    rows = _of_parts(spec, question, Top, allow_idle=allow_idle, k=question.count, **kept)
    return _labelled_of_grid(rows, spec, question)


@placed("frontier")
def frontier(dataset: xr.Dataset, question: Question, *, against: str) -> xr.Dataset:
    """Return the exact frontier of a metric, of which more is better, and the objective.

    Parameters
    ----------
    dataset
        A result.
    question
        As :func:`ask` makes it; its count does not matter.
    against
        The metric.

    Returns
    -------
    xarray.Dataset
        Points that no other beats in both, as :func:`best` gives them, in the order of the metric.
    """
    if against not in schema.CONTINUOUS:
        raise unknown_name("metric", against, schema.CONTINUOUS)
    asked = dataclasses.replace(question, also=(against, *question.also))
    _refuse_missing(dataset, asked)
    signs = np.array([1.0, 1.0 if question.maximise else -1.0])
    metrics = (against, question.objective)
    rows = _front_of_result(dataset, asked, metrics, signs)
    return _labelled(_in_order(rows, against), dataset, asked)


@placed("frontier_near")
def frontier_near(
    source: Source,
    question: Question,
    *,
    factor: float = 2.0,
    overrides: Mapping[str, object] | None = None,
    catalog: tuple[str | Path, ...] = (),
    allow_idle: bool = False,
) -> xr.Dataset:
    """Return the exact frontier of the first target's metric and the objective, near the target.

    Parameters
    ----------
    source, question, overrides, catalog, allow_idle
        As for :func:`best`; at least one target.
    factor
        How far from the target its metric may be, on both sides.

    Returns
    -------
    xarray.Dataset
        Points that no other beats in both, as :func:`best` gives them, in the order of the target's
        metric.

    Raises
    ------
    InputError
        As :func:`best`; a question without a target, a factor that is not above 1.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> question = jl.ask(maximise="stps", where="utps >= 50")
    >>> points = jl.frontier_near("smoke.nc", question, factor=1.2)
    >>> bool(((points.utps >= 50 / 1.2) & (points.utps <= 50 * 1.2)).all())
    True
    """
    if not question.targets:
        remedy = "give one, as `where='utps >= 50'`"
        raise InputError("a frontier needs a target", remedy=remedy)
    if factor <= 1.0:
        raise InputError("must exceed 1", key="factor", value=factor)
    target, *others = question.targets
    ends = sorted((target.limit / factor, target.limit * factor))
    near = [Budget(of=target.of, most=most, limit=ends[most]) for most in (False, True)]
    wide = dataclasses.replace(question, targets=(*near, *others))
    metrics = (target.of, question.objective)
    if isinstance(source, xr.Dataset) or _is_file(source):
        signs = np.array([-1.0 if target.most else 1.0, 1.0 if question.maximise else -1.0])
        with _opened(source, overrides, catalog) as dataset, placed(_named_as(source)):
            _refuse_missing(dataset, wide)
            parts = parts_of_result(dataset, wide)
            fronts = [_front_of_result(part, wide, metrics, signs) for part in parts]
            rows = [row for front in fronts for row in _in_order(front, target.of)]
            return _labelled(rows, dataset, wide)
    spec = load_grid(source, overrides=overrides, catalog=catalog)
    minimised = (*([target.of] if target.most else []), *_minimised(question))
    kept = {"op": "frontier", "of": metrics, "minimise": minimised}
    rows = _of_parts(spec, wide, Frontier, allow_idle=allow_idle, order=target.of, **kept)
    return _labelled_of_grid(rows, spec, wide)


def _is_file(source: object) -> bool:
    """Whether a result is named, rather than a grid."""
    return isinstance(source, str | Path) and Path(source).suffix == ".nc"


def _named_as(source: Source) -> str:
    """What a result is called in an error."""
    return "the result" if isinstance(source, xr.Dataset) else str(source)


def _opened(
    source: Source,
    overrides: Mapping[str, object] | None,
    catalog: tuple[str | Path, ...],
) -> contextlib.AbstractContextManager[xr.Dataset]:
    """A result while it is read; one that is open already stays so."""
    if overrides or catalog:
        remedy = "ask its grid instead"
        raise InputError("a result cannot be set otherwise", where=_named_as(source), remedy=remedy)
    if isinstance(source, xr.Dataset):
        return contextlib.nullcontext(source)
    return open_result(str(source))


def _labelled(rows: Sequence[Row], dataset: xr.Dataset, question: Question) -> xr.Dataset:
    """Points of a result, with its attributes and what is fixed in it."""
    axes = [str(name) for name in dataset[question.objective].dims]
    attributes = {name: dataset[name].attrs for name in (*axes, *question.metrics)}
    fixed = {name: value for name, value in dataset.coords.items() if value.ndim == 0}
    points = label(rows, axes, question.metrics, attributes)
    return points.assign_coords(fixed).assign_attrs(dataset.attrs)


def _labelled_of_grid(rows: Sequence[Row], spec: GridSpec, question: Question) -> xr.Dataset:
    """Points of a grid, with the attributes that its result would have."""
    axes = [axis.name for axis in spec.axes]
    scenario = bind(spec)
    attributes = {name: field_attributes(name) for name in axes}
    attributes |= {
        name: {**output_attributes(name), **absence_attributes(name, scenario)}
        for name in question.metrics
    }
    points = label(rows, axes, question.metrics, attributes)
    return points.assign_attrs(global_attributes(spec, scenario))


def _in_order(rows: Sequence[Row], metric: str) -> list[Row]:
    return sorted(rows, key=lambda row: float(row[metric]))


def _minimised(question: Question) -> list[str]:
    return [] if question.maximise else [question.objective]


def _of_parts(
    spec: GridSpec,
    question: Question,
    kind: type[Reduction],
    *,
    allow_idle: bool,
    order: str = "",
    **own: Any,
) -> list[Row]:
    """Reduce each part of a grid to points; ``order`` is the metric by which each is sorted."""
    check_effects(spec, _job_of(spec, question, kind, **own), allow_idle=allow_idle)
    found = []
    for part in parts_of_grid(spec, question):
        rows = _of_grid(part, _job_of(part, question, kind, **own), question)
        found += _in_order(rows, order) if order else rows
    return found


def _job_of(
    spec: GridSpec, question: Question, kind: type[Reduction], *, of: tuple[str, ...], **own: Any
) -> Job:
    """Plan the reduction of a grid to points, within the targets."""
    refuse_unstated(question.metrics, spec.named, where=spec.file.where, key="best")
    names = [axis.name for axis in spec.axes]
    rules = Rules(budgets=question.targets)
    scenario = dataclasses.replace(bind(spec), rules=rules)
    check_scenario(scenario)
    refuse_absent((*of, *(budget.of for budget in question.targets)), scenario, key="best")
    also = tuple(name for name in question.metrics if name not in of)
    everywhere = tuple(range(len(names)))
    reduction = kind(name="best", of=of, over=everywhere, also=also, **own)
    return make_job(scenario, outputs=(), reductions=(reduction,), precision=spec.precision)


def _of_grid(spec: GridSpec, job: Job, question: Question) -> list[Row]:
    """Reduce a grid to points."""
    _, states = collect(job)
    (reduction,), names = job.reductions, [axis.name for axis in spec.axes]
    found = {f.name: f.values for f in find(job, reduction, states["best"])}
    if "best" in found:  # a frontier has a name for each metric
        found[f"best_{question.objective}"] = found.pop("best")
    columns = {name: found[f"best_{name}"] for name in (*names, *question.metrics)}
    return [row for row in _rows(columns) if row[question.objective] == row[question.objective]]


def _rows(columns: dict[str, np.ndarray]) -> Iterator[Row]:
    listed = [_named(name, values.tolist()) for name, values in columns.items()]
    return (dict(zip(columns, row, strict=True)) for row in zip(*listed, strict=True))


def _named(name: str, values: list) -> list:
    """Codes by their names."""
    names = {code: word for word, code in schema.FLAGS.get(name, {}).items()}
    return [names.get(value, value) for value in values] if names else values


def _of_result(dataset: xr.Dataset, question: Question) -> list[Row]:
    """Search a result slice by slice, keeping the best so far."""
    sign = 1.0 if question.maximise else -1.0
    kept: list[tuple[float, Row]] = []
    for part, counts in _slices(dataset, question):
        values = np.where(counts, sign * part[question.objective].to_numpy(), -np.inf).ravel()
        places = np.argsort(-values, kind="stable")[: question.count]
        good = [place for place in places.tolist() if values[place] > -np.inf]
        kept += zip(values[good].tolist(), _points(part, good, question.metrics), strict=True)
        kept = sorted(kept, key=lambda pair: -pair[0])[: question.count]  # stable: first wins
    return [row for _, row in kept]


def _front_of_result(
    dataset: xr.Dataset,
    question: Question,
    metrics: tuple[str, ...],
    signs: np.ndarray,
) -> list[Row]:
    rows: list[Row] = []
    for part, counts in _slices(dataset, question):
        places = np.flatnonzero(counts)
        points = np.stack([part[name].to_numpy().ravel()[places] for name in metrics])
        best = undominated(signs[:, None] * points.astype(np.float64), places)
        rows += _points(part, places[best].tolist(), question.metrics)
        found = np.array([[float(row[name]) for name in metrics] for row in rows]).reshape(-1, 2)
        rows = [rows[i] for i in undominated(signs[:, None] * found.T, np.arange(len(rows)))]
    return rows


def _refuse_missing(dataset: xr.Dataset, question: Question) -> None:
    """Raise where a result lacks a metric of the question."""
    missing = sorted(set(question.metrics) - set(map(str, dataset.data_vars)))
    if missing:
        remedy = "sweep the grid again with it among the outputs, or ask the grid itself"
        raise InputError(f"has no {', '.join(missing)}", remedy=remedy)


def _slices(dataset: xr.Dataset, question: Question) -> Iterator[tuple[xr.Dataset, np.ndarray]]:
    """Yield slices along the first axis, and which of their points count."""
    needed = set(question.metrics)
    whole = dataset[question.objective].dims
    if not whole:
        raise InputError("is a single point", remedy="leave some axis whole")
    flat = [name for name in needed if dataset[name].dims != whole]
    if flat:
        problem = f"{flat[0]} does not lie along the axes of {question.objective}"
        raise InputError(problem, remedy="ask of metrics that have the same axes")
    marks = [name for name in ("feasible", "limit") if name in dataset]
    kept = dataset[[*needed, *marks]]
    for start in range(dataset.sizes[whole[0]]):
        part = kept.isel({whole[0]: slice(start, start + 1)}).load()
        yield part, _counts(part, question, marks)


def _counts(part: xr.Dataset, question: Question, marks: list[str]) -> np.ndarray:
    """Where every target is kept and the point fits."""
    counts = ~np.isnan(part[question.objective].to_numpy())
    for target in question.targets:
        counts &= np.asarray(target.keeps(part[target.of].to_numpy()))
    for name in marks:
        codes = part[name].to_numpy()
        counts &= codes == 1 if name == "feasible" else codes != int(Limit.CAPACITY)
    return counts


def _points(part: xr.Dataset, places: list[int], metrics: tuple[str, ...]) -> list[Row]:
    """Coordinates and metrics at flat positions of a slice."""
    dims = part[metrics[0]].dims
    index = np.unravel_index(np.array(places, int), [part.sizes[dim] for dim in dims])
    columns = {
        str(dim): part[dim].to_numpy()[place] for dim, place in zip(dims, index, strict=True)
    }
    columns |= {name: part[name].to_numpy()[index] for name in metrics}
    return list(_rows(columns))
