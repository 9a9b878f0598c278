"""Million points a second, ours beside the hand-written loop: a first look while tuning.

python -m benchmarks.quick [--batches 8] [--rounds 5] [--case NAME]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.baselines.loop import Loop, make_loop
from benchmarks.grids import BILLION, Axes, grid_text, job_of, spec_of
from jaxlimits.engine.stream import Job, collect, stream
from jaxlimits.grid.scenario import bind

Runs = tuple[Callable[[], object], Callable[[], object]]


def dense_runs(axes: Axes, outputs: tuple[str, ...]) -> Runs:
    """Ours and the loop's, all dense chunks one after another."""
    job, loop = job_of(grid_text(axes, outputs=outputs)), loop_of(axes)
    rooms = [loop.room(np.int8 if name == "limit" else np.float32) for name in outputs]
    function = "dense_three" if len(outputs) == 3 else "dense_utps"
    return lambda: drain(job), lambda: [None for _ in loop.dense(function, *rooms)]


def reduced_runs(axes: Axes, names: tuple[str, ...]) -> Runs:
    """Ours and the loop's, reductions of grids/billion.toml."""
    chosen = {name: BILLION[name] for name in names}
    job, loop = job_of(grid_text(axes, reductions=chosen)), loop_of(axes)
    best = (loop.kept(np.float32), loop.kept(np.int32))
    bins = (1.0, 1e5, 50, np.zeros(52, np.int64))
    top = (10, np.zeros(10, np.float32), np.zeros(10, np.int64))
    function, arguments = {
        ("best",): ("reduce_best", best),
        ("speeds",): ("reduce_histogram", bins),
        ("fastest",): ("reduce_top", top),
        tuple(BILLION): ("reduce_billion", (*best, *bins, *top)),
    }[names]
    return lambda: collect(job), lambda: loop.reduce(function, *arguments)


def drain(job: Job) -> None:
    """Compute every chunk and let go of it."""
    for _ in stream(job):
        pass


def loop_of(axes: Axes) -> Loop:
    """Return the loop over the same grid."""
    return make_loop(bind(spec_of(grid_text(axes, outputs=("utps",)))))


CASES: dict[str, Callable[[Axes], Runs]] = {
    "utps": lambda axes: dense_runs(axes, ("utps",)),
    "utps+stps+limit": lambda axes: dense_runs(axes, ("utps", "stps", "limit")),
    "best": lambda axes: reduced_runs(axes, ("best",)),
    "histogram": lambda axes: reduced_runs(axes, ("speeds",)),
    "top": lambda axes: reduced_runs(axes, ("fastest",)),
    "billion": lambda axes: reduced_runs(axes, tuple(BILLION)),
}


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one run."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    """Measure A B A B and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batches", type=int, default=8, help="of 64: more takes longer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", choices=CASES, action="append")
    options = parser.parse_args()
    axes = Axes(batch_size=options.batches)
    print(f"{axes.points:,} points; Mpoint/s, medians of {options.rounds} rounds")
    for name in options.case or CASES:
        runs = CASES[name](axes)
        for run in runs:
            run()  # compiles, touches memory
        rounds = [[seconds(run) for run in runs] for _ in range(options.rounds)]
        ours, loop = (axes.points / statistics.median(t) / 1e6 for t in zip(*rounds, strict=True))
        print(f"{name:<18} ours {ours:8.0f}   loop {loop:8.0f}   ratio {ours / loop:5.2f}")


if __name__ == "__main__":
    main()
