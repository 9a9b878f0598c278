"""A result as a Zarr store: the same names, values and attributes, for object stores."""

import shutil
from pathlib import Path

import xarray as xr

from jaxlimits.errors import InputError, ResultError, cannot_be_written
from jaxlimits.store.chunks import chunk_shape
from jaxlimits.store.index import INDEX_ATTRIBUTES
from jaxlimits.store.netcdf import check_folder, temporary

_GROUP = ".zgroup"
"""The file by which a folder is known to be a store."""


def check_store(path: Path, *, force: bool) -> None:
    """Raise unless a store can be written to a path.

    Raises
    ------
    InputError
        The optional libraries for it are not installed.
    ResultError
        A missing folder, or something there already: a store needs ``force``, anything else is
        never replaced.
    """
    try:
        import dask.array  # noqa: F401, PLC0415
        import zarr  # noqa: F401, PLC0415
    except ImportError:
        remedy = "pip install 'jaxlimits[zarr]'"
        raise InputError("Zarr needs zarr and dask", where="export", remedy=remedy) from None
    check_folder(path)
    if path.exists() and not (path / _GROUP).is_file():
        raise ResultError(f"{path}: exists and is not a Zarr store; choose another name")
    if path.exists() and not force:
        raise ResultError(f"{path}: exists; choose another name, or replace it with `force=True`")


def write_zarr(dataset: xr.Dataset, path: Path, *, force: bool = False) -> None:
    """Write a result, chunk by chunk, as a Zarr store of format 2 with consolidated metadata.

    Parameters
    ----------
    dataset
        A result opened with ``stored=True``, so that what was not computed stays apart from what
        does not fit.
    path
        The folder to make; it takes its name when it is whole.
    force
        Replace an existing store.

    Raises
    ------
    InputError, ResultError
        As :func:`check_store`; a full disk.
    """
    check_store(path, force=force)
    partial = temporary(path)
    lazy = _in_chunks(dataset)
    stored = {name: _encoding(variable) for name, variable in lazy.variables.items()}
    for variable in lazy.variables.values():
        variable.encoding = {}
    try:
        lazy.to_zarr(partial, mode="w-", zarr_format=2, consolidated=True, encoding=stored)
        _take_place(partial, path)
    except OSError as error:
        raise ResultError(cannot_be_written(path, error)) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _in_chunks(dataset: xr.Dataset) -> xr.Dataset:
    """Cut every variable into pieces that are read and written one by one; leave shards unsaid."""
    cut = {name: _cut(variable) for name, variable in dataset.variables.items()}
    kept = {name: value for name, value in dataset.attrs.items() if name not in INDEX_ATTRIBUTES}
    coordinates = {name: cut.pop(name) for name in dataset.coords}
    return xr.Dataset(cut, coordinates, attrs=kept)


def _cut(variable: xr.Variable) -> xr.Variable:
    if not variable.ndim:  # a single word is read as an object, which has no type in a store
        return variable.astype(str) if variable.dtype.kind == "O" else variable
    sizes = chunk_shape(variable.shape, variable.dtype.itemsize)
    return variable.chunk(dict(zip(variable.dims, sizes, strict=True)))


def _encoding(variable: xr.Variable) -> dict[str, object]:
    """How the store holds a variable: in the chunks in which it is read, no fill value added."""
    chunks = variable.chunksizes
    cut: dict[str, object] = {"chunks": [chunks[dim][0] for dim in variable.dims]} if chunks else {}
    return cut if "_FillValue" in variable.attrs else {**cut, "_FillValue": None}


def _take_place(partial: Path, path: Path) -> None:
    """Rename a whole store; the one that was there goes only then."""
    old = temporary(path)
    if path.exists():
        path.rename(old)
    partial.rename(path)
    shutil.rmtree(old, ignore_errors=True)
