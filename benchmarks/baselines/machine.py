"""What the machine itself can do: copy memory, write to its disk, compress."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from isal import isal_zlib

BLOCK_BYTES = 1 << 20
"""Compressed at a time, as the store does."""


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def copy_memory(source: np.ndarray, target: np.ndarray) -> None:
    """Copy between touched pages, on all cores."""
    parts = cores()
    pairs = zip(np.array_split(source, parts), np.array_split(target, parts), strict=True)
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pairs))


def write_synced(path: Path, pieces: Sequence[bytes]) -> None:
    """Write one file from its start to its end and wait until the disk has it."""
    with path.open("wb", buffering=0) as file:
        for piece in pieces:
            file.write(piece)
        os.fsync(file.fileno())


def compress_alone(arrays: Sequence[np.ndarray]) -> int:
    """Shuffle and deflate arrays in blocks, on all cores; return the bytes that come out.

    HDF5's shuffle, ISA-L's deflate at level 1: what the store's filter does, and nothing else.
    """
    blocks = [
        block
        for array in arrays
        for block in np.array_split(array.ravel(), max(1, array.nbytes // BLOCK_BYTES))
    ]
    with ThreadPoolExecutor(cores()) as pool:
        return sum(pool.map(_compressed_bytes, blocks))


def _compressed_bytes(block: np.ndarray) -> int:
    rows = np.ascontiguousarray(block).view(np.uint8).reshape(-1, block.dtype.itemsize)
    return len(isal_zlib.compress(np.ascontiguousarray(rows.T), 1))
