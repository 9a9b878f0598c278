"""A sweep of many chunks: written as they come, resumed after an interruption.

Memory holds a few chunks and the states of the reductions, whatever the size of the grid. While the
next chunks are computed, finished ones are compressed in threads and written as shards; a ledger
beside them says what is done.
"""

import dataclasses
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from jaxlimits import schema
from jaxlimits.engine.findings import findings_of
from jaxlimits.engine.reduce import Arrays
from jaxlimits.engine.stream import Chunk, Job, Progress, merge_parts, stream
from jaxlimits.errors import ResultError
from jaxlimits.grid.plan import Key
from jaxlimits.grid.spec import GridSpec
from jaxlimits.store.index import write_index
from jaxlimits.store.layout import make_layout
from jaxlimits.store.ledger import Ledger, States, close_ledger, open_ledger
from jaxlimits.store.netcdf import write_dataset
from jaxlimits.store.pack import pack
from jaxlimits.store.provenance import describe_run
from jaxlimits.store.shards import Blanks, Shard, check_shard, lay_out_shards, write_shard
from jaxlimits.store.template import build_dataset

SINGLE_FILE_BYTES = 1 << 30
"""Dense results up to this size, before compression, end as one file; larger ones stay sharded."""

_SECONDS_BETWEEN_SAVES = 1.0
_SHARDS_IN_FLIGHT = 4


def shards_folder(output: Path) -> Path:
    """Return the folder beside a result in which its shards and its ledger lie."""
    return output.with_name(f"{output.stem}.shards")


def dense_bytes(spec: GridSpec) -> int:
    """Return the size of the dense outputs before compression [B]."""
    size = np.dtype(spec.precision).itemsize
    return spec.num_points * sum(1 if schema.is_code(name) else size for name in spec.outputs)


def run_streamed(
    spec: GridSpec,
    job: Job,
    output: Path,
    *,
    compute: "Compute",
    resume: bool,
    force: bool,
    progress: Progress,
) -> None:
    """Compute a sweep chunk by chunk into a file, or into shards with an index.

    Parameters
    ----------
    spec, job
        The sweep.
    output
        The result, or the index of a sharded one.
    compute
        Who computes the chunks: :func:`compute_here`, or a cluster.
    resume
        Go on with an unfinished sweep into the same output.
    force
        Replace an existing result, throw an unfinished sweep away.
    progress
        Told of every chunk.

    Raises
    ------
    ResultError
        No space, an unwritable folder, an unfinished sweep in the way.
    InputError
        The unfinished sweep is another one.
    """
    folder = shards_folder(output)
    _check_space(spec, output)
    run = describe_run(spec, job.scenario)
    ledger = open_ledger(folder, _identity(run, job), resume=resume, force=force)
    sweep = _Sweep(spec=spec, job=job, ledger=ledger, content_hash=run["content_hash"])
    try:
        shards, states = sweep.run(compute, progress)
        _finish(sweep, shards, states, output, force=force, progress=progress)
    except OSError as error:
        if isinstance(error, ResultError):
            raise
        remedy = "make room and continue with --resume"
        raise ResultError(f"{output}: cannot be written: {error}; {remedy}") from None


def _identity(run: dict, job: Job) -> dict:
    """What must be equal for two runs to make the same chunks."""
    names = ("grid", "overrides", "catalog", "precision", "jaxlimits_version", "content_hash")
    plan = {"shape": job.plan.shape, "block": job.plan.block}
    return {**{name: run[name] for name in names}, "plan": plan}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A chunk that was computed, and written where a dense output is kept.

    Parameters
    ----------
    key
        Which chunk.
    parts
        What each reduction keeps of it.
    shard
        Its file.
    """

    key: Key
    parts: dict[str, Arrays]
    shard: Shard | None


Compute = Callable[[Job, Iterable[Key], Path, Blanks | None], Iterator[Done]]
"""Computes chunks and writes their shards, in the order of their keys."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Sweep:
    """A sweep under way."""

    spec: GridSpec
    job: Job
    ledger: Ledger
    content_hash: str

    def run(self, compute: Compute, progress: Progress) -> tuple[list[Shard], States]:
        """Compute what is missing; return every shard and the states of the reductions."""
        job, plan = self.job, self.job.plan
        fresh = {r.name: r.start(plan.shape) for r in job.reductions}
        merged, states = self.ledger.load_state(fresh)
        shards = {shard.key: shard for shard in self._whole_shards()} if job.outputs else {}
        keys = [key for key in plan.chunks() if self._is_wanted(key, merged, shards)]
        blanks = None
        if job.outputs:
            blanks = lay_out_shards(make_layout(self.spec, job.scenario, plan))
        saved = time.monotonic()
        for done in compute(job, keys, self.ledger.folder, blanks):
            number = plan.number(done.key)
            progress("computing", number / plan.num_chunks)
            if done.shard is not None:
                self.ledger.record(dataclasses.asdict(done.shard))
                shards[done.key] = done.shard
            if job.reductions and number >= merged:
                merge_parts(job, states, done.parts, done.key)
                merged = number + 1
            if job.reductions and time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                self.ledger.save_state(merged, states)
                saved = time.monotonic()
        if job.reductions:
            self.ledger.save_state(merged, states)
        return [shards[key] for key in plan.chunks()] if job.outputs else [], states

    def _is_wanted(self, key: Key, merged: int, shards: dict[Key, Shard]) -> bool:
        unmerged = bool(self.job.reductions) and self.job.plan.number(key) >= merged
        return unmerged or (bool(self.job.outputs) and key not in shards)

    def _whole_shards(self) -> Iterator[Shard]:
        """Shards of an earlier run that are what was written."""
        for entry in self.ledger.shards():
            shard = Shard(**{**entry, "key": tuple(entry["key"])})
            if check_shard(self.ledger.folder, shard, content_hash=self.content_hash) is None:
                yield shard


def compute_here(
    job: Job, keys: Iterable[Key], folder: Path, blanks: Blanks | None
) -> Iterator[Done]:
    """Compute chunks in this process and yield them in the order of their keys.

    While later chunks are computed, earlier ones are compressed and written.
    """
    if blanks is None:
        for chunk in stream(job, keys):
            yield Done(key=chunk.key, parts=chunk.parts, shard=None)
        return
    waiting: deque[tuple[Chunk, Future[Shard]]] = deque()
    with ThreadPoolExecutor(os.cpu_count()) as workers, ThreadPoolExecutor(2) as writers:
        for chunk in stream(job, keys):
            arguments = (write_shard, folder, chunk.key, chunk.arrays)
            waiting.append((chunk, writers.submit(*arguments, blanks=blanks, workers=workers)))
            if len(waiting) > _SHARDS_IN_FLIGHT:
                yield _written(*waiting.popleft())
        while waiting:
            yield _written(*waiting.popleft())


def _written(chunk: Chunk, shard: "Future[Shard]") -> Done:
    return Done(key=chunk.key, parts=chunk.parts, shard=shard.result())


def _finish(
    sweep: _Sweep,
    shards: list[Shard],
    states: States,
    output: Path,
    *,
    force: bool,
    progress: Progress,
) -> None:
    """Turn shards and states into the result."""
    spec, job, folder = sweep.spec, sweep.job, sweep.ledger.folder
    progress("writing", 1.0)
    findings = findings_of(spec.reductions, job, states)
    if not job.outputs:
        write_dataset(build_dataset(spec, job.scenario, {}, findings), output, force=force)
        close_ledger(folder, keep_shards=False)
        return
    layout = make_layout(spec, job.scenario, job.plan, findings)
    if dense_bytes(spec) > SINGLE_FILE_BYTES:
        write_index(output, folder, shards, layout=layout)
        close_ledger(folder, keep_shards=True)
        return
    index = folder / ".index.nc.partial"
    write_index(index, folder, shards, layout=layout)
    pack(index, output, force=force)
    close_ledger(folder, keep_shards=False)


def _check_space(spec: GridSpec, output: Path) -> None:
    """Refuse what could not fit on the disk even compressed to a tenth."""
    needed, free = dense_bytes(spec) / 10.0, shutil.disk_usage(output.parent).free
    if needed > free:
        raise ResultError(
            f"{output}: {spec.num_points:,} points take at least {needed / 1e9:,.1f} GB and the "
            f"disk has {free / 1e9:,.1f} GB free; keep fewer outputs, reduce, or write elsewhere"
        )
