"""Maps: a quantity over two axes as colours, with iso-lines and the regions that differ."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.plot import scales, style
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels
from jaxlimits.plot.regions import Edges, Place, is_near, name_what_is_missing, part_regions
from jaxlimits.results.reasons import reasons

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

HEIGHT = 4.8
"""Height of a map of one panel [inch]."""

COLOURS = "cividis"
"""Map of colours: alike for every colour vision, and an even ramp of greys in print."""

_BRIGHT = 0.55
"""Share of the scale from which its colours are so bright that lines on them are black."""


def draw_map(
    dataset: xr.Dataset,
    *,
    x: str,
    y: str,
    of: str,
    levels: tuple[float, ...],
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw a quantity over two axes, logarithmic where the grid is geometric.

    Where the result has ``limit``, the regions in which different things bind are parted and named.
    """
    panels = new_panels(dataset, height=HEIGHT, **layout)
    everything = style.shown(dataset[of])
    norm = _norm(everything)
    size = panels.text_size
    mesh = None
    for axes, part in panels:
        field = part[of].transpose(y, x)
        mesh, edges = paint(axes, field, norm=norm, small=panels.are_small)
        codes = reasons(part, of).transpose(y, x).to_numpy()
        named = name_what_is_missing(axes, edges, codes, size=size)
        if "limit" in part.data_vars:
            named += part_regions(axes, edges, part["limit"].transpose(y, x), size=size)
        draw_levels(axes, field, levels, norm=norm, avoid=named, size=size)
    panels.label(style.label(dataset[x]), style.label(dataset[y]))
    panels.set_colours(mesh, style.label(dataset[of]), everything)
    return panels.figure


def _norm(values: np.ndarray) -> "Normalize":
    from matplotlib.colors import LogNorm, Normalize

    finite = values[np.isfinite(values)]
    ends = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    return (LogNorm if scales.spans_decades(values.ravel()) else Normalize)(*ends)


def paint(
    axes: "Axes", field: xr.DataArray, *, norm: "Normalize", small: bool
) -> tuple[Any, Edges]:
    """Colour the cells of a field over its two dimensions, the last one across.

    Returns the mesh and the edges of its cells.
    """
    up, across = (style.shown(field[dim]) for dim in field.dims)
    edges = (scales.cell_edges(across), scales.cell_edges(up))
    mesh = axes.pcolormesh(*edges, style.shown(field), norm=norm, cmap=COLOURS, rasterized=True)
    scales.scale_by_grid(axes, "x", across, small=small)
    scales.scale_by_grid(axes, "y", up, small=small)
    return mesh, edges


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
    if not inside or min(values.shape) < 2:  # a contour needs both directions
        return
    tones = ["black" if float(norm(each)) > _BRIGHT else "white" for each in inside]
    lines = axes.contour(across, up, values, levels=inside, colors=tones, linewidths=1.0)
    for label in axes.clabel(lines, fmt=scales.plain_number, fontsize=size - 1):
        if is_near(axes, label.get_position(), avoid, size=size):
            label.remove()
