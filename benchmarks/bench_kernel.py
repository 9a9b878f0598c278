"""The kernel: dense outputs, chunk by chunk, beside the hand-written loop, NumPy and a plain copy.

On the axes of grids/billion.toml with fewer batches. Ours, by XLA and with `fast` by loops that
Numba compiles, hands every chunk to the host and lets go of it. The hand-written loop writes chunks
of one size into the same touched memory again and again, which stays in the caches where they are
large; NumPy allocates as it goes, on one core. ``copy`` moves as many bytes as the outputs have
between arrays that no cache holds, on all cores.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.baselines.broadcast import (
    Outputs,
    Volumes,
    chunks,
    everything,
    three,
    utps_only,
    volumes_of,
)
from benchmarks.baselines.loop import ELASTICITIES, Loop, make_loop
from benchmarks.baselines.machine import copy_memory
from benchmarks.grids import CODES, METRICS, Axes, grid_text, job_of, spec_of
from benchmarks.rounds import FAST, OURS, Run
from jaxlimits.engine.stream import stream
from jaxlimits.engine.sweep_job import Job
from jaxlimits.grid.scenario import bind

AXES = Axes(batch_size=8)
FEWER = Axes(batch_size=2)
COPY_BYTES = 1 << 28


def drain(job: Job) -> None:
    """Compute every chunk and let go of it."""
    for _ in stream(job):
        pass


def loop_run(axes: Axes, function: str, rooms: Callable[[Loop], tuple]) -> Run:
    """Return the loop over all chunks, into the same memory."""
    loop = make_loop(bind(spec_of(grid_text(axes, outputs=("utps",)))))
    into = rooms(loop)

    def run() -> None:
        for _ in loop.dense(function, *into):
            pass

    return Run(call=run, work=axes.points)


def numpy_run(axes: Axes, outputs: Callable[[Volumes, slice], Outputs]) -> Run:
    """Return NumPy over all chunks."""
    scenario = bind(spec_of(grid_text(axes, outputs=("utps",))))

    def run() -> None:
        volumes = volumes_of(scenario)
        for rows in chunks(volumes):
            outputs(volumes, rows)

    return Run(call=run, work=axes.points)


def copy_run(point_bytes: int) -> Run:
    """Return a copy of large arrays, its work in points of so many bytes."""
    source, target = np.ones(COPY_BYTES, np.uint8), np.ones(COPY_BYTES, np.uint8)
    return Run(call=lambda: copy_memory(source, target), work=COPY_BYTES / point_bytes)


def beside_all(
    compare,
    axes: Axes,
    outputs: tuple[str, ...],
    *,
    function: str,
    rooms: Callable[[Loop], tuple],
    in_numpy: Callable[[Volumes, slice], Outputs],
) -> None:
    """Measure ours beside every baseline."""
    text = grid_text(axes, outputs=outputs)
    job, fast = job_of(text), job_of(text, fast=True)
    point_bytes = sum(1 if name in CODES else 4 for name in outputs)
    runs = {
        OURS: Run(call=lambda: drain(job), work=axes.points),
        FAST: Run(call=lambda: drain(fast), work=axes.points),
        "loop": loop_run(axes, function, rooms),
        "numpy": numpy_run(axes, in_numpy),
        "copy": copy_run(point_bytes),
    }
    row = compare(runs)
    copied = COPY_BYTES / row["median_s"]["copy"]
    compare.note(point_bytes=point_bytes, copied_gb_per_second=round(copied / 1e9, 1))


def bench_utps(compare):
    def rooms(loop: Loop) -> tuple:
        return (loop.room(),)

    beside_all(compare, AXES, ("utps",), function="dense_utps", rooms=rooms, in_numpy=utps_only)


def bench_utps_stps_limit(compare):
    def rooms(loop: Loop) -> tuple:
        return loop.room(), loop.room(), loop.room(np.int8)

    outputs = ("utps", "stps", "limit")
    beside_all(compare, AXES, outputs, function="dense_three", rooms=rooms, in_numpy=three)
    compare.aim(loop=0.8, numpy=2.5)
    compare.aim(FAST, loop=0.8)


def bench_all_outputs(compare):
    def rooms(loop: Loop) -> tuple:
        reals = [loop.room() for name in METRICS if name not in CODES]
        return reals, loop.room(np.int8), loop.room(np.int8)

    outputs = tuple(METRICS)
    beside_all(compare, FEWER, outputs, function="dense_all", rooms=rooms, in_numpy=everything)


@pytest.mark.parametrize(
    ("function", "fields", "aim"),
    [
        ("dense_one_elasticity", ELASTICITIES[:1], 0.5),
        ("dense_five_elasticities", ELASTICITIES, 0.6),
    ],
    ids=["one", "five"],
)
def bench_elasticities(compare, function, fields, aim):
    text = grid_text(AXES, outputs=("utps",), elasticities=fields)
    # The limit comes with elasticities; the loop has none.
    job, fast = (
        dataclasses.replace(each, outputs=tuple(o for o in each.outputs if o != "limit"))
        for each in (job_of(text), job_of(text, fast=True))
    )

    def rooms(loop: Loop) -> tuple:
        into = [loop.room() for _ in fields]
        return loop.room(), into if len(into) > 1 else into[0]

    runs = {
        OURS: Run(call=lambda: drain(job), work=AXES.points),
        FAST: Run(call=lambda: drain(fast), work=AXES.points),
        "loop": loop_run(AXES, function, rooms),
    }
    compare(runs)
    compare.aim(loop=0.6)
    compare.aim(FAST, loop=aim)
