"""A quantity along one axis, a line for each value of another."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.plots import scales, style
from jaxlimits.plots.panels import Panels, new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKED = 12
"""Points of a line up to which each has its marker."""


def lines(
    dataset: xr.Dataset,
    *,
    x: str,
    y: str,
    by: str,
    marks: dict[str, float] | None = None,
    rows: str | None = None,
    columns: str | None = None,
    missing: str | None = None,
    title: str = "",
) -> "Figure":
    """Draw a quantity along an axis.

    Parameters
    ----------
    dataset
        A result with the dimensions ``x`` and ``by`` alone.
    x
        Axis of the grid; logarithmic where the grid is geometric.
    y
        The quantity; logarithmic where it spans decades.
    by
        One line for each of its values.
    marks
        Levels of the quantity to mark, in the unit in which it is shown, by their names.
    rows, columns
        Further dimensions: a row or a column of panels for each of their values.
    missing
        What it means that there is no value; found from the result where left out.
    title
        What is shown.

    Returns
    -------
    Figure
        Where no line fits in memory the axis is hatched and labelled.
    """
    panels = new_panels(dataset, rows=rows, columns=columns, title=title)
    missing = missing or style.missing(dataset, y)
    named = style.words_by_fit(dataset, y, by=by, missing=missing)
    for axes, part in panels:
        _draw(axes, part, named, x=x, y=y, by=by, panels=panels, missing=missing)
        scales.scale_by_grid(axes, "x", style.shown(dataset[x]), small=panels.are_small)
        everything = style.shown(dataset[y]).ravel()
        scales.scale_by_values(axes, "y", everything, small=panels.are_small)
        for words, level in (marks or {}).items():
            axes.axhline(level, color="0.35", linewidth=0.9, zorder=0.5)
            axes.text(
                0.995, level, words, transform=axes.get_yaxis_transform(), color="0.25",
                fontsize=panels.text_size - 1, ha="right", va="bottom",
            )  # fmt: skip
    panels.label(style.label(dataset[x]), style.label(dataset[y]))
    panels.set_legend()
    return panels.figure


def _draw(
    axes: "Axes",
    dataset: xr.Dataset,
    words: list[str],
    *,
    x: str,
    y: str,
    by: str,
    panels: Panels,
    missing: str,
) -> None:
    across, values = style.shown(dataset[x]), style.shown(dataset[y].transpose(by, x))
    every = 1 if len(across) <= _MARKED else max(1, len(across) // 8)
    size = panels.text_size
    for name, row, look in zip(words, values, style.styles(), strict=False):
        axes.plot(across, row, label=name, markersize=4.5, markevery=every, **look)
    fits = np.asarray(np.isfinite(values).any(axis=1))
    panels.say_what_is_missing(axes, style.names(dataset[by]), fits, missing)
    fitting = np.asarray(np.isfinite(values).any(axis=0))
    style.hatch_where_nothing_fits(axes, across, fitting, size=size - 1, words=missing)
    axes.grid(which="major", color="0.9", linewidth=0.6)
