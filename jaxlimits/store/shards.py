"""Shards: the blocks of a dense result, each an ordinary NetCDF file of its own."""

import dataclasses
import itertools
import tempfile
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from isal import isal_zlib

from jaxlimits.grid.plan import Key, Plan
from jaxlimits.store.hdf5 import (
    LIBVER,
    opened_image,
    read_stored,
    replace_variable,
    variable,
    write_chunks,
    write_stored,
)
from jaxlimits.store.layout import Layout
from jaxlimits.store.netcdf import check_target, lay_out, renamed_when_whole

_SHARED = ("Conventions", "format_version", "content_hash")
"""Global attributes that a shard has from the whole."""

_KEY = "chunk_key"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A shard that was written.

    Parameters
    ----------
    key
        Which block it holds.
    name
        Its file, in the folder of shards.
    bytes
        Size of the file [B].
    crc32
        Checksum of the file's bytes.
    """

    key: Key
    name: str
    bytes: int
    crc32: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Blanks:
    """Shards without values, one for each shape of block.

    Laying out a file takes netCDF tens of milliseconds, and it bears one thread only; a shard is
    then a copy of these bytes, filled in memory through HDF5.

    Parameters
    ----------
    plan
        The blocks.
    images
        Files by the shape of their block, as bytes.
    columns
        Coordinates of the whole grid as they are stored, each with the axes it lies along.
    """

    plan: Plan
    images: Mapping[tuple[int, ...], bytes]
    columns: Mapping[str, tuple[tuple[int, ...], np.ndarray]]


def shard_name(plan: Plan, key: Key) -> str:
    """Return the file name of a block's shard."""
    return f"{plan.number(key):06d}.nc"


def lay_out_shards(layout: Layout) -> Blanks:
    """Lay out every shape of shard of a result. Uses netCDF: for one thread at a time."""
    with tempfile.TemporaryDirectory(prefix="jaxlimits-") as folder:
        path = Path(folder, "blank.nc")
        columns = _stored_columns(layout, path)
        images = {}
        for key in _corners(layout.plan):
            shape = _shape(layout.plan, key)
            if shape not in images:
                images[shape] = _blank(layout, key, path)
    return Blanks(plan=layout.plan, images=images, columns=columns)


def write_shard(
    folder: Path,
    key: Key,
    arrays: Mapping[str, np.ndarray],
    *,
    blanks: Blanks,
    workers: Executor,
) -> Shard:
    """Write one block of a dense result. Does not use netCDF: for any thread.

    Parameters
    ----------
    folder
        The folder of shards.
    key, arrays
        Which block, and its outputs by name, without padding.
    blanks
        As :func:`lay_out_shards`.
    workers
        Threads that compress; not those that call this function, which waits for them.

    Raises
    ------
    ResultError
        The folder is missing or not writable, a full disk. No partial file stays behind.
    """
    path = folder / shard_name(blanks.plan, key)
    check_target(path, force=True)
    image = shard_image(key, arrays, blanks=blanks, workers=workers)
    with renamed_when_whole(path, force=True) as partial:
        partial.write_bytes(image)
    return Shard(key=key, name=path.name, bytes=len(image), crc32=isal_zlib.crc32(image))


def shard_image(
    key: Key, arrays: Mapping[str, np.ndarray], *, blanks: Blanks, workers: Executor
) -> bytes:
    """Return the bytes of a shard; parameters as for :func:`write_shard`."""
    parts = blanks.plan.slices(key)
    with opened_image(blanks.images[_shape(blanks.plan, key)]) as file:
        for column, (axes, values) in blanks.columns.items():
            write_stored(variable(file, column), values[tuple(parts[axis] for axis in axes)])
        file.attrs.modify(_KEY, np.array(key, np.int32))
        for output, values in arrays.items():
            write_chunks(variable(file, output), values, workers)
        file.flush()
        return file.id.get_file_image()


def check_shard(folder: Path, shard: Shard, *, content_hash: str) -> str | None:
    """Return what is wrong with a shard, in words, or ``None`` where it is whole.

    Parameters
    ----------
    folder
        The folder of shards.
    shard
        What was written.
    content_hash
        The sweep that it should belong to.
    """
    problem = size_problem(folder / shard.name, shard.bytes)
    if problem == "is missing":
        return problem
    try:
        image = (folder / shard.name).read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    foreign = _foreign(image, shard, content_hash)
    return foreign or problem or crc_problem(image, shard.crc32)


def size_problem(path: Path, size: int) -> str | None:
    """Return what a glance at a file shows to be wrong with it."""
    if not path.is_file():
        return "is missing"
    found = path.stat().st_size
    if found == size:
        return None
    kind = "is truncated" if found < size else "is not what was written"
    return f"{kind}: {found:,} of {size:,} bytes"


def crc_problem(image: bytes, crc32: int) -> str | None:
    """Return what the checksum of a file's bytes shows to be wrong with it."""
    same = isal_zlib.crc32(image) == crc32
    return None if same else "is corrupt: its checksum is not that of what was written"


def _foreign(image: bytes, shard: Shard, content_hash: str) -> str | None:
    """Whether a readable file is a shard of something else."""
    try:
        with opened_image(image) as file:
            attributes: dict[str, Any] = dict(file.attrs.items())
        made_by, key = _text(attributes["content_hash"]), tuple(map(int, attributes[_KEY]))
    except (
        KeyError,
        OSError,
        RuntimeError,
        ValueError,
    ):  # corrupt, or not a shard: size and checksum tell
        return None
    if made_by != content_hash:
        return f"belongs to another sweep ({made_by})"
    if key != shard.key:
        return f"is the block {key}, not {shard.key}"
    return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _shape(plan: Plan, key: Key) -> tuple[int, ...]:
    return tuple(part.stop - part.start for part in plan.slices(key))


def _corners(plan: Plan) -> itertools.product:
    """Blocks at the ends of every axis: among them is one of each shape."""
    return itertools.product(*({0, count - 1} for count in plan.counts))


def _stored_columns(layout: Layout, path: Path) -> dict[str, tuple[tuple[int, ...], np.ndarray]]:
    """Coordinates of the whole grid in the form that a single file has them in."""
    whole = layout.template[list(layout.outputs)]
    lay_out(whole, path)
    with h5py.File(path) as file:
        return {
            str(name): (
                tuple(layout.dims.index(str(dim)) for dim in column.dims),
                read_stored(variable(file, str(name))),
            )
            for name, column in whole.coords.items()
            if column.ndim
        }


def _blank(layout: Layout, key: Key, path: Path) -> bytes:
    """A file for blocks of one shape: everything but coordinates, key and values."""
    block = _widened(layout.block(key), layout.template)
    block.attrs = {name: layout.template.attrs[name] for name in _SHARED}
    block.attrs[_KEY] = np.zeros(len(key), np.int32)
    lay_out(block, path)
    with h5py.File(path, "r+", libver=LIBVER) as file:
        for name in layout.outputs:
            chunk = layout.chunk(name)
            stored = variable(file, name).id.get_create_plist()
            stored.set_chunk(chunk)
            # Every shard has the same chunks, the last block's included, though they may be longer
            # than it is; HDF5 bears that where the variable could grow to hold them.
            replace_variable(file, name, stored, tuple(map(max, block[name].shape, chunk)))
    return path.read_bytes()


def _widened(block: xr.Dataset, whole: xr.Dataset) -> xr.Dataset:
    """Give names in a block the width of the longest in the whole grid; filled in later."""
    widened = {}
    for name, column in block.coords.items():
        if column.dtype.kind == "U":
            longest = max(whole[name].values.tolist(), key=lambda text: len(text.encode()))
            widened[name] = (column.dims, np.full(column.shape, longest), column.attrs)
    return block.assign_coords(widened)
