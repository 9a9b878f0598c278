"""A quantity along one axis, a line for each value of another."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.analysis.plots import style

if TYPE_CHECKING:
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
    title
        What is shown.

    Returns
    -------
    Figure
        Where no line fits in memory the axis is hatched and labelled.
    """
    figure, axes = style.new_figure()
    field = dataset[y].transpose(by, x)
    across, values = style.shown(dataset[x]), style.shown(field)
    every = 1 if len(across) <= _MARKED else max(1, len(across) // 8)
    rows = zip(style.names(dataset[by]), values, style.styles(), strict=False)
    for name, row, look in rows:
        fits = np.isfinite(row).any()
        words = name if fits else f"{name}: {style.DOES_NOT_FIT}"
        axes.plot(across, row, label=words, markersize=4.5, markevery=every, **look)
    style.scale_by_grid(axes, "x", across)
    style.scale_by_values(axes, "y", values.ravel())
    for words, level in (marks or {}).items():
        axes.axhline(level, color="0.35", linewidth=0.9, zorder=0.5)
        axes.text(
            0.995, level, words, transform=axes.get_yaxis_transform(), fontsize=8, color="0.25",
            ha="right", va="bottom",
        )  # fmt: skip
    style.hatch_where_nothing_fits(axes, across, np.asarray(np.isfinite(values).any(axis=0)))
    axes.set(xlabel=style.label(dataset[x]), ylabel=style.label(dataset[y]))
    style.set_title(axes, title)
    axes.grid(which="major", color="0.9", linewidth=0.6)
    style.set_legend(axes)
    return figure
