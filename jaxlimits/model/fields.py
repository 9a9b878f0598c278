"""What a record's field means: unit, bounds and wording, stated once.

A record declares each field with :func:`quantity` (a number) or :func:`switch` (a static choice).
Everything else reads it from there: the check of a value, the docstring, the grid file's axes and
overrides, the command line, and the attributes of the NetCDF file.
"""

import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import equinox as eqx

_METADATA_KEY = "jaxlimits"
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """Meaning and bounds of one number.

    Parameters
    ----------
    unit
        SI unit inside the package, ``"1"`` for a plain number.
    display
        Unit in which people read it.
    meaning
        One phrase: what the number counts or measures.
    lower, upper
        Closed bounds; ``positive`` makes the lower one open at zero.
    whole
        Whether users must give a whole number. (Traced code treats all as real.)
    allowed
        The only values there are, where the field has a few.
    of_all_layers
        Whether it counts what all layers of a model have together: one mean layer has its share.
    """

    unit: str
    display: str
    meaning: str
    lower: float = 0.0
    upper: float = math.inf
    positive: bool = False
    whole: bool = False
    allowed: tuple[float, ...] = ()
    of_all_layers: bool = False

    @property
    def bounds(self) -> str:
        """The allowed values in words."""
        if self.allowed:
            return "one of " + ", ".join(f"{value:g}" for value in self.allowed)
        kind = "a whole number" if self.whole else "a number"
        above = "above 0" if self.positive else f"at least {self.lower:g}"
        if self.whole and self.positive:
            above = "at least 1"
        below = "" if math.isinf(self.upper) else f" and at most {self.upper:g}"
        return f"{kind}, {above}{below}"

    def admits(self, value: float) -> bool:
        """Whether a value, in SI units, is one that this quantity can take."""
        if not math.isfinite(value):
            return False
        if self.allowed:
            return value in self.allowed
        if self.whole and value != math.floor(value):
            return False
        above = value > 0.0 if self.positive else value >= self.lower
        return above and value <= self.upper


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """Meaning and choices of one static field; each choice in use costs one trace."""

    choices: tuple[str, ...]
    meaning: str


def quantity(unit: str, meaning: str, *, default: float | None = None, **bounds: Any) -> Any:
    """Declare a numeric field of a record.

    Parameters
    ----------
    unit
        SI unit, ``"1"`` for a plain number.
    meaning
        One phrase for docstrings, tables and ``long_name``.
    default
        Value where the user gives none; no default makes the field required.
    **bounds
        ``display``, ``lower``, ``upper``, ``positive``, ``whole``, ``allowed``, ``of_all_layers``
        of :class:`Quantity`.
    """
    info = Quantity(unit=unit, display=bounds.pop("display", unit), meaning=meaning, **bounds)
    extra: dict[str, Any] = {} if default is None else {"default": default}
    return eqx.field(metadata={_METADATA_KEY: info}, **extra)


def switch(meaning: str, *choices: str) -> Any:
    """Declare a static field of a record; the first choice is the default."""
    info = Switch(choices=choices, meaning=meaning)
    return eqx.field(static=True, default=choices[0], metadata={_METADATA_KEY: info})


def quantities(record: type) -> Mapping[str, Quantity]:
    """Return the numeric fields of a record type, in order of declaration."""
    return {name: info for name, info in _infos(record) if isinstance(info, Quantity)}


def switches(record: type) -> Mapping[str, Switch]:
    """Return the static fields of a record type, in order of declaration."""
    return {name: info for name, info in _infos(record) if isinstance(info, Switch)}


def defaults(record: type) -> Mapping[str, Any]:
    """Return the defaults of a record type; fields without one are left out."""
    fields = dataclasses.fields(record)
    return {f.name: f.default for f in fields if f.default is not dataclasses.MISSING}


def check_record(record: Any) -> None:
    """Raise ``ValueError`` on the first concrete value outside its bounds.

    Traced values pass: bounds are for what people write.
    """
    for name, info in _infos(type(record)):
        value = getattr(record, name)
        if isinstance(info, Switch):
            if value not in info.choices:
                allowed = ", ".join(info.choices)
                raise ValueError(f"{name} = {value!r}: must be one of {allowed}")
        elif isinstance(value, (int, float)) and not info.admits(float(value)):
            raise ValueError(f"{name} = {value!r} [{info.unit}]: must be {info.bounds}")


def documented(record: type[_T]) -> type[_T]:
    """Add the fields, with units and meaning, to a record's docstring, before its examples."""
    lines = ["Attributes", "----------"]
    for name, info in _infos(record):
        if isinstance(info, Switch):
            unit, choices = "static", f" One of {', '.join(info.choices)}."
        else:
            unit, choices = info.unit, ""
        lines += [name, f"    {info.meaning} [{unit}].{choices}"]
    words, title, examples = inspect.cleandoc(record.__doc__ or "").partition("Examples\n---")
    fields = "\n".join(lines)
    record.__doc__ = f"{words.rstrip()}\n\n{fields}\n" + (title and f"\n{title}{examples}\n")
    return record


def _infos(record: type) -> list[tuple[str, Quantity | Switch]]:
    fields = dataclasses.fields(record)
    return [(f.name, f.metadata[_METADATA_KEY]) for f in fields if _METADATA_KEY in f.metadata]
