"""A journal: what reductions keep of each chunk, appended as it comes, each entry whole or absent.

A process that is killed leaves everything that it appended; a machine that loses power leaves at
least everything up to the last time the file was forced to the disk.
"""

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from isal import isal_zlib

Arrays = dict[str, np.ndarray]
"""What one reduction keeps of a chunk."""

_HEAD = struct.Struct("<QI")
"""Length [B] and checksum of what follows: length of the description, description, data."""

_TEXT = struct.Struct("<I")


def packed(number: int, parts: Mapping[str, Arrays]) -> bytes:
    """Return the entry of a chunk: its number and the arrays that each reduction keeps of it."""
    arrays = [(name, field, a) for name, part in parts.items() for field, a in part.items()]
    described = [[name, field, a.dtype.str, a.shape] for name, field, a in arrays]
    text = json.dumps([number, described]).encode()
    data = [np.ascontiguousarray(values).tobytes() for _, _, values in arrays]
    body = b"".join([_TEXT.pack(len(text)), text, *data])
    return _HEAD.pack(len(body), isal_zlib.crc32(body)) + body


def entries(path: Path) -> Iterator[tuple[int, dict[str, Arrays]]]:
    """Yield the entries of a journal in their order, up to the first that is not whole."""
    if path.exists():
        with path.open("rb") as file:
            while (found := _next(file)) is not None:
                yield found


def cut_to_whole(path: Path) -> None:
    """Cut off what an interruption left of a last entry, so that more can be appended."""
    if path.exists():
        with path.open("r+b") as file:
            whole = 0
            while _next(file) is not None:
                whole = file.tell()
            file.truncate(whole)


def _next(file: BinaryIO) -> tuple[int, dict[str, Arrays]] | None:
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, crc32 = _HEAD.unpack(head)
    if not _TEXT.size <= length <= os.fstat(file.fileno()).st_size - file.tell():
        return None
    body = file.read(length)
    if isal_zlib.crc32(body) != crc32:
        return None
    place = _TEXT.size + _TEXT.unpack_from(body)[0]
    number, arrays = json.loads(body[_TEXT.size : place])
    parts: dict[str, Arrays] = {}
    for name, field, dtype, shape in arrays:
        values = np.frombuffer(body, dtype, math.prod(shape), place).reshape(shape)
        parts.setdefault(name, {})[field] = values
        place += values.nbytes
    return number, parts
