"""The operators of a step under the roofs of one chip."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.plot import scales, style
from jaxlimits.plot.found import needed, panel_dims
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels
from jaxlimits.plot.placing import Label, place_labels, settled
from jaxlimits.results.records import record_dim

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NEEDED = ("tensor_flops", "traffic", "t_tensor", "t_vector", "t_mem", "tensor_roof", "memory_roof")
"""What the operators of a step are drawn from."""

_BOUND_BY = {
    "t_mem": ("memory", "#0072B2", "o"),
    "t_tensor": ("compute", "#D55E00", "s"),
    "t_vector": ("vector work", "#009E73", "^"),
}
"""What an operator waits for, and how it is drawn."""

_SAME = 0.02
"""Decades within which points lie on each other and share a label."""


def _lacks(dataset: xr.Dataset, _asked: Mapping[str, Any]) -> str:
    if "operator" in dataset.dims:
        return ""
    if listed := record_dim(dataset):
        return f"the result is a list of points; keep one, as `.isel({listed}=0)`"
    if "grid" in dataset.attrs and "uncertain" not in dataset.attrs:
        return ""
    return "the result has no operators, and is not a sweep whose points could be taken apart"


@kind(lacks=_lacks)
def roofline(dataset: xr.Dataset, **layout: Unpack[Layout]) -> "Figure":
    """Draw the operators of a step under one chip's roofs, and what synchronisation leaves.

    Each is the rate that it reaches over its arithmetic intensity. Operators that lie on each other
    share a label, which gives their shares of the time of all operators. A star is the whole step,
    at the rate that is left after synchronisation; a machine that the model does not fit on says
    so.

    Parameters
    ----------
    dataset
        Operators, as :func:`jaxlimits.operators` gives them, or one point of a result, whose
        operators are then computed from the scenario in its attributes.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> parts = jl.operators("deepseek-v3", "h200", tp_size=16, batch_size=64)
    >>> figure = jl.plot.roofline(parts)
    >>> figure.axes[0].get_xlabel()
    'arithmetic intensity [FLOP/B]'
    """
    if "operator" not in dataset.dims:
        from jaxlimits.points.labelled_operators import operators_of

        dataset = operators_of(dataset)
    for name in _NEEDED:
        needed(dataset, name)
    panel_dims(dataset.tensor_flops, layout, operator="operator")
    panels = new_panels(dataset, height=4.8, **layout)
    x_ends, y_ends = _ends(dataset)
    for axes, part in panels:
        axes.set(xscale="log", yscale="log", xlim=x_ends, ylim=y_ends)
        _draw_roofs(axes, part, x_ends, size=panels.text_size - 1)
        axes.grid(which="major", color="0.92", linewidth=0.6)
    for axis in (panels.axes[0].xaxis, panels.axes[0].yaxis):
        scales.plain_numbers(axis)
    panels.label("arithmetic intensity [FLOP/B]", "tensor work by time, on one chip [TFLOP/s]")
    drawn = [_draw_operators(axes, part) for axes, part in panels]
    panels.set_legend()
    with settled(panels.figure):
        for (axes, part), labels in zip(panels, drawn, strict=True):
            _name_slope(axes, part, size=panels.text_size - 1)
            roof = _roof(part, np.geomspace(*x_ends, 120))
            place_labels(axes, labels, lines=[roof], size=panels.text_size - 1)
    return panels.figure


def _ends(dataset: xr.Dataset) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ends of both axes, alike for every panel."""
    intensity, rate = _places(dataset)
    ridge = (dataset.tensor_roof / dataset.memory_roof).to_numpy()
    rates = np.concatenate([rate.ravel(), _step(dataset)[2].ravel()])
    slowest = np.nanmin(rates)
    across = (np.nanmin(intensity) / 5.0, 6.0 * max(np.nanmax(intensity), float(ridge.max())))
    return across, (slowest / 4.0, 3.0 * float(dataset.tensor_roof.max()) / 1e12)


def _places(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Intensities and rates of operators [FLOP/B, TFLOP/s]; NaN where one has no work."""
    work = dataset.tensor_flops.where((dataset.tensor_flops > 0.0) & (dataset.traffic > 0.0))
    rate = 1e-12 * work / _time(dataset)
    return (work / dataset.traffic).to_numpy(), rate.to_numpy()


def _time(dataset: xr.Dataset) -> xr.DataArray:
    """The longest of what an operator does at once."""
    return np.maximum(np.maximum(dataset.t_tensor, dataset.t_vector), dataset.t_mem)


def _step(dataset: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intensity of the whole step; its rates before and after synchronisation."""
    work = dataset.tensor_flops.sum("operator")
    before = 1e-12 * work / (dataset.t_step - dataset.t_sync)
    after = 1e-12 * work / dataset.t_step
    intensity = work / dataset.traffic.sum("operator")
    return intensity.to_numpy(), before.to_numpy(), after.to_numpy()


def _roof(dataset: xr.Dataset, x: np.ndarray) -> np.ndarray:
    """Points along the roof."""
    peak, slope = (1e-12 * float(dataset[name]) for name in ("tensor_roof", "memory_roof"))
    return np.stack([x, np.minimum(peak, slope * x)], axis=1)


def _draw_roofs(
    axes: "Axes", dataset: xr.Dataset, ends: tuple[float, float], *, size: float
) -> None:
    peak, slope = (1e-12 * float(dataset[name]) for name in ("tensor_roof", "memory_roof"))
    ridge = peak / slope
    line = _roof(dataset, np.array([ends[0], ridge, ends[1]]))
    axes.plot(line[:, 0], line[:, 1], color="black", linewidth=1.6, zorder=2)
    axes.fill_between(line[:, 0], line[:, 1], 1e3 * peak, color="0.95", linewidth=0, zorder=0)
    rate = units.show(float(dataset.tensor_roof), "FLOP/s")
    axes.text(
        ends[1] / 1.15, peak * 1.15, f"compute: {rate}", ha="right", va="bottom", fontsize=size
    )


def _name_slope(axes: "Axes", dataset: xr.Dataset, *, size: float) -> None:
    """Write the rate of memory along the slope of a settled figure."""
    peak, slope = (1e-12 * float(dataset[name]) for name in ("tensor_roof", "memory_roof"))
    start, end = axes.transData.transform([(1.0, slope), (10.0, 10.0 * slope)])
    angle = float(np.degrees(np.arctan2(end[1] - start[1], end[0] - start[0])))
    at = peak / slope / 4.0
    axes.annotate(
        f"memory: {units.show(float(dataset.memory_roof), 'B/s')}", (at, slope * at), (-5, 5),
        textcoords="offset points", rotation=angle, rotation_mode="anchor", ha="center",
        va="bottom", fontsize=size,
    )  # fmt: skip


def _draw_operators(axes: "Axes", dataset: xr.Dataset) -> list[Label]:
    """Draw the points of a panel; return their labels, the longest operators first."""
    if not np.isfinite(float(dataset.t_step)):
        style.say_nothing_is(axes)
        return []
    intensity, rate = _places(dataset)
    time = _time(dataset).to_numpy()
    share = time / np.nansum(time)
    waits = np.stack([dataset[name].to_numpy() for name in _BOUND_BY])
    bound = np.argmax(np.nan_to_num(waits), axis=0)
    for place, (words, colour, marker) in enumerate(_BOUND_BY.values()):
        here = np.isfinite(intensity) & (bound == place)
        if here.any():
            look = {"color": colour, "marker": marker, "edgecolor": "white", "linewidth": 0.8}
            area = 30.0 + 260.0 * share[here]
            axes.scatter(
                intensity[here], rate[here], area, label=f"bound by {words}", zorder=4, **look
            )
    names = dataset.operator.values.astype(str)
    return [_draw_step(axes, dataset), *_labels(names, intensity, rate, share)]


def _draw_step(axes: "Axes", dataset: xr.Dataset) -> Label:
    """Draw the whole step, and how far synchronisation takes it down."""
    at, before, after = (float(each) for each in _step(dataset))
    if after < before:
        axes.plot([at, at], [before, after], color="black", linewidth=1.0, linestyle=":", zorder=3)
    axes.plot(
        [at], [after], "*", color="black", markersize=11, markeredgecolor="white", zorder=5,
        linestyle="none", label="whole step, after\nsynchronisation",
    )  # fmt: skip
    lost = float(dataset.t_sync / dataset.t_step)
    return Label(words=f"step: {lost:.0%} of it sync", x=at, y=after)


def _labels(
    names: np.ndarray, intensity: np.ndarray, rate: np.ndarray, share: np.ndarray
) -> list[Label]:
    """One label for each group of points that lie on each other, the longest first."""
    left = [place for place in np.argsort(-share) if np.isfinite(intensity[place])]
    labels = []
    while left:
        first = left[0]
        x, y = intensity[first], rate[first]
        same = [p for p in left if abs(np.log10(intensity[p] / x)) < _SAME
                and abs(np.log10(rate[p] / y)) < _SAME]  # fmt: skip
        words = "\n".join(f"{names[p]} {_percent(float(share[p]))}" for p in same)
        labels.append(Label(words=words, x=float(x), y=float(y)))
        left = [p for p in left if p not in same]
    return labels


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "<1%"
