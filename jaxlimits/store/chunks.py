"""Chunks of a variable: their shape, and their bytes as HDF5's own filters make them.

Compressing here and handing HDF5 finished chunks keeps every core busy; the library's own filter
runs on one. The bytes are the standard filters', so every reader opens them.
"""

import functools
import math
from collections.abc import Collection, Iterator

import numpy as np
from isal import isal_zlib

DEFLATE_LEVEL = 1
TARGET_BYTES = 1 << 20
"""Size of a chunk before compression: large enough for the disk, small enough for one value."""

Place = tuple[int, ...]


def chunk_shape(
    shape: tuple[int, ...], itemsize: int, *, cut: Collection[int] = ()
) -> tuple[int, ...]:
    """Return a chunk shape of about one mebibyte, whole along the last dimensions.

    Parameters
    ----------
    shape
        Shape of the variable, or of the blocks that it is made of.
    itemsize
        Size of a value [B].
    cut
        Dimensions along which blocks of this shape lie side by side. There the chunk's length
        divides the block's, so that the chunks of all blocks are those of the whole variable.
    """
    room = max(1, TARGET_BYTES // itemsize)
    chunk: list[int] = []
    for dimension in reversed(range(len(shape))):
        length = shape[dimension]
        size = _nearest_divisor(length, room) if dimension in cut else min(length, room)
        chunk.append(max(1, size))
        room //= chunk[-1]
    return tuple(reversed(chunk))


def _nearest_divisor(length: int, wanted: int) -> int:
    """Divisor of a length nearest by ratio to what is wanted: a prime may come out whole."""
    if wanted >= length or wanted < 1:
        return length if wanted >= length else 1
    small = [size for size in range(1, math.isqrt(length) + 1) if length % size == 0]
    both = [*small, *(length // size for size in small)]
    return min(both, key=lambda size: abs(math.log(size / wanted)))


def chunk_places(shape: tuple[int, ...], chunk: tuple[int, ...]) -> Iterator[Place]:
    """Yield the position of the first value of every chunk."""
    steps = [range(0, length, size) for length, size in zip(shape, chunk, strict=True)]
    for index in np.ndindex(*(len(step) for step in steps)):
        yield tuple(step[i] for step, i in zip(steps, index, strict=True))


def filtered_chunk(
    array: np.ndarray, place: Place, chunk: tuple[int, ...], fill: np.generic
) -> bytes:
    """Return one chunk as stored: padded at the edge, bytes shuffled, deflated."""
    part = array[tuple(slice(p, p + size) for p, size in zip(place, chunk, strict=True))]
    if part.shape != chunk:
        whole = np.full(chunk, fill, dtype=array.dtype)
        whole[tuple(slice(length) for length in part.shape)] = part
        part = whole
    words = np.ascontiguousarray(part).reshape(-1).view(f"u{part.dtype.itemsize}")
    if _is_uniform(words):
        return _uniform_chunk(words[0], words.size)
    return _deflated(words)


def _is_uniform(words: np.ndarray) -> bool:
    """Whether all values have the same bits, as where nothing fits; the ends mostly tell."""
    return bool(words[0] == words[-1]) and bool((words == words[0]).all())


@functools.lru_cache(maxsize=16, typed=True)  # an 8-bit word may equal a 32-bit one
def _uniform_chunk(word: np.unsignedinteger, size: int) -> bytes:
    return _deflated(np.full(size, word))


def _deflated(words: np.ndarray) -> bytes:
    """All first bytes of the values, then all second bytes, and so on; deflated."""
    rows = words.view(np.uint8).reshape(-1, words.dtype.itemsize)
    return isal_zlib.compress(np.ascontiguousarray(rows.T), DEFLATE_LEVEL)
