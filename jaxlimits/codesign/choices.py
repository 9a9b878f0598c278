"""The whole-number part of a problem: every combination of what is enumerated, and its measures."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxlimits import schema
from jaxlimits.codesign.climb import Cuts
from jaxlimits.codesign.problem import Problem
from jaxlimits.engine.slopes import log_slopes, metrics_at

MARGIN = 1e-6
"""Share of a budget that is left over, so that rounding does not take a design outside it."""

_SIGNS = {True: 1.0, False: -1.0}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """Every combination of the values that are enumerated.

    Parameters
    ----------
    problem
        The problem.
    positions
        Position on each axis of the problem's grid, by combination; 0 for a continuous field.
    static
        Every static field but the switches that vary.
    """

    problem: Problem
    positions: np.ndarray
    static: Mapping[str, Any]

    def fields(self, chosen: np.ndarray) -> dict[str, np.ndarray]:
        """Return every field but the continuous ones, for some combinations."""
        free = {span.name for span in self.problem.ranges}
        scenario = self.problem.scenario
        fields = {n: np.full(len(chosen), value) for n, value in scenario.base.items()}
        for place, (axis, columns) in enumerate(zip(scenario.axes, scenario.columns, strict=True)):
            if axis.name not in free:
                at = self.positions[chosen, place]
                fields |= {name: column[at] for name, column in columns.items()}
        return fields

    def groups(self, chosen: np.ndarray) -> list[tuple[dict[str, Any], np.ndarray]]:
        """Part combinations by the switches that they choose; each group is one program."""
        scenario = self.problem.scenario
        found: dict[tuple[tuple[str, Any], ...], list[np.ndarray]] = {}
        for choice in np.unique(chosen):
            static = {**self.static, **scenario.choice_at(tuple(self.positions[choice].tolist()))}
            rows = np.flatnonzero(chosen == choice)
            found.setdefault(tuple(sorted(static.items())), []).append(rows)
        return [(dict(static), np.concatenate(rows)) for static, rows in found.items()]


def enumerate_choices(problem: Problem) -> Choices:
    """Return every combination of the values that a problem lists."""
    free = {span.name for span in problem.ranges}
    lengths = [1 if axis.name in free else len(axis) for axis in problem.scenario.axes]
    combinations = itertools.product(*map(range, lengths))
    positions = np.array(list(combinations))
    return Choices(problem=problem, positions=positions, static=problem.scenario.fixed_static())


def measure_designs(
    choices: Choices, places: np.ndarray, chosen: np.ndarray, logs: np.ndarray
) -> Cuts:
    """Measure designs: the goal, and by how much each budget is missed, in logarithms.

    Parameters
    ----------
    choices
        The combinations.
    places, chosen
        Place in the sweep and combination, by design.
    logs
        Logarithms of the continuous fields.

    Returns
    -------
    Cuts
        Budgets in the order of the problem, then the memory.
    """
    problem = choices.problem
    names = (problem.objective, *(b.of for b in problem.budgets), "capacity_utilisation")
    values, slopes = (
        np.empty((len(logs), len(names))),
        np.empty((*logs.shape[:1], len(names), logs.shape[1])),
    )
    for static, rows in choices.groups(chosen):
        values[rows], slopes[rows] = log_slopes(
            choices.fields(chosen[rows]),
            logs[rows],
            free=tuple(span.name for span in problem.ranges),
            names=names,
            static=static,
            rules=problem.scenario.rules,
        )
    limits = np.array([[*problem.limits_at(p), 1.0] for p in range(len(problem.limits))])
    signs = np.array([*(_SIGNS[b.most] for b in problem.budgets), 1.0])
    goal_sign = -_SIGNS[problem.maximise]
    return Cuts(
        goal=goal_sign * values[:, 0],
        goal_slopes=goal_sign * slopes[:, 0],
        misses=signs * (values[:, 1:] - np.log(limits[places])) + MARGIN,
        miss_slopes=signs[:, None] * slopes[:, 1:],
    )


def evaluate_designs(
    choices: Choices, chosen: np.ndarray, logs: np.ndarray
) -> dict[str, np.ndarray]:
    """Return every metric, price and field of some designs, NaN where one does not fit."""
    problem = choices.problem
    budgeted = (budget.of for budget in problem.budgets)
    prices = (price.name for price in problem.scenario.rules.prices)
    names = tuple(dict.fromkeys([*schema.OUTPUTS, *prices, *budgeted, problem.objective]))
    found: dict[str, np.ndarray] = {}
    for static, rows in choices.groups(chosen):
        free = {span.name: np.exp(logs[rows, i]) for i, span in enumerate(problem.ranges)}
        fields = {**choices.fields(chosen[rows]), **free}
        metrics = metrics_at(fields, names=names, static=static, rules=problem.scenario.rules)
        for name, values in metrics.items():
            found.setdefault(name, np.empty(len(chosen), values.dtype))[rows] = values
    return found
