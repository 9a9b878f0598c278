"""A sweep over many processes or machines: chunks computed by Dask workers.

Workers write shards into the sweep's folder, which they must share, and send back what the
reductions keep. The order of merging is the plan's, so the result has the same bits as on one
machine. A worker that dies costs the chunks that it was computing; Dask gives them to another.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxlimits.engine.chunk_sizes import Room, device_room
from jaxlimits.engine.stream import stream
from jaxlimits.engine.sweep_job import Job
from jaxlimits.errors import InputError, ResultError
from jaxlimits.grid.plan import Key
from jaxlimits.run.computing import Done
from jaxlimits.run.devices import own_devices, share_devices
from jaxlimits.store.shards import Blanks, Shard, write_shard

if TYPE_CHECKING:
    from distributed import Client

_SECONDS_TO_ANSWER = 15
_UNDER_WAY = 4
"""Chunks given to each worker ahead of time, so that it never waits."""

_SECONDS_BETWEEN_COUNTS = 2.0
"""How often the workers are counted: those of a queue join one after another."""


@contextlib.contextmanager
def connected(*, workers: int | None = None, scheduler: str | None = None) -> Iterator["Client"]:
    """Start a cluster on this machine, or join a running one.

    Parameters
    ----------
    workers
        Processes to start here.
    scheduler
        Address of a running scheduler: ``tcp://host:8786``.

    Raises
    ------
    InputError
        Dask is not installed, or workers run another version of this package.
    ResultError
        The scheduler does not answer, or no worker has joined it.
    """
    try:
        from distributed import Client, LocalCluster  # noqa: PLC0415  (an optional extra)
    except ImportError:
        remedy = "pip install 'jaxlimits[cluster]'"
        raise InputError("workers need Dask", where="sweep", remedy=remedy) from None
    share_devices()
    with contextlib.ExitStack() as stack:
        address: object = scheduler
        if scheduler is None:
            address = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address=":0",
                    silence_logs=logging.ERROR,
                    preload="jaxlimits.run.preload",
                )
            )
        try:
            if scheduler is not None:
                asyncio.run(_greet(scheduler))
            client = stack.enter_context(Client(address, timeout=_SECONDS_TO_ANSWER))
        except (OSError, ValueError) as error:
            why = str(error) or f"not a word in {_SECONDS_TO_ANSWER} s"
            remedy = "start `dask scheduler`, or use `workers`"
            raise ResultError(
                f"{scheduler}: the scheduler does not answer ({why}); {remedy}"
            ) from None
        _refuse_other_versions(client, str(scheduler))
        yield client


def workers_room(client: "Client") -> Room:
    """Return the least room on the workers' devices, each of which it has taken for itself.

    Raises
    ------
    ResultError
        No worker has joined.
    """
    found: dict[str, Room] = client.run(_own_room)  # pyright: ignore[reportAssignmentType]
    if not found:
        raise ResultError("no worker has joined the scheduler; start some: dask worker ADDRESS")
    of_cpus = [room for room in found.values() if room.platform == "cpu"]
    return min(of_cpus or found.values(), key=lambda room: room.bytes)


def _own_room() -> Room:
    """Run on a worker: the room on its own device."""
    own_devices()  # chosen before JAX looks at any
    return device_room()


def compute_on(
    client: "Client", job: Job, keys: Iterable[Key], folder: Path, blanks: Blanks | None
) -> Generator[Done]:
    """Compute chunks on a cluster and yield them in the order of their keys.

    Parameters
    ----------
    client
        The cluster.
    job, keys
        The sweep, and which of its chunks.
    folder
        Where the workers write shards.
    blanks
        Shards without values; none where no dense output is kept.
    """
    # Tasks, not scattered data: what a task gave is made again where its workers have died.
    shared = client.submit(_itself, job, pure=False)
    layout = client.submit(_itself, blanks, pure=False)
    place = str(folder.absolute())  # workers may have been started in another folder
    own = version("jaxlimits")
    waiting: deque = deque()
    ahead, counted = 0, -_SECONDS_BETWEEN_COUNTS
    for key in keys:
        if time.monotonic() - counted > _SECONDS_BETWEEN_COUNTS:
            ahead, counted = _UNDER_WAY * _num_workers(client), time.monotonic()
        waiting.append(client.submit(_compute, shared, key, place, layout, own, pure=False))
        while len(waiting) >= ahead:
            yield _taken(waiting.popleft())
    while waiting:
        yield _taken(waiting.popleft())


async def _greet(scheduler: str) -> None:
    """Exchange a word with a scheduler; Dask's client would wait for it without end."""
    from distributed.comm.core import connect  # noqa: PLC0415  (an optional extra)
    from distributed.security import Security  # noqa: PLC0415

    options = Security().get_connection_args("client")
    seconds = _SECONDS_TO_ANSWER
    greeting = connect(scheduler, timeout=seconds, **options)
    comm = await asyncio.wait_for(greeting, seconds)
    await comm.close()


def _num_workers(client: "Client") -> int:
    workers: dict[str, int] = client.nthreads()  # pyright: ignore[reportAssignmentType]
    return max(1, len(workers))


def _itself(value: Any) -> Any:
    return value


def _taken(future) -> Done:
    """Wait for a chunk, and let the cluster forget it."""
    from distributed import KilledWorker  # noqa: PLC0415  (an optional extra)

    try:
        done = future.result()
    except KilledWorker as error:
        remedy = "give workers more memory, or chunks less by `memory`"
        raise ResultError(f"workers die again and again: {error}; {remedy}") from None
    future.release()
    return done


def _compute(job: Job, key: Key, folder: str, blanks: Blanks | None, asked_by: str) -> Done:
    """Run on a worker: one chunk, its shard written, its parts sent back."""
    _refuse_other_version({version("jaxlimits")}, asked_by)  # it may have joined in mid-sweep
    if blanks is not None and not Path(folder).is_dir():
        remedy = "workers must share the folder of the result"
        raise ResultError(f"{folder}: is not there on {socket.gethostname()}; {remedy}")
    (chunk,) = stream(job, [key], devices=own_devices())
    shard: Shard | None = None
    if blanks is not None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            shard = write_shard(Path(folder), key, chunk.arrays, blanks=blanks, workers=pool)
    return Done(key=key, parts=chunk.parts, shard=shard)


def _refuse_other_versions(client: "Client", scheduler: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_SECONDS_TO_ANSWER)
    except TimeoutError:
        remedy = f"start some: dask worker {scheduler}"
        raise ResultError(f"{scheduler}: no worker has joined the scheduler; {remedy}") from None
    found: dict[str, object] = client.run(  # pyright: ignore[reportAssignmentType]
        version, "jaxlimits", on_error="return"
    )
    versions = {v if isinstance(v, str) else "(not installed)" for v in found.values()}
    _refuse_other_version(versions, version("jaxlimits"))


def _refuse_other_version(found: set[str], own: str) -> None:
    others = found - {own}
    if others:
        problem = f"workers run jaxlimits {', '.join(sorted(others))}, this is {own}"
        raise InputError(problem, where="sweep", remedy="install one version everywhere")
