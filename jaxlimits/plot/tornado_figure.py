"""What each input does to a metric: a bar from low to high, the longest first."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np
import xarray as xr

from jaxlimits.errors import InputError
from jaxlimits.plot import looks, scales, style
from jaxlimits.plot.found import panel_dims
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ENTRY = 0.36
"""Height of an entry [inch]."""

_ROOM = 0.2
"""Share of the axis that is kept for the ends, which are written beyond the bars."""

_LOW, _HIGH = "low", "high"
_WITHIN = ("_elasticity_", "_doubling_")
_MEAN, _SPREAD = "_mu", "_sigma"


class _Source(NamedTuple):
    """What a result says of inputs: metric, inputs, both ends by input, and words of both."""

    metric: str
    inputs: Sequence[str]
    low: xr.DataArray
    high: xr.DataArray
    words: tuple[str, str]
    label: str
    mean: xr.DataArray | None = None


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    if _metrics(dataset):
        return ""
    named = f" of {asked['of']}" if asked.get("of") else ""
    return f"the result has no elasticities{named}, no doublings and no elementary effects"


@kind(lacks=_lacks)
def tornado(
    dataset: xr.Dataset,
    *,
    of: str | None = None,
    step: float = 0.1,
    most: int = 12,
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw what each input does to a metric: a bar from low to high, the longest first.

    From elasticities the bars are the changes that a little less and a little more of each field
    make, the elasticity taken as constant; from doublings what twice of each gives. From elementary
    effects they reach from the mean effect of the whole range of an input less its deviation to the
    mean and its deviation.

    Parameters
    ----------
    dataset
        One point of a result with elasticities or doublings, or what ``jaxlimits uncertainty`` by
        ``morris`` wrote.
    of
        The metric; by default the first.
    step
        Share by which a field is made smaller and larger, where there are elasticities.
    most
        Inputs that are drawn; the rest is counted.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("drivers").sel(llm="llama3-405b", chip="xpu-hbm3", tp_size=128)
    >>> figure = jl.plot.tornado(ds.sel(seq_len=4096, batch_size=1))
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['mem_bw', 'sync_latency', 'peak_flops']
    """
    if not 0.0 < step < 1.0:
        remedy = "give one above 0 and below 1, as 0.1"
        raise InputError("is not a share", where="plot", key="step", value=step, remedy=remedy)
    source = _found(dataset, of, step)
    ends = xr.Dataset({_LOW: source.low, _HIGH: source.high})
    if source.mean is not None:
        ends[_MEAN] = source.mean
    panel_dims(ends[_LOW], layout, input="input")
    reach = abs(xr.concat([ends[_LOW], ends[_HIGH]], "end")).max("end").fillna(0.0)
    size = reach.max([dim for dim in reach.dims if dim != "input"]).to_numpy()
    order = np.argsort(-size, kind="stable")[: max(most, 1)]
    left = len(source.inputs) - len(order)
    names = [str(source.inputs[place]) for place in order] + ([f"{left} more"] if left else [])
    shown = ends.isel(input=order)
    panels = new_panels(shown, height=1.5 + _ENTRY * len(names), **layout)
    for axes, part in panels:
        _draw_bars(axes, part, source.words, size=panels.text_size - looks.points(1))
        axes.set_yticks(np.arange(len(names)), names, fontsize=panels.text_size)
        axes.set_ylim(len(names) - 0.4, -0.6)
    drawn = np.concatenate([[0.0], *(shown[name].to_numpy().ravel() for name in (_LOW, _HIGH))])
    lowest, highest = float(np.nanmin(drawn)), float(np.nanmax(drawn))
    room = _ROOM * ((highest - lowest) or 1.0)
    left_room = room if lowest < 0.0 else 0.2 * room
    panels.axes[0].set_xlim(lowest - left_room, highest + room)
    panels.label(source.label, "")
    panels.set_legend()
    return panels.figure


def _metrics(dataset: xr.Dataset) -> list[str]:
    """Metrics of which a result says what inputs do to them."""
    names = [str(name) for name in dataset.data_vars]
    found = [name.partition(within)[0] for within in _WITHIN for name in names if within in name]
    effects = [name.removesuffix(_MEAN) for name in names if name.endswith(_MEAN)]
    return list(dict.fromkeys([*found, *effects]))


def _found(dataset: xr.Dataset, of: str | None, step: float) -> _Source:
    known = _metrics(dataset)
    metric = of or known[0]
    if f"{metric}{_MEAN}" in dataset and f"{metric}{_SPREAD}" in dataset:
        return _of_effects(dataset, metric)
    for within in _WITHIN:
        start = f"{metric}{within}"
        fields = [
            str(name).removeprefix(start)
            for name in dataset.data_vars
            if str(name).startswith(start) and "_and_" not in str(name)
        ]
        if fields:
            return _of_fields(dataset, metric, within, fields, step)
    remedy = f"it has those of {', '.join(known)}"
    problem = "the result does not say what inputs do to it"
    raise InputError(problem, where="plot", key="of", value=of, remedy=remedy)


def _of_effects(dataset: xr.Dataset, metric: str) -> _Source:
    mean, spread = dataset[f"{metric}{_MEAN}"], dataset[f"{metric}{_SPREAD}"]
    unit = mean.attrs.get("display_unit", "1")
    to = {**mean.attrs, "display_unit": unit}
    ends = [(mean + sign * spread).assign_attrs(to) for sign in (-1.0, 1.0)]
    low, high, middle = (each.copy(data=style.shown(each)) for each in (*ends, mean))
    suffix = "" if unit == "1" else f" [{style.typeset(unit)}]"
    label = f"effect on {metric} of the whole range of an input{suffix}"
    inputs = [str(each) for each in dataset["input"].to_numpy()]
    return _Source(
        metric, inputs, low, high, ("", "its mean, more or less its deviation"), label, middle
    )


def _of_fields(
    dataset: xr.Dataset, metric: str, within: str, fields: list[str], step: float
) -> _Source:
    along = xr.DataArray(fields, dims="input", name="input")
    each = [dataset[f"{metric}{within}{name}"].reset_coords(drop=True) for name in fields]
    values = xr.concat(each, along, coords="minimal", compat="override")
    if within == _WITHIN[0]:
        low, high = (100.0 * ((1.0 + sign * step) ** values - 1.0) for sign in (-1.0, 1.0))
        words = (f"{100 * step:.3g} % less of it", f"{100 * step:.3g} % more of it")
        label = f"change of {metric} [%], at a constant elasticity"
    else:
        high = 100.0 * (values - 1.0)
        low, words = xr.zeros_like(high), ("", "twice of it")
        label = f"change of {metric} [%]"
    return _Source(metric, fields, low.drop_attrs(), high.drop_attrs(), words, label)


def _draw_bars(axes: "Axes", part: xr.Dataset, words: tuple[str, str], *, size: float) -> None:
    """Two bars of each input, on both sides of nothing; their ends are written beyond them."""
    low, high = part[_LOW].to_numpy(), part[_HIGH].to_numpy()
    places = np.arange(len(low))
    if np.isnan(low).all():
        style.say_nothing_is(axes)
        return
    first, last = style.COLOURS[5], style.COLOURS[0]
    if _MEAN in part:
        axes.barh(places, high - low, 0.6, left=low, label=words[1], color=first, zorder=2)
        look = {"color": last, "marker": "D", "s": 22, "zorder": 4, "label": "its mean"}
        axes.scatter(part[_MEAN].to_numpy(), places, **look)
    else:
        for values, label, colour in ((low, words[0], first), (high, words[1], last)):
            if label:
                axes.barh(places, values, 0.6, label=label, color=colour, zorder=2)
    _write_ends(axes, low, high, size=size)
    axes.axvline(0.0, color="0.25", linewidth=1.0, zorder=3)
    axes.grid(axis="x", which="major", color="0.9", linewidth=0.6, zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    scales.plain_numbers(axes.xaxis)


def _write_ends(axes: "Axes", low: np.ndarray, high: np.ndarray, *, size: float) -> None:
    """The ends of both bars, at most one on each side of nothing."""
    for place, (one, two) in enumerate(zip(low, high, strict=True)):
        ends = {end for end in (min(one, two), max(one, two)) if np.isfinite(end) and end != 0.0}
        if len(ends) == 2 and np.prod([*ends]) > 0.0:  # both on one side: the longer is written
            ends = {max(ends, key=abs)}
        for end in ends or {0.0}:
            side = 1 if end >= 0.0 else -1
            look = {"va": "center", "ha": "left" if side > 0 else "right", "fontsize": size}
            words = scales.measured(float(f"{end:.3g}"), sign=True) if end else "0"
            offset = {"xytext": (4 * side, 0), "textcoords": "offset points"}
            axes.annotate(words, (end, place), color="0.25", **offset, **look)
