"""Reductions as a grid file states them: ``[reduce.NAME]`` tables, read and checked."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from jaxlimits import schema, units
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.file import Op, ReductionTable
from jaxlimits.grid.requirements import Requirement, codes, is_output, output
from jaxlimits.model.fields import Quantity
from jaxlimits.values import parse_number

_WHOLE_GRID = ("top", "bottom", "frontier")
"""Reductions of all axes: their winners are points of the grid, not values at kept axes."""

_OPTIONS = {
    "argmax": {"also"},
    "argmin": {"also"},
    "top": {"also", "k"},
    "bottom": {"also", "k"},
    "quantiles": {"at"},
    "histogram": {"first", "last", "bins"},
    "frontier": {"also", "minimise"},
    "crossing": {"target", "reach"},
}
"""Keys beyond ``op``, ``of`` and ``over`` that each reduction takes."""

_DIMENSION = {
    "top": "rank",
    "bottom": "rank",
    "quantiles": "share",
    "histogram": "bin",
    "count": "code",
    "frontier": "point",
}
"""What the dimension that a reduction adds is called, after its own name."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ReductionSpec:
    """A reduction, checked.

    Parameters
    ----------
    name
        Name of its main variable.
    op
        What it does.
    of
        Metrics that it reduces.
    over
        Axes that it reduces, in the grid's order.
    also
        Further metrics at the points that it finds.
    minimise
        Metrics of a frontier of which less is better.
    options
        Numbers that it takes, in SI units.
    """

    name: str
    op: Op
    of: tuple[str, ...]
    over: tuple[str, ...]
    also: tuple[str, ...]
    minimise: tuple[str, ...]
    options: dict[str, Any]


def read_reduction(
    name: str,
    table: ReductionTable,
    axes: Sequence[Axis],
    requirements: Sequence[Requirement] = (),
    *,
    where: str,
) -> ReductionSpec:
    """Check a reduction against the grid's axes and requirements.

    Raises
    ------
    InputError
        An unknown metric or axis, a key that the reduction does not take, a missing one.
    """
    key = f"reduce.{name}"
    _check_keys(table, where=where, key=key)
    taken = {*schema.OUTPUTS, *(name for axis in axes for name in (axis.name, *axis.linked))}
    if not name.isidentifier() or name in taken:
        remedy = "choose a name of letters and digits that is no axis or output"
        raise InputError(f"{name!r} cannot name a variable", where=where, key=key, remedy=remedy)
    of = (table.of,) if isinstance(table.of, str) else tuple(table.of)
    for metric in (*of, *table.also, *table.minimise):
        if not is_output(metric, requirements):
            known = [*schema.OUTPUTS, *(n for asked in requirements for n in asked.quantities)]
            raise unknown_name("metric", metric, known, where=where, key=key)
    _check_metrics(table, of, where=where, key=key)
    return ReductionSpec(
        name=name,
        op=table.op,
        of=of,
        over=_reduced_axes(table, axes, where=where, key=key),
        also=tuple(table.also),
        minimise=tuple(table.minimise),
        options=_options(table, output(of[0], requirements), where=where, key=key),
    )


def _check_keys(table: ReductionTable, *, where: str, key: str) -> None:
    takes = {"op", "of", "over"} | _OPTIONS.get(table.op, set())
    for given in table.model_fields_set - takes:
        remedy = f"it takes {', '.join(sorted(takes))}"
        raise InputError(f"{table.op} takes no {given!r}", where=where, key=key, remedy=remedy)


def _check_metrics(table: ReductionTable, of: tuple[str, ...], *, where: str, key: str) -> None:
    numbers = (2, 3) if table.op == "frontier" else (1,)
    if len(of) not in numbers or len(set(of)) != len(of):
        counted = "two or three metrics" if table.op == "frontier" else "one metric"
        raise InputError(
            f"{table.op} takes {counted}", where=where, key=f"{key}.of", value=list(of)
        )
    for metric in of:
        if (table.op == "count") == bool(codes(metric)):
            continue
        problem = "only codes are counted" if table.op == "count" else "a code has no order"
        remedy = f"codes are {', '.join(schema.FLAGS)}; use op = 'count' for them"
        raise InputError(problem, where=where, key=f"{key}.of", value=metric, remedy=remedy)
    stray = set(table.minimise) - set(of)
    if stray:
        problem = f"minimises {', '.join(sorted(stray))}, which it does not reduce"
        raise InputError(problem, where=where, key=key)


def _reduced_axes(
    table: ReductionTable, axes: Sequence[Axis], *, where: str, key: str
) -> tuple[str, ...]:
    names = [axis.name for axis in axes]
    if table.over is None:
        if table.op == "crossing":
            remedy = "name the axis along which to look: over = ['mem_bw']"
            raise InputError("crossing needs over", where=where, key=key, remedy=remedy)
        return tuple(names)
    for name in table.over:
        if name not in names:
            raise unknown_name("axis", name, names, where=where, key=f"{key}.over")
    over = tuple(name for name in names if name in table.over)
    if table.op in _WHOLE_GRID and len(over) != len(names):
        problem = f"{table.op} searches the whole grid"
        raise InputError(problem, where=where, key=f"{key}.over", remedy="leave over out")
    if not over or (table.op == "crossing" and len(over) != 1):
        counted = "exactly one axis" if table.op == "crossing" else "at least one axis"
        raise InputError(f"must name {counted}", where=where, key=f"{key}.over", value=table.over)
    return over


def _options(table: ReductionTable, metric: Quantity, *, where: str, key: str) -> dict[str, Any]:
    match table.op:
        case "top" | "bottom":
            return {"k": table.k}
        case "quantiles":
            return _quantile_options(table, where=where, key=key)
        case "histogram":
            first, last = (
                _metric_value(table, metric, end, where=where, key=key) for end in ("first", "last")
            )
            if not 0.0 < first < last:
                raise InputError("first must lie above 0 and below last", where=where, key=key)
            return {"first": first, "last": last, "bins": table.bins}
        case "crossing":
            target = _metric_value(table, metric, "target", where=where, key=key)
            return {"target": target, "upward": table.reach == "above"}
    return {}


def _quantile_options(table: ReductionTable, *, where: str, key: str) -> dict[str, Any]:
    if not table.at:
        remedy = "name at least one share, as at = [0.05, 0.5, 0.95]"
        raise InputError("is empty", where=where, key=f"{key}.at", value=table.at, remedy=remedy)
    for share in table.at:
        if not 0.0 <= share <= 1.0:
            raise InputError("must lie in [0, 1]", where=where, key=f"{key}.at", value=share)
    return {"at": tuple(table.at)}


def _metric_value(
    table: ReductionTable, quantity: Quantity, name: str, *, where: str, key: str
) -> float:
    raw = getattr(table, name)
    if raw is None:
        remedy = f"write {name} = '{units.example(quantity.unit)}'"
        raise InputError(f"{table.op} needs {name}", where=where, key=key, remedy=remedy)
    return parse_number(quantity, raw, where=where, key=f"{key}.{name}")


def refuse_same_variables(
    reductions: Iterable[ReductionSpec], outputs: Iterable[str], *, where: str
) -> None:
    """Raise where a reduction would write a variable that an output or another one writes.

    Parameters
    ----------
    reductions, outputs
        All that a grid keeps.
    where
        Place for the error.
    """
    written = dict.fromkeys(outputs, "the outputs")
    for spec in reductions:
        for name in _variables(spec):
            if name in written:
                problem = f"would write {name!r}, as {written[name]} would"
                raise InputError(
                    problem, where=where, key=f"reduce.{spec.name}", remedy="choose another name"
                )
            written[name] = f"reduce.{spec.name}"


def _variables(spec: ReductionSpec) -> set[str]:
    """Names of the variables and dimensions that a reduction may write."""
    winners = (*spec.over, *spec.also) if "also" in _OPTIONS.get(spec.op, ()) else ()
    own = _DIMENSION.get(spec.op)
    metrics = spec.of if spec.op == "frontier" else ()
    parts = (*winners, *metrics, *((own,) if own else ()))
    return {spec.name, *(f"{spec.name}_{part}" for part in parts)}
