"""Prices: the spread over which a study shows whatever is in dollars, and the words that say so.

Prices are illustrative (ours). A grid with a metric in dollars has the axis :data:`PRICES`, along
which the engine moves the prices of chip, memory, server and network together; the price of
electricity stays as it is stated.
"""

from collections.abc import Mapping

import xarray as xr

from jaxlimits.results.listing import Column

PRICES = "chip_price_scale"
"""Axis over which grids spread their prices."""

SPREAD = (0.5, 1.0, 2.0)
"""Factors on all these prices (ours): halved, as stated, doubled."""

BARS = "bars: prices halved and doubled"
"""What a figure in dollars says of its bars; its axis says that prices are illustrative."""

NOTE = (
    "Rests on illustrative prices (ours). Ranges: the prices of chips, memory, servers and network "
    "together at half and at twice what is stated; electricity as stated."
)
"""What every part of a report that rests on prices says."""


def at_stated_prices(result: xr.Dataset) -> xr.Dataset:
    """Return what a grid gives at prices as they are stated."""
    return result.sel({PRICES: 1.0}, drop=True)


def price_columns(label: str, *, unit: str, display: str = "") -> tuple[Column, ...]:
    """Return a column in dollars for each factor of the spread."""
    return tuple(
        Column(label=f"{label}, illustrative prices × {factor:g}", unit=unit, display=display)
        for factor in SPREAD
    )


def over_spread(values: xr.DataArray) -> tuple[float, ...]:
    """Return one number for each factor of the spread, for the columns of :func:`price_columns`."""
    return tuple(float(values.sel({PRICES: factor})) for factor in SPREAD)


def against(ours: xr.DataArray, theirs: xr.DataArray) -> Mapping[str, xr.DataArray]:
    """Return what one kind of machine is over another at stated prices, and at both ends of them.

    Parameters
    ----------
    ours, theirs
        Of each kind, with the axis :data:`PRICES`.

    Returns
    -------
    Mapping
        ``stated``; ``worst``: ours at twice and theirs at half their prices; ``best``: the reverse.
    """
    low, high = min(SPREAD), max(SPREAD)
    pairs = {"stated": (1.0, 1.0), "worst": (high, low), "best": (low, high)}
    return {
        name: ours.sel({PRICES: own}, drop=True) / theirs.sel({PRICES: other}, drop=True)
        for name, (own, other) in pairs.items()
    }
