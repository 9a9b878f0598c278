"""What can be had of two quantities at once, a line for each machine."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.analysis.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def frontier(dataset: xr.Dataset, *, x: str, y: str, by: str, title: str = "") -> "Figure":
    """Draw the points that no other beats in both of two quantities.

    Parameters
    ----------
    dataset
        A result; every dimension but ``by`` is searched.
    x, y
        Quantities of which more is better.
    by
        One frontier for each of its values.
    title
        What is shown.
    """
    figure, axes = style.new_figure()
    everything = []
    for name, place, look in zip(
        style.names(dataset[by]), range(dataset.sizes[by]), style.styles(), strict=False
    ):
        here = dataset.isel({by: place})
        points = undominated(style.shown(here[x]).ravel(), style.shown(here[y]).ravel())
        everything.append(points)
        words = name if len(points) else f"{name}: {style.DOES_NOT_FIT}"
        axes.plot(points[:, 0], points[:, 1], label=words, markersize=4.0, **look)
    drawn = np.concatenate(everything)
    style.scale_by_values(axes, "x", drawn[:, 0])
    style.scale_by_values(axes, "y", drawn[:, 1])
    axes.set(xlabel=style.label(dataset[x]), ylabel=style.label(dataset[y]))
    style.set_title(axes, title)
    axes.grid(which="major", color="0.9", linewidth=0.6)
    style.set_legend(axes)
    return figure


def undominated(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the points, ascending in x, that no other equals or beats in both."""
    points = np.stack([x, y], axis=1)[np.isfinite(x) & np.isfinite(y)]
    if not len(points):
        return points
    points = points[np.lexsort((-points[:, 1], -points[:, 0]))]  # x down, then y down
    best = np.maximum.accumulate(points[:, 1])
    rises = np.concatenate([[True], points[1:, 1] > best[:-1]])
    return points[rises][::-1]
