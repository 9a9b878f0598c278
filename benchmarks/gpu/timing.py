"""Timing of chunks on a device: compilation apart, and nothing copied to the host."""

import itertools
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from jaxlimits.engine.chunk_sizes import IN_FLIGHT
from jaxlimits.engine.stream import _Line, make_mesh, stream
from jaxlimits.engine.sweep_job import Job
from jaxlimits.grid.plan import Key

SECONDS_OF_DEVICE = 6.0
"""A measurement stops after so long, however much of the grid is left."""

Record = dict[str, Any]


def share_of(job: Job, scale: float) -> list[Key]:
    """Return the first chunks of a plan, so many that they are a share of it; at least two."""
    number = max(2, round(scale * job.plan.num_chunks))
    return list(itertools.islice(job.plan.chunks(), number))


def on_device(job: Job, scale: float, devices: Sequence[Any] | None = None) -> Record:
    """Measure the computing of a share of a grid: results stay where they are.

    Returns
    -------
    dict
        Seconds to compile, points, seconds, and milliseconds that 10^9 points would take.
    """
    line = _Line(job, make_mesh(devices or jax.local_devices()))
    keys = share_of(job, scale)
    groups = [keys[n : n + line.mesh.size] for n in range(0, len(keys), line.mesh.size)]
    _, first = timed(lambda: _wait(line.start(groups[0]).results))
    _, again = timed(lambda: _wait(line.start(groups[0]).results))
    done, seconds = timed(lambda: sum(len(group) for group in _started(line, groups)))
    points = done * job.plan.points_per_chunk
    return {
        "compile_s": rounded(max(0.0, first - again)),
        "first_s": rounded(first),
        "chunks": done,
        "of_chunks": job.plan.num_chunks,
        "points": points,
        "device_s": rounded(seconds),
        "ms_per_billion": rounded(1e12 * seconds / points),
        **peak_memory(),
    }


def to_host(job: Job, scale: float, devices: Sequence[Any] | None = None) -> Record:
    """Measure the same with everything that comes to the host, as a sweep takes it."""
    keys, stop = share_of(job, scale), time.perf_counter() + SECONDS_OF_DEVICE

    def drain() -> tuple[int, int]:
        done = arrived = 0
        for chunk in stream(job, keys, devices=devices):
            done += 1
            arrived += sum(array.nbytes for array in chunk.arrays.values())
            arrived += sum(a.nbytes for part in chunk.parts.values() for a in part.values())
            if time.perf_counter() > stop:
                break
        return done, arrived

    drain_of_first = stream(job, keys[:1], devices=devices)
    list(drain_of_first)  # compiled, and memory touched
    (done, arrived), seconds = timed(drain)
    points = done * job.plan.points_per_chunk
    return {
        "host_chunks": done,
        "host_s": rounded(seconds),
        "host_ms_per_billion": rounded(1e12 * seconds / points),
        "host_gb_per_s": rounded(arrived / seconds / 1e9),
    }


def finished(results: Any) -> Any:
    """Wait for what a device makes."""
    return jax.block_until_ready(results)


def repeated(work: Callable[[], Any], *, seconds: float = 1.0) -> float:
    """Return the median time of some work on a device, which is waited for [s]."""
    finished(work())
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(taken) < 3:
        taken.append(timed(lambda: finished(work()))[1])
    return sorted(taken)[len(taken) // 2]


def peak_memory() -> Record:
    """Most memory that was taken so far: of the device where it says, and of this process."""
    stats = jax.local_devices()[0].memory_stats() or {}
    of_device = {"peak_gb": rounded(stats["peak_bytes_in_use"] / 1e9)} if stats else {}
    kilobytes = 1 if sys.platform == "darwin" else 1024  # the unit that the system counts in
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes
    return {**of_device, "host_rss_gb": rounded(most / 1e9)}


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what some work gives and how long it took [s]."""
    started = time.perf_counter()
    made = work()
    return made, time.perf_counter() - started


def rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def _started(line: _Line, groups: Sequence[list[Key]]) -> Iterator[list[Key]]:
    """Start chunks, a few ahead of those that are waited for, until the time is up."""
    waiting: deque[tuple[list[Key], Any]] = deque()
    until = time.perf_counter() + SECONDS_OF_DEVICE
    for group in groups:
        waiting.append((group, line.start(group).results))
        if len(waiting) > IN_FLIGHT:
            earlier, results = waiting.popleft()
            _wait(results)
            yield earlier
        if time.perf_counter() > until:
            break
    for earlier, results in waiting:
        _wait(results)
        yield earlier


def _wait(results: Any) -> None:
    if results is None:
        raise MemoryError("the device has no memory for one chunk")
    finished(results)
