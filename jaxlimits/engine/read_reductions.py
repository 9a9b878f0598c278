"""The ``[reduce.NAME]`` tables of a grid, checked by what the reductions say of themselves.

The grid's own reader takes these tables as they are: it lies below the engine and knows no
reduction.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pydantic

from jaxlimits import schema
from jaxlimits.engine.asked import Asked, Keys
from jaxlimits.engine.reduction import Reduction
from jaxlimits.engine.reductions import REDUCTIONS
from jaxlimits.errors import InputError, suggestion, unknown_name
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.file import ReductionTable, explained
from jaxlimits.grid.requirements import codes
from jaxlimits.grid.spec import GridSpec
from jaxlimits.grid.stated import refuse_unstated

_COUNTED = {1: "one", 2: "two", 3: "three"}


def read_reductions(spec: GridSpec) -> tuple[Reduction, ...]:
    """Return the reductions that a grid's file asks for.

    Raises
    ------
    InputError
        An unknown reduction, metric or axis, a key that the reduction does not take, a missing one,
        a value that cannot be used, a variable that something else writes.
    """
    tables = spec.file.tables.reduce
    reductions = tuple(_read(name, table, spec) for name, table in tables.items())
    _refuse_same_variables(reductions, spec)
    for reduction in reductions:
        metrics = (*reduction.of, *reduction.also)
        key = f"reduce.{reduction.name}"
        refuse_unstated(metrics, spec.named, where=spec.file.where, key=key)
    return reductions


def _read(name: str, table: ReductionTable, spec: GridSpec) -> Reduction:
    names = [axis.name for axis in spec.axes]
    asked = Asked(
        name=name,
        op=table.op,
        of=(table.of,) if isinstance(table.of, str) else tuple(table.of),
        over=tuple(name for name in names if table.over is None or name in table.over),
        axes=spec.axes,
        requirements=spec.requirements,
        where=spec.file.where,
    )
    if table.op not in REDUCTIONS:
        remedy = f"write one of {', '.join(REDUCTIONS)}"
        raise asked.error("unknown reduction", key="op", value=table.op, remedy=remedy)
    kind = REDUCTIONS[table.op]
    keys = _own_keys(kind, table.model_extra or {}, asked)
    _check_name(asked)
    _check_metrics(kind, asked)
    _check_axes(kind, table.over, asked)
    return kind.read(asked, keys)


def _own_keys(kind: type[Reduction], given: Mapping[str, Any], asked: Asked) -> Keys:
    """Keys beside those of every reduction, checked for their shape."""
    common = set(ReductionTable.model_fields)
    known = common.union(*(other.keys.model_fields for other in REDUCTIONS.values()))
    for key in set(given) - set(kind.keys.model_fields):
        if key not in known:
            raise asked.error(f"unknown key {key!r}", key=key, remedy=suggestion(key, known))
        remedy = f"it takes {', '.join(sorted(common.union(kind.keys.model_fields)))}"
        raise asked.error(f"{asked.op} takes no {key!r}", remedy=remedy)
    try:
        return kind.keys.model_validate(given)
    except pydantic.ValidationError as error:
        under = ("reduce", asked.name)
        raise explained(error, asked.where, lambda _: kind.keys, under=under) from None


def _check_name(asked: Asked) -> None:
    taken = {*schema.OUTPUTS, *_names_of(asked.axes)}
    if not asked.name.isidentifier() or asked.name in taken:
        remedy = "choose a name of letters and digits that is not an axis or output"
        raise asked.error(f"{asked.name!r} cannot name a variable", remedy=remedy)


def _names_of(axes: Iterable[Axis]) -> set[str]:
    return {name for axis in axes for name in (axis.name, *axis.linked)}


def _check_metrics(kind: type[Reduction], asked: Asked) -> None:
    of = asked.metrics(asked.of)
    if len(of) not in kind.num_metrics or len(set(of)) != len(of):
        plural = "s" if max(kind.num_metrics) > 1 else ""
        counted = " or ".join(_COUNTED[number] for number in kind.num_metrics)
        problem = f"{asked.op} takes {counted} metric{plural}"
        raise asked.error(problem, key="of", value=list(of))
    for metric in of:
        if kind.of_codes == bool(codes(metric)):
            continue
        problem = "only codes are counted" if kind.of_codes else "a code has no order"
        remedy = f"codes are {', '.join(schema.FLAGS)}; use op = 'count' for them"
        raise asked.error(problem, key="of", value=metric, remedy=remedy)


def _check_axes(kind: type[Reduction], stated: list[str] | None, asked: Asked) -> None:
    names = [axis.name for axis in asked.axes]
    single = kind.reduces == "one axis"
    if stated is None:
        if single:
            remedy = f"name the axis along which to look: over = ['{names[-1]}']"
            raise asked.error(f"{asked.op} needs over", remedy=remedy)
        return
    for name in stated:
        if name not in names:
            place = {"where": asked.where, "key": f"reduce.{asked.name}.over"}
            raise unknown_name("axis", name, names, **place)
    if not stated or (single and len(asked.over) != 1):
        problem = f"must name {'exactly one axis' if single else 'at least one axis'}"
        raise asked.error(problem, key="over", value=stated)
    if kind.reduces == "the whole grid" and len(asked.over) != len(names):
        problem = f"{asked.op} searches the whole grid"
        raise asked.error(problem, key="over", remedy="leave over out")


def _refuse_same_variables(reductions: Iterable[Reduction], spec: GridSpec) -> None:
    """Raise where a reduction would write a variable that an output or another one writes."""
    written = dict.fromkeys(spec.outputs, "the outputs")
    for reduction in reductions:
        own = f"reduce.{reduction.name}"
        for name in reduction.variables([axis.name for axis in spec.axes]):
            if name in written:
                problem = f"would write {name!r}, as {written[name]} would"
                place = {"where": spec.file.where, "key": own}
                raise InputError(problem, remedy="choose another name", **place)
            written[name] = own
