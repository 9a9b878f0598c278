"""One result, one NetCDF4 file: written whole under a temporary name, then renamed."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import xarray as xr

from jaxlimits.errors import ResultError, cannot_be_written
from jaxlimits.store.chunks import DEFLATE_LEVEL, chunk_shape
from jaxlimits.store.hdf5 import variable, write_chunks
from jaxlimits.store.provenance import FORMAT_VERSION
from jaxlimits.store.template import fill_value, text_encoding


def check_target(path: Path, *, force: bool) -> None:
    """Raise unless a result can be written to a path.

    Raises
    ------
    ResultError
        A missing folder, a folder in its place, a file that is there already and ``force`` not
        given.
    """
    check_folder(path)
    if path.is_dir():
        raise ResultError(f"{path}: is a folder; name a file in it")
    if path.exists() and not force:
        raise ResultError(f"{path}: exists; choose another name, or replace it with `force=True`")


def check_folder(path: Path) -> None:
    """Raise ``ResultError`` unless the folder in which a path lies can be written to."""
    try:
        path.exists()
    except OSError as error:  # a name too long, or no name at all
        raise ResultError(f"{path}: {error.strerror}") from None
    if not path.parent.is_dir():
        raise ResultError(f"{path}: the folder {path.parent} does not exist; make it first")
    if not os.access(path.parent, os.W_OK):
        raise ResultError(f"{path}: the folder {path.parent} is not writable")


def write_dataset(dataset: xr.Dataset, path: Path, *, force: bool = False) -> None:
    """Write a labelled dataset as one self-describing NetCDF4 file.

    Raises
    ------
    ResultError
        As :func:`check_target`; a full disk. No partial file stays behind.
    """
    check_target(path, force=force)
    with renamed_when_whole(path, force=force) as partial:
        lay_out(dataset, partial)
        fill(dataset, partial)


def open_dataset(path: str | Path, *, stored: bool = False) -> xr.Dataset:
    """Open a result as a labelled dataset, lazily.

    Parameters
    ----------
    path
        A file that this package wrote.
    stored
        Leave values as they are stored: what was not computed is the fill value and not NaN.

    Raises
    ------
    ResultError
        No such file, no result of this package, or one of a newer format.
    """
    if not Path(path).is_file():
        what = "is a folder" if Path(path).is_dir() else "no such file"
        raise ResultError(f"{path}: {what}")
    if Path(path).suffix == ".toml":  # as `jaxlimits calibrate` and `init` write them
        remedy = "sweep a grid, or one that names what this file holds, and give its result"
        raise ResultError(f"{path}: is a TOML file, not a result; {remedy}")
    try:
        dataset = xr.open_dataset(path, engine="netcdf4", mask_and_scale=not stored)
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: is not a readable NetCDF file ({error})") from None
    found = dataset.attrs.get("format_version")
    if found is None:
        dataset.close()
        raise ResultError(f"{path}: is not a result of jaxlimits: it has no format_version")
    if not isinstance(found, (int, np.integer)) or found > FORMAT_VERSION:
        dataset.close()
        problem = f"has format {found}, newer than this package reads ({FORMAT_VERSION})"
        raise ResultError(f"{path}: {problem}; upgrade jaxlimits")
    return dataset


def lay_out(dataset: xr.Dataset, path: Path) -> None:
    """Write everything but the values of the outputs: xarray the coordinates, netCDF the rest."""
    skeleton = dataset.drop_vars(_numeric(dataset))
    skeleton.to_netcdf(path, engine="netcdf4", encoding=text_encoding(skeleton))
    with netCDF4.Dataset(path, "a") as file:
        if "coordinates" in file.ncattrs():  # belongs to each variable, not to the file
            file.delncattr("coordinates")
        for dim in set(map(str, dataset.sizes)) - set(file.dimensions):  # a rank of numbers alone
            file.createDimension(dim, dataset.sizes[dim])
        for name in _numeric(dataset):
            output = dataset[name]
            beside = _coordinates(dataset, output)
            stored = file.createVariable(
                str(name),
                output.dtype,
                tuple(map(str, output.dims)),
                compression="zlib",
                complevel=DEFLATE_LEVEL,
                shuffle=True,
                chunksizes=chunk_shape(output.shape, output.dtype.itemsize),
                fill_value=fill_value(output.dtype),
            )
            stored.setncatts({**output.attrs, **({"coordinates": beside} if beside else {})})


def fill(dataset: xr.Dataset, path: Path) -> None:
    """Write the values of the outputs: chunks compressed in threads, written by this one."""
    with h5py.File(path, "r+") as file, ThreadPoolExecutor(os.cpu_count()) as workers:
        for name in _numeric(dataset):
            write_chunks(variable(file, name), dataset[name].to_numpy(), workers)


def _numeric(dataset: xr.Dataset) -> list[str]:
    """Names of the variables that are written in chunks: neither names nor single numbers."""
    variables = dataset.data_vars.items()
    return [str(name) for name, v in variables if v.ndim > 0 and v.dtype.kind in "fi"]


def _coordinates(dataset: xr.Dataset, variable: xr.DataArray) -> str:
    """Auxiliary coordinates of a variable, as CF lists them."""
    beside = [name for name in dataset.coords if name not in dataset.dims]
    return " ".join(str(n) for n in beside if set(dataset[n].dims) <= set(variable.dims))


@contextlib.contextmanager
def renamed_when_whole(path: Path, *, force: bool, within: Path | None = None) -> Iterator[Path]:
    """Give a temporary name beside a path; take its place on success, vanish on failure.

    Parameters
    ----------
    path
        What is to be written.
    force
        Replace what is there.
    within
        A folder on the same disk for the temporary file, as one that is cleared after a kill.
    """
    partial = temporary(path, within=within)
    try:
        yield partial
        check_target(path, force=force)
        os.replace(partial, path)
    except ResultError:
        raise
    except (OSError, RuntimeError) as error:
        raise ResultError(cannot_be_written(path, error)) from None
    finally:
        partial.unlink(missing_ok=True)


def temporary(path: Path, *, within: Path | None = None) -> Path:
    """Return a temporary name for a path, beside it where no other folder is given."""
    return (within or path.parent) / f".{path.name}.{secrets.token_hex(4)}.partial"
