"""Stacked bars: what a whole is made of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from jaxlimits.plots import scales, style
from jaxlimits.plots.panels import new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS = ((2, 0), (5, 2), (4, 1), (3, 3))  # colour and hatch of each part


def breakdown(
    dataset: xr.Dataset,
    *,
    along: str,
    parts: Mapping[str, str],
    whole: str = "time of one decode step (t_step)",
    rows: str | None = None,
    columns: str | None = None,
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
    rows, columns
        Further dimensions: a row or a column of panels for each of their values.
    title
        What is shown.

    Returns
    -------
    Figure
        A bar that does not fit in memory is left out and labelled.
    """
    panels = new_panels(dataset, rows=rows, columns=columns, title=title)
    shown = {
        words: (name, look)
        for (words, name), look in zip(parts.items(), _LOOKS, strict=False)
        if np.nanmax(style.shown(dataset[name]), initial=0.0) > 0.0
    }
    names = style.names(dataset[along], bare=True)
    turned: dict[str, Any] = (
        {"rotation": 25, "ha": "right"} if max(map(len, names)) * len(names) > 60 else {}
    )
    if panels.are_small and max(map(len, names)) * len(names) > 24:
        turned = {"rotation": 90}
    for axes, part in panels:
        _stack(axes, part, shown, along=along, size=panels.text_size - 1)
        axes.set_xticks(np.arange(len(names)), names, fontsize=panels.text_size, **turned)
        scales.plain_numbers(axes.yaxis)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
    unit = dataset[next(iter(parts.values()))].attrs.get("display_unit", "1")
    across = style.label(dataset[along]) if style.is_numeric(dataset[along]) else ""
    panels.label(across, whole if unit == "1" else f"{whole} [{style.typeset(unit)}]")
    panels.set_legend()
    return panels.figure


def _stack(
    axes: "Axes",
    dataset: xr.Dataset,
    parts: Mapping[str, tuple[str, tuple[int, int]]],
    *,
    along: str,
    size: int,
) -> None:
    """Draw the bars of one panel: variables, colours and hatches by what they are."""
    bottom = np.zeros(dataset.sizes[along])
    places = np.arange(len(bottom))
    for words, (variable, (colour, hatch)) in parts.items():
        height = style.shown(dataset[variable])
        axes.bar(
            places, height, 0.72, bottom=bottom, label=words, color=style.COLOURS[colour],
            hatch=style.HATCHES[hatch], edgecolor="white", linewidth=0.5,
        )  # fmt: skip
        bottom = bottom + height
    if np.isnan(bottom).all():
        style.say_nothing_fits(axes, size=size)
        return
    for first, last in scales.stretches(np.isnan(bottom)):
        area = {"facecolor": "0.96", "edgecolor": "0.7", "hatch": "///", "linewidth": 0.0}
        axes.axvspan(first - 0.4, last + 0.4, zorder=0.4, **area)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.9}
        look = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": size, "bbox": box}
        transform = axes.get_xaxis_transform()
        axes.text((first + last) / 2, 0.04, style.DOES_NOT_FIT, transform=transform, **look)
