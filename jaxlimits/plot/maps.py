"""Maps: a quantity over two axes as colours, with iso-lines and the regions that differ."""

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.plot import looks, scales, style
from jaxlimits.plot.colouring import COLOURS, colouring_of
from jaxlimits.plot.iso_lines import label_lines, pixels_along
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import Panels, new_panels
from jaxlimits.plot.regions import Edges, Region, cover_what_is_missing, name_regions, part_regions
from jaxlimits.results.reasons import reasons

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

HEIGHT = 4.8
"""Height of a map of one panel [inch]."""

BRIGHT = 0.55
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
    colouring = colouring_of(dataset[of])
    mesh = None
    for axes, part in panels:
        field = colouring.shown(part[of].transpose(y, x))
        mesh, edges = paint(
            axes, field, norm=colouring.norm, small=panels.are_small, cmap=colouring.cmap
        )
        regions = cover_what_is_missing(axes, edges, reasons(part, of).transpose(y, x).to_numpy())
        if "limit" in part.data_vars and of != "limit":
            regions += part_regions(axes, edges, part["limit"].transpose(y, x))
        lines = None if colouring.names else draw_levels(axes, field, levels, norm=colouring.norm)
        name_all(panels, axes, edges, regions, lines)
    panels.label(dataset[x], dataset[y])
    label = style.label(dataset[of])
    panels.set_colours(mesh, label, style.shown(dataset[of]), names=colouring.names)
    return panels.figure


def name_all(panels: Panels, axes: "Axes", edges: Edges, regions: list[Region], lines: Any) -> None:
    """Name regions and iso-lines of a panel once the figure is laid out, none over another.

    A single panel says under its axis which regions are too small to be named inside.
    """
    size = panels.text_size

    def put() -> None:
        kept_clear = [] if lines is None else pixels_along(axes, lines)
        left_out = name_regions(axes, edges, regions, lines=kept_clear, size=size)
        if left_out and not panels.are_small:
            told = f"also, where there is no room for words: {', '.join(left_out)}"
            axes.set_xlabel(f"{axes.get_xlabel()}\n{told}")
        if lines is not None:
            label_lines(axes, lines, scales.plain_number, size=size - looks.points(1))

    looks.when_settled(put)


def paint(
    axes: "Axes", field: xr.DataArray, *, norm: "Normalize", small: bool, cmap: Any = COLOURS
) -> tuple[Any, Edges]:
    """Colour the cells of a field over its two dimensions, the last one across.

    Returns the mesh and the edges of its cells.
    """
    up, across = (style.shown(field[dim]) for dim in field.dims)
    edges = (scales.cell_edges(across), scales.cell_edges(up))
    mesh = axes.pcolormesh(*edges, style.shown(field), norm=norm, cmap=cmap, rasterized=True)
    scales.scale_by_grid(axes, "x", across, small=small)
    scales.scale_by_grid(axes, "y", up, small=small)
    return mesh, edges


def draw_levels(
    axes: "Axes",
    field: xr.DataArray,
    levels: tuple[float, ...],
    *,
    norm: "Normalize",
) -> Any:
    """Draw iso-lines, black where it is bright and white where it is dark; return them, if any."""
    up, across = (style.shown(field[dim]) for dim in field.dims)
    values = style.shown(field)
    finite = values[np.isfinite(values)]
    inside = sorted(each for each in levels if finite.size and finite.min() < each < finite.max())
    if not inside or min(values.shape) < 2:  # a contour needs both directions
        return None
    tones = ["black" if float(norm(each)) > BRIGHT else "white" for each in inside]
    return axes.contour(across, up, values, levels=inside, colors=tones, linewidths=1.0)
