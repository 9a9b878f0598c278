"""The knee: where an elasticity by one field has grown to that by another."""

import numpy as np
import xarray as xr


def crossing(difference: xr.DataArray, along: str) -> xr.DataArray:
    """Return where a difference first rises through zero along a positive axis.

    Interpolated linearly over the logarithm of the axis; NaN where it never rises through zero.
    """
    axis = difference[along]
    places = axis.copy(data=np.log(axis.to_numpy())).broadcast_like(difference)
    found = at_crossing(difference, places, along)
    return found.copy(data=np.exp(found.to_numpy()))


def at_crossing(difference: xr.DataArray, variable: xr.DataArray, along: str) -> xr.DataArray:
    """Return what a variable is where a difference first rises through zero along an axis.

    Interpolated linearly in the difference; NaN where it never rises through zero.
    """
    difference, variable = (each.transpose(..., along) for each in (difference, variable))
    values = difference.to_numpy().astype(np.float64)
    rises = (values[..., :-1] < 0.0) & (values[..., 1:] >= 0.0)
    there = rises.any(axis=-1, keepdims=True)
    first = rises.argmax(axis=-1)[..., None]
    below, above = _two(values, first)
    share = below / np.where(there, below - above, 1.0)
    low, high = _two(variable.to_numpy().astype(np.float64), first)
    found = np.where(there, low + share * (high - low), np.nan)[..., 0]
    return variable.isel({along: 0}, drop=True).copy(data=found)


def _two(values: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values to both sides of a crossing."""
    return np.take_along_axis(values, first, -1), np.take_along_axis(values, first + 1, -1)
