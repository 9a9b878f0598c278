"""Units: text to SI numbers at load, SI numbers to text for people.

The registry is our own. The usual one has terabarns, gilberts and kelvins where people here write
terabits, gigabits and "64K"; it also takes a frequency for a bandwidth and does not know FLOP.
Ours has seven base units (byte, FLOP, token, USD, second, watt, metre) and exact factors, so
``"1.1 us"`` becomes the same float as ``1.1e-6``.

Text is one number and one unit, never an expression. A prefix is taken only where it can be meant:
``"80 mB"`` is refused rather than read as milli.
"""

import difflib
import functools
import math
import re
from fractions import Fraction
from typing import Any, SupportsFloat

import pint

_MAX_LENGTH = 100

_DECIMAL = {"k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FRACTIONS = {"p": -12, "n": -9, "u": -6, "m": -3}
_POWERS_OF_TWO = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
# What may stand behind a plain number. "E" and "P" are left out: "2 E" looks like an exponent.
_MULTIPLES = ("k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti")

_LARGE = ("", *_DECIMAL)
_BINARY = (*_LARGE, *_POWERS_OF_TWO)
_SMALL = ("", *_FRACTIONS)
# Each unit in pint's notation (name = value = symbol = alias ...), and the prefixes it takes.
_UNITS = (
    ("B = [information] = _ = byte = bytes", _BINARY),
    ("bit = B / 8 = b = bits", _BINARY),
    ("FLOP = [operation] = _ = FLOPs = OP = OPs", _LARGE),
    ("FLOPS = FLOP / s = _ = OPS", _LARGE),
    ("token = [token] = _ = tokens = tok", _BINARY),
    ("USD = [currency]", ("",)),
    ("s = [time] = _ = sec = second = seconds", _SMALL),
    ("min = 60 * s = _ = minute = minutes", ("",)),
    ("h = 3600 * s = _ = hour = hours", ("",)),
    ("day = 86400 * s = _ = days", ("",)),
    ("year = 31557600 * s = _ = years", ("",)),  # 365.25 days
    ("Hz = 1 / s", _LARGE),
    ("W = [power]", (*_SMALL, *_DECIMAL)),
    ("J = W * s", (*_SMALL, *_DECIMAL)),
    ("Wh = 3600 * J", _LARGE),
    ("m = [length]", (*_SMALL, "k")),
    ("percent = 1 / 100", ("",)),
    ("count = []", ("", *_MULTIPLES)),
    ("request = count = _ = requests = req", ("",)),
)

# What the value of a unit is, and how people write one.
_KINDS = {
    "1": ("a plain number", "8"),
    "B": ("a size", "80 GB"),
    "B/s": ("a rate", "18 TB/s"),
    "FLOP": ("an amount of work", "2 TFLOP"),
    "FLOP/s": ("a compute rate", "2.25 PFLOP/s"),
    "FLOP/B": ("an arithmetic intensity", "300 FLOP/B"),
    "FLOP/J": ("work by energy", "2 TFLOP/J"),
    "token": ("a number of tokens", "65536"),
    "token/s": ("a token rate", "776 token/s"),
    "token/s/W": ("tokens by energy", "0.5 token/s/W"),
    "token/J": ("tokens by energy", "0.5 token/J"),
    "s": ("a time", "1.5 us"),
    "s/token": ("a time by token", "12 ms/token"),
    "Hz": ("a frequency", "1.8 GHz"),
    "W": ("a power", "700 W"),
    "W/m^2": ("a power density", "1.1 W/mm^2"),
    "J": ("an energy", "3 J"),
    "J/B": ("an energy by byte", "30 pJ/B"),
    "J/FLOP": ("an energy by operation", "0.5 pJ/FLOP"),
    "J/token": ("an energy by token", "2 J/token"),
    "m": ("a length", "25 mm"),
    "m^2": ("an area", "814 mm^2"),
    "USD": ("a price", "30000 USD"),
    "USD/s": ("a price by time", "2 USD/h"),
    "USD/token": ("a price by token", "0.5 USD/Mtoken"),
    "USD/B": ("a price by size", "20 USD/GB"),
    "USD/J": ("a price by energy", "0.08 USD/kWh"),
    "token/USD": ("tokens by price", "2 Mtoken/USD"),
}

_ALIASES = str.maketrans({"µ": "u", "μ": "u", "²": "^2", "³": "^3", "%": "percent", "$": "USD"})
# One digit of exponent: "m^9999999" must not reach integer arithmetic.
_FACTOR = r"[A-Za-z]+(?:\^-?[1-9])?"
_UNIT = re.compile(rf"{_FACTOR}(?:\s*[*/]\s*{_FACTOR})*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3}(?![0-9]))?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)\b", re.IGNORECASE)

# UDUNITS knows no operations, tokens or money; "B" is not its byte.
_CF = {name: name for name in ("s", "Hz", "W", "J", "m")} | {
    "B": "byte",
    "FLOP": "",
    "token": "",
    "USD": "",
}
_SHOWN_IN = {
    "m^2": "mm^2",
    "W/m^2": "W/mm^2",
    "USD/s": "USD/h",
    "USD/token": "USD/Mtoken",
    "USD/B": "USD/GB",
    "USD/J": "USD/kWh",
    "token/USD": "Mtoken/USD",
}


class UnitError(ValueError):
    """Text that is not a number with the unit that is due; the message says what is."""


@functools.lru_cache(maxsize=1 << 14)
def parse(text: str, unit: str) -> float:
    """Read a number with its unit; texts repeat, in grids and from point to point.

    Parameters
    ----------
    text
        One number and one unit, as ``"3.35 TB/s"``. Where ``unit`` is ``"1"`` or ``"token"`` a
        plain number will do, also with a multiple: ``"65536"``, ``"64 Ki"``, ``"1 M"``.
    unit
        SI unit of the result.

    Raises
    ------
    UnitError
        For a bare number where a unit is due, a unit of another dimension, an unknown unit, a
        value that is not finite, and anything but one number and one unit.
    """
    if len(text) > _MAX_LENGTH:
        raise UnitError(f"text of {len(text)} characters; write it as {example(unit)!r}")
    try:
        number, units = _split(text.strip(), unit)
        return _finite(Fraction(number) * _scale(_completed(number, units, unit), unit))
    except UnitError as error:
        raise UnitError(f"{text!r}: {error}") from None


def convert(value: Any, unit: str, to: str) -> Any:
    """Convert a number or an array from one unit to another of the same dimension.

    Raises
    ------
    UnitError
        For an unknown unit, and where the dimensions differ.
    """
    scale = _scale(unit, to)
    # Dividing by 1e12 is exact to the last bit where multiplying by 1e-12 is not.
    return value * float(scale.numerator) / float(scale.denominator)


def show(value: SupportsFloat, unit: str, *, digits: int = 3) -> str:
    """Write a number for people, with the prefix that suits it.

    Areas are in mm² and prices by what people pay for; plain numbers and tokens take no prefix, and
    ``inf`` and ``nan`` stand alone.

    Parameters
    ----------
    value
        The number, in ``unit``.
    unit
        SI unit.
    digits
        Significant digits; those before the decimal point are kept beyond that.

    Raises
    ------
    UnitError
        For an unknown unit.
    """
    number = float(value) + 0.0  # no "-0"
    shown_in = _SHOWN_IN.get(unit) or _prefix(number, unit, digits) + unit
    if not math.isfinite(number):
        return str(number)
    text = _written(convert(number, unit, shown_in), digits, unit)
    return text if unit == "1" else f"{text} {_typeset(shown_in)}"


def cf_unit(unit: str) -> str:
    """Spell a unit for the ``units`` attribute of CF and UDUNITS.

    Operations, tokens and money are numbers there: ``"token/s"`` is ``"s-1"``.

    Raises
    ------
    UnitError
        For an unknown unit, and one that is not SI.
    """
    for name, _ in _factors(unit):
        if name not in _CF:
            raise UnitError(f"{unit!r} is not one of the SI units {', '.join(_CF)}")
    factors = [(_CF[name], power) for name, power in _factors(unit) if _CF[name]]
    return " ".join(f"{name}{'' if power == 1 else power}" for name, power in factors) or "1"


def quotient(unit: str, *by: str) -> str:
    """Return the unit of a quantity divided by others: ``"token/B"`` for token/s over B/s."""
    powers: dict[str, int] = dict(_factors(unit))
    for divisor in by:
        for name, power in _factors(divisor):
            powers[name] = powers.get(name, 0) - power
    above = [_power(name, power) for name, power in powers.items() if power > 0]
    below = [_power(name, -power) for name, power in powers.items() if power < 0]
    # A unit begins with a name: what only divides is written with a negative power.
    if above:
        return "/".join(["*".join(above), *below])
    return "*".join(_power(name, power) for name, power in powers.items() if power) or "1"


def names() -> frozenset[str]:
    """Return every name of a unit, with each prefix that it takes."""
    return _NAMES


def example(unit: str) -> str:
    """Return a value as people write it in this unit: ``"18 TB/s"`` for ``"B/s"``."""
    return _KINDS[unit][1] if unit in _KINDS else f"1 {unit}"


# Reading.


def _split(text: str, unit: str) -> tuple[str, str]:
    if not text:
        raise UnitError(f"empty; write it as {example(unit)!r}")
    if _NOT_FINITE.match(text):
        raise UnitError(f"not a finite number; write it as {example(unit)!r}")
    # Elsewhere "1,500" may be one and a half; there are no half tokens.
    if _counts_tokens(unit) and (grouped := _GROUPED.match(text)):
        text = grouped[0].replace(",", "") + text[grouped.end() :]
    number = _NUMBER.match(text)
    if number is None:
        raise UnitError(f"no number; write it as {example(unit)!r}")
    units = text[number.end() :].strip()
    if units.startswith(","):
        raise UnitError("a comma in the number; write 1500 or 1.5, not 1,500")
    if units and not _UNIT.fullmatch(_plain(units)):
        raise UnitError(f"not one number and one unit; write it as {example(unit)!r}")
    return number[0], units


def _completed(number: str, units: str, unit: str) -> str:
    """Return the unit to convert from, where a plain number or a multiple of one may do."""
    if any(_has_kilo(name) for name in re.findall(r"[A-Za-z]+", _plain(units))):
        raise UnitError(f"'K' may be 1000 or 1024; {_kilo_advice(number, units, unit)}")
    if units not in ("", *_MULTIPLES):
        return units
    if unit not in ("1", "token"):
        raise UnitError(f"bare number; write it with its unit, as {example(unit)!r}")
    return units + ("count" if unit == "1" else "token")


def _finite(exact: Fraction) -> float:
    try:
        value = float(exact)
    except OverflowError:
        raise UnitError("too large for a float") from None
    if exact and not value:
        raise UnitError("too small for a float")
    return value


def _has_kilo(name: str) -> bool:
    return name == "K" or (name not in _NAMES and name[0] == "K" and f"k{name[1:]}" in _NAMES)


def _kilo_advice(number: str, units: str, unit: str) -> str:
    if units != "K":
        binary, decimal = (re.sub(r"\bK(?!i)", prefix, units) for prefix in ("Ki", "k"))
        return f"write '{number} {binary}' or '{number} {decimal}'"
    if unit in ("1", "token"):
        return f"write {float(number) * 1024:.15g} or '{number} Ki'"
    return f"write it with its unit, as {example(unit)!r}"


# Units.


def _all_names() -> frozenset[str]:
    names = set()
    for definition, prefixes in _UNITS:
        name, _, *aliases = (part.strip() for part in definition.split("="))
        names |= {prefix + word for word in (name, *aliases) if word != "_" for prefix in prefixes}
    return frozenset(names)


_NAMES = _all_names()


@functools.cache
def _registry() -> pint.UnitRegistry:
    factors = {
        **{prefix: f"1e{power}" for prefix, power in (_DECIMAL | _FRACTIONS).items()},
        **{prefix: str(2**power) for prefix, power in _POWERS_OF_TWO.items()},
    }
    # Fractions keep factors exact; pint's annotations know neither them nor "no definitions".
    registry = pint.UnitRegistry(
        None,  # pyright: ignore[reportArgumentType]
        cache_folder=None,
        non_int_type=Fraction,  # pyright: ignore[reportArgumentType]
    )
    registry.load_definitions([f"{prefix}- = {value}" for prefix, value in factors.items()])
    registry.load_definitions([definition for definition, _ in _UNITS])
    return registry


def _plain(units: str) -> str:
    return units.replace("**", "^").translate(_ALIASES)


@functools.lru_cache(maxsize=1024)
def _factors(units: str) -> tuple[tuple[str, int], ...]:
    plain = _plain(units)
    if plain == "1":
        return ()
    if not _UNIT.fullmatch(plain):
        raise UnitError(f"{units!r} is not a unit; write it as 'B/s' or 'W/mm^2'")
    factors = re.findall(r"([*/]?)\s*([A-Za-z]+)(?:\^(-?[1-9]))?", plain)
    # pint would also take "TBs", "mB" and "kmin".
    for _, name, _ in factors:
        if name not in _NAMES:
            raise UnitError(_unknown(name, units))
    return tuple((name, int(power or 1) * (-1 if op == "/" else 1)) for op, name, power in factors)


def _power(name: str, power: int) -> str:
    return name if power == 1 else f"{name}^{power}"


def _unknown(name: str, units: str) -> str:
    known = sorted(_NAMES | set(_MULTIPLES))
    near = [word for word in known if word.casefold() == name.casefold()]
    near = near or difflib.get_close_matches(name, known, cutoff=0.7)
    if near:
        hint = f"did you mean {' or '.join(map(repr, near))}?"
    else:
        hint = f"known are {', '.join(definition.split()[0] for definition, _ in _UNITS)}"
    return f"unknown unit {name!r}{'' if name == units else f' in {units!r}'}; {hint}"


def _expression(units: str) -> str:
    """Spell a unit for pint, which then has nothing to evaluate but names and powers."""
    return "*".join(f"{name}**{power}" for name, power in _factors(units)) or "count"


@functools.lru_cache(maxsize=1024)
def _scale(units: str, to: str) -> Fraction:
    try:
        return Fraction(_registry().convert(1, _expression(units), _expression(to)))
    except pint.DimensionalityError:
        raise UnitError(_mismatch(units, to)) from None


def _mismatch(units: str, to: str) -> str:
    due, _ = _KINDS.get(to, (f"a value in {to}", ""))
    return f"{units} is {_kind(units)}; {due} such as {example(to)!r} is due"


def _kind(units: str) -> str:
    dimension = _registry().get_dimensionality(_expression(units))
    for unit, (kind, _) in _KINDS.items():
        if _registry().get_dimensionality(_expression(unit)) == dimension:
            return f"{kind} [{unit}]"
    return "of another kind"


# Writing.


def _counts_tokens(unit: str) -> bool:
    return unit.startswith("token")


def _prefix(value: float, unit: str, digits: int) -> str:
    """Return the prefix that leaves one to three digits before the point, if the unit takes it."""
    name, power = (*_factors(unit), ("", 0))[0]
    if power != 1 or _counts_tokens(unit) or value == 0.0 or not math.isfinite(value):
        return ""
    # Rounded first: 999.96 GB is 1 TB.
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    steps = {**_FRACTIONS, "": 0, **_DECIMAL}
    usable = [prefix for prefix in steps if prefix + name in _NAMES]
    below = [prefix for prefix in usable if steps[prefix] <= exponent]
    return below[-1] if below else usable[0]


def _written(value: float, digits: int, unit: str) -> str:
    short = f"{value:.{digits}g}"
    if abs(float(short)) < 10**digits or abs(value) >= 1e15:
        return short
    if _counts_tokens(unit):
        return f"{round(value):,d}"
    return f"{round(value)}" if unit == "USD" else f"{round(value):.6g}"


def _typeset(unit: str) -> str:
    name = re.sub(r"\bu(?=[a-zA-Z])", "µ", unit)
    return name.replace("^2", "²").replace("^3", "³")
