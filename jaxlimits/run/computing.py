"""Chunks computed in this process, and worked on meanwhile."""

import dataclasses
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from jaxlimits.engine.reduction import Arrays
from jaxlimits.engine.stream import Chunk, stream
from jaxlimits.engine.sweep_job import Job
from jaxlimits.errors import (
    DeviceError,
)
from jaxlimits.grid.plan import Key
from jaxlimits.store.shards import Blanks, Shard, write_shard

_SHARDS_IN_FLIGHT = 4

Made = TypeVar("Made")
"""What becomes of a chunk."""


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


Compute = Callable[[Job, Iterable[Key], Path, Blanks | None], Generator[Done]]
"""Computes chunks and writes their shards, in the order of their keys."""


def compute_here(
    job: Job, keys: Iterable[Key], folder: Path, blanks: Blanks | None
) -> Generator[Done]:
    """Compute chunks in this process and yield them in the order of their keys.

    While later chunks are computed, earlier ones are compressed and written.
    """
    if blanks is None:
        for chunk in stream(job, keys):
            yield Done(key=chunk.key, parts=chunk.parts, shard=None)
        return

    def write(chunk: Chunk, workers: Executor) -> Shard:
        return write_shard(folder, chunk.key, chunk.arrays, blanks=blanks, workers=workers)

    for chunk, shard in worked_off(job, keys, write):
        yield Done(key=chunk.key, parts=chunk.parts, shard=shard)


def worked_off(
    job: Job, keys: Iterable[Key], work: Callable[[Chunk, Executor], Made]
) -> Generator[tuple[Chunk, Made]]:
    """Compute chunks and work on earlier ones meanwhile; yield both in the order of their keys.

    Where a device fails, what was computed before comes first.

    Parameters
    ----------
    job, keys
        The sweep, and which of its chunks.
    work
        What is done with a chunk, given threads that help with it.
    """
    waiting: deque[tuple[Chunk, Future[Made]]] = deque()
    failure: DeviceError | None = None
    with ThreadPoolExecutor(os.cpu_count()) as workers, ThreadPoolExecutor(2) as writers:
        try:
            for chunk in stream(job, keys):
                waiting.append((chunk, writers.submit(work, chunk, workers)))
                if len(waiting) > _SHARDS_IN_FLIGHT:
                    earlier, made = waiting.popleft()
                    yield earlier, made.result()
        except DeviceError as error:
            failure = error
        for earlier, made in waiting:
            yield earlier, made.result()
    if failure is not None:
        raise failure
