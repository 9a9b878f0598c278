"""Points that answer a question: a bar for each, or one metric of them over another."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.plot import looks, scales, style
from jaxlimits.plot.found import needed
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import Panels, new_panels
from jaxlimits.results.records import told_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LISTS = ("point", "choice")
_USER_SPEED = "utps"
_ENTRY = 0.5
"""Height of a bar and its words [inch]."""

_WIDTH = 40
"""Characters in a line of the words of a bar."""


def _lacks(dataset: xr.Dataset, _asked: Mapping[str, Any]) -> str:
    if any(name in dataset.dims for name in _LISTS):
        return ""
    return "the result lists no points, as `jaxlimits best` finds them"


@kind(lacks=_lacks)
def points(
    dataset: xr.Dataset,
    *,
    of: str | None = None,
    x: str | None = None,
    most: int = 12,
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw the points that answer a question: bars of a metric, or one metric over another.

    Beside a bar stands what tells its point from the others. The points of a frontier are drawn
    over the metric of its target, with a line.

    Parameters
    ----------
    dataset
        What ``jaxlimits best`` or ``jaxlimits plan`` found.
    of
        The metric to draw; by default what was asked for.
    x
        Metric across; for a frontier by default that of its target.
    most
        How many points to draw as bars; the figure counts the rest.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> best = jl.best("smoke", jl.ask(maximise="stps", where="utps >= 100", count=3))
    >>> figure = jl.plot.points(best)
    >>> len(figure.axes[0].patches)
    3
    """
    asked = dataset.attrs.get("maximised", dataset.attrs.get("minimised"))
    of = needed(dataset, of or asked or str(next(iter(dataset.data_vars))))
    if x is None and "against" in dataset.attrs:
        x = str(dataset.attrs["against"])
        if of == _USER_SPEED:  # which lies across in every frontier
            of, x = x, of
    if x is not None:
        return _over(dataset, of=of, x=needed(dataset, x), **layout)
    (dim,) = (name for name in dataset[of].dims if name in _LISTS)
    shown = dataset.isel({dim: slice(max(most, 1))})
    left = dataset.sizes[dim] - shown.sizes[dim]
    tall = _ENTRY * (shown.sizes[dim] + (left > 0))
    panels = new_panels(shown, height=1.3 + tall, **layout)
    words = [*_words(shown, str(dim)), *([f"{left} more"] if left else [])]
    for axes, part in panels:
        _draw_bars(axes, part[of], size=panels.text_size)
        axes.set_yticks(np.arange(len(words)), words, fontsize=panels.text_size - 1)
        axes.set_ylim(len(words) - 0.5, -0.5)
    panels.label(style.label(dataset[of], width=looks.characters(6.7)), "")
    return panels.figure


def _words(dataset: xr.Dataset, dim: str) -> list[str]:
    """What tells each point from the others, in lines."""
    rows = told_apart(dataset, dim, style.names)
    unbroken = [[part.replace(" ", "\u00a0") for part in row] for row in rows]
    return [textwrap.fill(", ".join(row), _WIDTH) for row in unbroken]


def _draw_bars(axes: "Axes", values: xr.DataArray, *, size: float) -> None:
    """A bar for each point, its value beyond it."""
    lengths = style.shown(values)
    axes.barh(np.arange(len(lengths)), lengths, 0.55, color=style.COLOURS[0], zorder=2)
    offset = {"xytext": (5, 0), "textcoords": "offset points"}
    look = {"va": "center", "fontsize": size - 1, "color": "0.25"}
    for place, length in enumerate(lengths):
        if np.isfinite(length):
            words = scales.measured(float(length))
            axes.annotate(words, (length, place), **offset, **look)
    axes.margins(x=0.14)
    axes.set_xlim(left=0.0)
    axes.grid(axis="x", which="major", color="0.9", linewidth=0.6, zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    scales.plain_numbers(axes.xaxis)


def _over(dataset: xr.Dataset, *, of: str, x: str, **layout: Unpack[Layout]) -> "Figure":
    """One metric of the points over another."""
    panels = new_panels(dataset, **layout)
    for axes, part in panels:
        order = np.argsort(style.shown(part[x]), kind="stable")
        across, up = style.shown(part[x])[order], style.shown(part[of])[order]
        axes.plot(across, up, "o-", color=style.COLOURS[0], markersize=4.5, linewidth=1.2)
        axes.grid(which="major", color="0.9", linewidth=0.6)
    _set_scales(panels, dataset, of=of, x=x)
    panels.label(dataset[x], dataset[of])
    return panels.figure


def _set_scales(panels: Panels, dataset: xr.Dataset, *, of: str, x: str) -> None:
    across, up = (style.shown(dataset[name]).ravel() for name in (x, of))
    scales.scale_by_values(panels.axes[0], "x", across, small=panels.are_small)
    scales.scale_by_values(panels.axes[0], "y", up, small=panels.are_small)
