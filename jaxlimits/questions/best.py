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
from jaxlimits.engine.stream import collect, make_job
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.requirements import read_target
from jaxlimits.grid.rules import Budget, Rules
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import GridSpec, refuse_unstated
from jaxlimits.model.metrics import Limit
from jaxlimits.questions.solve import parse_target
from jaxlimits.run.pipeline import load_grid
from jaxlimits.store.results import open_result

Row = dict[str, float | str]
"""Coordinates and metrics of a point, in SI units."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is the best, and which points count.

    Parameters
    ----------
    objective, maximise
        The metric, and whether more of it is better.
    targets
        Bounds that a point must keep, in SI units.
    count
        How many points to return, best first.
    also
        Further metrics of them.
    """

    objective: str
    maximise: bool
    targets: tuple[Budget, ...] = ()
    count: int = 1
    also: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that a row shows."""
        bounded = (target.of for target in self.targets)
        return tuple(dict.fromkeys((self.objective, *bounded, *self.also)))


def ask(
    *,
    maximise: str | None = None,
    minimise: str | None = None,
    targets: Sequence[str] = (),
    count: int = 1,
    also: Sequence[str] = (),
    where: str = "best",
) -> Question:
    """Check a question as a user writes it.

    Parameters
    ----------
    maximise, minimise
        The metric; one of the two.
    targets
        ``"utps >= 50"``, ``"tpot <= 20 ms/token"``.
    count, also
        As in :class:`Question`.
    where
        What to name in an error.

    Raises
    ------
    InputError
        Neither or both of the metrics, an unknown metric, a target that cannot be read.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> question = jl.ask(minimise="dollars_per_token", targets=["utps >= 50"], count=3)
    >>> question.count
    3
    """
    if (maximise is None) == (minimise is None):
        remedy = "give --maximise METRIC or --minimise METRIC"
        raise InputError("says not what is best", where=where, remedy=remedy)
    objective = maximise or minimise or ""
    for name in (objective, *also):
        if name not in schema.OUTPUTS:
            raise unknown_name("metric", name, schema.OUTPUTS, where=where)
    if objective in schema.FLAGS:
        raise InputError("a code has no best", where=where, value=objective)
    if count < 1:
        raise InputError("must be at least 1", where=where, key="count", value=count)
    return Question(
        objective=objective,
        maximise=maximise is not None,
        targets=tuple(_budget(text, where=where) for text in targets),
        count=count,
        also=tuple(also),
    )


def _budget(text: str, *, where: str) -> Budget:
    metric, side, value = parse_target(text, where=where)
    limit = read_target(metric, value, where=where, key=metric)
    return Budget(of=metric, most=side == "at_most", limit=limit)


def best(
    source: str | Path | xr.Dataset,
    question: Question,
    *,
    overrides: Mapping[str, str] | None = None,
    catalog: tuple[str | Path, ...] = (),
) -> list[Row]:
    """Return the best points, best first; fewer, or none, where fewer keep the targets.

    Parameters
    ----------
    source
        A result (``.nc``, or opened), a grid file, or the name of a shipped grid.
    question
        As :func:`ask` makes it.
    overrides, catalog
        For a grid, as for :func:`jaxlimits.sweep`.

    Raises
    ------
    InputError
        A result that lacks a variable which the question needs, or that is to be set otherwise.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> question = jl.ask(maximise="stps_per_watt", targets=["utps >= 100"])
    >>> (point,) = jl.best("smoke", question)
    >>> point["batch_size"]
    128.0
    """
    if isinstance(source, xr.Dataset) or _is_file(source):
        with _opened(source, overrides, catalog) as dataset:
            return _of_result(dataset, question, where=_named_as(source))
    spec = load_grid(source, overrides=overrides, catalog=catalog)
    op = "top" if question.maximise else "bottom"
    return _of_grid(spec, question, Top, op=op, of=(question.objective,), k=question.count)


def frontier(dataset: xr.Dataset, question: Question, *, against: str) -> list[Row]:
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
    list
        Points that no other beats in both, in the order of the metric.
    """
    if against not in schema.CONTINUOUS:
        raise unknown_name("metric", against, schema.CONTINUOUS, where="frontier")
    asked = dataclasses.replace(question, also=(against, *question.also))
    signs = np.array([1.0, 1.0 if question.maximise else -1.0])
    metrics = (against, question.objective)
    rows = _front_of_result(dataset, asked, metrics, signs, where="frontier")
    return sorted(rows, key=lambda row: float(row[against]))


def frontier_near(
    source: str | Path | xr.Dataset,
    question: Question,
    *,
    factor: float = 2.0,
    overrides: Mapping[str, str] | None = None,
    catalog: tuple[str | Path, ...] = (),
) -> list[Row]:
    """Return the exact frontier of the first target's metric and the objective, near the target.

    Parameters
    ----------
    source, question, overrides, catalog
        As for :func:`best`; at least one target.
    factor
        How far from the target its metric may be, on both sides.

    Returns
    -------
    list
        Points that no other beats in both, in the order of the target's metric.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> question = jl.ask(maximise="stps", targets=["utps >= 50"])
    >>> points = jl.frontier_near("smoke.nc", question, factor=1.2)
    >>> all(50 / 1.2 <= point["utps"] <= 50 * 1.2 for point in points)
    True
    """
    if not question.targets:
        remedy = "give --where, as --where 'utps >= 50'"
        raise InputError("a frontier needs a target", where="best", remedy=remedy)
    if factor <= 1.0:
        raise InputError("must exceed 1", where="best", key="near", value=factor)
    target, *others = question.targets
    ends = sorted((target.limit / factor, target.limit * factor))
    near = [Budget(of=target.of, most=most, limit=ends[most]) for most in (False, True)]
    wide = dataclasses.replace(question, targets=(*near, *others))
    metrics = (target.of, question.objective)
    if isinstance(source, xr.Dataset) or _is_file(source):
        signs = np.array([-1.0 if target.most else 1.0, 1.0 if question.maximise else -1.0])
        with _opened(source, overrides, catalog) as dataset:
            rows = _front_of_result(dataset, wide, metrics, signs, where=_named_as(source))
    else:
        spec = load_grid(source, overrides=overrides, catalog=catalog)
        minimised = (*([target.of] if target.most else []), *_minimised(question))
        rows = _of_grid(spec, wide, Frontier, op="frontier", of=metrics, minimise=minimised)
    return sorted(rows, key=lambda row: float(row[target.of]))


def _is_file(source: str | Path) -> bool:
    """Whether a result is named, rather than a grid."""
    return Path(source).suffix == ".nc"


def _named_as(source: str | Path | xr.Dataset) -> str:
    """What a result is called in an error."""
    return "best" if isinstance(source, xr.Dataset) else str(source)


def _opened(
    source: str | Path | xr.Dataset,
    overrides: Mapping[str, str] | None,
    catalog: tuple[str | Path, ...],
) -> contextlib.AbstractContextManager[xr.Dataset]:
    """A result while it is read; one that is open already stays so."""
    if overrides or catalog:
        remedy = "ask its grid instead"
        raise InputError("a result cannot be set otherwise", where=_named_as(source), remedy=remedy)
    return contextlib.nullcontext(source) if isinstance(source, xr.Dataset) else open_result(source)


def _minimised(question: Question) -> list[str]:
    return [] if question.maximise else [question.objective]


def _of_grid(
    spec: GridSpec,
    question: Question,
    kind: type[Reduction],
    *,
    of: tuple[str, ...],
    **own: Any,
) -> list[Row]:
    """Reduce a grid to points, within the targets."""
    refuse_unstated(question.metrics, spec.named, where=spec.file.where, key="best")
    names = [axis.name for axis in spec.axes]
    rules = Rules(budgets=question.targets)
    scenario = dataclasses.replace(bind(spec), rules=rules)
    check_scenario(scenario)
    also = tuple(name for name in question.metrics if name not in of)
    everywhere = tuple(range(len(names)))
    reduction = kind(name="best", of=of, over=everywhere, also=also, **own)
    job = make_job(scenario, outputs=(), reductions=(reduction,), precision=spec.precision)
    _, states = collect(job)
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


def _of_result(dataset: xr.Dataset, question: Question, *, where: str) -> list[Row]:
    """Search a result slice by slice, keeping the best so far."""
    sign = 1.0 if question.maximise else -1.0
    kept: list[tuple[float, Row]] = []
    for part, counts in _slices(dataset, question, where=where):
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
    *,
    where: str,
) -> list[Row]:
    rows: list[Row] = []
    for part, counts in _slices(dataset, question, where=where):
        places = np.flatnonzero(counts)
        points = np.stack([part[name].to_numpy().ravel()[places] for name in metrics])
        best = undominated(signs[:, None] * points.astype(np.float64), places)
        rows += _points(part, places[best].tolist(), question.metrics)
        found = np.array([[float(row[name]) for name in metrics] for row in rows]).reshape(-1, 2)
        rows = [rows[i] for i in undominated(signs[:, None] * found.T, np.arange(len(rows)))]
    return rows


def _slices(
    dataset: xr.Dataset, question: Question, *, where: str
) -> Iterator[tuple[xr.Dataset, np.ndarray]]:
    """Yield slices along the first axis, and which of their points count."""
    needed = set(question.metrics)
    missing = sorted(needed - set(map(str, dataset.data_vars)))
    if missing:
        remedy = "sweep the grid again with it among the outputs, or ask the grid itself"
        raise InputError(f"has no {', '.join(missing)}", where=where, remedy=remedy)
    whole = dataset[question.objective].dims
    if not whole:
        raise InputError("is a single point", where=where, remedy="leave some axis whole")
    flat = [name for name in needed if dataset[name].dims != whole]
    if flat:
        problem = f"{flat[0]} does not lie along the axes of {question.objective}"
        raise InputError(problem, where=where)
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
