"""What a target of the time of a token takes: the bound, the least machines, and the runners-up."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.plot import scales, style
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ALONG = "tpot_target"
_LINES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "least_predicted": ("an engine, as a calibration predicts", {"color": 3, "linestyle": "-."}),
    "least_disaggregated": ("prefill and decode apart", {"color": 2, "linestyle": "--"}),
    "least_aggregated": ("prefill and decode in one", {"color": 0, "linestyle": "-"}),
    "least_bound": ("no schedule does with less", {"color": 6, "linestyle": "-"}),
}
"""Words of each line, and how it is drawn, in the order of the legend."""


def _lacks(dataset: xr.Dataset, _asked: Mapping[str, Any]) -> str:
    if _ALONG not in dataset.dims or "least_bound" not in dataset.data_vars:
        return "the result has no frontier, as `jaxlimits plan -o` writes it"
    return "" if dataset.sizes[_ALONG] else "no layout serves the requests at any time of a token"


@kind(lacks=_lacks)
def fleet(dataset: xr.Dataset, **layout: Unpack[Layout]) -> "Figure":
    r"""Draw what each target of the time of a token takes: least machines, bound, runners-up.

    What is minimised, as the number of chips, stands over the target. Below the shaded bound no
    schedule keeps the target. Marks are the choices of the plan, the least one filled; the line
    across is its target.

    Parameters
    ----------
    dataset
        What ``jaxlimits plan -o`` wrote, or the dataset of a plan with its frontier.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> work = jl.Workload.of_lengths([(2000, 200)], rate="20 request/s")
    >>> found = jl.plan("llama3-8b", "h100", work, most=2, frontier=True)
    >>> figure = jl.plot.fleet(found.dataset)
    >>> figure.axes[0].get_xlabel()
    'target of the time of a token (tpot_target) [ms/token]'
    """
    panels = new_panels(dataset, **layout)
    minimised = str(dataset.attrs.get("minimised", "num_chips"))
    names = [name for name in _LINES if name in dataset.data_vars]
    for axes, part in panels:
        _draw_lines(axes, part, names)
        _draw_choices(axes, part, minimised)
        axes.grid(which="major", color="0.9", linewidth=0.6)
    across = style.shown(dataset[_ALONG])
    up = np.concatenate([style.shown(dataset[name]).ravel() for name in names])
    if np.isfinite(up).any():
        scales.scale_by_values(panels.axes[0], "y", up, small=panels.are_small)
    scales.scale_by_values(panels.axes[0], "x", across, small=panels.are_small)
    what = dataset[minimised] if minimised in dataset else dataset["least_bound"]
    panels.label(dataset[_ALONG], f"least {style.label(what)}")
    panels.set_legend()
    return panels.figure


def _draw_lines(axes: "Axes", part: xr.Dataset, names: list[str]) -> None:
    """Steps: machines keep every looser target too, and the bound holds for every tighter one."""
    across = style.shown(part[_ALONG])
    for name in names:
        words, look = _LINES[name]
        values = style.shown(part[name])
        drawn = {**look, "color": style.COLOURS[look["color"]], "linewidth": 1.6}
        if np.isfinite(values).any():
            side = "pre" if name == "least_bound" else "post"
            axes.step(across, values, where=side, label=words, **drawn)
    bound = style.shown(part["least_bound"])
    shade = {"color": "0.88", "linewidth": 0.0, "zorder": 0.3}
    axes.fill_between(across, 0.0, bound, step="pre", where=np.isfinite(bound), **shade)


def _draw_choices(axes: "Axes", part: xr.Dataset, minimised: str) -> None:
    """The choices where they stand, the least one filled, and the target that they keep."""
    if part.sizes.get("choice") and minimised in part:
        times, costs = style.shown(part["tpot"]), style.shown(part[minimised])
        look = {"linestyle": "none", "marker": "o", "color": style.COLOURS[1], "zorder": 4}
        if len(times) > 1:
            hollow = {"markerfacecolor": "none", "markersize": 7.0, "label": "runners-up"}
            axes.plot(times[1:], costs[1:], **look, **hollow)
        axes.plot(times[:1], costs[:1], markersize=7.0, label="the least that keeps all", **look)
    limit = part.attrs.get("tpot_limit")
    if limit is not None and np.isfinite(limit):
        at = style.shown(xr.DataArray(float(limit), attrs=part[_ALONG].attrs))
        axes.axvline(float(at), color="0.4", linewidth=0.9, linestyle=":", label="its target")
