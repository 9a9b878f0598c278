"""A family of systems: its grid, and what the grid says of it in one table."""

import dataclasses

import numpy as np
import xarray as xr

from jaxlimits.results.listing import Cell, Column, Table
from jaxlimits.studies.claim import Picture
from jaxlimits.studies.prices import PRICES, at_stated_prices, over_spread, price_columns
from jaxlimits.units import show

SIZES = ("tp_size", "pp_size", "dp_size", "ep_size", "batch_size")
"""How a system is run; the best is searched over those that its grid varies."""

_COLUMNS = (
    Column(label="chips, fewest that fit", unit="1"),
    Column(label="fastest user", unit="token/s"),
    Column(label="there: chips", unit="1"),
    Column(label="there: binds"),
    Column(label="best throughput per watt, die areas ours", unit="token/J"),
    *price_columns("cheapest tokens", unit="USD/token", display="USD/Mtoken"),
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One family of the study.

    Parameters
    ----------
    name, title
        Short name, and what people call it.
    grid
        Its shipped grid.
    remark
        What a reader must know.
    pictures
        Figures.
    """

    name: str
    title: str
    grid: str
    remark: str
    pictures: tuple[Picture, ...] = ()


def family_table(title: str, dataset: xr.Dataset) -> Table:
    """Return the best of each system: what does not vary by how it is run makes the rows."""
    kept = [str(dim) for dim in dataset.dims if dim not in (*SIZES, PRICES)]
    stacked = dataset.stack(case=kept) if kept else dataset.expand_dims(case=1)
    rows = tuple(_row(dataset, kept, stacked.isel(case=i)) for i in range(stacked.sizes["case"]))
    heads = tuple(_heading(name, dataset[name]) for name in kept)
    return Table(title=title, columns=(*heads, *_COLUMNS), rows=rows)


def _heading(name: str, coordinate: xr.DataArray) -> Column:
    return Column(label=name, unit="1" if coordinate.dtype.kind in "if" else "")


def _row(dataset: xr.Dataset, kept: list[str], case: xr.Dataset) -> tuple[Cell, ...]:
    names = tuple(_cell(dataset[name], case[name].item()) for name in kept)
    stated = at_stated_prices(case)
    utps = stated.utps.to_numpy()
    chips = _chips(stated).to_numpy()
    fits = np.isfinite(utps)
    if not fits.any():
        return (*names, np.nan, np.nan, np.nan, "capacity", *[np.nan] * 4)
    best = int(np.nanargmax(utps))
    return (
        *names,
        float(chips[fits].min()),
        float(utps.flat[best]),
        float(chips.flat[best]),
        _limit_name(stated.limit, best),
        float(stated.stps_per_watt.max()),
        *over_spread(case.dollars_per_token.min([d for d in case.utps.dims if d != PRICES])),
    )


def _cell(coordinate: xr.DataArray, value: Cell) -> Cell:
    unit = coordinate.attrs.get("si_unit", "1")
    return value if isinstance(value, str) or unit in ("1", "token") else show(value, unit)


def _chips(case: xr.Dataset) -> xr.DataArray:
    """Chips of the whole system, over the dimensions that are searched, in their order."""
    product = xr.ones_like(case.utps)
    for size in ("tp_size", "pp_size", "dp_size"):
        if size in case.coords:  # searched, or linked to what makes the rows
            product = product * case[size]
    return product.transpose(*case.utps.dims)


def _limit_name(limit: xr.DataArray, place: int) -> str:
    codes = list(limit.attrs["flag_values"])
    code = limit.to_numpy().flat[place]
    return limit.attrs["flag_meanings"].split()[codes.index(code)]
