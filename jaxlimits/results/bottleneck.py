"""What binds, and how often: shares of the points of a result."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from jaxlimits.errors import InputError, unknown_name

_UNKNOWN = "not_computed"


def bottleneck(dataset: xr.Dataset, *, by: Sequence[str] = (), code: str = "limit") -> xr.DataArray:
    """Return the share of points at which each thing binds.

    Parameters
    ----------
    dataset
        A result with ``limit``.
    by
        Axes along which the shares are told apart; over all others points are counted.
    code
        The codes that are counted: ``limit``, or ``next_limit``.

    Returns
    -------
    xarray.DataArray
        Along ``limit`` (memory, compute, sync, capacity) and the axes of ``by``: shares that add up
        to 1 [1]. What was not computed is not counted.

    Raises
    ------
    InputError
        A result without the codes, an unknown axis; with the nearest names.
    """
    if code not in dataset.data_vars:
        raise unknown_name("variable", code, map(str, dataset.data_vars), where="bottleneck")
    found = dataset[code]
    for name in by:
        if name not in found.dims:
            raise unknown_name("axis", name, map(str, found.dims), where="bottleneck", key="by")
    if "flag_meanings" not in found.attrs:
        raise InputError("is not a code", where="bottleneck", key="code", value=code)
    flags = dict(zip(found.attrs["flag_meanings"].split(), found.attrs["flag_values"], strict=True))
    computed = found != flags.pop(_UNKNOWN, np.iinfo(np.int8).min)
    others = [dim for dim in found.dims if dim not in by]
    counts = [((found == value) & computed).sum(others) for value in flags.values()]
    along = xr.DataArray(list(flags), dims="limit", name="limit")
    shares = xr.concat(counts, along, coords="minimal", compat="override") / computed.sum(others)
    attributes = {"long_name": "share of points at which it binds", "units": "1"}
    return shares.rename("share").assign_attrs(attributes)
