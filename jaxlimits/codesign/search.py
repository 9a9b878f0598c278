"""The best design of a problem: whole numbers enumerated, many starts each, budgets swept."""

import dataclasses
import functools

import numpy as np
from scipy.stats import qmc

from jaxlimits.codesign.choices import Choices, enumerate_choices, measure_designs
from jaxlimits.codesign.climb import Box, Worth, climb, worth
from jaxlimits.codesign.problem import Problem

_POOL = 64
"""Designs that are looked at before a search starts from the best of them."""

_CONTENDS = 0.25
"""How far behind, in the logarithm of the goal, a combination is searched again from all starts."""

_AGREES = 1e-4
_MET = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Optimum:
    """The best design at each place of a sweep.

    Parameters
    ----------
    choices
        What was enumerated.
    chosen, logs
        The winning combination, and the logarithms of the continuous fields.
    misses
        By how much each budget, then the memory, is missed, in logarithms.
    worth
        Multipliers of budgets, memory and bounds.
    starts, agreeing
        Searches in the winning combination, and those that end at the same goal.
    goals, goal_misses
        The ways of the searches in the winning combination, by place, search and round: what is to
        be small, and the worst miss of a budget. NaN where a place has fewer searches.
    """

    choices: Choices
    chosen: np.ndarray
    logs: np.ndarray
    misses: np.ndarray
    worth: Worth
    starts: np.ndarray
    agreeing: np.ndarray
    goals: np.ndarray
    goal_misses: np.ndarray

    @property
    def feasible(self) -> np.ndarray:
        """Where all budgets are met."""
        return self.misses.max(axis=1) <= _MET


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Ends:
    """Where searches ended: place in the sweep, combination, design, merit and way of each."""

    places: np.ndarray
    chosen: np.ndarray
    logs: np.ndarray
    merits: np.ndarray
    goals: np.ndarray
    misses: np.ndarray


def search(problem: Problem) -> Optimum:
    """Find the best design at each limit of the swept budget.

    One search from the best of a pool of designs for every combination; then, for those that come
    near the best, searches from further starts.
    """
    choices = enumerate_choices(problem)
    pool = _pool(problem)
    first = _first_ends(choices, pool)
    best = np.full(len(problem.limits), np.inf)
    np.minimum.at(best, first.places, first.merits)
    contends = first.merits <= best[first.places] + _CONTENDS
    again = _further_ends(choices, first, contends, pool[: problem.file.tables.starts - 1])
    return _best_ends(choices, _joined(first, again))


def _pool(problem: Problem) -> np.ndarray:
    """Designs spread over the ranges: a scrambled Sobol sequence of the problem's seed."""
    if not problem.ranges:
        return np.zeros((1, 0))
    size = max(_POOL, 1 << (problem.file.tables.starts - 1).bit_length())
    box = _box(problem)
    sobol = qmc.Sobol(len(problem.ranges), rng=np.random.default_rng(problem.file.tables.seed))
    return box.lower + (box.upper - box.lower) * sobol.random(size)


def _box(problem: Problem) -> Box:
    ends = np.log([(span.lower, span.upper) for span in problem.ranges]).reshape(-1, 2)
    return Box(lower=ends[:, 0], upper=ends[:, 1])


def _first_ends(choices: Choices, pool: np.ndarray) -> _Ends:
    """Search once in every combination and at every limit, from the best of the pool."""
    limits, combinations = len(choices.problem.limits), len(choices.positions)
    places, chosen = (part.ravel() for part in np.indices((limits, combinations)))
    starts = np.empty((len(places), pool.shape[1]))
    for place in range(limits):  # one limit's designs at a time: memory stays small
        at = np.repeat(np.arange(combinations), len(pool))
        logs = np.tile(pool, (combinations, 1))
        merits = measure_designs(choices, np.full(len(at), place), at, logs).merit
        starts[places == place] = pool[merits.reshape(combinations, -1).argmin(axis=1)]
    return _ends(choices, places, chosen, starts)


def _further_ends(
    choices: Choices, first: _Ends, contends: np.ndarray, starts: np.ndarray
) -> _Ends:
    """Search from every start where the first search came near the best."""
    searches = np.repeat(np.flatnonzero(contends), len(starts))
    logs = np.tile(starts, (int(contends.sum()), 1))
    return _ends(choices, first.places[searches], first.chosen[searches], logs)


def _ends(choices: Choices, places: np.ndarray, chosen: np.ndarray, starts: np.ndarray) -> _Ends:
    def measure(searches: np.ndarray, logs: np.ndarray):
        return measure_designs(choices, places[searches], chosen[searches], logs)

    found = climb(measure, starts, _box(choices.problem))
    merits = measure(np.arange(len(places)), found.designs).merit
    return _Ends(
        places=places,
        chosen=chosen,
        logs=found.designs,
        merits=merits,
        goals=found.goals.T,
        misses=found.misses.T,
    )


def _joined(one: _Ends, other: _Ends) -> _Ends:
    names = [field.name for field in dataclasses.fields(_Ends)]
    pairs = {n: (getattr(one, n), getattr(other, n)) for n in names}
    for name in ("goals", "misses"):
        rounds = max(part.shape[1] for part in pairs[name])
        first, last = (
            np.pad(part, ((0, 0), (0, rounds - part.shape[1])), mode="edge") for part in pairs[name]
        )
        pairs[name] = (first, last)
    return _Ends(**{name: np.concatenate(parts) for name, parts in pairs.items()})


def _ways(ends: _Ends, alike: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The ways of the searches in the winning combinations, the best first, by place."""
    rows = [np.flatnonzero(alike & (ends.places == place)) for place in range(count)]
    rows = [row[np.argsort(ends.merits[row], kind="stable")] for row in rows]
    shape = (count, max(map(len, rows)), ends.goals.shape[1])
    goals, misses = np.full(shape, np.nan), np.full(shape, np.nan)
    for place, row in enumerate(rows):
        goals[place, : len(row)], misses[place, : len(row)] = ends.goals[row], ends.misses[row]
    moves = np.nan_to_num(np.abs(np.diff(goals, axis=2)) + np.abs(np.diff(misses, axis=2)))
    last = int(np.flatnonzero(moves.max(axis=(0, 1)) > 0.0).max(initial=-1)) + 2
    return goals[..., :last], misses[..., :last]


def _best_ends(choices: Choices, ends: _Ends) -> Optimum:
    places = np.arange(len(choices.problem.limits))
    order = np.lexsort((ends.merits, ends.places))
    winners = order[np.searchsorted(ends.places[order], places)]
    chosen, logs = ends.chosen[winners], ends.logs[winners]
    alike = ends.chosen == chosen[ends.places]
    near = alike & (ends.merits <= ends.merits[winners][ends.places] + _AGREES)
    measure = functools.partial(_at_winners, choices, chosen)
    goals, goal_misses = _ways(ends, alike, len(places))
    return Optimum(
        choices=choices,
        chosen=chosen,
        logs=logs,
        misses=measure(places, logs).misses,
        worth=worth(measure, logs, _box(choices.problem)),
        starts=np.bincount(ends.places, alike, len(places)).astype(int),
        agreeing=np.bincount(ends.places, near, len(places)).astype(int),
        goals=goals,
        goal_misses=goal_misses,
    )


def _at_winners(choices: Choices, chosen: np.ndarray, places: np.ndarray, logs: np.ndarray):
    return measure_designs(choices, places, chosen[places], logs)
