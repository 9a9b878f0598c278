"""Regions of a map: what has no value, and where different things bind, parted and named inside."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.plot import scales, style
from jaxlimits.results.reason_codes import WORDS, Reason

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Edges = tuple[np.ndarray, np.ndarray]
"""Edges of the cells across and up."""

Place = tuple[float, float]

_MARGIN = 0.14
"""Share of the width within which words at a side are set towards the middle."""

_LEAST_SHARE = 0.02
"""Share of a small panel below which a region has no room for its name."""


def name_what_is_missing(
    axes: "Axes", edges: Edges, codes: np.ndarray, *, size: int
) -> list[Place]:
    """Cover the cells without a value and say why; return where the words stand.

    Hatched is what says something of a machine, as that it does not fit; what was not asked, as a
    request, is plain.

    Parameters
    ----------
    codes
        Reasons of the cells.
    """
    from matplotlib.colors import ListedColormap

    named: list[Place] = []
    for code in np.unique(codes[codes != Reason.FITS]):
        lacking, words = codes == code, WORDS[int(code)]
        here = np.ma.masked_where(~lacking, np.ones(lacking.shape))
        look = {"edgecolor": "0.6", "linewidth": 0.0, **style.hatch(words)}
        axes.pcolor(*edges, here, cmap=ListedColormap(["0.93"]), **look)
        named += _name_region(axes, edges, lacking, words, size=size)
    return named


def part_regions(axes: "Axes", edges: Edges, limit: xr.DataArray, *, size: int) -> list[Place]:
    """Draw black lines between regions in which different things bind, and name each inside."""
    from matplotlib.collections import LineCollection

    codes = limit.to_numpy()
    lines = list(_borders(edges, codes))
    axes.add_collection(LineCollection(lines, colors="black", linewidths=1.6))
    meanings = limit.attrs["flag_meanings"].split()
    named: list[Place] = []
    for code, meaning in zip(limit.attrs["flag_values"], meanings, strict=True):
        here = codes == code
        if here.any() and meaning not in ("capacity", "not_computed"):
            named += _name_region(axes, edges, here, f"{meaning} binds", size=size)
    return named


def is_near(axes: "Axes", place: Place, named: list[Place], *, size: int) -> bool:
    """Whether a label would lie under the name of a region."""
    to_axes = axes.transData + axes.transAxes.inverted()
    own = to_axes.transform(place)
    distances = [np.abs(to_axes.transform(other) - own) for other in named]
    small = size < 9
    across, up = (0.36, 0.13) if small else (0.17, 0.07)
    return any(x < across and y < up for x, y in distances)


def _borders(edges: Edges, codes: np.ndarray) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """Sides of cells on whose two sides the codes differ."""
    x, y = edges
    for row, column in np.argwhere(codes[:, 1:] != codes[:, :-1]):
        yield [(x[column + 1], y[row]), (x[column + 1], y[row + 1])]
    for row, column in np.argwhere(codes[1:] != codes[:-1]):
        yield [(x[column], y[row + 1]), (x[column + 1], y[row + 1])]


def _name_region(
    axes: "Axes", edges: Edges, here: np.ndarray, words: str, *, size: int
) -> list[Place]:
    """Write words at the place of a region that is farthest from everything else."""
    from scipy.ndimage import distance_transform_edt

    if size < 9 and here.mean() < _LEAST_SHARE:
        return []
    rows, columns = here.shape
    surrounded = np.pad(here, 1, mode="constant")
    distances = distance_transform_edt(surrounded, sampling=(1.0 / rows, 0.4 / columns))
    depth = np.asarray(distances)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    x, y = (_middle(each, place) for each, place in zip(edges, (column, row), strict=True))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
    side = _side(axes, x, y)
    axes.text(x, y, words, ha=side, va="center", fontsize=size, bbox=box, zorder=5)
    return [(x, y)]


def _side(axes: "Axes", x: float, y: float) -> str:
    """How words are set at a place so that they stay inside the axes."""
    across, _ = (axes.transData + axes.transAxes.inverted()).transform((x, y))
    return "left" if across < _MARGIN else "right" if across > 1.0 - _MARGIN else "center"


def _middle(edges: np.ndarray, place: np.intp) -> float:
    """Middle of a cell, as it is drawn."""
    low, high = edges[place], edges[place + 1]
    return float(np.sqrt(low * high) if scales.is_geometric(edges) else (low + high) / 2)
