"""The best points under a service target, of a grid or of a result that is there already.

A grid of any size is streamed, and only the points that keep the targets enter the reduction; of a
result the variables are read a slice at a time.
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.engine.reductions.frontier import Frontier
from jaxlimits.engine.reductions.top import Top
from jaxlimits.errors import InputError, placed, unknown_name
from jaxlimits.grid.rules import Budget
from jaxlimits.questions.in_grids import points_of_grid
from jaxlimits.questions.in_results import front_of_result, points_of_result, refuse_missing
from jaxlimits.questions.labelled_points import in_order, label_of_grid, label_of_result
from jaxlimits.questions.parts import parts_of_result
from jaxlimits.questions.question import Question
from jaxlimits.run.pipeline import load_grid
from jaxlimits.store.results import open_result

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
            refuse_missing(dataset, question)
            parts = parts_of_result(dataset, question)
            rows = [row for part in parts for row in points_of_result(part, question)]
            return label_of_result(rows, dataset, question)
    spec = load_grid(source, overrides=overrides, catalog=catalog)
    kept = {"op": "top" if question.maximise else "bottom", "of": (question.objective,)}
    rows = points_of_grid(spec, question, Top, allow_idle=allow_idle, k=question.count, **kept)
    return label_of_grid(rows, spec, question)


@placed("frontier")
def frontier(dataset: xr.Dataset, question: Question, *, against: str) -> xr.Dataset:
    """Return the exact frontier of a metric, which is maximised, and the objective.

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
        The Pareto frontier of both, as :func:`best` gives points, in the order of the metric.
    """
    if against not in schema.CONTINUOUS:
        raise unknown_name("metric", against, schema.CONTINUOUS)
    asked = dataclasses.replace(question, also=(against, *question.also))
    refuse_missing(dataset, asked)
    signs = np.array([1.0, 1.0 if question.maximise else -1.0])
    metrics = (against, question.objective)
    rows = front_of_result(dataset, asked, metrics, signs)
    return label_of_result(in_order(rows, against), dataset, asked, against=against)


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
        The Pareto frontier of both, as :func:`best` gives points, in the order of the target's
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
            refuse_missing(dataset, wide)
            parts = parts_of_result(dataset, wide)
            fronts = [front_of_result(part, wide, metrics, signs) for part in parts]
            rows = [row for front in fronts for row in in_order(front, target.of)]
            return label_of_result(rows, dataset, wide, against=target.of)
    spec = load_grid(source, overrides=overrides, catalog=catalog)
    less = {target.of: target.most, question.objective: not question.maximise}
    minimised = tuple(name for name in metrics if less[name])
    kept = {"op": "frontier", "of": metrics, "minimise": minimised}
    rows = points_of_grid(spec, wide, Frontier, allow_idle=allow_idle, order=target.of, **kept)
    return label_of_grid(rows, spec, wide, against=target.of)


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
