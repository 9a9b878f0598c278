"""What a target of the time of a token takes, or a rate of requests: bound and least machines."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.errors import unknown_name
from jaxlimits.plot import scales, style
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ALONG = {"tpot_target": "", "rate": "_at_rate"}
"""Dimensions of the frontiers, and what the names of their variables end in."""

_CHOSEN = {"tpot_target": "tpot", "rate": "request_rate"}
"""Where choices stand along them."""

_LIMITS = {"tpot_target": ("tpot_limit", "its target"), "rate": ("rate", "the rate of the plan")}
"""The plan's own value of each, by the attribute that says it, and its words."""

_LINES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "least_predicted": ("an engine, as a calibration predicts", {"color": 3, "linestyle": "-."}),
    "least_disaggregated": ("prefill and decode apart", {"color": 2, "linestyle": "--"}),
    "least_aggregated": ("prefill and decode in one", {"color": 0, "linestyle": "-"}),
    "least_bound": ("every schedule needs this", {"color": 6, "linestyle": "-"}),
}
"""Words of each line, and how it is drawn, in the order of the legend."""


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    x = asked.get("x") or "tpot_target"
    bound = f"least_bound{_ALONG.get(x, '')}"
    if x in _ALONG and (x not in dataset.dims or bound not in dataset.data_vars):
        return "the result has no frontier, as `jaxlimits plan -o` writes it"
    served = dataset.sizes.get(x, 1)
    return "" if served else "no layout serves the requests at any time of a token"


@kind(lacks=_lacks)
def fleet(dataset: xr.Dataset, *, x: str = "tpot_target", **layout: Unpack[Layout]) -> "Figure":
    r"""Draw what each target of the time of a token takes: least machines, bound, runners-up.

    What is minimised, as the number of chips, stands over the target. Below the shaded bound no
    schedule keeps the target. Marks are the choices of the plan, the least one filled; the line
    across is its target. Over ``rate`` they stand at the requests that they can serve.

    Parameters
    ----------
    dataset
        What ``jaxlimits plan -o`` wrote, or the dataset of a plan with its frontier.
    x
        What lies across: ``tpot_target``, or ``rate``, the requests that come.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> work = jl.Workload.of_lengths([(2000, 200)], rate="20 request/s")
    >>> found = jl.plan("llama3-8b", "h100", work, most=2, frontier=True)
    >>> figure = jl.plot.fleet(found.dataset)
    >>> figure.axes[0].get_xlabel()
    'target of the time of a token (tpot_target) [ms/token]'
    """
    if x not in _ALONG:
        raise unknown_name("frontier", x, _ALONG, where="plot", key="x")
    panels = new_panels(dataset, **layout)
    minimised = str(dataset.attrs.get("minimised", "num_chips"))
    lines = {f"{name}{_ALONG[x]}": line for name, line in _LINES.items()}
    lines = {name: line for name, line in lines.items() if name in dataset.data_vars}
    for axes, part in panels:
        _draw_lines(axes, part, lines, x=x)
        _draw_choices(axes, part, minimised, x=x)
        axes.grid(which="major", color="0.9", linewidth=0.6)
    across = style.shown(dataset[x])
    up = np.concatenate([style.shown(dataset[name]).ravel() for name in lines])
    if np.isfinite(up).any():
        scales.scale_by_values(panels.axes[0], "y", up, small=panels.are_small)
    scales.scale_by_values(panels.axes[0], "x", across, small=panels.are_small)
    what = dataset[minimised] if minimised in dataset else dataset[f"least_bound{_ALONG[x]}"]
    panels.label(dataset[x], f"least {style.label(what)}")
    panels.set_legend()
    return panels.figure


def _draw_lines(
    axes: "Axes", part: xr.Dataset, lines: Mapping[str, tuple[str, dict[str, Any]]], *, x: str
) -> None:
    """Steps: what serves more, or sooner, serves less too; what nothing does, nothing beyond does.

    A looser target is to the right, and a higher rate.
    """
    across = style.shown(part[x])
    of_bound, of_machines = ("pre", "post") if x == "tpot_target" else ("post", "pre")
    for name, (words, look) in lines.items():
        values = style.shown(part[name])
        drawn = {**look, "color": style.COLOURS[look["color"]], "linewidth": 1.6}
        if np.isfinite(values).any():
            side = of_bound if name.startswith("least_bound") else of_machines
            axes.step(across, values, where=side, label=words, **drawn)
    bound = style.shown(part[f"least_bound{_ALONG[x]}"])
    shade = {"color": "0.88", "linewidth": 0.0, "zorder": 0.3}
    axes.fill_between(across, 0.0, bound, step=of_bound, where=np.isfinite(bound), **shade)


def _draw_choices(axes: "Axes", part: xr.Dataset, minimised: str, *, x: str) -> None:
    """The choices where they stand, the least one filled, and what the plan was asked for."""
    if part.sizes.get("choice") and minimised in part and _CHOSEN[x] in part:
        places, costs = style.shown(part[_CHOSEN[x]]), style.shown(part[minimised])
        look = {"linestyle": "none", "marker": "o", "color": style.COLOURS[1], "zorder": 4}
        if len(places) > 1:
            hollow = {"markerfacecolor": "none", "markersize": 7.0, "label": "runners-up"}
            axes.plot(places[1:], costs[1:], **look, **hollow)
        axes.plot(places[:1], costs[:1], markersize=7.0, label="the least that keeps all", **look)
    attribute, words = _LIMITS[x]
    limit = part.attrs.get(attribute)
    if limit is not None and np.isfinite(limit):
        at = style.shown(xr.DataArray(float(limit), attrs=part[x].attrs))
        axes.axvline(float(at), color="0.4", linewidth=0.9, linestyle=":", label=words)
