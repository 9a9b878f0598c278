"""The points that answer a question, of a result that is there already, a slice at a time."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from jaxlimits.engine.reductions.frontier import undominated
from jaxlimits.errors import InputError
from jaxlimits.model.metrics import Limit
from jaxlimits.questions.labelled_points import Row, rows_of
from jaxlimits.questions.question import Question


def refuse_missing(dataset: xr.Dataset, question: Question) -> None:
    """Raise where a result lacks a metric of the question."""
    missing = sorted(set(question.metrics) - set(map(str, dataset.data_vars)))
    if missing:
        remedy = "sweep the grid again with it among the outputs, or ask the grid itself"
        raise InputError(f"has no {', '.join(missing)}", remedy=remedy)


def points_of_result(dataset: xr.Dataset, question: Question) -> list[Row]:
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


def front_of_result(
    dataset: xr.Dataset,
    question: Question,
    metrics: tuple[str, ...],
    signs: np.ndarray,
) -> list[Row]:
    """Search a result slice by slice for the Pareto frontier of two metrics.

    ``signs`` are 1 for a metric to maximise, else -1.
    """
    rows: list[Row] = []
    for part, counts in _slices(dataset, question):
        places = np.flatnonzero(counts)
        points = np.stack([part[name].to_numpy().ravel()[places] for name in metrics])
        best = undominated(signs[:, None] * points.astype(np.float64), places)
        rows += _points(part, places[best].tolist(), question.metrics)
        found = np.array([[float(row[name]) for name in metrics] for row in rows]).reshape(-1, 2)
        rows = [rows[i] for i in undominated(signs[:, None] * found.T, np.arange(len(rows)))]
    return rows


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
    return list(rows_of(columns))
