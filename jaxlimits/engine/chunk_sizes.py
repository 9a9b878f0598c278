"""How many points a chunk has: near the caches of a CPU, a share of an accelerator's memory."""

import dataclasses
from collections.abc import Iterable, Sequence

import jax
import numpy as np

from jaxlimits import schema
from jaxlimits.engine.reduction import Reduction
from jaxlimits.grid.requirements import Requirement

IN_FLIGHT = 2
"""Chunks in flight on each device: one computing while the other's results are taken."""

_POINTS_ON_CPU = 1 << 20
"""Points whose metrics stay in the caches until the reductions have read them."""

_POINTS_IN_LOOP = 1 << 23
"""Points of a chunk that a compiled loop takes, which writes none of the metrics it reduces."""

_BYTES_IN_LOOP = 8 << 20
"""Outputs of a chunk that a compiled loop writes: they stay in the caches [B]."""

_BYTES_ON_CPU = 64 << 20
"""Memory of a chunk that is only stored: larger ones start programs and files less often."""

_SHARE_ON_ACCELERATOR = 0.2
"""Share of an accelerator's memory for one chunk: what is reduced is seldom written there at all,
but some reductions look at their metrics twice."""

_POINTS_ON_ACCELERATOR = 1 << 30
"""Points of a chunk that an index of 32 bits can tell apart."""

_STORED_ON_ACCELERATOR = 512 << 20
"""Bytes of a chunk's outputs, of which as many chunks wait on the host as are in flight."""

_BYTES_UNSAID = 8 << 30
"""Memory of a device that does not say how much it has."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What a device has for chunks.

    Parameters
    ----------
    platform
        As JAX names it: ``"cpu"``, ``"cuda"``.
    bytes
        Memory that it lets a process have [B]; of a CPU it does not matter.
    """

    platform: str
    bytes: int = 0


EVERYWHERE = Room(platform="cpu")
"""Of chunks that are the same on every machine: those of a CPU fit on all."""


def device_room() -> Room:
    """Return the room on the first device of this process."""
    device = jax.devices()[0]
    limit = (device.memory_stats() or {}).get("bytes_limit", _BYTES_UNSAID)
    return Room(platform=device.platform, bytes=int(limit))


def point_bytes(
    outputs: Iterable[str],
    reductions: Iterable[Reduction],
    precision: str,
    requirements: Sequence[Requirement] = (),
    *,
    on_cpu: bool | None = None,
    looped: bool = False,
) -> int:
    """Return the memory that one point takes on the device while its chunk is computed [B].

    On a CPU every metric that is reduced lies there. In the one program of an accelerator hardly
    any does, and no more than one reduction's at a time: ``benchmarks/results/lowered`` has the
    temporaries of every shipped grid.

    Parameters
    ----------
    outputs, reductions, precision, requirements
        As in a :class:`Job`.
    on_cpu
        Whether the device is one; by default as the default device of JAX is.
    looped
        Whether a compiled loop takes the points: what is computed beside it has few of them.
    """
    size = np.dtype(precision).itemsize
    if looped:
        return stored_bytes(outputs, precision) + size
    each = [3 * size for reduction in reductions for _ in reduction.of]
    searched = 4 * size * len(requirements)  # both ends of a bracket, before and after a step
    if jax.default_backend() == "cpu" if on_cpu is None else on_cpu:
        return stored_bytes(outputs, precision) + sum(each) + searched + 4 * size
    return stored_bytes(outputs, precision) + max(each, default=size) + searched


def stored_bytes(outputs: Iterable[str], precision: str) -> int:
    """Return what the outputs of one point take where they are stored [B]."""
    size = np.dtype(precision).itemsize
    return sum(1 if schema.is_code(name) else size for name in outputs)


def chunk_points(
    bytes_a_point: int,
    *,
    reduced: bool,
    stored: int = 0,
    memory: float | None = None,
    room: Room | None = None,
    looped: bool = False,
) -> int:
    """Return how many points a chunk should have.

    On a CPU a chunk stays near the caches, which is where fresh memory stops being the cost; an
    accelerator takes a share of its memory, which hides the cost of starting a program.

    Parameters
    ----------
    bytes_a_point
        As :func:`point_bytes`.
    reduced
        Whether anything reads the metrics of a chunk again.
    stored
        Bytes of a point that go to the host [B].
    memory
        Bytes that a chunk may take; by default found from the device.
    room
        The device's; by default the first of this process is asked.
    looped
        Whether a compiled loop takes the points.
    """
    if memory is not None:
        return max(1, int(memory / (IN_FLIGHT * bytes_a_point)))
    if looped:
        return min(_POINTS_IN_LOOP, _BYTES_IN_LOOP // max(1, stored))
    room = room or device_room()
    if room.platform == "cpu":
        return _POINTS_ON_CPU if reduced else max(_POINTS_ON_CPU, _BYTES_ON_CPU // bytes_a_point)
    return points_on_accelerator(bytes_a_point, stored=stored, limit=float(room.bytes))


def points_on_accelerator(bytes_a_point: int, *, stored: int, limit: float) -> int:
    """Return how many points a chunk should have on an accelerator with so much memory.

    Parameters
    ----------
    bytes_a_point, stored
        As for :func:`chunk_points`.
    limit
        Memory of the device [B].
    """
    points = min(_POINTS_ON_ACCELERATOR, int(_SHARE_ON_ACCELERATOR * limit / bytes_a_point))
    return max(1, min(points, _STORED_ON_ACCELERATOR // stored) if stored else points)
