"""Peak resident memory of the command against the size of the grid: flat, if nothing grows with it.

From 10^7 points on the grids differ in chips and batches, which the reductions of
grids/billion.toml go over, and not in the axes that these keep. ``--full`` adds 10^9 points.
"""

from collections.abc import Mapping

import pytest

from benchmarks.commands import sweep
from benchmarks.grids import BILLION, Axes, grid_text

SIZES: Mapping[str, Axes] = {
    "1e6": Axes(batch_size=1, mem_bw=25),
    "1e7": Axes(tp_size=5, batch_size=1),
    "1e8": Axes(tp_size=5, batch_size=10),
    "1e9": Axes(),
}
LARGEST = "1e9"
REDUCTIONS: Mapping[str, Mapping] = {
    "billion": BILLION,
    "frontier": {"frontier": {"op": "frontier", "of": ["utps", "stps"], "also": ["limit"]}},
}
LIMIT_MB = 1.5 * 1024**3 / 1e6


@pytest.mark.parametrize("kind", REDUCTIONS)
def bench_peak_memory(compare, benchmark, full, tmp_path, kind):
    sizes = {name: axes for name, axes in SIZES.items() if full or name != LARGEST}
    peaks: dict[str, float] = {}

    def run() -> None:
        for name, axes in sizes.items():
            grid = tmp_path / f"{name}.toml"
            grid.write_text(grid_text(axes, reductions=REDUCTIONS[kind]), encoding="utf-8")
            peaks[name] = round(sweep(grid, tmp_path, "--force").peak_mb, 1)

    benchmark.pedantic(run, rounds=1)
    flat = [peak for name, peak in peaks.items() if name != "1e6"]
    compare.note(
        peak_mb=peaks,
        points={name: axes.points for name, axes in sizes.items()},
        largest_over_smallest_from_1e7=round(max(flat) / min(flat), 3),
        within_10_percent=max(flat) <= 1.1 * min(flat),
        within_1_5_gib=max(flat) <= LIMIT_MB,
    )
