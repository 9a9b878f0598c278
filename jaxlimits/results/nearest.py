"""The stored point that is nearest to what is asked for."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.errors import InputError, unknown_name


def nearest(dataset: xr.Dataset, values: Mapping[str, object]) -> xr.Dataset:
    r"""Return the point of a result that is nearest to stated values of metrics and axes.

    .. math:: \min \sum_i \ln^2(v_i / a_i)

    over the points that fit: a factor counts alike whichever way and at whatever size. Names of an
    axis (``chip="h100"``) must be met.

    Parameters
    ----------
    dataset
        A result.
    values
        By the names of metrics and axes: numbers in SI units, or text with a unit (``"4 TB/s"``).

    Returns
    -------
    xarray.Dataset
        The point, with every variable and coordinate. The first, where several are as near.

    Raises
    ------
    InputError
        Nothing is asked; an unknown name, with the nearest; a value that cannot be read; nothing
        fits.
    """
    if not values:
        raise InputError(
            "has no value to be near to", where="nearest", remedy="as nearest(utps=2000)"
        )
    known = [*map(str, dataset.data_vars), *map(str, dataset.dims)]
    distance = xr.DataArray(0.0)
    for name, value in values.items():
        if name not in known:
            raise unknown_name("metric or axis", name, known, where="nearest")
        if dataset[name].dtype.kind in "fiu" and "flag_values" not in dataset[name].attrs:
            ratio = dataset[name] / _number(value, dataset[name])
            with np.errstate(divide="ignore", invalid="ignore"):
                distance = distance + np.log(ratio.where(ratio > 0.0)) ** 2
        else:
            distance = distance + xr.where(_met(dataset[name], str(value)), 0.0, np.nan)
    if not distance.notnull().any():
        raise InputError("no point fits", where="nearest", value=dict(values))
    place = distance.argmin(distance.dims) if distance.dims else {}
    return dataset.isel({dim: int(index) for dim, index in place.items()})


def _number(value: object, variable: xr.DataArray) -> float:
    plain = getattr(value, "item", lambda: value)()  # of NumPy, JAX, xarray
    if isinstance(plain, (int, float)):
        number = float(plain)
    else:
        try:
            number = units.parse(str(value), variable.attrs.get("si_unit", "1"))
        except units.UnitError as error:
            raise InputError(str(error), where="nearest", key=str(variable.name)) from None
    if not number > 0.0:
        problem = "must exceed 0: nearness is one of ratios"
        raise InputError(problem, where="nearest", key=str(variable.name), value=value)
    return number


def _met(variable: xr.DataArray, value: str) -> xr.DataArray:
    """Where names, or codes by their meaning, are the one that is asked for."""
    names = variable.attrs.get("flag_meanings", "").split()
    if names:
        codes = dict(zip(names, variable.attrs["flag_values"], strict=True))
        if value not in codes:
            raise unknown_name(str(variable.name), value, names, where="nearest")
        return variable == codes[value]
    if value not in variable.values:
        raise unknown_name(str(variable.name), value, map(str, variable.values), where="nearest")
    return variable == value
