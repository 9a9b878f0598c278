"""Pages: keep the memory that chunks have used, where the results of a CPU come from the C library.

A chunk's outputs are a few MB, taken anew for every chunk. By default the GNU C library returns
blocks of that size to the system as soon as they are free, and the system fills the next ones with
zeros, which takes several times as long as computing what is written into them.
"""

import ctypes
import functools

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BLOCK = 1 << 30
"""Blocks up to this size are used again [B]."""


@functools.cache
def keep_pages() -> bool:
    """Ask the C library to keep freed memory for the next chunk; say whether it will.

    Holds for the whole process, once called. It holds no more than the process once needed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not the GNU C library
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _KEPT_BLOCK) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
