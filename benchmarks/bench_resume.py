"""What an interruption costs: a sweep that is killed half-way and resumed, beside one that is not.

Every run is a command of its own, killed at half of its sweeping time. ``overhead_s`` is what both
parts together take longer than the whole, less the second start-up, which no resumed run is
spared (compiling again counts); ``share`` is that over the time of sweeping. Then the time of
``--resume`` where all shards are done and only the index is missing: every shard is checked.
"""

import shutil
import statistics
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.commands import killed_sweep, sweep
from benchmarks.grids import BILLION, Axes, grid_text
from benchmarks.rounds import OURS, Run

DENSE, REDUCED = Axes(batch_size=18), Axes(batch_size=32)
GRIDS: Mapping[str, tuple[str, int]] = {
    "dense": (grid_text(DENSE, outputs=("utps",)), DENSE.points),
    "reduced": (grid_text(REDUCED, reductions=BILLION), REDUCED.points),
}
"""Grid files, and how many points they have."""


@pytest.mark.parametrize("kind", GRIDS)
def bench_killed_half_way(compare, tmp_path, kind):
    text, points = GRIDS[kind]
    grid = tmp_path / "grid.toml"
    grid.write_text(text, encoding="utf-8")
    wholes = [sweep(grid, cleared(tmp_path / "whole"))]

    def startup() -> float:
        return statistics.median(whole.seconds - whole.sweeping for whole in wholes)

    def sweeping() -> float:
        return statistics.median(whole.sweeping for whole in wholes)

    def interrupted() -> None:
        killed_sweep(grid, tmp_path / "parts", after=startup() + sweeping() / 2.0)
        sweep(grid, tmp_path / "parts", "--resume")

    runs = {
        OURS: Run(call=interrupted, work=points, before=lambda: cleared(tmp_path / "parts")),
        "uninterrupted": Run(
            call=lambda: wholes.append(sweep(grid, tmp_path / "whole")),
            work=points,
            before=lambda: cleared(tmp_path / "whole"),
        ),
    }
    seconds = compare(runs, warm=False)["median_s"]
    overhead = seconds[OURS] - seconds["uninterrupted"] - startup()
    compare.note(
        startup_s=round(startup(), 2),
        overhead_s=round(overhead, 2),
        share=round(overhead / sweeping(), 3),
    )


def bench_resumed_when_done(compare, tmp_path):
    grid, folder = tmp_path / "grid.toml", cleared(tmp_path / "done")
    grid.write_text(GRIDS["dense"][0], encoding="utf-8")
    whole, again = sweep(grid, folder), []
    run = Run(
        call=lambda: again.append(sweep(grid, folder, "--resume").sweeping),
        work=DENSE.points,
        before=(folder / "out.nc").unlink,
    )
    compare({OURS: run}, warm=False)
    compare.note(
        whole_sweeping_s=round(whole.sweeping, 2),
        resumed_sweeping_s=round(statistics.median(again), 2),
    )


def cleared(folder: Path) -> Path:
    """Empty a folder and return it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
