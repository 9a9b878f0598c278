"""Points of the grid that a reduction found: where they are, and further metrics there."""

from collections.abc import Iterable

import numpy as np
import pydantic

from jaxlimits.engine.asked import Keys
from jaxlimits.engine.reduction import Reduction, Swept
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.finding import Finding


class WinnerKeys(Keys):
    """Keys of a reduction that finds points."""

    also: list[str] = pydantic.Field(
        default_factory=list, description="Further metrics at the points that are found."
    )


def winner_names(reduction: Reduction, axes: Iterable[str]) -> set[str]:
    """Return the names of the variables that :func:`winners` writes, for the named axes."""
    names = list(axes)
    over = (names[position] for position in reduction.over)
    return {f"{reduction.name}_{name}" for name in (*over, *reduction.also)}


def winners(
    reduction: Reduction, index: np.ndarray, swept: Swept, dims: tuple[str, ...]
) -> list[Finding]:
    """Return the coordinates of the points that a reduction found, and further metrics there.

    Parameters
    ----------
    reduction
        What found them.
    index
        Their flat positions among the reduced axes, -1 where none was found.
    swept
        The sweep.
    dims
        Dimensions of ``index``.
    """
    positions, found = _positions(reduction, index, swept), index >= 0

    def finding(name: str, values: np.ndarray) -> Finding:
        own, meaning = f"{reduction.name}_{name}", f"{name} of {reduction.name}"
        return Finding(name=own, dims=dims, values=values, quantity=name, meaning=meaning)

    places = [
        finding(axis.name, labels(axis, np.where(found, positions[axis.name], -1)))
        for axis in (swept.axes[position] for position in reduction.over)
    ]
    if not reduction.also:
        return places
    metrics = swept.evaluate(positions, reduction.also)
    return places + [
        finding(metric, np.where(found, values, _missing(values)))
        for metric, values in metrics.items()
    ]


def labels(axis: Axis, positions: np.ndarray) -> np.ndarray:
    """Return values of an axis by position: NaN, or an empty name, where the position is -1."""
    values = np.array(axis.values)
    taken = values[np.maximum(positions, 0)]
    return np.where(positions >= 0, taken, "" if values.dtype.kind == "U" else np.nan)


def _positions(reduction: Reduction, index: np.ndarray, swept: Swept) -> dict[str, np.ndarray]:
    """Positions on every axis of the points that a reduction found, 0 where it found none."""
    shape = swept.shape
    over = np.unravel_index(np.maximum(index, 0), [shape[axis] for axis in reduction.over])
    # Of a single position numpy makes a scalar.
    positions = {axis: np.asarray(place) for axis, place in zip(reduction.over, over, strict=True)}
    kept = reduction.kept(len(shape))
    grids = np.indices(index.shape[: len(kept)]).reshape(len(kept), *index.shape[: len(kept)])
    for axis, grid in zip(kept, grids, strict=True):
        extra = index.ndim - len(kept)
        positions[axis] = np.broadcast_to(grid.reshape(grid.shape + (1,) * extra), index.shape)
    return {swept.axes[axis].name: positions[axis] for axis in range(len(shape))}


def _missing(values: np.ndarray) -> float | int:
    return np.nan if values.dtype.kind == "f" else -1
