"""The shipped long grids, whole, from a cold start: seconds, peak memory, bytes stored.

Those of a billion points come with ``--full``.
"""

import pytest

from benchmarks.commands import stored_files, sweep
from benchmarks.rounds import OURS, Run
from jaxlimits.run.pipeline import load_grid

LIMITS = {"bandwidth_sync": None, "billion": 8.0, "billion_frontier": 25.0, "billion_dense": None}
"""Seconds that each may take after start-up."""


@pytest.mark.parametrize("grid", LIMITS)
def bench_whole_grid(compare, full, tmp_path, grid):
    if grid.startswith("billion") and not full:
        pytest.skip("takes long: add --full")
    found = []
    points = load_grid(grid).num_points
    run = Run(call=lambda: found.append(sweep(grid, tmp_path, "--force")), work=points)
    compare({OURS: run}, rounds=3 if grid == "bandwidth_sync" else 1, warm=False)
    last, limit = found[-1], LIMITS[grid]
    stored = sum(path.stat().st_size for path in stored_files(tmp_path))
    compare.note(
        sweeping_s=last.sweeping, peak_mb=round(last.peak_mb, 1), stored_mb=round(stored / 1e6, 2)
    )
    if limit is not None:
        compare.note(within=f"{limit} s: {'met' if last.sweeping <= limit else 'MISSED'}")
