"""Answers that list records: points, choices, rows of a table, side by side along one dimension."""

from collections.abc import Callable

import xarray as xr

WAY = ("search", "round")
"""Dimensions of how the searches for a design went; what was found does not lie along them."""

RECORDS = ("point", "choice", "row")
"""Dimensions along which records lie: they have no values of their own, and are not axes."""

EMPTY = "the result lists nothing: no {} keeps every target"
"""What is said of a list without records, of points or of choices."""


def record_dim(dataset: xr.Dataset) -> str:
    """Return the dimension along which a result lists records; nothing where it lists none."""
    return next((dim for dim in RECORDS if dim in dataset.dims), "")


def telling(dataset: xr.Dataset, dim: str) -> list[str]:
    """Return the coordinates that tell records from each other: those that vary along them.

    All coordinates along the dimension where nothing varies, as where there is one record.
    """
    along = [str(name) for name, value in dataset.coords.items() if value.dims == (dim,)]
    varying = [name for name in along if len(set(dataset[name].to_numpy().tolist())) > 1]
    return varying or along


def told_apart(
    dataset: xr.Dataset, dim: str, names: Callable[[xr.DataArray], list[str]]
) -> list[tuple[str, ...]]:
    """Return what tells each record from the others in words; its number where nothing does.

    ``names`` are the words of the values of a coordinate.
    """
    columns = [names(dataset[name]) for name in telling(dataset, dim)]
    if not columns:
        return [(str(place + 1),) for place in range(dataset.sizes[dim])]
    return list(zip(*columns, strict=True))
