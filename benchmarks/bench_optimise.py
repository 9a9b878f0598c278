"""Optima of the shipped problems beside the best points of dense grids over them.

python benchmarks/bench_optimise.py [--points 10_000_000] [--json results.json]

Fails where an optimum is more than 0.1 % worse than the best point of its grid. The seconds are
those of one search and of one sweep in a warm process; the searches compile first.
"""

import argparse
import datetime
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench_startup import commit, machine
from jaxlimits.design.label import label_optimum

from jaxlimits.design.dense import best_of_grid
from jaxlimits.design.problem import build_problem
from jaxlimits.design.search import search
from jaxlimits.design.problem_file import read_problem, shipped_problems

TOLERANCE = 1e-3


def compare(name: str, num_points: int) -> Iterator[dict[str, Any]]:
    """Solve a problem and sweep a grid over it, at every limit of its sweep."""
    problem = build_problem(read_problem(name, {}))
    started = time.perf_counter()
    optimum = search(problem)
    seconds = time.perf_counter() - started
    dataset = label_optimum(problem, optimum)
    goals = dataset[problem.objective].values.reshape(-1)
    for place, goal in enumerate(goals.tolist()):
        started = time.perf_counter()
        best, grid_points = best_of_grid(problem, num_points, place=place)
        on_grid = float(best[problem.objective])
        yield {
            "problem": name,
            "limit": problem.limits[place] if problem.swept is not None else None,
            "combinations": len(optimum.choices.positions),
            "optimum": goal,
            "grid_points": grid_points,
            "grid_best": on_grid,
            "optimum_over_grid": goal / on_grid if problem.maximise else on_grid / goal,
            "agreeing": int(optimum.agreeing[place]),
            "starts": int(optimum.starts[place]),
            "search_seconds": round(seconds, 2),
            "grid_seconds": round(time.perf_counter() - started, 2),
        }


def main() -> None:
    """Compare, print, keep the results where asked, and fail where an optimum is worse."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for name in shipped_problems():
        for row in compare(name, options.points):
            rows.append(row)
            print(
                f"{row['problem']:<20} {row['optimum_over_grid']:.5f} of the best of "
                f"{row['grid_points']:,}; {row['agreeing']} of {row['starts']} starts agree; "
                f"search {row['search_seconds']} s, grid {row['grid_seconds']} s",
                flush=True,
            )
    if options.json:
        facts = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "commit": commit(),
            "machine": machine(),
            "results": rows,
        }
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(row["optimum_over_grid"] < 1.0 - TOLERANCE for row in rows))


if __name__ == "__main__":
    main()
