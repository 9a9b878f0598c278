"""A quantity over two axes, with iso-lines and the regions in which different things bind."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.analysis.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Edges = tuple[np.ndarray, np.ndarray]
"""Edges of the cells across and up."""

Place = tuple[float, float]


def heat_map(
    dataset: xr.Dataset,
    *,
    x: str,
    y: str,
    of: str,
    levels: tuple[float, ...] = (),
    limit: str = "limit",
    title: str = "",
) -> "Figure":
    """Draw a quantity over two axes.

    Parameters
    ----------
    dataset
        A result with these two dimensions alone.
    x, y
        Axes of the grid; logarithmic where the grid is geometric.
    of
        The quantity, which sets the colour.
    levels
        Values at which iso-lines are drawn, in the unit in which it is shown.
    limit
        Codes of what binds, if the result has them: their regions are parted and labelled.
    title
        What is shown.

    Returns
    -------
    Figure
        Points that do not fit are hatched and labelled.
    """
    figure, axes = style.new_figure(height=4.8)
    from matplotlib.colors import LogNorm

    field = dataset[of].transpose(y, x)
    across, up, values = (style.shown(v) for v in (dataset[x], dataset[y], field))
    norm = LogNorm() if style.spans_decades(values.ravel()) else None
    edges = (style.cell_edges(across), style.cell_edges(up))
    mesh = axes.pcolormesh(*edges, values, norm=norm, cmap="cividis", rasterized=True)
    style.scale_by_grid(axes, "x", across)
    style.scale_by_grid(axes, "y", up)
    finite = values[np.isfinite(values)]
    inside = [each for each in levels if finite.size and finite.min() < each < finite.max()]
    misfits = np.isnan(values)
    named = _hatch_misfits(axes, edges, misfits)
    if limit in dataset:
        named += _part_regions(axes, edges, dataset[limit].transpose(y, x))
    if inside:
        lines = axes.contour(across, up, values, levels=inside, colors="white", linewidths=1.0)
        for label in axes.clabel(lines, fmt=style.plain_number, fontsize=8):
            if _is_near(axes, label.get_position(), named):
                label.remove()
    axes.set(xlabel=style.label(dataset[x]), ylabel=style.label(dataset[y]))
    style.set_title(axes, title)
    colours = figure.colorbar(mesh, ax=axes, label=style.label(dataset[of]))
    style.number_colours(colours, values)
    return figure


def _part_regions(axes: "Axes", edges: Edges, limit: xr.DataArray) -> list[Place]:
    """Draw black lines between regions in which different things bind, and name each inside."""
    from matplotlib.collections import LineCollection

    codes = limit.to_numpy()
    lines = list(_borders(edges, codes))
    axes.add_collection(LineCollection(lines, colors="black", linewidths=1.6))
    meanings = limit.attrs["flag_meanings"].split()
    named = []
    for code, meaning in zip(limit.attrs["flag_values"], meanings, strict=True):
        here = codes == code
        if here.any() and meaning not in ("capacity", "not_computed"):
            named.append(_name_region(axes, edges, here, f"{meaning} binds"))
    return named


def _borders(edges: Edges, codes: np.ndarray) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """Sides of cells on whose two sides the codes differ."""
    x, y = edges
    for row, column in np.argwhere(codes[:, 1:] != codes[:, :-1]):
        yield [(x[column + 1], y[row]), (x[column + 1], y[row + 1])]
    for row, column in np.argwhere(codes[1:] != codes[:-1]):
        yield [(x[column], y[row + 1]), (x[column + 1], y[row + 1])]


def _hatch_misfits(axes: "Axes", edges: Edges, misfits: np.ndarray) -> list[Place]:
    if not misfits.any():
        return []
    from matplotlib.colors import ListedColormap

    here = np.ma.masked_where(~misfits, np.ones(misfits.shape))
    look = {"hatch": "///", "edgecolor": "0.6", "linewidth": 0.0}
    axes.pcolor(*edges, here, cmap=ListedColormap(["0.93"]), **look)
    return [_name_region(axes, edges, misfits, style.DOES_NOT_FIT)]


def _name_region(axes: "Axes", edges: Edges, here: np.ndarray, words: str) -> Place:
    """Write words at the place of a region that is farthest from everything else."""
    from scipy.ndimage import distance_transform_edt

    rows, columns = here.shape
    surrounded = np.pad(here, 1, mode="constant")
    distances = distance_transform_edt(surrounded, sampling=(1.0 / rows, 0.4 / columns))
    depth = np.asarray(distances)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    x, y = (_middle(each, place) for each, place in zip(edges, (column, row), strict=True))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 2.0, "alpha": 0.9}
    axes.text(x, y, words, ha="center", va="center", fontsize=9, bbox=box, zorder=5)
    return x, y


def _middle(edges: np.ndarray, place: np.intp) -> float:
    """Middle of a cell, as it is drawn."""
    low, high = edges[place], edges[place + 1]
    return float(np.sqrt(low * high) if style.is_geometric(edges) else (low + high) / 2)


def _is_near(axes: "Axes", place: Place, named: list[Place]) -> bool:
    """Whether a label would lie under the name of a region."""
    to_axes = axes.transData + axes.transAxes.inverted()
    own = to_axes.transform(place)
    distances = [np.abs(to_axes.transform(other) - own) for other in named]
    return any(across < 0.17 and up < 0.07 for across, up in distances)
