"""How the searches for the best design went: the objective round by round, a line each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.plot import scales, style
from jaxlimits.plot.found import panel_dims
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OBJECTIVE, _MISS = "search_objective", "search_miss"
_MET = 1e-5
"""Miss of a budget up to which it counts as met."""


def _lacks(dataset: xr.Dataset, _asked: Mapping[str, Any]) -> str:
    if _OBJECTIVE in dataset.data_vars:
        return ""
    return "the result has no searches, as `jaxlimits optimise -o` writes them"


@kind(lacks=_lacks)
def trajectories(dataset: xr.Dataset, **layout: Unpack[Layout]) -> "Figure":
    """Draw how the searches for the best design went: the objective round by round.

    A line is a search in the winning combination of whole numbers, thin and dashed while its design
    misses a budget and full once it keeps all; the best one is drawn strong, its end marked.

    Parameters
    ----------
    dataset
        What ``jaxlimits optimise -o`` wrote; along a swept budget, with its values as panels.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> design = jl.optimise(
    ...     base={"llm": "llama3-8b", "chip": "h100"},
    ...     vary={"mem_bw": ("1 TB/s", "8 TB/s")},
    ...     maximise="stps",
    ... )
    >>> figure = jl.plot.trajectories(design)
    >>> figure.axes[0].get_xlabel()
    'round of a search'
    """
    from matplotlib.ticker import MaxNLocator

    panel_dims(dataset[_OBJECTIVE], layout, search="search", round="round")
    panels = new_panels(dataset, **layout)
    everything = style.shown(dataset[_OBJECTIVE])
    for axes, part in panels:
        _draw(axes, part)
        axes.grid(which="major", color="0.9", linewidth=0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        scales.plain_numbers(axes.xaxis)
        scales.scale_by_values(axes, "y", everything.ravel(), small=panels.are_small)
    panels.label("round of a search", dataset[_OBJECTIVE])
    panels.set_legend()
    return panels.figure


def _draw(axes: "Axes", part: xr.Dataset) -> None:
    """The searches of a panel, the best, which stands first, above the others."""
    values = style.shown(part[_OBJECTIVE].transpose("search", "round"))
    keeps = part[_MISS].transpose("search", "round").to_numpy() <= _MET
    if np.isnan(values).all():
        style.say_nothing_is(axes, words="no search")
        return
    rounds = np.arange(values.shape[1])
    for place in reversed(range(len(values))):
        best = place == 0
        colour, width = (style.COLOURS[0], 2.2) if best else ("0.6", 1.0)
        whole = "the best search" if best else "other searches"
        full = np.where(keeps[place], values[place], np.nan)
        look = {"color": colour, "zorder": 3 if best else 2}
        axes.plot(rounds, values[place], linestyle=":", linewidth=0.6 * width, **look)
        axes.plot(rounds, full, linewidth=width, label=whole, **look)
    axes.plot([], [], linestyle=":", color="0.4", linewidth=0.9, label="a budget is missed")
    end = scales.measured(float(values[0, -1]))
    axes.plot(rounds[-1:], values[0, -1:], "o", color=style.COLOURS[0], markersize=5, zorder=4)
    axes.annotate(
        end, (rounds[-1], values[0, -1]), (-4, 5), textcoords="offset points", ha="right",
        va="bottom",
    )  # fmt: skip
