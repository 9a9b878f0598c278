"""Bars of what uncertain inputs do to a metric: Sobol indices, or elementary effects."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.plot import looks, scales, style
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import Panels, new_panels
from jaxlimits.results import indices as found

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WORDS: Mapping[str, tuple[str, str]] = {
    found.SOBOL: ("with all interactions (total)", "alone (first order)"),
    found.MORRIS: ("mean size of the effect", "its deviation"),
}
"""What the two bars of an input are."""

_PAIRS = ("of two inputs, beyond what each explains alone", "")

_LOOKS = (0, 5)
"""Colours of the two bars, by their places in the palette."""

_BAR, _ENTRY = 0.36, 0.44
"""Height of a bar, of the distance between entries; height of an entry [inch]."""

_LEAST = 0.0005
"""Index that is written as zero of three decimals."""


def _lacks(dataset: xr.Dataset, _asked: Mapping[str, Any]) -> str:
    if found.measured_metrics(dataset):
        return ""
    return "the result has no indices of uncertain inputs"


@kind(lacks=_lacks)
def indices(
    dataset: xr.Dataset,
    *,
    of: str | None = None,
    pairs: bool = False,
    most: int = 10,
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw what each uncertain input does to a metric: bars with intervals, the largest first.

    Of Sobol indices the bars are the shares of the variance that an input takes part in, and that
    it explains alone; of elementary effects the mean size of the effect and its deviation, with a
    diamond at the signed mean. Lines at the ends of bars are the confidence intervals.

    Parameters
    ----------
    dataset
        A result of ``jaxlimits uncertainty`` by ``sobol`` or ``morris``.
    of
        The metric. Where left out, each of several Sobol indices is a column, and of effects the
        first metric is drawn.
    pairs
        Draw what two inputs add together beyond what each explains alone.
    most
        Entries that are drawn; the rest is counted.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> shares = jl.sobol("uncertain_machine", samples=64)
    >>> figure = jl.plot.indices(shares, of="utps")
    >>> figure.axes[0].get_yticklabels()[0].get_text().split()
    ['batch_size', 'loguniform', '[1,', '64]']
    """
    metrics = found.measured_metrics(dataset)
    is_sobol = found.SOBOL in dataset.data_vars
    if of is None and is_sobol and "metric" in dataset.dims and layout.get("ax") is None:
        free = next((name for name in ("columns", "rows") if layout.get(name) is None), None)
        layout = Layout(**{**layout, free: "metric"}) if free else layout
    in_panels = "metric" in (layout.get("rows"), layout.get("columns"))
    metric = None if in_panels else of or metrics[0]
    kept = found.entries(dataset, metric, pairs=pairs)
    shown = kept.isel(entry=slice(max(most, 1)))
    tall = _ENTRY * (shown.sizes["entry"] + (shown.sizes["entry"] < kept.sizes["entry"]))
    panels = new_panels(shown, height=1.4 + tall, **layout)
    if panels.are_small:
        down = len({axes.get_position().y0 for axes in panels.axes})
        if looks.current().size == (None, None):
            panels.figure.set_figheight(1.4 + down * (0.4 + 0.8 * tall))
    words = _PAIRS if pairs else _WORDS[found.SOBOL if is_sobol else found.MORRIS]
    for axes, part in panels:
        _draw_bars(axes, part, words, size=panels.text_size)
    _set_ends(panels, shown)
    _name_entries(panels, kept, shown)
    for axes in panels.axes:
        axes.set_xlabel(_label(kept, metric, is_sobol=is_sobol))
    _set_legend(panels)
    return panels.figure


def _draw_bars(axes: "Axes", part: xr.Dataset, words: tuple[str, str], *, size: float) -> None:
    """Two bars for each entry, the value of the upper one beside it."""
    places = np.arange(part.sizes["entry"])
    names = [name for name in ("whole", "part") if name in part]
    for name, label, look, side in zip(names, words, _LOOKS, (-0.5, 0.5), strict=False):
        at = places + side * _BAR if len(names) > 1 else places
        values = style.shown(part[name])
        half = style.shown(part[f"{name}_conf"]) if f"{name}_conf" in part else None
        axes.barh(at, values, _BAR, label=label, color=style.COLOURS[look], zorder=2)
        if half is not None:
            lines = {"fmt": "none", "ecolor": "black", "elinewidth": 1.0, "capsize": 2.0}
            axes.errorbar(values, at, xerr=half, zorder=3, **lines)
    if "mean" in part:
        look = {"color": style.COLOURS[1], "marker": "D", "s": 22, "zorder": 4}
        axes.scatter(style.shown(part["mean"]), places - 0.5 * _BAR, label="signed mean", **look)
    _write_values(axes, part, places - (0.5 * _BAR if len(names) > 1 else 0.0), size=size)
    axes.axvline(0.0, color="0.4", linewidth=0.8, zorder=1)
    axes.grid(axis="x", which="major", color="0.9", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    scales.plain_numbers(axes.xaxis)


def _write_values(axes: "Axes", part: xr.Dataset, places: np.ndarray, *, size: float) -> None:
    """The value of each first bar, beyond its interval and its diamond."""
    values = style.shown(part["whole"])
    half = style.shown(part["whole_conf"]) if "whole_conf" in part else np.zeros(len(values))
    ends = values + half
    if "mean" in part:
        ends = np.maximum(ends, style.shown(part["mean"]))
    look = {"va": "center", "fontsize": size - 1, "color": "0.25"}
    for value, end, place in zip(values, ends, places, strict=True):
        if np.isfinite(value):
            offset = {"xytext": (5, 0), "textcoords": "offset points"}
            axes.annotate(_written(value, part), (max(end, 0.0), place), **offset, **look)


def _written(value: float, part: xr.Dataset) -> str:
    if part["whole"].attrs.get("display_unit", "1") != "1":
        return scales.plain_number(float(f"{value:.3g}"))
    return f"{value:.3f}" if abs(value) >= _LEAST else f"< {2 * _LEAST:.3f}"


def _set_ends(panels: Panels, shown: xr.Dataset) -> None:
    """Leave room for the values beyond the bars, and none before them that nothing needs."""
    drawn = [style.shown(shown[name]) for name in ("whole", "part", "mean") if name in shown]
    for name in ("whole", "part"):
        if f"{name}_conf" in shown:
            values, half = style.shown(shown[name]), style.shown(shown[f"{name}_conf"])
            drawn += [values - half, values + half]
    low = min(0.0, *(float(np.nanmin(values)) for values in drawn))
    high = max(0.0, *(float(np.nanmax(values)) for values in drawn))
    span = (high - low) or 1.0
    across = len({axes.get_position().x0 for axes in panels.axes})
    for axes in panels.axes:
        axes.set_xlim(low - 0.04 * span, high + (0.14 + 0.05 * across) * span)


def _name_entries(panels: Panels, kept: xr.Dataset, shown: xr.Dataset) -> None:
    """Name the entries, each with its distribution where there is room, and count the rest."""
    names = [str(name) for name in shown["entry"].to_numpy()]
    if "distribution" in shown.coords and not panels.are_small:
        texts = map(str, shown["distribution"].to_numpy())
        names = [f"{name}\n{text}" for name, text in zip(names, texts, strict=True)]
    left = kept.isel(entry=slice(len(names), None))
    if left.sizes["entry"]:
        largest = _written(float(np.abs(style.shown(left["whole"])).max()), kept)
        names.append(f"{left.sizes['entry']} more,\nnone above {largest.removeprefix('< ')}")
    size = panels.text_size if panels.are_small else panels.text_size - 1
    for axes in panels.axes:
        axes.set_yticks(np.arange(len(names)), names, fontsize=size)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)


def _label(kept: xr.Dataset, metric: str | None, *, is_sobol: bool) -> str:
    """What the axis across is."""
    if is_sobol:
        return f"share of the variance of {metric}" if metric else "share of the variance"
    unit = kept["whole"].attrs.get("display_unit", "1")
    suffix = "" if unit == "1" else f" [{style.typeset(unit)}]"
    return f"effect on {metric}{suffix}\nof the whole range of quantiles of an input"


def _set_legend(panels: Panels) -> None:
    """Below the bars, which need all the width that there is."""
    if panels.among_others:
        panels.set_legend()
        return
    handles, words = panels.axes[0].get_legend_handles_labels()
    look = {"frameon": False, "fontsize": looks.points(9), "handlelength": 1.6, "ncols": 3}
    panels.figure.legend(handles, words, loc="outside lower center", **look)
