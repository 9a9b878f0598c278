"""One value as a user wrote it: text with a unit, or a plain number, checked against its field."""

import math

from jaxlimits import units
from jaxlimits.errors import InputError
from jaxlimits.model.fields import Quantity, Switch

_LARGEST = 3.4e38
_PLAIN_UNITS = ("1", "token")


def parse_number(info: Quantity, raw: object, *, where: str, key: str) -> float:
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


def parse_choice(info: Switch, raw: object, *, where: str, key: str) -> str:
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
