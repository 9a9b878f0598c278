"""How long the billion-point grids take, from a cold start, and how much memory: medians of rounds.

python benchmarks/bench_sweeps.py [--rounds 3] [--json results.json]
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_startup import commit, machine

GRIDS = ("bandwidth_sync", "billion", "billion_frontier", "billion_dense")


def run_grid(grid: str) -> dict[str, float]:
    """Sweep a grid in an empty folder: seconds of wall clock, peak resident memory [MB]."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jaxlimits", "sweep", grid, "-o", "out.nc"]
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        if status != 0:
            raise RuntimeError(f"{' '.join(command)} failed")
        stored = sum(path.stat().st_size for path in Path(folder).rglob("*.nc"))
    return {"seconds": seconds, "peak_mb": usage.ru_maxrss / 1e3, "stored_mb": stored / 1e6}


def main() -> None:
    """Measure, print, and keep the results where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rounds = [{grid: run_grid(grid) for grid in GRIDS} for _ in range(options.rounds)]
    rows = [
        {
            "grid": grid,
            **{
                name: round(statistics.median(taken[grid][name] for taken in rounds), 2)
                for name in rounds[0][grid]
            },
        }
        for grid in GRIDS
    ]
    for row in rows:
        print(
            f"{row['grid']:<18} {row['seconds']:>7.1f} s {row['peak_mb']:>8.0f} MB peak "
            f"{row['stored_mb']:>8.1f} MB stored"
        )
    if options.json:
        facts = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "commit": commit(),
            "rounds": options.rounds,
            "machine": machine(),
            "results": rows,
        }
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
