"""Stacked bars: what a whole, as the time of a step, is made of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.plot import scales, style
from jaxlimits.plot.found import free_dims, lacking, needed, panel_dims
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels
from jaxlimits.plot.unit_choice import in_one_unit
from jaxlimits.results.reasons import reasons, words_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS = ((2, 0), (5, 2), (4, 1), (3, 3))  # colour and hatch of each part


_STEP = ("t_mem", "t_compute", "t_sync")


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    return "" if asked.get("parts") else lacking(dataset, *_STEP, axes=0, asked=asked)


@kind(lacks=_lacks)
def breakdown(
    dataset: xr.Dataset,
    *,
    x: str | None = None,
    parts: Mapping[str, str] | None = None,
    whole: str = "time of one decode step (t_step)",
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw the time of a step as bars, stacked of memory, compute beyond it, and synchronisation.

    A bar that has no height, as one that does not fit in memory, is left out and says why.

    Parameters
    ----------
    dataset
        A result with ``t_mem``, ``t_compute`` and ``t_sync``, or with the variables of ``parts``.
    x
        A bar for each of its values; by default the last axis.
    parts
        Other variables to stack, of one unit, from the bottom up, by what they are.
    whole
        What the whole bar shows.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("top_speed").sel(llm="llama3-405b", seq_len=4096)
    >>> figure = jl.plot.breakdown(ds, x="chip", columns="tp_size")
    >>> len(figure.axes)
    3
    """
    if parts is None:
        dataset, parts = _step(dataset)
    first, *_ = (needed(dataset, name) for name in parts.values())
    if x is None and not free_dims(dataset[first], layout):  # one step alone: one bar
        x, dataset = "step", dataset.expand_dims(step=[""])
    (x,) = panel_dims(dataset[first], layout, x=x)
    dataset = in_one_unit(dataset, parts.values())
    panels = new_panels(dataset, **layout)
    shown = {
        words: (name, look)
        for (words, name), look in zip(parts.items(), _LOOKS, strict=False)
        if np.nanmax(style.shown(dataset[name]), initial=0.0) > 0.0
    }
    names = style.names(dataset[x], bare=True)
    turned: dict[str, Any] = (
        {"rotation": 25, "ha": "right"} if max(map(len, names)) * len(names) > 60 else {}
    )
    if panels.are_small and max(map(len, names)) * len(names) > 24:
        turned = {"rotation": 90}
    for axes, part in panels:
        _stack(axes, part, shown, along=x, size=panels.text_size - 1)
        axes.set_xticks(np.arange(len(names)), names, fontsize=panels.text_size, **turned)
        scales.plain_numbers(axes.yaxis)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        if len(names) == 1:
            axes.set_xlim(-1.2, 1.2)
    unit = dataset[next(iter(parts.values()))].attrs.get("display_unit", "1")
    across = dataset[x] if style.is_numeric(dataset[x]) else ""
    panels.label(across, whole if unit == "1" else f"{whole} [{style.typeset(unit)}]")
    panels.set_legend()
    return panels.figure


def _step(dataset: xr.Dataset) -> tuple[xr.Dataset, Mapping[str, str]]:
    """A result with the parts of a step, and these by what they are."""
    memory, compute = (dataset[needed(dataset, name)] for name in ("t_mem", "t_compute"))
    beyond = (compute - memory).clip(0.0).assign_attrs(compute.attrs)
    parts = {"memory": "t_mem", "compute beyond memory": "beyond", "synchronisation": "t_sync"}
    return dataset.assign(beyond=beyond), parts


def _stack(
    axes: "Axes",
    dataset: xr.Dataset,
    parts: Mapping[str, tuple[str, tuple[int, int]]],
    *,
    along: str,
    size: float,
) -> None:
    """Draw the bars of one panel: variables, colours and hatches by what they are."""
    bottom = np.zeros(dataset.sizes[along])
    places = np.arange(len(bottom))
    for words, (name, (colour, hatch)) in parts.items():
        height = style.shown(dataset[name])
        axes.bar(
            places, height, 0.72, bottom=bottom, label=words, color=style.COLOURS[colour],
            hatch=style.HATCHES[hatch], edgecolor="white", linewidth=0.5,
        )  # fmt: skip
        bottom = bottom + height
    first_name = next(iter(parts.values()), ("", (0, 0)))[0]
    codes = reasons(dataset, first_name).to_numpy() if first_name else np.zeros(len(bottom))
    if np.isnan(bottom).all():
        style.say_nothing_is(axes, size=size, words=words_of(codes))
        return
    for first, last in scales.stretches(np.isnan(bottom)):
        why = words_of(codes[first : last + 1])
        area = {"facecolor": "0.96", "edgecolor": "0.7", "linewidth": 0.0, **style.hatch(why)}
        axes.axvspan(first - 0.4, last + 0.4, zorder=0.4, **area)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.9}
        look = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": size, "bbox": box}
        transform = axes.get_xaxis_transform()
        axes.text((first + last) / 2, 0.04, why, transform=transform, **look)
