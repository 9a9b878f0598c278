"""Packing: a sharded result made one file, its chunks copied as they are."""

import shutil
from pathlib import Path

import h5py

from jaxlimits.errors import ResultError, UnfinishedSweepError
from jaxlimits.store.chunks import Place, chunk_places
from jaxlimits.store.hdf5 import LIBVER, chunk_of, opened_image, replace_variable, variable
from jaxlimits.store.index import INDEX_ATTRIBUTES, Listing, missing_shards, read_listing
from jaxlimits.store.netcdf import check_target, open_dataset, renamed_when_whole
from jaxlimits.store.shards import crc_problem

_SHOWN = 5


def pack(index: Path, target: Path, *, force: bool = False) -> None:
    """Write a sharded result as a single file.

    Parameters
    ----------
    index
        The index of the shards.
    target
        The file to write.
    force
        Replace an existing file.

    Raises
    ------
    ResultError
        No index, shards that are missing or damaged, a target that cannot be written. No partial
        file stays behind.
    """
    check_target(target, force=force)
    with open_dataset(index) as dataset:
        listing = read_listing(dataset)
    if listing is None:
        raise ResultError(f"{index}: is a single file already; there is nothing to pack")
    _refuse(index, missing_shards(index))
    with renamed_when_whole(target, force=force) as partial:
        shutil.copyfile(index, partial)
        with h5py.File(partial, "r+", libver=LIBVER) as file:
            _copy_shards(file, index, listing)
            for name in INDEX_ATTRIBUTES:
                del file.attrs[name]


def _copy_shards(file: h5py.File, index: Path, listing: Listing) -> None:
    """Give the virtual variables of an index storage of their own, and fill it."""
    places = _places(file)
    for number, name in enumerate(listing.names):
        image = (listing.folder / name).read_bytes()
        if crc_problem(image, listing.written[name][1]) is not None:
            _refuse(index, missing_shards(index, verify=True))
        with opened_image(image) as shard:
            for output, origins in places.items():
                source = variable(shard, output)
                if number == 0:
                    replace_variable(file, output, source.id.get_create_plist())
                _copy_chunks(source, variable(file, output), origins[name])


def _places(file: h5py.File) -> dict[str, dict[str, Place]]:
    """Where each shard's block begins, for every virtual variable."""
    virtual = {name: found for name, found in file.items() if _is_virtual(found)}
    return {
        name: {
            Path(part.file_name).name: part.vspace.get_select_bounds()[0]
            for part in found.virtual_sources()
        }
        for name, found in virtual.items()
    }


def _is_virtual(found: object) -> bool:
    return isinstance(found, h5py.Dataset) and found.is_virtual


def _copy_chunks(source: h5py.Dataset, target: h5py.Dataset, origin: Place) -> None:
    for place in chunk_places(source.shape, chunk_of(source)):
        mask, data = source.id.read_direct_chunk(place)
        there = tuple(first + step for first, step in zip(origin, place, strict=True))
        target.id.write_direct_chunk(there, data, mask)


def _refuse(index: Path, problems: list[str]) -> None:
    """Raise where shards are missing or damaged."""
    if not problems:
        return
    more = len(problems) - _SHOWN
    listed = "; ".join(problems[:_SHOWN]) + (f"; and {more:,} more" if more > 0 else "")
    raise UnfinishedSweepError(f"{index}: cannot be packed: {listed}")
