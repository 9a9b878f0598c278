"""One process, one Dask worker, two workers: the same sweep, the same bits.

Seconds are of the whole command, Dask's start included; ``sweeping_s`` is the sweep itself. On a
machine whose cores one process already fills, a second worker can only cost.
"""

import shutil
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from benchmarks.commands import sweep
from benchmarks.grids import BILLION, Axes, grid_text
from benchmarks.rounds import OURS, Run

AXES = Axes(batch_size=18)
GRIDS: Mapping[str, str] = {
    "dense": grid_text(AXES, outputs=("utps",)),
    "reduced": grid_text(AXES, reductions=BILLION),
}
WAYS: Mapping[str, tuple[str, ...]] = {
    OURS: ("--workers", "2"),
    "one worker": ("--workers", "1"),
    "no workers": (),
}


@pytest.mark.parametrize("kind", GRIDS)
def bench_two_workers(compare, tmp_path, kind):
    grid = tmp_path / "grid.toml"
    grid.write_text(GRIDS[kind], encoding="utf-8")
    sweeping: dict[str, list[float]] = {name: [] for name in WAYS}

    def run_of(name: str) -> Run:
        folder = tmp_path / name.replace(" ", "-")

        def run() -> None:
            sweeping[name].append(sweep(grid, folder, *WAYS[name]).sweeping)

        return Run(call=run, work=AXES.points, before=emptied(folder))

    compare({name: run_of(name) for name in WAYS}, warm=False)
    compare.note(sweeping_s={n: round(statistics.median(s), 2) for n, s in sweeping.items()})


def emptied(folder: Path) -> Callable[[], None]:
    """Return what makes a folder, or makes it empty."""

    def empty() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    return empty
