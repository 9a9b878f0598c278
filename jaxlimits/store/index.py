"""The index: one small NetCDF file that reads as if it held all of its shards.

Its dense variables are HDF5 virtual datasets: they say which block lies in which file. A shard that
is missing reads as not computed. What HDF5 cannot open it also reads as missing, without a word, so
the index lists what was written, and what is listed can be checked.
"""

import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from jaxlimits.errors import ResultError
from jaxlimits.grid.plan import Key
from jaxlimits.store.hdf5 import LIBVER, replace_variable
from jaxlimits.store.layout import Layout, absent_value
from jaxlimits.store.netcdf import fill, lay_out, open_dataset, renamed_when_whole
from jaxlimits.store.shards import Shard, crc_problem, shard_name, size_problem

INDEX_ATTRIBUTES = ("complete", "num_shards", "missing", "shards_folder", "shards")
"""Global attributes that an index has beyond those of a single file."""

_SPARE_FILES = 64
"""Files that a process has open beside the shards that it reads."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """The shards of an index.

    Parameters
    ----------
    folder
        Where they lie.
    num_shards
        How many there are when the sweep is complete.
    written
        Size [B] and checksum of those that were written, by their names.
    """

    folder: Path
    num_shards: int
    written: dict[str, tuple[int, int]]

    @property
    def names(self) -> list[str]:
        """Names of all shards, written or not."""
        return [f"{number:06d}.nc" for number in range(self.num_shards)]


def write_index(
    path: Path,
    folder: Path,
    shards: Sequence[Shard],
    *,
    layout: Layout,
    beside: Path | None = None,
) -> None:
    """Write the index of a sharded result, complete or not. Uses netCDF: for one thread.

    Parameters
    ----------
    path, folder
        The index, and the folder of its shards; they move together.
    shards
        Those that were written, in any order.
    layout
        The result, with the findings of reductions where there are any.
    beside
        The folder in which it will be read, where that is not the one in which it is written.

    Raises
    ------
    ResultError
        As :func:`~jaxlimits.store.netcdf.write_dataset`.
    """
    place = os.path.relpath(folder, beside or path.parent)
    template = layout.template.assign_attrs(_listed(shards, layout, place))
    # Made among the shards, where a kill leaves nothing that is not cleared away.
    with renamed_when_whole(path, force=True, within=folder) as partial:
        lay_out(template, partial)
        fill(template.drop_vars(layout.outputs), partial)
        with h5py.File(partial, "r+", libver=LIBVER) as file:
            for name in layout.outputs:
                dtype = template[name].dtype
                replace_variable(file, name, _virtual(name, dtype, place, layout))


def read_listing(dataset: xr.Dataset) -> Listing | None:
    """Return the shards of a result that was opened, or ``None`` for a single file."""
    if "shards" not in dataset.attrs:
        return None
    index = Path(dataset.encoding["source"])
    listed = json.loads(dataset.attrs["shards"])
    return Listing(
        folder=index.parent / dataset.attrs["shards_folder"],
        num_shards=int(dataset.attrs["num_shards"]),
        written={name: (size, crc32) for name, size, crc32 in listed},
    )


def missing_shards(result: xr.Dataset | str | Path, *, verify: bool = False) -> list[str]:
    """Return what a sharded result lacks, each in words; nothing where it is whole.

    Parameters
    ----------
    result
        A result that was opened, or its path. A single file lacks nothing.
    verify
        Read every shard and compare its checksum, where otherwise its size is looked at.
    """
    if not isinstance(result, xr.Dataset):
        with open_dataset(result) as dataset:
            return missing_shards(dataset, verify=verify)
    listing = read_listing(result)
    return [] if listing is None else list(_problems(listing, verify=verify))


def lacking_words(listing: Listing, lacking: list[str]) -> str:
    """Return in a few words what :func:`missing_shards` lists."""
    number = len(lacking) if listing.folder.is_dir() else listing.num_shards
    return f"{number:,} of {listing.num_shards:,} shards are missing or damaged"


def allow_open_files(num_shards: int) -> None:
    """Let this process have a sharded result open.

    HDF5 keeps a file open for every shard that was read, and where the system refuses it one more
    it reads that shard as missing, without a word.

    Raises
    ------
    ResultError
        The system's hard limit is too low.
    """
    try:
        import resource  # noqa: PLC0415  (not on Windows, which has no such limit)
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = num_shards + _SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ResultError(
            f"{num_shards:,} shards need {needed:,} open files and the system allows {hard:,}; "
            "make a single file of them with `jaxlimits pack`, or raise the limit (ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _listed(shards: Sequence[Shard], layout: Layout, place: str) -> dict[str, object]:
    """The global attributes of an index."""
    for shard in shards:
        if shard.name != shard_name(layout.plan, shard.key):
            raise ValueError(f"the shard {shard.name} has the key {shard.key} of another")
    total = layout.plan.num_chunks
    rows = sorted((shard.name, shard.bytes, shard.crc32) for shard in shards)
    return {
        "complete": np.int8(len(rows) == total),
        "num_shards": np.int32(total),
        "missing": np.int32(total - len(rows)),
        "shards_folder": place,
        "shards": json.dumps(rows),
    }


def _virtual(name: str, dtype: np.dtype, place: str, layout: Layout) -> h5py.h5p.PropDCID:
    """How HDF5 stores a variable that lies in other files, present or not."""
    stored = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    stored.set_fill_value(np.array(absent_value(dtype)))
    stored.set_attr_creation_order(h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED)
    folder = place.replace(os.sep, "/").replace("%", "%%")  # HDF5 counts files by %b
    keys = layout.plan.chunks()
    for key in keys:
        start, shape = _extent(layout, key)
        whole = h5py.h5s.create_simple(layout.plan.shape)
        whole.select_hyperslab(start, shape)
        file = f"{folder}/{shard_name(layout.plan, key)}"
        stored.set_virtual(whole, file.encode(), name.encode(), h5py.h5s.create_simple(shape))
    return stored


def _extent(layout: Layout, key: Key) -> tuple[tuple[int, ...], tuple[int, ...]]:
    parts = layout.plan.slices(key)
    return tuple(p.start for p in parts), tuple(p.stop - p.start for p in parts)


def _problems(listing: Listing, *, verify: bool) -> Iterator[str]:
    if listing.written and not listing.folder.is_dir():
        together = "the index was moved without its shards; move both together"
        yield f"{listing.folder.name}: the folder is not beside the index: {together}"
        return
    for name in listing.names:
        problem = _problem(listing, name, verify=verify)
        if problem is not None:
            yield f"{listing.folder.name}/{name}: {problem}"


def _problem(listing: Listing, name: str, *, verify: bool) -> str | None:
    if name not in listing.written:
        return "is not computed"
    path, (size, crc32) = listing.folder / name, listing.written[name]
    problem = size_problem(path, size)
    return crc_problem(path.read_bytes(), crc32) if verify and problem is None else problem
