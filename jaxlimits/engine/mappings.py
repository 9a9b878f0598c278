"""Memory mappings, of which Linux gives a process only so many.

For a CPU, XLA puts the kernels of a program into mappings of their own, some hundreds a program,
and ends the process where it gets no more: no error is raised. A notebook or a server that asks
about enough models and layouts would come to that, so programs are forgotten before. Those that are
asked for again are read from JAX's persistent compilation cache.
"""

import dataclasses
import functools
from pathlib import Path

import jax

_USED = Path("/proc/self/maps")
_GRANTED = Path("/proc/sys/vm/max_map_count")

_SHARE = 0.5
"""Of the mappings that a process may have, from which on programs are forgotten."""

_MOST_AT_ONCE = 8_000
"""Mappings of the programs that one call compiles, at most: about twice those of the largest."""


@dataclasses.dataclass
class _Look:
    """How many calls may pass until mappings are counted again, which takes as long as a point."""

    calls: int = 0


_next = _Look()


def make_room() -> None:
    """Forget compiled programs where the process has come to half of its mappings.

    To be called before a program may be compiled, as often as wanted. Does nothing on systems other
    than Linux, where mappings are not counted.
    """
    if _next.calls > 0:
        _next.calls -= 1
        return
    if left() <= 0:
        jax.clear_caches()
    _next.calls = max(int(left()) // _MOST_AT_ONCE, 0)


def left() -> float:
    """Return how many mappings there may be yet before programs are forgotten; negative if past."""
    most = _granted()
    return _SHARE * most - _used() if most else float(1 << 30)


@functools.cache
def _granted() -> int:
    """How many mappings a process may have; 0 where the system does not say."""
    try:
        return int(_GRANTED.read_text())
    except (OSError, ValueError):
        return 0


def _used() -> int:
    with _USED.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 16), b""))
