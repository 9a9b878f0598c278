"""Records in a line or a few: what a session shows of them."""

import dataclasses
import textwrap
from collections.abc import Iterable
from typing import Any

_WIDTH = 100


def brief(record: Any) -> str:
    """Return the fields of a record that are not as by default, with their units."""
    given = [f.name for f in dataclasses.fields(record) if not _is_default(record, f)]
    return enclosed(record, named_values(record, given))


def named_values(record: Any, names: Iterable[str]) -> list[str]:
    """Return ``name=value unit`` of some fields of a record."""
    units = {field.name: _unit(field) for field in dataclasses.fields(record)}
    return [f"{name}={_shown(getattr(record, name), units[name])}" for name in names]


def enclosed(record: Any, parts: Iterable[str]) -> str:
    """Return what is said of a record behind the name of its type, in lines of bearable length."""
    text = f"{type(record).__name__}({', '.join(parts)})"
    return textwrap.fill(text, _WIDTH, subsequent_indent="    ", break_long_words=False)


def _unit(field: dataclasses.Field) -> str:
    """The unit that a field declares; plain where it declares none."""
    return next((info.unit for info in field.metadata.values() if hasattr(info, "unit")), "1")


def _shown(value: Any, unit: str) -> str:
    number = _number(value)
    if number is None:
        shape = getattr(value, "shape", None)
        return repr(value) if shape is None else f"{value.dtype}[{','.join(map(str, shape))}]"
    return f"{number:.6g}" + ("" if unit == "1" else f" {unit}")


def _is_default(record: Any, field: dataclasses.Field) -> bool:
    value, number = getattr(record, field.name), _number(getattr(record, field.name))
    if isinstance(value, str | bool | tuple):
        return value == field.default
    return number is not None and number == field.default


def _number(value: Any) -> float | None:
    """A number that is known; none for words, an array, or what JAX traces."""
    if isinstance(value, str | bool):
        return None
    try:
        return float(value)
    except TypeError:
        return None
