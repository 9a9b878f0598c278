"""One value as a user wrote it: text with a unit, or a plain number, checked against its field.

Python has more ways to state a value than a file: NumPy's and JAX's numbers, quantities of pint,
values of a result, which know their unit. All of them become what a file would hold.
"""

import math
import numbers
from collections.abc import Mapping
from typing import Any

from jaxlimits import units
from jaxlimits.errors import InputError
from jaxlimits.model.fields import Quantity, Switch

_LARGEST = 3.4e38
_PLAIN_UNITS = ("1", "token")

Written = str | int | float | bool
"""A value as a file holds it."""


def as_written(raw: Any, *, key: str) -> Written:
    """Return one value of Python as a file would state it: a number, or text with its unit.

    Parameters
    ----------
    raw
        Text, a number of Python, NumPy or JAX, a quantity of pint (of any registry), a value of a
        result.
    key
        Its name, for the error.

    Raises
    ------
    InputError
        An array or a list, a traced value, anything else.
    """
    if isinstance(raw, str | bool):
        return raw if isinstance(raw, bool) else str(raw)
    if is_quantity(raw):
        return with_unit(as_written(raw.magnitude, key=key), unit_text(raw))
    if isinstance(raw, list | tuple | range) or getattr(raw, "ndim", 0):
        raise InputError(f"holds {_count(raw)}, where one is needed", key=key, remedy=_FOR_MANY)
    number = _number(raw, key=key)
    unit = getattr(raw, "attrs", {}).get("si_unit", "1")  # a value of a result
    return with_unit(number, unit)


def override_texts(overrides: Mapping[str, object] | None) -> dict[str, str]:
    """Return overrides, whatever Python has them as, as the text that a result records."""
    return {name: str(as_written(raw, key=name)) for name, raw in (overrides or {}).items()}


def is_quantity(raw: Any) -> bool:
    """Whether something is a quantity of pint, by what it can do: its registry may be any."""
    return hasattr(raw, "magnitude") and hasattr(raw, "units")


def unit_text(quantity: Any) -> str:
    """Return the unit of a quantity of pint as a file writes it; ``"1"`` where it has none."""
    above, *below = f"{quantity.units:~C}".split("/")
    if above in ("", "1"):  # 1/s: a unit begins with a name
        return (
            "*".join(f"{name}**-1" if "**" not in name else _inverse(name) for name in below) or "1"
        )
    return "/".join([above, *below])


def _inverse(power: str) -> str:
    name, _, exponent = power.partition("**")
    return f"{name}**-{exponent}"


def with_unit(value: Written, unit: str) -> Written:
    """Return a number as text with its unit; as it is where it needs none."""
    return value if unit in _PLAIN_UNITS or isinstance(value, str) else f"{value!r} {unit}"


_FOR_MANY = "jl.sweep takes lists and arrays, a point takes one value"


def _count(raw: Any) -> str:
    shape = getattr(raw, "shape", None) or (len(raw),)
    return f"{' × '.join(map(str, shape))} values"


def _number(raw: Any, *, key: str) -> Written:
    """A number of any library as one of Python."""
    try:
        plain = raw.item() if hasattr(raw, "item") else raw
    except TypeError:  # what JAX raises where a value is not known yet
        remedy = "differentiate and map jaxlimits.model.evaluate.evaluate, which takes records"
        raise InputError("is traced by JAX, and has no value yet", key=key, remedy=remedy) from None
    if isinstance(plain, str | bool | int | float):
        return plain if isinstance(plain, str | bool | int) else float(plain)
    if isinstance(plain, numbers.Real):  # a fraction
        return float(plain)
    remedy = "give a number, or text with a unit"
    raise InputError(f"is of type {type(raw).__name__}", key=key, remedy=remedy)


def parse_number(info: Quantity, raw: object, *, where: str = "", key: str) -> float:
    """Return a number in SI units.

    Parameters
    ----------
    info
        Unit and bounds of the field.
    raw
        Text with a unit where the field has one; a number, or text of one, where it is a count.
    where, key
        Place for the error.

    Raises
    ------
    InputError
        A wrong or missing unit, a bare number where a unit is due, a value out of bounds.
    """
    value = _in_si(info, raw, where=where, key=key)
    if math.isfinite(value) and abs(value) > _LARGEST:
        raise InputError("is too large for float32", where=where, key=key, value=raw)
    if not info.admits(value):
        must = f"must be {info.bounds}" + ("" if info.unit == "1" else f" [{info.unit}]")
        raise InputError(must, where=where, key=key, value=raw, remedy=_remedy(info, value))
    return value


def parse_choice(info: Switch, raw: object, *, where: str = "", key: str) -> str:
    """Return a switch's choice, checked."""
    if isinstance(raw, str) and raw in info.choices:
        return raw
    allowed = " or ".join(repr(choice) for choice in info.choices)
    raise InputError(f"must be {allowed}", where=where, key=key, value=raw)


def _in_si(info: Quantity, raw: object, *, where: str, key: str) -> float:
    if isinstance(raw, str):
        try:
            return units.parse(raw, info.unit)
        except units.UnitError as error:
            raise InputError(str(error), where=where, key=key) from None  # it quotes the value
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise InputError("is not a number", where=where, key=key, value=raw)
    if info.unit not in _PLAIN_UNITS:
        remedy = f"write it with its unit, as '{units.example(info.unit)}'"
        raise InputError("a bare number", where=where, key=key, value=raw, remedy=remedy)
    return float(raw)


def _remedy(info: Quantity, value: float) -> str:
    if info.whole and value > 1.0 and value < info.upper:
        return f"write {value:.0f} or another whole number"
    return ""
