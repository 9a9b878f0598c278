"""A quantity over two axes, with iso-lines and the regions in which different things bind."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from jaxlimits.plots import scales, style
from jaxlimits.plots.panels import new_panels
from jaxlimits.plots.regions import Edges, Place, hatch_misfits, is_near, part_regions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

COLOURS = "cividis"
"""Map of colours: alike for every colour vision, and an even ramp of greys in print."""

_BRIGHT = 0.55
"""Share of the scale from which its colours are so bright that lines on them are black."""


def heat_map(
    dataset: xr.Dataset,
    *,
    x: str,
    y: str,
    of: str,
    levels: tuple[float, ...] = (),
    limit: str = "limit",
    rows: str | None = None,
    columns: str | None = None,
    title: str = "",
) -> "Figure":
    """Draw a quantity over two axes.

    Parameters
    ----------
    dataset
        A result with these two dimensions, and those of the panels, alone.
    x, y
        Axes of the grid; logarithmic where the grid is geometric.
    of
        The quantity, which sets the colour.
    levels
        Values at which iso-lines are drawn, in the unit in which it is shown.
    limit
        Codes of what binds, if the result has them: their regions are parted and labelled.
    rows, columns
        Further dimensions: a row or a column of panels for each of their values.
    title
        What is shown.

    Returns
    -------
    Figure
        Points that do not fit are hatched and labelled.
    """
    panels = new_panels(dataset, rows=rows, columns=columns, title=title, height=4.8)
    from matplotlib.colors import LogNorm, Normalize

    everything = style.shown(dataset[of])
    finite = everything[np.isfinite(everything)]
    ends = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    norm = (LogNorm if scales.spans_decades(everything.ravel()) else Normalize)(*ends)
    size = panels.text_size
    mesh = None
    for axes, part in panels:
        field = part[of].transpose(y, x)
        look = {"norm": norm, "colours": COLOURS, "small": panels.are_small}
        mesh, edges, values = paint(axes, field, **look)
        named = hatch_misfits(
            axes, edges, np.isnan(values), size=size, words=style.missing(dataset, of)
        )
        if limit in part:
            named += part_regions(axes, edges, part[limit].transpose(y, x), size=size)
        draw_levels(axes, field, levels, norm=norm, avoid=named, size=size)
    panels.label(style.label(dataset[x]), style.label(dataset[y]))
    panels.set_colours(mesh, style.label(dataset[of]), everything)
    return panels.figure


def paint(
    axes: "Axes", field: xr.DataArray, *, norm: "Normalize", colours: str, small: bool
) -> tuple[Any, Edges, np.ndarray]:
    """Colour the cells of a field over its two dimensions, the last one across.

    Returns the mesh, the edges of its cells, and the values as they are shown.
    """
    up, across = (style.shown(field[dim]) for dim in field.dims)
    values = style.shown(field)
    edges = (scales.cell_edges(across), scales.cell_edges(up))
    mesh = axes.pcolormesh(*edges, values, norm=norm, cmap=colours, rasterized=True)
    scales.scale_by_grid(axes, "x", across, small=small)
    scales.scale_by_grid(axes, "y", up, small=small)
    return mesh, edges, values


def draw_levels(
    axes: "Axes",
    field: xr.DataArray,
    levels: tuple[float, ...],
    *,
    norm: "Normalize",
    avoid: list[Place],
    size: int,
) -> None:
    """Draw iso-lines, black where it is bright and white where it is dark, with their values."""
    up, across = (style.shown(field[dim]) for dim in field.dims)
    values = style.shown(field)
    finite = values[np.isfinite(values)]
    inside = sorted(each for each in levels if finite.size and finite.min() < each < finite.max())
    if not inside:
        return
    tones = ["black" if float(norm(each)) > _BRIGHT else "white" for each in inside]
    lines = axes.contour(across, up, values, levels=inside, colors=tones, linewidths=1.0)
    for label in axes.clabel(lines, fmt=scales.plain_number, fontsize=size - 1):
        if is_near(axes, label.get_position(), avoid, size=size):
            label.remove()
