"""What netCDF's library cannot do to its own files, done in HDF5: layouts, raw chunks, images."""

import contextlib
import functools
import uuid
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import cast

import h5py
import numpy as np

from jaxlimits.store.chunks import Place, chunk_places, filtered_chunk

LIBVER = ("v108", "v110")
"""Versions of HDF5's format to write: what readers built on HDF5 1.10 open."""

_OF_SCALES = (b"CLASS", b"DIMENSION_LIST", b"NAME", b"REFERENCE_LIST")
_GROWTH = 1 << 20


@contextlib.contextmanager
def opened_image(image: bytes) -> Iterator[h5py.File]:
    """Open the bytes of a file as a file in memory, to be read or filled.

    Parameters
    ----------
    image
        The bytes; they stay as they are, and ``file.id.get_file_image()`` gives the new ones.
    """
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(_GROWTH, False)
    access.set_file_image(image)
    access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V110)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    # HDF5 tells images apart by their names, and refuses the name of a file that is there.
    name = f"jaxlimits-{uuid.uuid4().hex}"
    with h5py.File(h5py.h5f.open(name.encode(), h5py.h5f.ACC_RDWR, access)) as file:
        yield file


def variable(file: h5py.File, name: str) -> h5py.Dataset:
    """Return a variable of a file.

    Raises
    ------
    KeyError
        The file has none of that name.
    """
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise KeyError(name)
    return found


def chunk_of(stored: h5py.Dataset) -> Place:
    """Return the chunk shape of a variable that is stored in chunks."""
    return cast("Place", stored.chunks)


def read_stored(stored: h5py.Dataset) -> np.ndarray:
    """Return the values of a variable as they are stored, characters included.

    netCDF's characters are texts of one letter without the closing null that HDF5 thinks they have;
    converted to h5py's own type they come out empty.
    """
    values = np.empty(stored.shape, stored.dtype)
    stored.id.read(h5py.h5s.ALL, h5py.h5s.ALL, values, stored.id.get_type())
    return values


def write_stored(stored: h5py.Dataset, values: np.ndarray) -> None:
    """Write a variable whole from values as :func:`read_stored` returns them."""
    rows = np.ascontiguousarray(values)
    stored.id.write(h5py.h5s.ALL, h5py.h5s.ALL, rows, stored.id.get_type())


def replace_variable(
    file: h5py.File, name: str, layout: h5py.h5p.PropDCID, room: tuple[int, ...] | None = None
) -> h5py.Dataset:
    """Give a variable another storage layout; name, type, dimensions and attributes stay.

    Parameters
    ----------
    file, name
        A variable without data, made by netCDF.
    layout
        How HDF5 stores it from now on.
    room
        The largest shape that HDF5 lets it grow to; by default its own.
    """
    old = variable(file, name)
    scales = [dim[0] for dim in old.dims]
    for dim, scale in zip(old.dims, scales, strict=True):
        dim.detach_scale(scale)
    space = h5py.h5s.create_simple(old.shape, room)
    new = h5py.Dataset(h5py.h5d.create(file.id, None, old.id.get_type(), space, layout))
    _copy_attributes(old, new)
    del file[name]
    file[name] = new
    for dim, scale in zip(new.dims, scales, strict=True):
        dim.attach_scale(scale)
    return new


def write_chunks(stored: h5py.Dataset, values: np.ndarray, workers: Executor) -> None:
    """Write a variable whole: chunks compressed in workers, written by this thread."""
    chunk, fill = chunk_of(stored), stored.fillvalue
    compress = functools.partial(filtered_chunk, values, chunk=chunk, fill=fill)
    places = list(chunk_places(values.shape, chunk))
    for place, data in zip(places, workers.map(compress, places), strict=True):
        stored.id.write_direct_chunk(place, data)


def _copy_attributes(old: h5py.Dataset, new: h5py.Dataset) -> None:
    """Copy attributes with their types; those that tie a variable to its dimensions are remade."""
    for number in range(h5py.h5a.get_num_attrs(old.id)):
        attribute = h5py.h5a.open(old.id, index=number, index_type=h5py.h5.INDEX_CRT_ORDER)
        if attribute.name in _OF_SCALES:
            continue
        kind = attribute.get_type()
        values = np.empty(attribute.shape, attribute.dtype)
        # As in read_stored: the last letter would be lost. Texts of any length have no such end.
        fixed = isinstance(kind, h5py.h5t.TypeStringID) and not kind.is_variable_str()
        own = {"mtype": kind} if fixed else {}
        attribute.read(values, **own)
        h5py.h5a.create(new.id, attribute.name, kind, attribute.get_space()).write(values, **own)
