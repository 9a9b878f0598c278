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

from jaxlimits import schema
from jaxlimits.engine.failures import explained_failures, unless_full
from jaxlimits.engine.kernel import Inputs, Results, make_mesh, place_inputs, run_chunks
from jaxlimits.engine.pages import keep_pages
from jaxlimits.engine.reduction import Arrays, Reduction
from jaxlimits.errors import DeviceMemoryError, InputError
from jaxlimits.grid.plan import Key, Plan, make_plan
from jaxlimits.grid.requirements import Requirement
from jaxlimits.grid.scenario import Scenario

IN_FLIGHT = 2
"""Chunks in flight on each device: one computing while the other's results are taken."""

_POINTS_ON_CPU = 1 << 20
"""Points whose metrics stay in the caches until the reductions have read them."""

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

_FEWEST_POINTS = 1 << 12
"""Points of a chunk that is not halved any more: below, it is not the chunk that fills memory."""

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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Everything that determines the chunks of a sweep.

    Parameters
    ----------
    scenario, plan
        The grid as numbers, and how it is cut.
    outputs, reductions
        What is kept.
    requirements
        Unknowns to solve for, by which outputs may be named.
    precision
        ``"float32"`` or ``"float64"``.
    bits
        Bits of the mantissa that outputs keep; all where it is ``None``.
    ahead
        Chunks that are started on each device before the results of another are taken.
    portable
        Whether the plan is the same on every machine, so that chunks must not be halved on one.
    """

    scenario: Scenario
    plan: Plan
    outputs: tuple[str, ...]
    reductions: tuple[Reduction, ...]
    precision: str
    requirements: tuple[Requirement, ...] = ()
    bits: int | None = None
    ahead: int = IN_FLIGHT
    portable: bool = False


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
    """
    size = np.dtype(precision).itemsize
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
    """
    if memory is not None:
        return max(1, int(memory / (IN_FLIGHT * bytes_a_point)))
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


def make_job(
    scenario: Scenario,
    *,
    outputs: tuple[str, ...],
    requirements: tuple[Requirement, ...] = (),
    reductions: tuple[Reduction, ...] = (),
    precision: str = "float32",
    memory: float | None = None,
    digits: int | None = None,
    room: Room | None = None,
    portable: bool = False,
) -> Job:
    """Plan a sweep.

    Parameters
    ----------
    scenario, outputs, requirements, reductions, precision
        As of :class:`Job`.
    memory
        Memory budget for chunks in flight [B]; by default chosen from the device.
    digits
        Significant digits that outputs keep; by default all.
    room
        Of the devices that will compute; by default those of this process.
    portable
        Whether chunks are the same on every machine; ``memory`` then says how many are in flight.
    """
    size = (None, EVERYWHERE) if portable else (memory, room or device_room())
    stored = stored_bytes(outputs, precision)
    on_cpu = size[1].platform == "cpu"
    bytes_a_point = point_bytes(outputs, reductions, precision, requirements, on_cpu=on_cpu)
    points = chunk_points(
        bytes_a_point, reduced=bool(reductions), stored=stored, memory=size[0], room=size[1]
    )
    fits = memory is None or not portable or memory >= IN_FLIGHT * points * bytes_a_point
    return Job(
        scenario=scenario,
        plan=make_plan(scenario, points=points, kept=kept_axes(scenario, reductions)),
        outputs=outputs,
        requirements=requirements,
        reductions=reductions,
        precision=precision,
        bits=None if digits is None else schema.mantissa_bits(digits, precision),
        ahead=IN_FLIGHT if fits else 0,
        portable=portable,
    )


def halved(job: Job) -> Job:
    """Return a sweep in chunks of half as many points, as it would have been planned with those.

    Raises
    ------
    InputError
        They are as small as is of use.
    """
    points = job.plan.points_per_chunk // 2
    if job.portable:
        problem = f"the device's memory has no room for {2 * points:,} points at once"
        remedy = "free its memory, or sweep without `portable=True`: only then are chunks halved"
        raise InputError(problem, remedy=remedy)
    if points < _FEWEST_POINTS:
        problem = f"the device's memory has no room for {2 * points:,} points at once"
        held = "another process may hold it (`nvidia-smi` lists them); end that"
        remedy = f"{held}, keep fewer outputs or reductions, or set JAX_PLATFORMS=cpu"
        raise InputError(problem, remedy=remedy)
    kept = kept_axes(job.scenario, job.reductions)
    return dataclasses.replace(job, plan=make_plan(job.scenario, points=points, kept=kept))


def kept_axes(scenario: Scenario, reductions: Iterable[Reduction]) -> set[int]:
    """Positions of the axes that every reduction keeps, of those that keep any."""
    rank = len(scenario.axes)
    kept = [set(axes) for reduction in reductions if (axes := reduction.kept(rank))]
    return set.intersection(*kept) if kept else set()


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
    with explained_failures():
        line = _Line(job, make_mesh(devices or jax.local_devices()))
        waiting: collections.deque[_UnderWay] = collections.deque()
        for together in _alike(job, wanted, line.mesh.size):
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
