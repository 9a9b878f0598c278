"""Units in which the numbers of an axis are short: 30 GB, not 30,000 MB; 0.1 ns, not 0.0001 µs.

What is drawn of a dataset gets the prefix that suits its values, before anything is drawn, so that
axis, ticks, colours and labels agree.
"""

import re
from collections.abc import Collection, Iterable

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.plot import scales

_PREFIXES = ("p", "n", "u", "m", "", "k", "M", "G", "T", "P")
_LADDERS = {
    "B": ("", "k", "M", "G", "T", "P"),
    "FLOP": ("", "k", "M", "G", "T", "P"),
    "s": ("p", "n", "u", "m", ""),
    "W": ("m", "", "k", "M"),
    "J": ("p", "n", "u", "m", "", "k", "M"),
    "Hz": ("", "k", "M", "G"),
}
"""Prefixes that a unit takes, from small to large."""

_UNIT = re.compile(rf"([pnumkMGTP]?)({'|'.join(_LADDERS)})((?:/.*)?)")
_LARGE, _SMALL = 3, -2
"""Decades from which numbers are long: 1,000 and more, below 0.01."""

_SMALL_SIZE = 100_000
"""Values of a variable that are read at once, whether it is drawn or not."""


def in_fitting_units(dataset: xr.Dataset, drawn: Collection[object]) -> xr.Dataset:
    """Return a dataset whose variables are shown in the unit that suits their values.

    Parameters
    ----------
    dataset
        A result, which may lie in a file.
    drawn
        Names of what is drawn. Of all else only what is small is looked at: a figure of one metric
        does not read a file of twenty.
    """
    changed = {}
    for name, variable in dataset.variables.items():
        if name not in drawn and variable.size > _SMALL_SIZE:
            continue
        unit = _fitting([variable.to_numpy()], variable.attrs)
        if unit is not None:
            changed[name] = unit
    return _with_units(dataset, changed)


def in_one_unit(dataset: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """Return a dataset with some variables, of one quantity, shown in the unit that suits all."""
    kept = [name for name in names if "si_unit" in dataset[name].attrs]
    if not kept:
        return dataset
    arrays = [dataset[name].to_numpy().ravel() for name in kept]
    first = dataset[kept[0]].attrs
    unit = _fitting(arrays, first) or first["display_unit"]
    alike = (name for name in kept if dataset[name].attrs["si_unit"] == first["si_unit"])
    return _with_units(dataset, dict.fromkeys(alike, unit))


def _with_units(dataset: xr.Dataset, changed: dict) -> xr.Dataset:
    if not changed:
        return dataset
    found = dataset.copy()
    for name, unit in changed.items():
        found[name].attrs = {**found[name].attrs, "display_unit": unit}
    return found


def _fitting(arrays: list[np.ndarray], attributes: dict) -> str | None:
    """The unit that suits the values of several arrays; ``None`` where it stays as it is."""
    display, unit = attributes.get("display_unit", "1"), attributes.get("si_unit", "1")
    parts = _UNIT.fullmatch(display)
    if parts is None or any(values.dtype.kind not in "fiu" for values in arrays):
        return None
    values = np.abs(np.concatenate([values.ravel().astype(float) for values in arrays]))
    values = values[np.isfinite(values) & (values > 0.0)]
    if not values.size:
        return None
    high = float(values.max())
    low = float(values.min()) if scales.spans_decades(values) else high / 8.0
    own, name, rest = parts.groups()
    one = float(units.convert(1.0, f"{own}{name}{rest}", unit))
    place = _PREFIXES.index(own)

    def length(prefix: str) -> tuple[float, int]:
        away = _PREFIXES.index(prefix) - place
        size = one * 1000.0**away
        over = max(0.0, np.log10(high / size) - _LARGE)
        under = max(0.0, _SMALL - np.log10(low / size))
        if high < size:  # no number of the axis reaches one
            under = max(under, np.log10(size / high))
        return round(over + under, 2), abs(away)

    best = min(_LADDERS[name], key=length)
    return None if best == own else f"{best}{name}{rest}"
