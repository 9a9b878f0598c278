"""Optima of the shipped problems beside the best points of dense grids over them.

A row fails where an optimum is more than 0.1 % worse than the best point of its grid.
"""

import pytest

from benchmarks.rounds import OURS, Run
from jaxlimits.codesign.designs import label_optimum
from jaxlimits.codesign.problem import build_problem
from jaxlimits.codesign.problem_file import read_problem, shipped_problems
from jaxlimits.codesign.search import search
from tests.codesign.dense import best_of_grid

GRID_POINTS = 10_000_000
TOLERANCE = 1e-3


@pytest.mark.parametrize("name", shipped_problems())
def bench_optima(compare, name):
    problem = build_problem(read_problem(name, {}))
    optimum = search(problem)
    goals = label_optimum(problem, optimum)[problem.objective].values.reshape(-1).tolist()
    grids = [best_of_grid(problem, GRID_POINTS, place=place) for place in range(len(goals))]
    over = [
        goal / best[problem.objective] if problem.maximise else best[problem.objective] / goal
        for goal, (best, _) in zip(goals, grids, strict=True)
    ]
    runs = {
        OURS: Run(call=lambda: search(problem), work=1),
        "one dense grid": Run(call=lambda: best_of_grid(problem, GRID_POINTS, place=0), work=1),
    }
    compare(runs, unit="search", rounds=1)
    agreeing = f"{int(optimum.agreeing[0])} of {int(optimum.starts[0])} starts agree"
    compare.note(
        grid_points=grids[0][1],
        optimum_over_grid=[round(float(ratio), 6) for ratio in over],
        agreeing=agreeing,
    )
    assert min(over) >= 1.0 - TOLERANCE
