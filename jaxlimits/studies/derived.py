"""Quantities that claims derive from results, labelled as results are."""

import xarray as xr


def derived(
    variable: xr.DataArray, name: str, meaning: str, *, unit: str = "1", display: str = ""
) -> xr.DataArray:
    """Return a variable under a name, with its meaning and unit in place of what it had."""
    found = variable.rename(name)
    found.attrs = {"long_name": meaning, "si_unit": unit, "display_unit": display or unit}
    return found
