"""Opening a result, single or in shards, and saying what it lacks."""

import warnings
from pathlib import Path

import xarray as xr

from jaxlimits.errors import ResultWarning
from jaxlimits.store.index import allow_open_files, lacking_words, missing_shards, read_listing
from jaxlimits.store.netcdf import open_dataset

_SHOWN = 3


class IncompleteResultWarning(ResultWarning):
    """A sharded result lacks shards; their points read as not computed.

    Examples
    --------
    >>> import warnings
    >>> import jaxlimits as jl
    >>> with warnings.catch_warnings():  # take whole results only
    ...     warnings.simplefilter("error", jl.IncompleteResultWarning)
    ...     dataset = jl.open("smoke.nc")
    """


def open_result(path: str | Path, *, stored: bool = False) -> xr.Dataset:
    """Open a result as a labelled dataset, lazily.

    Parameters
    ----------
    path
        A file that this package wrote, or the index of a sharded result.
    stored
        Leave values as they are stored: what was not computed is the fill value and not NaN.

    Raises
    ------
    ResultError
        No such file, no result of this package, or one of a newer format.

    Warns
    -----
    IncompleteResultWarning
        Shards are missing or damaged; their points read as the fill value, which xarray shows as
        NaN. The codes tell them apart: ``limit`` is -1.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> with jl.open("smoke.nc") as dataset:
    ...     dataset.utps.attrs["si_unit"]
    'token/s'
    """
    dataset = open_dataset(path, stored=stored)
    listing = read_listing(dataset)
    if listing is not None:
        allow_open_files(listing.num_shards)
        lacking = missing_shards(dataset)
        if lacking:
            shown = "; ".join(lacking[:_SHOWN]) + (" …" if len(lacking) > _SHOWN else "")
            message = f"{path}: {lacking_words(listing, lacking)}: {shown}"
            warnings.warn(message, IncompleteResultWarning, stacklevel=2)
    return dataset


open = open_result  # noqa: A001  (the public name: jaxlimits.open)
