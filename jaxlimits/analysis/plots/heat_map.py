"""A quantity over two axes, with iso-lines and the regions in which different things bind."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.analysis.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HALF = [0.5]


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
    mesh = axes.pcolormesh(
        across, up, values, norm=norm, cmap="cividis", shading="nearest", rasterized=True
    )
    style.scale_by_grid(axes, "x", across)
    style.scale_by_grid(axes, "y", up)
    inside = [level for level in levels if np.nanmin(values) < level < np.nanmax(values)]
    if inside:
        lines = axes.contour(across, up, values, levels=inside, colors="white", linewidths=1.0)
        axes.clabel(lines, fmt=style.plain_number, fontsize=8)
    if limit in dataset:
        _part_regions(axes, across, up, dataset[limit].transpose(y, x))
    _hatch_misfits(axes, across, up, np.isnan(values))
    axes.set(xlabel=style.label(dataset[x]), ylabel=style.label(dataset[y]), title=title)
    colours = figure.colorbar(mesh, ax=axes, label=style.label(dataset[of]))
    style.plain_numbers(colours.ax.yaxis)
    return figure


def _part_regions(axes: "Axes", x: np.ndarray, y: np.ndarray, limit: xr.DataArray) -> None:
    """Draw a black line around each region in which one thing binds, and name it inside."""
    codes = limit.to_numpy()
    meanings = limit.attrs["flag_meanings"].split()
    for code, meaning in zip(limit.attrs["flag_values"], meanings, strict=True):
        here = codes == code
        if not here.any() or meaning in ("capacity", "not_computed"):
            continue
        if not here.all():
            axes.contour(x, y, here.astype(float), levels=_HALF, colors="black", linewidths=1.6)
        _name_region(axes, x, y, here, f"{meaning} binds")


def _hatch_misfits(axes: "Axes", x: np.ndarray, y: np.ndarray, misfits: np.ndarray) -> None:
    if not misfits.any():
        return
    axes.contourf(x, y, misfits.astype(float), levels=[0.5, 1.5], colors=["0.92"], hatches=["///"])
    _name_region(axes, x, y, misfits, style.DOES_NOT_FIT)


def _name_region(axes: "Axes", x: np.ndarray, y: np.ndarray, here: np.ndarray, words: str) -> None:
    """Write words at the place of a region that is farthest from everything else."""
    from scipy.ndimage import distance_transform_edt

    stretched = np.pad(here, 1, mode="constant")
    sampling = (1.0 / len(y), 1.0 / len(x))
    depth = np.asarray(distance_transform_edt(stretched, sampling=sampling))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 2.0, "alpha": 0.85}
    axes.text(x[column], y[row], words, ha="center", va="center", fontsize=9, bbox=box)
