"""Axes: the ways to write their values, and what they come to."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxlimits import schema
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.file import AxisTable, Raw
from jaxlimits.grid.layouts import all_layouts, columns_of, read_layout
from jaxlimits.model.fields import Quantity
from jaxlimits.values import parse_choice, parse_number

_FORMS = ("values", "linear", "geometric", "pow2")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One dimension of a grid.

    Parameters
    ----------
    name
        Field, scale factor, switch, ``llm`` or ``chip``.
    values
        Numbers in SI units, strictly monotonic, or names.
    linked
        Other fields that vary with it, value by value.
    """

    name: str
    values: tuple[float, ...] | tuple[str, ...]
    linked: Mapping[str, tuple[float, ...] | tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.values)


def read_axis(
    name: str,
    raw: AxisTable | Sequence[Raw],
    *,
    where: str,
    table: str = "axes",
    llms: Sequence[Mapping[str, Any]] = (),
) -> Axis:
    """Return an axis from its text; ``table`` is where it stands in its file.

    Numbers that are not in order are sorted, linked values with them. The sizes of layouts are
    linked to them.

    Parameters
    ----------
    name, raw
        What varies, and what is written of its values.
    where, table
        What to name in an error.
    llms
        The models of which each layout of an axis of all layouts is valid for one or more.

    Raises
    ------
    InputError
        An unknown name, no or several forms of values, empty or duplicate values, values that the
        field cannot take, linked values of another length.
    """
    key = f"{table}.{name}"
    check_name(name, where=where, key=key)
    if name in schema.ASSUMED:
        remedy = "state it in [base], or by `overrides`"
        raise InputError("cannot vary", where=where, key=f"{table}.{name}", remedy=remedy)
    written = raw if isinstance(raw, AxisTable) else AxisTable(values=list(raw))
    if written.all is not None or written.only:
        values = _all_layouts(name, written, llms, where=where, key=key)
    else:
        values = read_range(name, written, where=where, key=key)
    linked = {
        other: _linked_values(other, raws, like=len(values), where=where, key=f"{key}.with.{other}")
        for other, raws in written.linked.items()
    }
    if name == schema.LAYOUT:
        sizes = columns_of([read_layout(value) for value in values])
        linked |= {size: list(column) for size, column in sizes.items()}
    order = _monotonic_order(values)
    return Axis(
        name=name,
        values=tuple(values[i] for i in order),
        linked={other: tuple(column[i] for i in order) for other, column in linked.items()},
    )


def _all_layouts(
    name: str,
    table: AxisTable,
    llms: Sequence[Mapping[str, Any]],
    *,
    where: str,
    key: str,
) -> list[str]:
    """Names of every layout that is valid for any of the models."""
    if name != schema.LAYOUT or table.all is None:
        remedy = "write layout = { all = 64 }, with only = { tp_size = [1, 2, 4, 8] } if you like"
        raise InputError("all and only are of layouts", where=where, key=key, remedy=remedy)
    if any(getattr(table, form) is not None for form in _FORMS):
        raise InputError("has values beside all", where=where, key=key, remedy="write one of them")
    for size in table.only:
        if size not in schema.LAYOUT_SIZES:
            raise unknown_name("size", size, schema.LAYOUT_SIZES, where=where, key=f"{key}.only")
    only = {
        size: [read_value(size, raw, where=where, key=f"{key}.only.{size}") for raw in raws]
        for size, raws in table.only.items()
    }
    found = all_layouts(table.all, llms, only=only)
    if not found:
        problem = f"no layout of at most {table.all} chips is valid for any model"
        raise InputError(problem, where=where, key=key, remedy="allow more chips or other sizes")
    return [layout.name for layout in found]


def check_name(name: str, *, where: str = "", key: str) -> None:
    """Raise unless a name can be an axis or an override."""
    if not (name in schema.writable() or schema.is_numeric(name)):
        raise unknown_name("field", name, schema.writable(), where=where, key=key)


def read_value(name: str, raw: object, *, where: str = "", key: str) -> Any:
    """Return one value of a field, scale factor, switch, or record name."""
    if name in schema.SWITCHES:
        return parse_choice(schema.SWITCHES[name], raw, where=where, key=key)
    if name == schema.LAYOUT:
        return read_layout(raw, where=where, key=key).name
    if name in schema.NAMED:
        if isinstance(raw, str) and raw:
            return raw
        raise InputError("must be a name from the catalog", where=where, key=key, value=raw)
    return parse_number(schema.describe(name), raw, where=where, key=key)


def read_range(name: str, table: AxisTable, *, where: str, key: str) -> list[Any]:
    """Return the values that a table states, in the order in which it does."""
    forms = [form for form in _FORMS if getattr(table, form) is not None]
    if len(forms) != 1:
        problem = "has no values" if not forms else f"has both {' and '.join(forms)}"
        raise InputError(problem, where=where, key=key, remedy=f"write one of {', '.join(_FORMS)}")
    form = forms[0]
    if form == "values":
        values = [read_value(name, raw, where=where, key=key) for raw in table.values or ()]
    else:
        values = _range_values(name, form, table, where=where, key=key)
    if not values:
        raise InputError("is empty", where=where, key=key, remedy="give at least one value")
    _refuse_duplicates(values, where=where, key=key)
    return values


def _range_values(name: str, form: str, table: AxisTable, *, where: str, key: str) -> list[float]:
    if not schema.is_numeric(name):
        remedy = "list them"
        raise InputError(f"names have no {form} range", where=where, key=key, remedy=remedy)
    ends = [read_value(name, raw, where=where, key=key) for raw in getattr(table, form)]
    if (table.num is None) != (form == "pow2"):
        problem = "pow2 takes no num" if form == "pow2" else f"{form} needs num"
        example = f"{{ {form} = [first, last]{'' if form == 'pow2' else ', num = 16'} }}"
        raise InputError(problem, where=where, key=key, remedy=f"write {example}")
    values = _RANGES[form](*ends, table.num, where=where, key=key)
    info = schema.describe(name)
    if info.whole:
        values = [_whole_where_near(value) for value in values]
    for value in values:
        _check_range_value(info, value, where=where, key=key)
    return values


def _whole_where_near(value: float) -> float:
    """A step of a range is computed in floats: 8.000000000000002 is meant as 8."""
    return round(value) + 0.0 if abs(value - round(value)) <= 1e-9 * abs(value) else value


def _linear(first: float, last: float, num: int, **_: str) -> list[float]:
    return np.linspace(first, last, num).tolist()


def _geometric(first: float, last: float, num: int, *, where: str, key: str) -> list[float]:
    if min(first, last) <= 0.0:
        raise InputError("a geometric range must lie above 0", where=where, key=key)
    return np.geomspace(first, last, num).tolist()


def _pow2(first: float, last: float, _: None, *, where: str, key: str) -> list[float]:
    doublings = np.log2(last / first) if min(first, last) > 0.0 else -1.0
    if doublings < 0.0 or doublings != np.floor(doublings):
        problem = f"{last:g} is not {first:g} times a power of two"
        raise InputError(problem, where=where, key=key, remedy="write pow2 = [1, 512], for example")
    return (first * 2.0 ** np.arange(int(doublings) + 1)).tolist()


_RANGES = {"linear": _linear, "geometric": _geometric, "pow2": _pow2}


def _check_range_value(info: Quantity, value: float, *, where: str, key: str) -> None:
    if info.admits(value):
        return
    remedy = "choose num so that each step is whole, or list the values" if info.whole else ""
    raise InputError(
        f"{value:g} must be {info.bounds}", where=where, key=key, remedy=remedy or "move the range"
    )


def _linked_values(name: str, raws: list[Raw], *, like: int, where: str, key: str) -> list[Any]:
    check_name(name, where=where, key=key)
    if name in schema.SWITCHES:
        remedy = "make it an axis of its own"
        raise InputError("a switch cannot be linked", where=where, key=key, remedy=remedy)
    if len(raws) != like:
        problem = f"has {len(raws)} values where its axis has {like}"
        raise InputError(problem, where=where, key=key, remedy="give one for each")
    return [read_value(name, raw, where=where, key=key) for raw in raws]


def _refuse_duplicates(values: list[Any], *, where: str, key: str) -> None:
    seen = set()
    for value in values:
        if value in seen:
            shown = repr(value) if isinstance(value, str) else f"{value:g}"
            problem = f"has the value {shown} twice"
            raise InputError(problem, where=where, key=key, remedy="leave one out")
        seen.add(value)


def _monotonic_order(values: list[Any]) -> list[int]:
    """Positions that put numbers in order; names and what is monotonic stay as written."""
    positions = list(range(len(values)))
    if isinstance(values[0], str) or np.all(np.diff(values) < 0.0):
        return positions
    return sorted(positions, key=values.__getitem__)
