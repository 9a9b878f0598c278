"""Colours of a map: a ramp for amounts, a colour each for a few whole numbers or names."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from jaxlimits.plot import scales, style

if TYPE_CHECKING:
    from matplotlib.colors import Normalize

COLOURS = "cividis"
"""Map of colours: alike for every colour vision, and an even ramp of greys in print."""

_MOST_APART = 12
"""Whole numbers up to which each has a colour of its own."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Colouring:
    """How values become colours.

    Parameters
    ----------
    norm, cmap
        As matplotlib has them.
    values
        Values with a colour of their own; none for a ramp.
    names
        Their words by their places on the scale of colours; ``None`` for a ramp.
    """

    norm: "Normalize"
    cmap: Any
    values: tuple[Any, ...] = ()
    names: Mapping[float, str] | None = None

    def shown(self, field: xr.DataArray) -> xr.DataArray:
        """Return what is painted: the values, or the places of those that have their own colour."""
        if not self.values:
            return field
        array = field.to_numpy()
        places = np.full(array.shape, np.nan)
        for place, value in enumerate(self.values):
            places[array == value] = place
        return xr.DataArray(places, dims=field.dims, coords=field.coords)


def colouring_of(variable: xr.DataArray) -> Colouring:
    """Return the colours of a variable: discrete for categories and for a few whole numbers."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, LogNorm, Normalize

    values, words = _apart(variable)
    if values:
        kept = len(values)
        ordered = "flag_values" not in variable.attrs and style.is_numeric(variable)
        ramp = [colormaps[COLOURS](share) for share in np.linspace(0.0, 1.0, kept)]
        colours = ramp if ordered else [style.COLOURS[k % len(style.COLOURS)] for k in range(kept)]
        return Colouring(
            norm=Normalize(-0.5, kept - 0.5),
            cmap=ListedColormap(colours),
            values=values,
            names={float(place): name for place, name in enumerate(words)},
        )
    array = style.shown(variable)
    finite = array[np.isfinite(array)]
    ends = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    norm = LogNorm if scales.spans_decades(array.ravel()) else Normalize
    return Colouring(norm=norm(*ends), cmap=COLOURS)


def is_discrete(variable: xr.DataArray) -> bool:
    """Whether each value of a variable has a colour of its own."""
    return bool(_apart(variable)[0])


def _apart(variable: xr.DataArray) -> tuple[tuple[Any, ...], list[str]]:
    """Values that have a colour of their own, and their words; none where they are amounts."""
    array = variable.to_numpy()
    if "flag_values" in variable.attrs:
        meanings = variable.attrs["flag_meanings"].split()
        codes = zip(np.atleast_1d(variable.attrs["flag_values"]).tolist(), meanings, strict=True)
        there = [
            (code, word) for code, word in codes if (array == code).any() and word not in _NONE
        ]
        return tuple(code for code, _ in there), [word for _, word in there]
    if not style.is_numeric(variable):
        found = [str(each) for each in np.unique(array.astype(str)) if each]
        return tuple(found), found
    if variable.attrs.get("si_unit", "1") not in ("1", "token"):
        return (), []
    found = np.unique(array[np.isfinite(array)])
    if len(found) > _MOST_APART or not len(found) or np.any(found % 1 != 0):
        return (), []
    return tuple(found.tolist()), scales.in_one_style(found)


_NONE = ("capacity", "not_computed")
"""Categories that are drawn as missing."""
