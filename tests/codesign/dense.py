"""The check of an optimum: the best point of a dense grid, by the streaming engine."""

import dataclasses
import math

import numpy as np

from jaxlimits.codesign.problem import Problem
from jaxlimits.engine.findings import find
from jaxlimits.engine.reductions.argmax import Best
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import make_job
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.rules import Rules


def best_of_grid(
    problem: Problem, num_points: int, *, place: int = 0, precision: str = "float32"
) -> tuple[dict[str, float | str], int]:
    """Return the best point of a grid over a problem, and how many points the grid has.

    Continuous fields are spaced evenly in the logarithm, as finely as the number of points allows;
    listed ones take all their values. Points that miss a budget do not count.

    Parameters
    ----------
    problem
        The problem.
    num_points
        How many points the grid should have, nearly.
    place
        Which limit of a swept budget.
    precision
        ``"float32"`` or ``"float64"``.

    Returns
    -------
    tuple
        The goal, by its name, and the value on every axis; NaN where no point meets the budgets.
    """
    free = {span.name: span for span in problem.ranges}
    listed = math.prod(len(axis) for axis in problem.scenario.axes if axis.name not in free)
    num = max(2, round((num_points / listed) ** (1.0 / max(len(free), 1))))
    axes = tuple(
        _spaced(axis.name, free[axis.name].lower, free[axis.name].upper, num)
        if axis.name in free
        else axis
        for axis in problem.scenario.axes
    )
    columns = tuple(
        {axis.name: np.array(axis.values, np.float64)} if axis.name in free else fields
        for axis, fields in zip(axes, problem.scenario.columns, strict=True)
    )
    limits = problem.limits_at(place)
    budgets = tuple(
        dataclasses.replace(budget, limit=float(limit))
        for budget, limit in zip(problem.budgets, limits, strict=True)
    )
    rules = Rules(prices=problem.scenario.rules.prices, budgets=budgets)
    scenario = dataclasses.replace(problem.scenario, axes=axes, columns=columns, rules=rules)
    reduction = Best(
        name="best",
        op="argmax" if problem.maximise else "argmin",
        of=(problem.objective,),
        over=tuple(range(len(axes))),
    )
    job = make_job(scenario, outputs=(), reductions=(reduction,), precision=precision)
    _, states = collect(job)
    value, *winners = find(job, reduction, states[reduction.name])
    found = {winner.name.removeprefix("best_"): winner.values.item() for winner in winners}
    return {problem.objective: value.values.item(), **found}, math.prod(map(len, axes))


def _spaced(name: str, lower: float, upper: float, num: int) -> Axis:
    values = np.geomspace(lower, upper, num)
    return Axis(name=name, values=tuple(values.tolist()), linked={})
