"""The stream: chunks computed one after another, a few in flight, handed on in their order.

Memory holds the chunks in flight and nothing else, whatever the size of the grid.
"""

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxlimits.engine.failures import explained_failures, unless_full
from jaxlimits.engine.kernel import Inputs, Results, make_mesh, place_inputs, run_chunks
from jaxlimits.engine.loop.chunks import computed_by_loops
from jaxlimits.engine.mappings import make_room
from jaxlimits.engine.pages import keep_pages
from jaxlimits.engine.reduction import Arrays, Reduction
from jaxlimits.engine.sweep_job import Job, halved
from jaxlimits.errors import DeviceMemoryError
from jaxlimits.grid.plan import Key

Progress = Callable[[str, float], None]
"""Receives the name of a stage and the share of it that is done."""


def silent(_stage: str, _share: float) -> None:
    """Report nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """What came of one chunk, on the host, without padding.

    Parameters
    ----------
    key
        Which chunk.
    arrays
        Outputs by name.
    parts
        What each reduction keeps of it, by the reduction's name.
    """

    key: Key
    arrays: Arrays
    parts: dict[str, Arrays]


def stream(
    job: Job, keys: Iterable[Key] | None = None, *, devices: Sequence[Any] | None = None
) -> Iterator[Chunk]:
    """Compute chunks and yield them in the order of their keys.

    Parameters
    ----------
    job
        The sweep.
    keys
        Which chunks; by default all of the plan.
    devices
        Where to compute, a chunk on each; by default every device of this process.
    """
    wanted = job.plan.chunks() if keys is None else keys
    if job.fast:
        for key, (arrays, parts) in computed_by_loops(job, wanted):
            yield Chunk(key=key, arrays=arrays, parts=parts)
        return
    with explained_failures():
        line = _Line(job, make_mesh(devices or jax.local_devices()))
        waiting: collections.deque[_UnderWay] = collections.deque()
        for together in _alike(job, wanted, line.mesh.size):
            make_room()
            waiting.append(line.start(together))
            if len(waiting) > line.ahead:
                yield from line.take(waiting)
        while waiting:
            yield from line.take(waiting)


def _alike(job: Job, keys: Iterable[Key], number: int) -> Iterator[list[Key]]:
    """Yield so many keys at a time, those of one program together."""
    for _, group in itertools.groupby(keys, key=job.scenario.choice_at):
        while together := list(itertools.islice(group, number)):
            yield together


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _UnderWay:
    """Chunks that the devices compute, one on each, and with which reductions.

    Without results they wait for their turn: the devices had no memory for them.
    """

    keys: Sequence[Key]
    reductions: tuple[Reduction, ...]
    results: list[Results] | None


class _Line:
    """The devices at work on a sweep.

    Where a device's memory is full, the chunks ahead are given up and computed later, each with
    nothing else on the device: the same program on the same chunk, and so the same bits.
    """

    def __init__(self, job: Job, mesh: Mesh):
        if mesh.devices.flat[0].platform == "cpu":
            keep_pages()
        self.job = job
        self.mesh = mesh
        self.ahead = job.ahead
        self.inputs = unless_full(self._inputs)
        self.static = job.scenario.fixed_static()
        self.reductions = job.reductions

    def _inputs(self) -> Inputs:
        return place_inputs(
            self.job.scenario,
            self.job.plan,
            requirements=self.job.requirements,
            precision=self.job.precision,
            mesh=self.mesh,
        )

    def start(self, keys: Sequence[Key]) -> _UnderWay:
        """Start a chunk on each device."""
        results = unless_full(lambda: self._run(keys))
        return _UnderWay(keys=keys, reductions=self.reductions, results=results)

    def take(self, waiting: collections.deque[_UnderWay]) -> Iterator[Chunk]:
        """Wait for the chunks that were started first.

        One is computed again where a reduction had too little room for it, or the device none. A
        reduction keeps what room it once needed: chunks are alike.
        """
        first = waiting.popleft()
        keys, before, results = first.keys, first.reductions, first.results
        del first  # results that are given up must leave the device
        for place, key in enumerate(keys):
            reductions = before
            chunk = None if results is None else self._arrived(key, results[place])
            while chunk is None or self._enlarged(reductions, chunk):
                reductions, chunk = self.reductions, self._computed(key)
                if chunk is None:
                    results = None
                    chunk = self._alone(key, waiting)
            yield chunk

    def _run(self, keys: Sequence[Key]) -> list[Results]:
        if self.inputs is None:
            raise self._full()
        return run_chunks(
            self.inputs,
            self.job.plan,
            keys,
            static={**self.static, **self.job.scenario.choice_at(keys[0])},
            outputs=self.job.outputs,
            requirements=self.job.requirements,
            reductions=self.reductions,
            precision=self.job.precision,
            bits=self.job.bits,
            mesh=self.mesh,
            rules=self.job.scenario.rules,
        )

    def _alone(self, key: Key, waiting: collections.deque[_UnderWay]) -> Chunk:
        """Compute one chunk with nothing else on the devices, from now on."""
        self.ahead = 0
        for place, other in enumerate(waiting):
            waiting[place] = dataclasses.replace(other, results=None)
        chunk = self._computed(key)
        if chunk is None:
            raise self._full()
        return chunk

    def _computed(self, key: Key) -> Chunk | None:
        results = unless_full(lambda: self._run([key]))
        return None if results is None else self._arrived(key, results[0])

    def _arrived(self, key: Key, results: Results) -> Chunk | None:
        return unless_full(lambda: _arrived(self.job, key, results))

    def _enlarged(self, reductions: tuple[Reduction, ...], chunk: Chunk) -> bool:
        """Whether a reduction needed more room for a chunk, which it has from now on."""
        pairs = [(r, r.enlarged(chunk.parts[r.name])) for r in reductions]
        if not any(larger for _, larger in pairs):
            return False
        self.reductions = tuple(larger or reduction for reduction, larger in pairs)
        return True

    def _full(self) -> DeviceMemoryError:
        kind = self.mesh.devices.flat[0].device_kind
        points = self.job.plan.points_per_chunk
        return DeviceMemoryError(f"{kind}: its memory has no room for {points:,} points at once")


def _arrived(job: Job, key: Key, results: Results) -> Chunk:
    arrays, parts = results
    lengths = [part.stop - part.start for part in job.plan.slices(key)]
    inside = (*(slice(length) for length in lengths), ...)  # an array, also of a single point
    return Chunk(
        key=key,
        arrays={name: _on_host(array)[inside] for name, array in arrays.items()},
        parts={
            name: {field: _on_host(array) for field, array in part.items()}
            for name, part in parts.items()
        },
    )


def _on_host(array: jax.Array) -> np.ndarray:
    host = np.asarray(jax.device_get(array)).reshape(array.shape[1:])  # the share of one device
    return host.astype(np.int8) if host.dtype == np.bool_ else host


def collect(job: Job, *, progress: Progress = silent) -> tuple[Arrays, dict[str, Arrays]]:
    """Compute a whole grid in memory.

    Where a chunk does not fit into the device's memory, the grid is computed in chunks of half the
    size, from the beginning: results have the bits of one plan.

    Returns
    -------
    tuple
        Outputs of the grid's shape by name, and the state of each reduction by its name.
    """
    while True:
        try:
            return _collected(job, progress)
        except DeviceMemoryError:
            job = halved(job)


def _collected(job: Job, progress: Progress) -> tuple[Arrays, dict[str, Arrays]]:
    states = {reduction.name: reduction.start(job.plan.shape) for reduction in job.reductions}
    arrays: Arrays = {}
    for done, chunk in enumerate(stream(job)):
        progress("computing", done / job.plan.num_chunks)
        merge_parts(job, states, chunk.parts, chunk.key)
        for name, part in chunk.arrays.items():
            if job.plan.num_chunks == 1:
                arrays[name] = part
                continue
            whole = arrays.setdefault(name, np.empty(job.plan.shape, part.dtype))
            whole[job.plan.slices(chunk.key)] = part
    return arrays, states


def merge_parts(job: Job, states: dict[str, Arrays], parts: Mapping[str, Arrays], key: Key) -> None:
    """Add what the reductions keep of a chunk to their states."""
    for reduction in job.reductions:
        reduction.merge(states[reduction.name], parts[reduction.name], job.plan, key)
