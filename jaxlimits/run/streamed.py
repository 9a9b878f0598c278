"""A sweep of many chunks: written as they come, resumed after an interruption.

Memory holds a few chunks and the states of the reductions, whatever the size of the grid. While the
next chunks are computed, finished ones are compressed in threads and written as shards; a ledger
beside them says what is done.
"""

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.engine.findings import findings_of
from jaxlimits.engine.stream import Progress, merge_parts
from jaxlimits.engine.sweep_job import Job, halved
from jaxlimits.errors import (
    DamagedResultWarning,
    DeviceMemoryError,
    InputError,
    ResultError,
    UnfinishedSweepError,
    cannot_be_written,
)
from jaxlimits.grid.plan import Key
from jaxlimits.grid.spec import GridSpec
from jaxlimits.run.computing import Compute
from jaxlimits.store.folders import kept_folder, shards_folders, unfinished_folders, working_folder
from jaxlimits.store.index import read_listing, write_index
from jaxlimits.store.layout import make_layout
from jaxlimits.store.ledger import (
    Ledger,
    States,
    close_ledger,
    drop_ledger,
    is_ledger_of,
    open_ledger,
)
from jaxlimits.store.netcdf import check_target, open_dataset, write_dataset
from jaxlimits.store.owner import Ownership
from jaxlimits.store.pack import pack
from jaxlimits.store.provenance import ARRANGEMENT, describe_run
from jaxlimits.store.shards import Shard, check_shard, lay_out_shards
from jaxlimits.store.template import build_dataset

SINGLE_FILE_BYTES = 1 << 30
"""Dense results up to this size, before compression, end as one file; larger ones stay sharded."""

LONG_POINTS = 1 << 22
"""A sweep of at most so many points is done before anybody would interrupt it."""

_SHOWN = 3


def is_long(spec: GridSpec, job: Job) -> bool:
    """Whether a sweep is worth a ledger: several chunks, not just those of a switch."""
    return job.plan.num_chunks > 1 and (spec.memory is not None or spec.num_points > LONG_POINTS)


def is_sharded(spec: GridSpec) -> bool:
    """Whether the dense outputs of a long sweep stay in shards."""
    return dense_bytes(spec) > SINGLE_FILE_BYTES


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
    owner: Ownership,
    resume: bool,
    force: bool,
    progress: Progress,
) -> None:
    """Compute a sweep chunk by chunk into a file, or into shards with an index.

    A result that it replaces is there until the new one is whole.

    Parameters
    ----------
    spec, job
        The sweep.
    output
        The result, or the index of a sharded one.
    compute
        Who computes the chunks: :func:`compute_here`, or a cluster.
    owner
        That the output is this process's.
    resume
        Go on with an unfinished sweep into the same output.
    force
        Replace an existing result, throw an unfinished sweep away.
    progress
        Told of every chunk.

    Raises
    ------
    DeviceMemoryError
        A chunk does not fit into the device's memory, and none was computed before.
    UnfinishedSweepError
        No space, a device that fails, workers that die: what is done is kept.
    ResultError
        A folder that cannot be written, or an unfinished sweep in its place.
    InputError
        The unfinished sweep is another one.
    """
    run = describe_run(spec, job.scenario)
    identity = _identity(run, job)
    folder = working_folder(output, identity, resume=resume, force=force)
    replace = force or output.exists()
    ledger = open_ledger(folder, identity, resume=resume, force=force)
    hash_ = run["content_hash"]
    sweep = _Sweep(spec=spec, job=job, ledger=ledger, content_hash=hash_, owner=owner)
    told = _Told(progress)
    try:
        shards, states = sweep.run(compute, told)
        told("writing", 1.0)
        _finish(sweep, shards, states, output, replace=replace)
    except DeviceMemoryError as error:
        if ledger.is_empty():
            close_ledger(folder, keep_shards=False)
            raise
        remedy = "another process may hold what it had before; end that"
        raise UnfinishedSweepError(f"{error}; {remedy}") from None
    except OSError as error:
        raise _stopped(error, output, folder) from None
    except (KeyboardInterrupt, SystemExit) as stop:
        stop.add_note(
            f"{told.share:.0%} of the sweep are kept in {folder}; "
            "the same command with `resume=True` goes on"
        )
        raise


def as_begun(spec: GridSpec, job: Job, output: Path) -> Job:
    """Return a sweep in the chunks of the one that is to be gone on with.

    That may have halved them, where the device's memory was too small for them.
    """
    run = describe_run(spec, job.scenario)
    tried = job
    with contextlib.suppress(InputError):  # they are as small as can be
        while True:
            identity = _identity(run, tried)
            if any(is_ledger_of(folder, identity) for folder in shards_folders(output)):
                return tried
            tried = halved(tried)
    return job


def _stopped(error: OSError, output: Path, folder: Path) -> ResultError:
    """What is said where a sweep cannot go on, and whether what it did is kept."""
    if not folder.is_dir():
        problem = f"its folder {folder} was removed while the sweep wrote into it"
        return ResultError(f"{output}: {problem}; start again")
    if isinstance(error, UnfinishedSweepError):
        return error
    problem = str(error) if isinstance(error, ResultError) else cannot_be_written(output, error)
    return UnfinishedSweepError(problem)


def is_finished(spec: GridSpec, job: Job, output: Path) -> bool:
    """Whether a result is there already, and is the one that this sweep would give.

    Raises
    ------
    ResultError
        What is there is something else.
    """
    if not output.exists():
        return False
    run = describe_run(spec, job.scenario)
    with open_dataset(output) as dataset:
        same = dataset.attrs.get("content_hash") == run["content_hash"]
        sharded = read_listing(dataset) is not None
    if not same:
        remedy = "choose another name, or replace it with `force=True`"
        raise ResultError(f"{output}: is the result of another sweep; {remedy}")
    if not sharded:  # a kill may have come between the result and the end of its ledger
        for folder in unfinished_folders(output):
            drop_ledger(folder, _identity(run, job))
    return not sharded


def _identity(run: dict, job: Job) -> dict:
    """What must be equal for two runs to make the same chunks."""
    names = (
        *("grid", "overrides", "catalog", "precision", "memory", ARRANGEMENT),
        *("jaxlimits_version", "content_hash"),
    )
    plan = {"shape": job.plan.shape, "block": job.plan.block}
    return {**{name: run[name] for name in names}, "plan": plan}


@dataclasses.dataclass(slots=True)
class _Told:
    """Progress that remembers how far it was."""

    progress: Progress
    share: float = 0.0

    def __call__(self, stage: str, share: float) -> None:
        self.share = share
        self.progress(stage, share)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Sweep:
    """A running sweep."""

    spec: GridSpec
    job: Job
    ledger: Ledger
    content_hash: str
    owner: Ownership

    def run(self, compute: Compute, progress: Progress) -> tuple[list[Shard], States]:
        """Compute what is missing; return every shard and the states of the reductions."""
        job, plan = self.job, self.job.plan
        merged, states = self._states()
        shards = self._whole_shards() if job.outputs else {}
        before, begun = merged, frozenset(shards)

        def wanted() -> Iterator[Key]:  # one by one: a grid may have millions of chunks
            return (key for key in plan.chunks() if self._is_wanted(key, before, begun))

        number_wanted = sum(1 for _ in wanted())
        blanks = None
        if job.outputs:
            blanks = lay_out_shards(make_layout(self.spec, job.scenario, plan))
        if number_wanted < plan.num_chunks:
            progress("resuming", 1.0 - number_wanted / plan.num_chunks)
        with contextlib.closing(compute(job, wanted(), self.ledger.folder, blanks)) as chunks:
            for left, done in zip(reversed(range(number_wanted)), chunks, strict=True):
                number = plan.number(done.key)
                if job.reductions and number >= merged:
                    merge_parts(job, states, done.parts, done.key)
                    self.ledger.record_parts(number, done.parts, states)
                    merged = number + 1
                if done.shard is not None:
                    self.ledger.record_shard(done.shard)
                    shards[done.key] = done.shard
                progress("computing", 1.0 - left / plan.num_chunks)
                self.owner.check()
        return [shards[key] for key in plan.chunks()] if job.outputs else [], states

    def _states(self) -> tuple[int, States]:
        """How many chunks an earlier run merged, and what its reductions had by then."""
        plan = self.job.plan
        fresh = {r.name: r.start(plan.shape) for r in self.job.reductions}
        merged, states = self.ledger.load_state(fresh)
        for number, parts in self.ledger.parts_after(merged):
            key = tuple(map(int, np.unravel_index(number, plan.counts)))
            merge_parts(self.job, states, parts, key)
            merged = number + 1
        return merged, states

    def _is_wanted(self, key: Key, merged: int, shards: Collection[Key]) -> bool:
        unmerged = bool(self.job.reductions) and self.job.plan.number(key) >= merged
        return unmerged or (bool(self.job.outputs) and key not in shards)

    def _whole_shards(self) -> dict[Key, Shard]:
        """Shards of an earlier run that are what was written; the others are said."""
        found: dict[Key, Shard] = {}
        problems: list[str] = []
        for shard in self.ledger.shards().values():
            problem = check_shard(self.ledger.folder, shard, content_hash=self.content_hash)
            if problem is None:
                found[shard.key] = shard
            else:
                problems.append(f"{shard.name} {problem}")
        if problems:
            shown = "; ".join(problems[:_SHOWN]) + ("; …" if len(problems) > _SHOWN else "")
            message = f"{len(problems)} finished shards are computed again: {shown}"
            warnings.warn(f"{self.ledger.folder}: {message}", DamagedResultWarning, stacklevel=2)
        return found


def _finish(
    sweep: _Sweep, shards: list[Shard], states: States, output: Path, *, replace: bool
) -> None:
    """Turn shards and states into the result, in the place of an earlier one."""
    folder, sharded = sweep.ledger.folder, bool(sweep.job.outputs) and is_sharded(sweep.spec)
    before = kept_folder(output)
    # Made in the folder, where a kill leaves nothing that is not cleared away.
    whole = folder / ".result.nc.partial"
    _write_result(sweep, shards, states, output, whole, sharded=sharded)
    sweep.owner.look()
    check_target(output, force=replace)
    os.replace(whole, output)
    close_ledger(folder, keep_shards=sharded)
    if before is not None and before != folder:
        close_ledger(before, keep_shards=False)


def replace_result(dataset: xr.Dataset, output: Path, *, force: bool) -> None:
    """Write a result that lies in memory; the shards of one that it replaces go with that."""
    before = kept_folder(output)
    write_dataset(dataset, output, force=force)
    if before is not None:
        close_ledger(before, keep_shards=False)


def _write_result(
    sweep: _Sweep, shards: list[Shard], states: States, output: Path, whole: Path, *, sharded: bool
) -> None:
    """Write what will be the result, under another name."""
    spec, job, folder = sweep.spec, sweep.job, sweep.ledger.folder
    findings = findings_of(job, states)
    if not job.outputs:
        write_dataset(build_dataset(spec, job.scenario, {}, findings), whole, force=True)
        return
    layout = make_layout(spec, job.scenario, job.plan, findings)
    if sharded:
        write_index(whole, folder, shards, layout=layout, beside=output.parent)
        return
    index = folder / ".index.nc.partial"
    write_index(index, folder, shards, layout=layout)
    pack(index, whole, force=True)
