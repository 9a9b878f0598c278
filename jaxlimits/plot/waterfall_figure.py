"""What each of several measures gives, one after the other, from none of them to all."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np
import xarray as xr

from jaxlimits.errors import unknown_name
from jaxlimits.plot import looks, scales, style
from jaxlimits.plot.found import free_dims, lacking_of, needed, panel_dims
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels
from jaxlimits.results.reasons import reasons, words_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_UP, _DOWN, _WHOLE = style.COLOURS[2], style.COLOURS[1], style.COLOURS[7]


class _Step(NamedTuple):
    """A measure, and the metric before and after it."""

    words: str
    before: float
    after: float


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    return lacking_of(dataset, axes=1, asked=asked)


@kind(lacks=_lacks)
def waterfall(
    dataset: xr.Dataset,
    *,
    of: str = "utps",
    measures: Sequence[str] = (),
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw what each of several measures gives, one after the other, from none of them to all.

    A measure is an axis, taken from its first value to its last. Measures that are not named come
    in the order of what they add: what gives most beside those taken already is next, so that a
    measure that works only with another comes after it.

    Parameters
    ----------
    measures
        Axes, in the order in which they are taken; by default all that are left, the largest gain
        first.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("smoke").sel(seq_len=4096, batch_size=1)
    >>> figure = jl.plot.waterfall(ds)
    >>> figure.axes[0].get_xticklabels()[-1].get_text()
    'all'
    """
    whole = dataset[needed(dataset, of)]
    dims = free_dims(whole, layout)
    for name in measures:
        if name not in dims:
            raise unknown_name("dimension", name, dims, where="plot", key="measures")
    taken = list(measures) or dims
    panel_dims(whole, layout, **{name: name for name in taken})
    panels = new_panels(dataset, height=4.6, **layout)
    for axes, part in panels:
        steps = _steps(part, part[of], taken, ordered=bool(measures))
        size = panels.text_size - looks.points(1)
        if steps:
            _draw(axes, steps, size=size)
        else:
            codes = reasons(part, of).to_numpy()
            style.say_nothing_is(axes, size=size, words=words_of(codes))
    panels.label("", dataset[of])
    return panels.figure


def _steps(
    dataset: xr.Dataset, whole: xr.DataArray, measures: list[str], *, ordered: bool
) -> list[_Step]:
    """The measures in their order; one with which there is no value ends them."""
    at = dict.fromkeys(measures, 0)
    values = xr.DataArray(style.shown(whole), dims=whole.dims)
    before = float(values.isel(at))
    last = float(values.isel(dict.fromkeys(measures, -1)))
    if not np.isfinite(before):
        return []
    better = -1.0 if last < before else 1.0
    found, left = [], list(measures)
    while left:
        gains = {name: better * float(values.isel({**at, name: -1})) for name in left}
        known = [name for name in left if np.isfinite(gains[name])]
        if not known:
            break
        name = known[0] if ordered else max(known, key=gains.__getitem__)
        at[name] = -1
        left.remove(name)
        found.append(_Step(_told(dataset[name]), before, better * gains[name]))
        before = better * gains[name]
    return found


def _told(axis: xr.DataArray) -> str:
    """A measure in words, in lines: its name, and from what to what it goes."""
    first, last = (axis.isel({axis.name: [place]}) for place in (0, -1))
    if style.is_numeric(axis):
        one, two = (style.quantity(float(each.item()), axis) for each in (first, last))
    else:
        one, two = (str(each.item()) for each in (first, last))
    return f"{axis.name}\n{one} → {two}"


def _draw(axes: "Axes", steps: list[_Step], *, size: float) -> None:
    """A bar of what there is, one for each measure from before to after, and one of the end."""
    words = ["none", *(step.words for step in steps), "all"]
    ends = [steps[0].before, steps[-1].after]
    for place, value in zip((0, len(steps) + 1), ends, strict=True):
        axes.bar([place], [value], 0.62, color=_WHOLE, zorder=2)
        _write(axes, place, value, scales.measured(value), size=size)
    for place, step in enumerate(steps, start=1):
        rises = step.after >= step.before
        low, high = sorted((step.before, step.after))
        axes.bar([place], [high - low], 0.62, bottom=low, color=_UP if rises else _DOWN, zorder=2)
        told = f"× {step.after / step.before:.3g}" if step.before else ""
        _write(axes, place, high, told, size=size)
    levels = [step.before for step in steps] + [steps[-1].after]
    for place, level in enumerate(levels):
        axes.plot(
            [place - 0.31, place + 1.31], [level, level], color="0.45", linewidth=0.8, zorder=1
        )
    axes.set_xticks(np.arange(len(words)), words, fontsize=size)
    axes.set_ylim(0.0, 1.12 * max(max(step.before, step.after) for step in steps))
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    scales.plain_numbers(axes.yaxis)


def _write(axes: "Axes", place: int, at: float, words: str, *, size: float) -> None:
    look = {"ha": "center", "va": "bottom", "fontsize": size, "color": "0.2"}
    axes.annotate(words, (place, at), (0, 2), textcoords="offset points", **look)
