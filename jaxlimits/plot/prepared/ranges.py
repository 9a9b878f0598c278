"""Values with the range over a spread of inputs, grouped by what they are of."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.plot import scales, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def ranges(
    dataset: xr.Dataset,
    *,
    of: str,
    rows: str,
    by: str,
    spread: str,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Figure":
    """Draw each value as a dot, with a bar from the least to the largest over a spread.

    Parameters
    ----------
    dataset
        A result with the dimensions ``rows``, ``by`` and ``spread`` alone.
    of
        The quantity.
    rows
        One row for each of its values.
    by
        One dot in each row for each of its values.
    spread
        What the bar is over; the dot is at its middle value.
    title
        What is shown.
    ax
        Axes of the caller's to draw into.
    """
    count = dataset.sizes[rows] * dataset.sizes[by]
    figure, axes = style.one_panel(ax, height=1.6 + 0.17 * count, title=title)
    field = dataset[of].transpose(by, rows, spread)
    values = style.shown(field)
    step = 0.78 / dataset.sizes[by]
    middle = field.sizes[spread] // 2
    names = style.names(dataset[by])
    for place, (name, cells, look) in enumerate(
        zip(names, values, style.styles_of(dataset[by]), strict=True)
    ):
        at = np.arange(dataset.sizes[rows]) + (place - (len(names) - 1) / 2) * step
        low, high = cells.min(axis=1), cells.max(axis=1)
        colour, marker = look["color"], look["marker"]
        axes.hlines(at, low, high, color=colour, linewidth=2.0, alpha=0.55)
        axes.plot(cells[:, middle], at, marker, color=colour, markersize=4.5, label=name)
    scales.scale_by_values(axes, "x", values.ravel())
    axes.set_yticks(np.arange(dataset.sizes[rows]), style.names(dataset[rows]))
    axes.invert_yaxis()
    axes.set(xlabel=style.label(dataset[of]))
    axes.grid(axis="x", which="major", color="0.9", linewidth=0.6)
    for edge in np.arange(dataset.sizes[rows] - 1) + 0.5:
        axes.axhline(edge, color="0.85", linewidth=0.6)
    style.set_legend(axes, inside=ax is not None)
    return figure
