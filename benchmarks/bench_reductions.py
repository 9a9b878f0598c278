"""Reductions: each alone and those of grids/billion.toml together, beside the hand-written loop.

The loop computes the same metrics at the same points and keeps the same of them, in one pass, with
what is kept in the caches; it skips rows that do not fit in memory. Ours streams and merges chunks,
by XLA, and with `fast` by loops that Numba compiles.
Then every metric at once, beside what other tools evaluate in a second.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from benchmarks.baselines.loop import Loop, make_loop
from benchmarks.baselines.peers import FASTEST_IN_PYTHON, POINTS_PER_SECOND, genz_rate
from benchmarks.grids import BILLION, CODES, METRICS, Axes, grid_text, job_of, spec_of
from benchmarks.rounds import FAST, OURS, Run
from jaxlimits.engine.reductions.quantiles import SKETCH
from jaxlimits.engine.stream import collect
from jaxlimits.grid.scenario import bind

AXES = Axes(batch_size=8)
FEWER = Axes(batch_size=2)
FRONTIER_ROOM = 1 << 16
TARGET = 100.0


def best(loop: Loop) -> tuple:
    """Room for the best of each kept point and where it is."""
    return loop.kept(np.float32), loop.kept(np.int32)


def bins(_loop: Loop) -> tuple:
    """Bins of grids/billion.toml."""
    return 1.0, 1e5, 50, np.zeros(52, np.int64)


def sketch(_loop: Loop) -> tuple:
    """Bins of the sketch behind quantiles."""
    counts = np.zeros(SKETCH.number + 2, np.int64)
    return SKETCH.first, SKETCH.last, SKETCH.number, counts


def top(_loop: Loop) -> tuple:
    """Room for the ten best."""
    return 10, np.zeros(10, np.float32), np.zeros(10, np.int64)


def codes(_loop: Loop) -> tuple:
    """Room for a number for each limit."""
    return (np.zeros(4, np.int64),)


def crossing(loop: Loop) -> tuple:
    """A target, and room for a position for each row and latency."""
    return TARGET, np.zeros(loop.num_rows * loop.shape[5], np.int32)


def front(_loop: Loop) -> tuple:
    """Room for a frontier."""
    reals = np.zeros(FRONTIER_ROOM, np.float32), np.zeros(FRONTIER_ROOM, np.float32)
    return FRONTIER_ROOM, *reals, np.zeros(FRONTIER_ROOM, np.int64)


CASES: Mapping[str, tuple[Mapping, str, Callable[[Loop], tuple]]] = {
    "billion": (BILLION, "reduce_billion", lambda loop: (*best(loop), *bins(loop), *top(loop))),
    "argmax": ({"best": BILLION["best"]}, "reduce_best", best),
    "histogram": ({"speeds": BILLION["speeds"]}, "reduce_histogram", bins),
    "top": ({"fastest": BILLION["fastest"]}, "reduce_top", top),
    "max": ({"most": {"op": "max", "of": "utps"}}, "reduce_max", lambda _: ()),
    "mean": ({"middle": {"op": "mean", "of": "utps"}}, "reduce_mean", lambda _: ()),
    "quantiles": ({"spread": {"op": "quantiles", "of": "utps"}}, "reduce_histogram", sketch),
    "count": ({"binding": {"op": "count", "of": "limit"}}, "reduce_count", codes),
    "crossing": (
        {"reached": {"op": "crossing", "of": "utps", "over": ["mem_bw"], "target": "100 token/s"}},
        "reduce_crossing",
        crossing,
    ),
    "frontier": (
        {"frontier": {"op": "frontier", "of": ["utps", "stps"]}},
        "reduce_frontier",
        front,
    ),
}


@pytest.mark.parametrize("case", CASES)
def bench_reduction(compare, case):
    reductions, function, room = CASES[case]
    text = grid_text(AXES, reductions=reductions)
    job = job_of(text)
    fast = {} if case == "frontier" else {FAST: reduced_by_loops(text, AXES)}
    loop = make_loop(bind(spec_of(grid_text(AXES, outputs=("utps",)))))
    arguments = room(loop)
    compare(
        {
            OURS: Run(call=lambda: collect(job), work=AXES.points),
            **fast,
            "loop": Run(call=lambda: loop.reduce(function, *arguments), work=AXES.points),
        }
    )
    compare.aim(loop=0.8)
    if fast:
        compare.aim(FAST, loop=0.5)


def reduced_by_loops(text: str, axes: Axes) -> Run:
    """The same grid with `fast`: loops compiled of the model's own program."""
    job = job_of(text, fast=True)
    return Run(call=lambda: collect(job), work=axes.points)


def every_metric() -> Mapping[str, Mapping[str, object]]:
    """Mean and maximum of every number, and a count of every code."""
    numbers = [name for name in METRICS if name not in CODES]
    return {
        **{f"{op}_of_{name}": {"op": op, "of": name} for name in numbers for op in ("mean", "max")},
        **{f"{name}_codes": {"op": "count", "of": name} for name in CODES},
    }


def bench_every_metric(compare, request):
    text = grid_text(FEWER, reductions=every_metric())
    job = job_of(text)
    ours = Run(call=lambda: collect(job), work=FEWER.points)
    compare({OURS: ours, FAST: reduced_by_loops(text, FEWER)})
    for peer, rate in POINTS_PER_SECOND.items():
        compare.against(f"{peer} (stated)", rate)
    python = request.config.getoption("genz")
    if python:
        compare.against("GenZ (measured)", genz_rate(python))
    compare.aim(**{"ridgepoint (stated)": 500.0, f"{FASTEST_IN_PYTHON} (stated)": 10_000.0})
