"""Memory mappings, of which Linux gives a process only so many.

For a CPU, XLA puts the kernels of a program into mappings of their own, some hundreds a program,
and ends the process where it gets no more: no error is raised. A notebook or a server that asks
about enough models and layouts would come to that, so programs are forgotten before. Those that are
asked for again are read from JAX's persistent compilation cache.
"""

import functools
from pathlib import Path
from typing import Any

import jax

_USED = Path("/proc/self/maps")
_GRANTED = Path("/proc/sys/vm/max_map_count")

_SHARE = 0.5
"""Of the mappings that a process may have, from which on programs are forgotten."""

_PROGRAMS = 16
"""Programs that are compiled or loaded until mappings are counted again: to count takes as long as
a point, and so many have a few thousand."""

_MADE = "/jax/core/compile/backend_compile_duration"
"""What JAX says when a program was compiled or loaded."""


class _Programs:
    """Programs of the whole process, of whatever use."""

    def __init__(self):
        self.uncounted = _PROGRAMS  # those from before this module is imported

    def see(self, event: str, *_: Any, **__: Any) -> None:
        """Count a program that JAX tells of, however long it took."""
        self.uncounted += event == _MADE


_programs = _Programs()
jax.monitoring.register_event_duration_secs_listener(_programs.see)


def make_room() -> None:
    """Forget compiled programs where the process has come to half of its mappings.

    To be called before a program may be compiled, as often as wanted. Does nothing on systems other
    than Linux, where mappings are not counted.
    """
    if _programs.uncounted >= _PROGRAMS:
        _programs.uncounted = 0
        if left() <= 0:
            jax.clear_caches()


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
        return file.read().count(b"\n")
