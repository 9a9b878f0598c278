"""A metric along one axis, a line for each value of another."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import xarray as xr

from jaxlimits.plot import scales, style
from jaxlimits.plot.found import along_coordinates, free_dims, lacking_of, needed, panel_dims
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import Panels, new_panels
from jaxlimits.results.reasons import reasons

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKED = 12
"""Points of a line up to which each has its marker."""


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    return lacking_of(dataset, axes=1, asked=asked)


@kind(lacks=_lacks)
def lines(
    dataset: xr.Dataset,
    *,
    of: str = "utps",
    x: str | None = None,
    by: str | None = None,
    marks: Mapping[str, float] | None = None,
    missing: str | None = None,
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw a metric along one axis, a line for each value of another.

    Where there is no other, there is one line. The axis across is logarithmic where the grid is
    geometric, the axis up where the metric spans decades. Where no line has a point the axis is
    hatched and the reason named.

    Parameters
    ----------
    x, by
        The axis across, and that of the lines; by default the last two of the grid. A coordinate
        along one axis, as ``mean_context``, stands for it.
    marks
        Levels of the metric to mark, in the unit in which it is shown, by their names.
    missing
        What a missing value means; by default the result says it for each point.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("smoke").sel(seq_len=4096, batch_size=1)
    >>> figure = jl.plot.lines(ds, x="mem_bw", by="sync_latency")
    >>> len(figure.axes[0].get_lines())
    10
    """
    of = needed(dataset, of)
    dataset = along_coordinates(dataset, x, by)
    if alone := by is None and len(free_dims(dataset[of], layout)) == 1:
        by, dataset = "line", dataset.expand_dims(line=[""])
    x, by = panel_dims(dataset[of], layout, x=x, by=by)
    panels = new_panels(dataset, **layout)
    named = [""] if alone else style.words_by_fit(dataset, of, by=by, missing=missing)
    everything = style.shown(dataset[of]).ravel()
    for axes, part in panels:
        _draw(axes, part, named, x=x, y=of, by=by, panels=panels, missing=missing)
        scales.scale_by_grid(axes, "x", style.shown(dataset[x]), small=panels.are_small)
        scales.scale_by_values(axes, "y", everything, small=panels.are_small)
        _mark(axes, marks or {}, size=panels.text_size - 1)
    panels.label(dataset[x], dataset[of])
    panels.set_legend()
    return panels.figure


def _mark(axes: "Axes", marks: Mapping[str, float], *, size: float) -> None:
    """Draw levels across, with their names."""
    place = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "bottom"}
    for words, level in marks.items():
        axes.axhline(level, color="0.35", linewidth=0.9, zorder=0.5)
        axes.text(0.995, level, words, color="0.25", fontsize=size, **place)


def _draw(
    axes: "Axes",
    dataset: xr.Dataset,
    words: list[str],
    *,
    x: str,
    y: str,
    by: str,
    panels: Panels,
    missing: str | None,
) -> None:
    across, values = style.shown(dataset[x]), style.shown(dataset[y].transpose(by, x))
    every = 1 if len(across) <= _MARKED else max(1, len(across) // 8)
    size = panels.text_size
    for name, row, look in zip(words, values, style.styles_of(dataset[by]), strict=True):
        axes.plot(across, row, label=name, markersize=4.5, markevery=every, **look)
    codes = reasons(dataset, y).transpose(by, x).to_numpy()
    panels.say_what_is_missing(axes, style.names(dataset[by]), codes, missing)
    style.hatch_where_nothing_is(axes, across, codes, size=size - 1, words=missing)
    axes.grid(which="major", color="0.9", linewidth=0.6)
