"""Sliders: the values that each of their positions stands for.

A slider has a list of values, neat in the units in which people write them; any other value that
the field can take is written into the field beside it, and the slider stands at the nearest.
"""

import dataclasses
import functools

import numpy as np

from jaxlimits import schema, units
from jaxlimits.explorer.state import as_text
from jaxlimits.model.fields import Quantity

_REACH = 1000.0
"""How far a slider reaches to either side of the value that it stands at by default."""

_PER_DECADE = 24
_PER_OCTAVE = 4
_SHARES = 100
_LARGEST_SIZE = 1024.0
_LARGEST_LINEAR = 16.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Values of a slider, ascending [SI], and how each is written."""

    values: tuple[float, ...]
    texts: tuple[str, ...]

    def nearest(self, value: float) -> int:
        """Return the position nearest to a value, by ratio where both are above zero."""
        values = np.asarray(self.values)
        if value <= 0.0:
            return int(np.argmin(np.abs(values - value)))
        above = np.where(values > 0.0, values, np.nan)
        if np.isnan(above).all():
            return 0
        return int(np.nanargmin(np.abs(np.log(above / value))))


@functools.lru_cache(maxsize=1024)
def scale_of(name: str, centre: float) -> Scale:
    """Return the scale of a field.

    Parameters
    ----------
    name
        A numeric field.
    centre
        What the catalog or the record states for it [SI].
    """
    info = schema.FIELDS[name]
    texts = dict.fromkeys(as_text(_neat(v, info), info.unit) for v in _candidates(info, centre))
    pairs = sorted((units.parse(text, info.unit), text) for text in texts)
    admitted = [(value, text) for value, text in pairs if info.admits(value)]
    return Scale(
        values=tuple(value for value, _ in admitted), texts=tuple(text for _, text in admitted)
    )


def _candidates(info: Quantity, centre: float) -> list[float]:
    """What a slider should stand for, before it is made neat and what cannot be is left out."""
    if info.allowed:
        return list(info.allowed)
    if info.upper <= _LARGEST_LINEAR and not info.whole:
        return np.linspace(info.lower, info.upper, _SHARES + 1).tolist()
    zero = [0.0] if info.admits(0.0) else []
    low, high = _reach(info, centre)
    if info.whole:
        octaves = np.arange(0.0, np.log2(high) + 0.5 / _PER_OCTAVE, 1.0 / _PER_OCTAVE)
        return [*zero, *np.rint(2.0**octaves).tolist(), centre]
    steps = 1 + round(_PER_DECADE * np.log10(high / low))
    return [*zero, *np.geomspace(low, high, max(steps, 2)).tolist()]


def _reach(info: Quantity, centre: float) -> tuple[float, float]:
    one = 1.0 if info.unit in ("1", "token") else units.convert(1.0, info.display, info.unit)
    middle = centre if centre > 0.0 else one
    low, high = middle / _REACH, middle * _REACH
    if info.whole:
        low, high = 1.0, max(high, _LARGEST_SIZE)
    return max(low, info.lower), min(high, info.upper)


def _neat(value: float, info: Quantity) -> float:
    """The value with three digits in the unit in which it is shown; whole numbers as they are."""
    if info.whole or info.allowed:
        return value
    return units.parse(units.show(value, info.unit), info.unit)
