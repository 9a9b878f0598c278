"""The trade-off between two metrics, with one line for each machine."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.errors import unknown_name
from jaxlimits.plot import scales, style
from jaxlimits.plot.found import free_dims, lacking, needed
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels
from jaxlimits.results.reasons import reasons, words_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    if "uncertain" in dataset.attrs:
        return "the result is of samples, which are not points to choose from"
    usual = [name for name in ("utps", "stps") if name not in dataset.data_vars]
    named = "x" in asked or "y" in asked
    return "" if named and usual else lacking(dataset, "utps", "stps", axes=1, asked=asked)


@kind(lacks=_lacks)
def frontier(
    dataset: xr.Dataset,
    *,
    x: str = "utps",
    y: str = "stps",
    by: str | None = None,
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw the trade-off between two metrics, with one line for each machine.

    The points are the Pareto frontier of the two maximised metrics.

    Parameters
    ----------
    dataset
        A result; every axis but ``by`` and those of the panels is searched.
    x, y
        Metrics across and up, both maximised.
    by
        One frontier for each of its values; ``chip`` where the result has it, else the first axis.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> figure = jl.plot.frontier(jl.sweep("smoke"), by="seq_len")
    >>> figure.axes[0].get_ylabel().startswith("tokens per second of the system")
    True
    """
    x, y = needed(dataset, x), needed(dataset, y)
    dims = free_dims(dataset[x], layout)
    by = by or ("chip" if "chip" in dims else next(iter(dims), ""))
    if by not in dims:
        raise unknown_name("dimension", by, dims, where="plot", key="by")
    panels = new_panels(dataset, **layout)
    words = style.words_by_fit(dataset, x, by=by)
    looks = style.styles_of(dataset[by])
    everything = []
    for axes, part in panels:
        fronts = list(_fronts(part, x=x, y=y, by=by))
        everything += fronts
        for name, points, look in zip(words, fronts, looks, strict=True):
            axes.plot(points[:, 0], points[:, 1], label=name, markersize=4.0, **look)
        codes = reasons(part, x).transpose(by, ...).to_numpy().reshape(part.sizes[by], -1)
        panels.say_what_is_missing(axes, style.names(dataset[by]), codes)
        axes.grid(which="major", color="0.9", linewidth=0.6)
        if not any(map(len, fronts)):
            style.say_nothing_is(axes, size=panels.text_size, words=words_of(codes))
    drawn = np.concatenate(everything)
    scales.scale_by_values(panels.axes[0], "x", drawn[:, 0], small=panels.are_small)
    scales.scale_by_values(panels.axes[0], "y", drawn[:, 1], small=panels.are_small)
    panels.label(dataset[x], dataset[y])
    panels.set_legend()
    return panels.figure


def _fronts(dataset: xr.Dataset, *, x: str, y: str, by: str) -> Iterator[np.ndarray]:
    """Yield the frontier of each value of ``by``."""
    for place in range(dataset.sizes[by]):
        here = dataset.isel({by: place})
        yield undominated(style.shown(here[x]).ravel(), style.shown(here[y]).ravel())


def undominated(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the points, ascending in x, that no other equals or beats in both."""
    points = np.stack([x, y], axis=1)[np.isfinite(x) & np.isfinite(y)]
    if not len(points):
        return points
    points = points[np.lexsort((-points[:, 1], -points[:, 0]))]  # x down, then y down
    best = np.maximum.accumulate(points[:, 1])
    rises = np.concatenate([[True], points[1:, 1] > best[:-1]])
    return points[rises][::-1]
