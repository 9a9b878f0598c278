"""Regions of a map: what has no value, and where different things bind, parted and named inside."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.plot import style
from jaxlimits.plot.placing import text_boxes
from jaxlimits.results.reason_codes import WORDS, Reason

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

Edges = tuple[np.ndarray, np.ndarray]
"""Edges of the cells across and up."""

_STEP = 2.0
"""Distance of the pixels at which regions are looked at."""

_PAD = 1.5
"""Room around a name [pt]."""

_SHRUNK = 0.78
"""Size of a name, of the usual one, where that does not fit."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """Cells of a map that belong together.

    Parameters
    ----------
    here
        Which cells they are: rows up, columns across.
    words
        Their name.
    """

    here: np.ndarray
    words: str


def cover_what_is_missing(axes: "Axes", edges: Edges, codes: np.ndarray) -> list[Region]:
    """Cover the cells without a value; return them by why they have none.

    Hatched is what says something of a machine, as that it does not fit; what was not asked, as a
    request, is plain.

    Parameters
    ----------
    axes, edges
        Where they are drawn.
    codes
        Reasons of the cells.
    """
    from matplotlib.colors import ListedColormap

    found = []
    for code in np.unique(codes[codes != Reason.FITS]):
        lacking, words = codes == code, WORDS[int(code)]
        here = np.ma.masked_where(~lacking, np.ones(lacking.shape))
        look = {"edgecolor": "0.6", "linewidth": 0.0, **style.hatch(words)}
        axes.pcolor(*edges, here, cmap=ListedColormap(["0.93"]), **look)
        found.append(Region(here=lacking, words=words))
    return found


def part_regions(axes: "Axes", edges: Edges, limit: xr.DataArray) -> list[Region]:
    """Draw black lines between regions in which different things bind; return these."""
    from matplotlib.collections import LineCollection

    codes = limit.to_numpy()
    lines = list(_borders(edges, codes))
    axes.add_collection(LineCollection(lines, colors="black", linewidths=1.6))
    meanings = limit.attrs["flag_meanings"].split()
    found = []
    for code, meaning in zip(limit.attrs["flag_values"], meanings, strict=True):
        here = codes == code
        if here.any() and meaning not in ("capacity", "not_computed"):
            found.append(Region(here=here, words=f"{meaning} binds"))
    return found


def name_regions(
    axes: "Axes",
    edges: Edges,
    regions: Sequence[Region],
    *,
    lines: Sequence[np.ndarray] = (),
    size: float,
) -> list[str]:
    """Write the name of each region inside it, where it is farthest from everything else.

    A name that does not fit is turned, broken into lines or made smaller; one that fits in no way
    is left out.

    Parameters
    ----------
    axes
        Axes of a figure that is laid out; what is written on them already is kept clear.
    edges
        Edges of the cells.
    regions
        The regions.
    lines
        Points along lines [pixel] that names keep clear of where they can.
    size
        Size of the text [pt].

    Returns
    -------
    list of str
        The names that are left out.
    """
    rows, columns = _cells_at_pixels(axes, edges)
    left_out = []
    for region in sorted(regions, key=lambda each: int(each.here.sum())):
        free = region.here[np.ix_(rows, columns)] & (rows >= 0)[:, None] & (columns >= 0)
        _take(free, axes)
        clear = free & ~_under(lines, axes, free.shape)
        grounds = (clear, free) if lines else (free,)
        if not any(_write_inside(axes, each, region.words, size=size) for each in grounds):
            left_out.append(region.words)
    return left_out


def _cells_at_pixels(axes: "Axes", edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    """The row and the column of the cell at each pixel that is looked at; −1 outside of all."""
    box, to_data = axes.bbox, axes.transData.inverted()
    across = np.arange(box.x0, box.x1, _STEP) + _STEP / 2
    up = np.arange(box.y0, box.y1, _STEP) + _STEP / 2
    x = to_data.transform(np.stack([across, np.full(len(across), box.y0)], axis=1))[:, 0]
    y = to_data.transform(np.stack([np.full(len(up), box.x0), up], axis=1))[:, 1]
    return _places(edges[1], y), _places(edges[0], x)


def _places(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    falls = edges[0] > edges[-1]
    ascending = edges[::-1] if falls else edges
    found = np.searchsorted(ascending, values) - 1
    count = len(edges) - 1
    inside = (found >= 0) & (found < count)
    return np.where(inside, count - 1 - found if falls else found, -1)


def _take(free: np.ndarray, axes: "Axes") -> None:
    """Mark the pixels under words that are there already as not free."""
    for box in text_boxes(axes):
        left, low = ((np.array(box.min) - axes.bbox.min) // _STEP).astype(int)
        right, high = -((axes.bbox.min - np.array(box.max)) // _STEP).astype(int)
        free[max(low, 0) : max(high, 0), max(left, 0) : max(right, 0)] = False


def _under(lines: Sequence[np.ndarray], axes: "Axes", shape: tuple[int, ...]) -> np.ndarray:
    """The pixels over which lines run."""
    found = np.zeros(shape, bool)
    for line in lines:
        columns, rows = ((line - axes.bbox.min) // _STEP).astype(int).T
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        found[rows[inside], columns[inside]] = True
    return found


def _write_inside(axes: "Axes", free: np.ndarray, words: str, *, size: float) -> bool:
    """Write words where their whole box is free; say whether there is such a place."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": _PAD, "alpha": 0.9}
    look = {"ha": "center", "va": "center", "bbox": box, "zorder": 5}
    text = axes.text(0.5, 0.5, words, transform=axes.transAxes, **look)
    text.set_in_layout(False)
    broken = words.replace(" ", "\n")
    for share in (1.0, _SHRUNK):
        for written, rotation in ((words, 0), (broken, 0), (words, 90)):
            text.set(text=written, rotation=rotation, fontsize=share * size)
            place = _roomiest(free, text)
            if place is not None:
                across, up = (place + 0.5) / np.array(free.shape)[::-1]
                text.set_position((float(across), float(up)))
                return True
    text.remove()
    return False


def _roomiest(free: np.ndarray, text: "Text") -> np.ndarray | None:
    """The place, across and up, of a box of free pixels that is farthest from all others."""
    from scipy.ndimage import distance_transform_edt

    extent = text.get_window_extent().padded(_PAD * text.figure.dpi / 72.0)
    wide, high = (int(side // _STEP) + 2 for side in (extent.width, extent.height))
    if high > free.shape[0] or wide > free.shape[1]:
        return None
    sums = np.pad(free, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    inside = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    fits = inside == wide * high
    if not fits.any():
        return None
    shape = (1.0 / high, 1.0 / wide)  # a box that is wide needs its room across
    depth = np.asarray(distance_transform_edt(np.pad(free, 1), sampling=shape))[1:-1, 1:-1]
    middles = depth[high // 2 :, wide // 2 :][: fits.shape[0], : fits.shape[1]]
    row, column = np.unravel_index(int(np.where(fits, middles, -1.0).argmax()), fits.shape)
    return np.array([column + wide / 2 - 0.5, row + high / 2 - 0.5])


def _borders(edges: Edges, codes: np.ndarray) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """Sides of cells on whose two sides the codes differ."""
    x, y = edges
    for row, column in np.argwhere(codes[:, 1:] != codes[:, :-1]):
        yield [(x[column + 1], y[row]), (x[column + 1], y[row + 1])]
    for row, column in np.argwhere(codes[1:] != codes[:-1]):
        yield [(x[column], y[row + 1]), (x[column + 1], y[row + 1])]
