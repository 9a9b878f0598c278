"""What a record's field means: unit, bounds and wording, stated once.

A record declares each field with :func:`quantity` (a number), :func:`switch` (a static choice) or
:func:`optional_part` (whether a part of the model is traced), a result with :func:`metric`.
Everything else reads it from there: the check of a value, the docstring, the grid file's axes and
overrides, the command line, and the attributes of the NetCDF file.
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import equinox as eqx

from jaxlimits._types import as_flag, as_number, may_be_at_most, may_exceed
from jaxlimits.model.brief import brief

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
    unset
        A further value, perhaps NaN, which says that the field is not set; ``None`` where there is
        none.
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
    unset: float | None = None
    of_all_layers: bool = False

    @property
    def bounds(self) -> str:
        """The allowed values in words."""
        unset = "" if self.unset is None else f", or {self.unset:g} for none"
        if self.allowed:
            return "one of " + ", ".join(f"{value:g}" for value in self.allowed) + unset
        kind = "a whole number" if self.whole else "a number"
        above = "above 0" if self.positive else f"at least {self.lower:g}"
        if self.whole and self.positive:
            above = "at least 1"
        below = "" if math.isinf(self.upper) else f" and at most {self.upper:g}"
        return f"{kind}, {above}{below}{unset}"

    def admits(self, value: float) -> bool:
        """Whether a value, in SI units, is one that this quantity can take."""
        if self.unset is not None and _same(value, self.unset):
            return True
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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OptionalPart:
    """A part of the model that not every point uses, and the numbers on which that rests.

    Parameters
    ----------
    meaning
        One phrase: what the part is.
    rests_on
        Fields as pairs of a record and its own name for the field.
    above
        A point uses the part only where one of these fields exceeds this value.
    absent
        The other way round: only where one of them does not exceed it.
    """

    meaning: str
    rests_on: tuple[tuple[str, str], ...]
    above: float = 0.0
    absent: bool = False

    def may_be_used(self, number: Any) -> bool:
        """Whether a field with this number, perhaps a traced one, calls for the part."""
        test = may_be_at_most if self.absent else may_exceed
        return test(number, self.above)


def quantity(unit: str, meaning: str, *, default: float | None = None, **bounds: Any) -> Any:
    """Declare a numeric field of a record that the model takes.

    Parameters
    ----------
    unit
        SI unit, ``"1"`` for a plain number.
    meaning
        One phrase for docstrings, tables and ``long_name``.
    default
        Value where the user gives none; no default makes the field required.
    **bounds
        ``display``, ``lower``, ``upper``, ``positive``, ``whole``, ``allowed``, ``unset``,
        ``of_all_layers`` of :class:`Quantity`.
    """
    extra: dict[str, Any] = {} if default is None else {"default": default}
    metadata = {_METADATA_KEY: _quantity(unit, meaning, bounds)}
    return eqx.field(converter=as_number, metadata=metadata, **extra)


def metric(unit: str, meaning: str, **bounds: Any) -> Any:
    """Declare a field of a result; parameters as for :func:`quantity`.

    A result keeps what the model gives it, codes and truth values among them.
    """
    return eqx.field(metadata={_METADATA_KEY: _quantity(unit, meaning, bounds)})


def _quantity(unit: str, meaning: str, bounds: dict[str, Any]) -> Quantity:
    return Quantity(unit=unit, display=bounds.pop("display", unit), meaning=meaning, **bounds)


def optional_part(
    meaning: str, *, above: float = 0.0, absent: bool = False, **rests_on: tuple[str, ...]
) -> Any:
    """Declare a static field of the deployment that says whether a part of the model is traced.

    True, the default, lets the numbers decide: the part is traced unless they show that the point
    does not use it. False promises that it does not.

    Parameters
    ----------
    meaning
        One phrase: what the part is.
    above
        A point uses the part only where one of the fields exceeds this value.
    absent
        The other way round: only where one of them does not exceed it.
    **rests_on
        The fields, by the record that has them.
    """
    fields = tuple((record, name) for record, names in rests_on.items() for name in names)
    info = OptionalPart(meaning=meaning, rests_on=fields, above=above, absent=absent)
    metadata = {_METADATA_KEY: info}
    return eqx.field(static=True, default=True, converter=as_flag, metadata=metadata)


def switch(meaning: str, *choices: str) -> Any:
    """Declare a static field of a record; the first choice is the default."""
    info = Switch(choices=choices, meaning=meaning)
    return eqx.field(static=True, default=choices[0], metadata={_METADATA_KEY: info})


@functools.cache  # asked of every field of a grid, many times over
def quantities(record: type) -> Mapping[str, Quantity]:
    """Return the numeric fields of a record type, in order of declaration."""
    return {name: info for name, info in _infos(record) if isinstance(info, Quantity)}


def switches(record: type) -> Mapping[str, Switch]:
    """Return the static fields of a record type, in order of declaration."""
    return {name: info for name, info in _infos(record) if isinstance(info, Switch)}


def optional_parts(record: type) -> Mapping[str, OptionalPart]:
    """Return the parts that a record type can spare, in order of declaration."""
    return {name: info for name, info in _infos(record) if isinstance(info, OptionalPart)}


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
        elif isinstance(info, OptionalPart):
            if not isinstance(value, bool):
                raise ValueError(f"{name} = {value!r}: must be True or False")
        elif isinstance(value, float) and not info.admits(float(value)):
            raise ValueError(f"{name} = {float(value)!r} [{info.unit}]: must be {info.bounds}")


def documented(record: type[_T]) -> type[_T]:
    """Add the fields, with units and meaning, to a record's docstring; show it in brief.

    They stand before the examples.
    """
    lines = ["Attributes", "----------"]
    for name, info in _infos(record):
        if isinstance(info, Switch):
            unit, choices = "static", f" One of {', '.join(info.choices)}."
        elif isinstance(info, OptionalPart):
            unit, choices = "static", " False promises that the point does not use it."
        else:
            unit, choices = info.unit, ""
        lines += [name, f"    {info.meaning} [{unit}].{choices}"]
    words, title, examples = inspect.cleandoc(record.__doc__ or "").partition("Examples\n---")
    fields = "\n".join(lines)
    record.__doc__ = f"{words.rstrip()}\n\n{fields}\n" + (title and f"\n{title}{examples}\n")
    if "__repr__" not in vars(record):
        record.__repr__ = brief  # pyright: ignore[reportAttributeAccessIssue]
    return record


def _same(value: float, other: float) -> bool:
    """Whether two numbers are equal, or both NaN."""
    return value == other or (math.isnan(value) and math.isnan(other))


@functools.cache  # asked of every record that is made
def _infos(record: type) -> list[tuple[str, Quantity | Switch | OptionalPart]]:
    fields = dataclasses.fields(record)
    return [(f.name, f.metadata[_METADATA_KEY]) for f in fields if _METADATA_KEY in f.metadata]
