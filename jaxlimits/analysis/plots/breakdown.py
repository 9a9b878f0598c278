"""Stacked bars: what a whole is made of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.analysis.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOOKS = ((2, 0), (5, 2), (4, 1), (3, 3))  # colour and hatch of each part


def breakdown(
    dataset: xr.Dataset,
    *,
    along: str,
    parts: Mapping[str, str],
    whole: str = "time of one decode step (t_step)",
    title: str = "",
) -> "Figure":
    """Draw a bar for each value of an axis, stacked of its parts.

    Parameters
    ----------
    dataset
        A result with the dimension ``along`` alone.
    along
        One bar for each of its values.
    parts
        Variables of one unit, from the bottom up, by what they are.
    whole
        What they add up to.
    title
        What is shown.

    Returns
    -------
    Figure
        A bar that does not fit in memory is left out and labelled.
    """
    figure, axes = style.new_figure()
    names = style.names(dataset[along], bare=True)
    places, bottom = np.arange(len(names)), np.zeros(len(names))
    first = dataset[next(iter(parts.values()))]
    for (words, variable), (colour, hatch) in zip(parts.items(), _LOOKS, strict=False):
        height = style.shown(dataset[variable])
        if not np.any(height > 0.0):
            continue
        axes.bar(
            places, height, 0.72, bottom=bottom, label=words, color=style.COLOURS[colour],
            hatch=style.HATCHES[hatch], edgecolor="white", linewidth=0.5,
        )  # fmt: skip
        bottom = bottom + height
    for place in places[np.isnan(bottom)]:
        transform = axes.get_xaxis_transform()
        look = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": 8, "color": "0.35"}
        axes.text(place, 0.02, style.DOES_NOT_FIT, transform=transform, **look)
    unit = first.attrs.get("display_unit", "1")
    axes.set(ylabel=whole if unit == "1" else f"{whole} [{style.typeset(unit)}]")
    style.set_title(axes, title)
    if style.is_numeric(dataset[along]):
        axes.set_xlabel(style.label(dataset[along]))
    turned = {"rotation": 25, "ha": "right"} if max(map(len, names)) * len(names) > 60 else {}
    axes.set_xticks(places, names, fontsize=9, **turned)
    style.plain_numbers(axes.yaxis)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    style.set_legend(axes)
    return figure
