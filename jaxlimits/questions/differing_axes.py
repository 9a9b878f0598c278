"""Values of an axis that only one of two results has."""

import dataclasses
from typing import Any

import numpy as np
import xarray as xr

_ALIKE = 1e-9
"""Relative difference up to which two numbers on an axis are one."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AxisDifference:
    """Values of an axis, or of what lies along it, that only one of two results has."""

    only_first: tuple[Any, ...]
    only_second: tuple[Any, ...]
    common: int


def common_places(one: xr.Dataset, other: xr.Dataset, dim: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the values that both have along a dimension, in the order of the first."""
    if dim not in one.coords or dim not in other.coords:
        both = np.arange(min(one.sizes[dim], other.sizes[dim]))
        return both, both
    values, others = one[dim].to_numpy(), other[dim].to_numpy()
    if values.dtype.kind not in "biuf" or others.dtype.kind not in "biuf":
        found = {str(value): place for place, value in enumerate(others)}
        at = np.array([found.get(str(value), -1) for value in values], dtype=np.intp)
    else:
        at = _nearest_places(values.astype(float), others.astype(float))
    kept = np.flatnonzero(at >= 0)
    return kept, at[kept]


def _nearest_places(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Position of each value among others; -1 where none is as large."""
    if not len(others):
        return np.full(len(values), -1, dtype=np.intp)
    order = np.argsort(others, kind="stable")
    right = np.clip(np.searchsorted(others, values, sorter=order), 0, len(others) - 1)
    found = np.full(len(values), -1, dtype=np.intp)
    for place in (np.maximum(right - 1, 0), right):
        alike = np.isclose(others[order[place]], values, rtol=_ALIKE, atol=0.0)
        found = np.where(alike, order[place], found)
    return found


def differing_axis(
    one: xr.Dataset, other: xr.Dataset, dim: str, places: tuple[np.ndarray, np.ndarray]
) -> AxisDifference:
    """Values of a dimension that only one has, and how many both have.

    Parameters
    ----------
    one, other
        The results.
    dim
        The dimension.
    places
        As of :func:`common_places`.
    """
    left, right = (
        np.setdiff1d(np.arange(each.sizes[dim]), kept)
        for each, kept in zip((one, other), places, strict=True)
    )
    return AxisDifference(
        only_first=tuple(coordinate_at(one, dim, int(place)) for place in left),
        only_second=tuple(coordinate_at(other, dim, int(place)) for place in right),
        common=len(places[0]),
    )


def coordinate_at(dataset: xr.Dataset, dim: str, place: int) -> Any:
    """The coordinate at a position of a dimension; the position itself where it has none."""
    return dataset[dim][place].item() if dim in dataset.coords else place
