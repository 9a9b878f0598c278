"""The forecast of a sweep: how long it will take and how large its result will be.

A few chunks, spread over the grid, go through the program, the compressors and the reductions that
the sweep itself would use, and nothing is written. What they took and gave, times their number, is
the forecast; it holds for this machine, without workers.
"""

import dataclasses
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
from isal import isal_zlib

from jaxlimits import schema
from jaxlimits.engine.findings import findings_of
from jaxlimits.engine.stream import Chunk, merge_parts, stream
from jaxlimits.engine.sweep_job import Job
from jaxlimits.errors import ResultError
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key
from jaxlimits.grid.spec import GridSpec
from jaxlimits.run.computing import worked_off
from jaxlimits.run.streamed import dense_bytes, is_long, is_sharded
from jaxlimits.store.chunks import chunk_places, filtered_chunk
from jaxlimits.store.folders import unfinished_folders
from jaxlimits.store.hdf5 import chunk_of, opened_image, variable
from jaxlimits.store.layout import make_layout
from jaxlimits.store.netcdf import lay_out
from jaxlimits.store.shards import Blanks, lay_out_shards, shard_image
from jaxlimits.store.template import build_dataset
from jaxlimits.units import show

_MOST_CHUNKS = 16
_SECONDS = 2.0
"""The sample has at most so many chunks and takes about so long, and has one chunk at least."""

_LEDGER_BYTES = 64 << 20
"""Room for the journal of reductions, which grows so long or as long as their state."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What a sweep will cost.

    Parameters
    ----------
    seconds
        From the start of computing to the result, as ``sweep`` reports it [s].
    result_bytes
        Size of the result, its shards included [B].
    disk_bytes
        The most that lies on the disk while it is made [B].
    """

    seconds: float
    result_bytes: float
    disk_bytes: float


def foresee(spec: GridSpec, job: Job) -> Forecast:
    """Measure a sample of a sweep, in memory."""
    blanks, preparing = _timed(lambda: _blanks(spec, job))
    sample = _sample(job, 1)
    _, first = _timed(lambda: list(stream(job, sample)))
    _, one = _timed(lambda: list(stream(job, sample)))
    sample = _sample(job, int(_SECONDS / one))
    stored, computing = _timed(lambda: _compute(job, sample, blanks))
    findings, closing = _timed(lambda: findings_of(job, stored.states))
    chunks, programs = job.plan.num_chunks, math.prod(_switched(job).values())
    dense = stored.data_bytes * spec.num_points / stored.points
    sharded = is_long(spec, job) and is_sharded(spec)
    packed = is_long(spec, job) and bool(job.outputs) and not sharded
    packing = chunks * _timed(lambda: _unpack(job, stored.image))[1] if packed else 0.0
    compiling = programs * max(0.0, first - one)
    shards = dense + chunks * stored.blank_bytes
    rest = _size(spec, job, findings, sample)
    result = rest + (shards if sharded else dense)
    return Forecast(
        seconds=preparing + compiling + chunks * computing / len(sample) + packing + closing,
        result_bytes=result,
        disk_bytes=result + (shards if packed else 0.0) + _ledger_bytes(job),
    )


def refuse_without_space(spec: GridSpec, job: Job, output: Path) -> None:
    """Refuse a sweep whose result will not fit on the disk, before it starts.

    Only where that is in doubt a sample is compressed: what fits as it is fits compressed.

    Raises
    ------
    ResultError
        It will not fit.
    """
    surely = 2.1 * dense_bytes(spec) + 2 * _ledger_bytes(job) + _LEDGER_BYTES
    if surely > _room(output):
        refuse(foresee(spec, job), spec, output)


def refuse(forecast: Forecast, spec: GridSpec, output: Path) -> None:
    """Raise where a forecast says that the disk is too small.

    Raises
    ------
    ResultError
        It will not fit.
    """
    room = _room(output)
    if forecast.disk_bytes > room:
        remedy = "keep fewer outputs, reduce, make room, or write elsewhere"
        raise ResultError(
            f"{output}: {spec.num_points:,} points take about {show(forecast.disk_bytes, 'B')} "
            f"while they are written, compressed, and there is room for {show(room, 'B')}; "
            f"{remedy}"
        )


def _ledger_bytes(job: Job) -> int:
    """Size of a ledger: the state, twice while it is replaced, and the journal [B]."""
    if not job.reductions:
        return 0
    fresh = [reduction.start(job.plan.shape) for reduction in job.reductions]
    held = sum(array.nbytes for state in fresh for array in state.values())
    return 2 * held + max(held, _LEDGER_BYTES)


def _room(output: Path) -> int:
    """Free space, and what an unfinished sweep into the same output has taken of it [B]."""
    folders = unfinished_folders(output)
    taken = sum(path.stat().st_size for folder in folders for path in folder.glob("*"))
    return shutil.disk_usage(output.parent).free + taken


@dataclasses.dataclass(kw_only=True, slots=True)
class _Stored:
    """What came of a sample."""

    points: int = 0
    data_bytes: int = 0
    blank_bytes: int = 0
    image: bytes = b""
    states: dict


def _blanks(spec: GridSpec, job: Job) -> Blanks | None:
    if not job.outputs:
        return None
    return lay_out_shards(make_layout(spec, job.scenario, job.plan))


def _switched(job: Job) -> dict[int, int]:
    """Lengths of the axes of switches, by their positions: each choice is a program of its own."""
    axes = enumerate(job.scenario.axes)
    return {place: len(axis) for place, axis in axes if axis.name in schema.SWITCHES}


def _sample(job: Job, number: int) -> list[Key]:
    """Chunks spread evenly over a grid, all of one program."""
    counts = list(job.plan.counts)
    for place in _switched(job):
        counts[place] = 1
    total = math.prod(counts)
    number = max(1, min(number, _MOST_CHUNKS, total))
    numbers = [(2 * place + 1) * total // (2 * number) for place in range(number)]
    return [tuple(map(int, np.unravel_index(n, counts))) for n in numbers]


def _compute(job: Job, sample: list[Key], blanks: Blanks | None) -> _Stored:
    """Do with a sample what the sweep does, but for writing."""
    stored = _Stored(states={r.name: r.start(job.plan.shape) for r in job.reductions})
    for chunk, image in _worked_off(job, sample, blanks):
        merge_parts(job, stored.states, chunk.parts, chunk.key)
        shape = [part.stop - part.start for part in job.plan.slices(chunk.key)]
        stored.points += math.prod(shape)
        if image is not None and blanks is not None:
            stored.blank_bytes = len(blanks.images[tuple(shape)])
            stored.data_bytes += len(image) - stored.blank_bytes
            stored.image = image
    return stored


def _worked_off(
    job: Job, sample: list[Key], blanks: Blanks | None
) -> Iterable[tuple[Chunk, bytes | None]]:
    if blanks is None:
        return ((chunk, None) for chunk in stream(job, sample))

    def image(chunk: Chunk, workers: Executor) -> bytes:
        return shard_image(chunk.key, chunk.arrays, blanks=blanks, workers=workers)

    return worked_off(job, sample, image)


def _unpack(job: Job, image: bytes) -> None:
    """Read a shard as packing does; to write it takes about as long again."""
    for _ in ("read", "written"):
        isal_zlib.crc32(image)
        with opened_image(image) as file:
            for output in job.outputs:
                found = variable(file, output)
                for place in chunk_places(found.shape, chunk_of(found)):
                    found.id.read_direct_chunk(place)


def _size(spec: GridSpec, job: Job, findings: Sequence[Finding], sample: list[Key]) -> float:
    """Size of a result without its dense outputs [B]."""
    dataset = build_dataset(spec, job.scenario, {}, findings)
    with tempfile.TemporaryDirectory(prefix="jaxlimits-") as folder:
        path = Path(folder, "empty.nc")
        lay_out(dataset, path)
        empty = path.stat().st_size
    numeric = [finding for finding in findings if finding.values.dtype.kind in "fi"]
    return empty + sum((_finding_size(job, finding, sample) for finding in numeric), 0.0)


def _finding_size(job: Job, finding: Finding, sample: list[Key]) -> float:
    """Size of what a reduction says, from that part of it to which the sample contributed [B]."""
    axes = [axis.name for axis in job.scenario.axes]
    along = [axes.index(dim) if dim in axes else None for dim in finding.dims]
    whole = slice(None)
    parts = {
        tuple(None if place is None else key[place] for place in along): tuple(
            whole if place is None else job.plan.slices(key)[place] for place in along
        )
        for key in sample
    }
    blocks = [np.atleast_1d(finding.values[part]) for part in parts.values()]
    known = sum(block.size for block in blocks)
    stored = sum(_compressed(block) for block in blocks if block.size)
    return stored * finding.values.size / known if known else 0.0


def _compressed(block: np.ndarray) -> int:
    return len(filtered_chunk(block, (0,) * block.ndim, block.shape, block.dtype.type(0)))


def _timed(work: Callable):
    started = time.perf_counter()
    made = work()
    return made, time.perf_counter() - started
