"""One result, one NetCDF4 file: written whole under a temporary name, then renamed."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import xarray as xr

from jaxlimits.errors import ResultError
from jaxlimits.store.provenance import FORMAT_VERSION
from jaxlimits.store.template import encoding


def check_target(path: Path, *, force: bool) -> None:
    """Raise unless a result can be written to a path.

    Raises
    ------
    ResultError
        A missing folder, a folder in its place, a file that is there already and ``force`` not
        given.
    """
    if not path.parent.is_dir():
        raise ResultError(f"{path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise ResultError(f"{path}: is a folder; name a file in it")
    if path.exists() and not force:
        raise ResultError(f"{path}: exists; choose another name, or replace it with --force")
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
    with _renamed_when_whole(path, force=force) as partial:
        dataset.to_netcdf(partial, engine="netcdf4", encoding=encoding(dataset))


def open_dataset(path: str | Path) -> xr.Dataset:
    """Open a result as a labelled dataset, lazily.

    Parameters
    ----------
    path
        A file that this package wrote.

    Raises
    ------
    ResultError
        No such file, no result of this package, or one of a newer format.
    """
    if not Path(path).is_file():
        raise ResultError(f"{path}: no such file")
    try:
        dataset = xr.open_dataset(path, engine="netcdf4")
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: is not a readable NetCDF file ({error})") from None
    found = dataset.attrs.get("format_version")
    if found is None:
        dataset.close()
        raise ResultError(f"{path}: is not a result of jaxlimits: it has no format_version")
    if int(found) > FORMAT_VERSION:
        dataset.close()
        problem = f"has format {found}, newer than this package reads ({FORMAT_VERSION})"
        raise ResultError(f"{path}: {problem}; upgrade jaxlimits")
    return dataset


@contextlib.contextmanager
def _renamed_when_whole(path: Path, *, force: bool) -> Iterator[Path]:
    """Give a temporary name beside a path; take its place on success, vanish on failure."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        check_target(path, force=force)
        os.replace(partial, path)
    except ResultError:
        raise
    except (OSError, RuntimeError) as error:
        raise ResultError(f"{path}: cannot be written: {error}") from None
    finally:
        partial.unlink(missing_ok=True)
