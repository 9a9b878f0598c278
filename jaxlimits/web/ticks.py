"""Ticks at neat values, with engineering units: ``1 TB/s``, ``2 TB/s``, ``5 TB/s``."""

import dataclasses
import math

import numpy as np

from jaxlimits import units
from jaxlimits.plot.scales import is_geometric, plain_number

_MOST = 7
"""Labels along one axis, at most."""

_LEAST_GAP = 0.14
"""Share of an axis that a label takes on a narrow figure."""

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ticks:
    """Where labels stand, in whatever a figure's axis counts, and what they say."""

    places: list[float]
    labels: list[str]

    @property
    def overrides(self) -> dict[float, str]:
        """The labels as Bokeh takes them."""
        return dict(zip(self.places, self.labels, strict=True))


def neat_values(first: float, last: float, *, geometric: bool) -> np.ndarray:
    """Return a handful of round numbers between two ends."""
    low, high = min(first, last), max(first, last)
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        return np.array([low])
    if geometric and low > 0.0 and high >= 2.0 * low:
        return _neat_ratios(low, high)
    rough = (high - low) / _MOST
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in _STEPS if each * power >= rough)
    return np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step


def _neat_ratios(low: float, high: float) -> np.ndarray:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    tolerance = 1e-9
    for within, every in (
        ((1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0), 1), ((1.0, 2.0, 3.0, 5.0), 1),
        ((1.0, 2.0, 5.0), 1), ((1.0, 3.0), 1), ((1.0,), 1), ((1.0,), 2), ((1.0,), 3),
        ((1.0,), 5),
    ):  # fmt: skip
        values = np.array([m * 10.0**p for p in range(first, last + 1, every) for m in within])
        inside = (values >= low * (1.0 - tolerance)) & (values <= high * (1.0 + tolerance))
        if inside.sum() <= _MOST:
            return values[inside]
    return np.array([low, high])


def even_ticks(
    first: float, last: float, *, geometric: bool, length: int, unit: str, display: str
) -> Ticks:
    """Return the ticks of an axis of so many cells, evenly spaced between two ends [SI]."""
    ends = [float(units.convert(end, unit, display)) for end in (first, last)]
    shown = neat_values(*ends, geometric=geometric)
    values = units.convert(shown, display, unit)
    scale = np.log if geometric else np.asarray
    span = float(scale(last) - scale(first)) or 1.0
    places = (scale(values) - scale(first)) / span * (length - 1)
    plain = unit in ("1", "token")
    labels = [plain_number(v) if plain else units.show(v, unit) for v in values]
    kept = _apart(places, (length - 1) * _LEAST_GAP)
    return Ticks(places=places[kept].tolist(), labels=[labels[n] for n in kept])


def cell_ticks(shown: np.ndarray, *, suffix: str) -> Ticks:
    """Return ticks at round numbers along an axis that counts cells, whatever their values.

    Parameters
    ----------
    shown
        Values of the cells in the unit that is shown, ascending or descending.
    suffix
        What stands behind each number: its unit, with a space before it.
    """
    ascending = np.argsort(shown, kind="stable")
    values = np.asarray(shown, float)[ascending]
    geometric = is_geometric(values)
    neat = neat_values(values[0], values[-1], geometric=geometric)
    scale = np.log if geometric else np.asarray
    places = np.interp(scale(neat), scale(values), ascending.astype(float))
    order = np.argsort(places)
    kept = [order[n] for n in _apart(places[order], (len(values) - 1) * _LEAST_GAP)]
    labels = [f"{plain_number(float(neat[n]))}{suffix}" for n in kept]
    return Ticks(places=places[kept].tolist(), labels=labels)


def are_round(shown: np.ndarray) -> bool:
    """Whether numbers can be labels as they are: whole, or of two digits at most."""
    values = np.asarray(shown, float)
    return all(value == round(value) or value == float(f"{value:.2g}") for value in values)


def _apart(places: np.ndarray, gap: float) -> list[int]:
    """Return which of some ascending places leave room for their labels: each beside the last."""
    kept: list[int] = []
    for n, place in enumerate(places):
        if not kept or place - places[kept[-1]] >= gap:
            kept.append(n)
    return kept


def value_ticks(values: np.ndarray, *, log: bool, unit: str, display: str) -> Ticks:
    """Return the ticks of a scale of colours, placed in the unit that is shown or its logarithm."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Ticks(places=[], labels=[])
    ends = units.convert(np.array([finite.min(), finite.max()], float), unit, display)
    shown = neat_values(float(ends[0]), float(ends[1]), geometric=log)
    places = np.log10(shown) if log else shown
    return Ticks(places=places.tolist(), labels=[plain_number(v) for v in shown])
