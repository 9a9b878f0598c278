r"""The search: successive linear programs over cuts, in a region that is trusted.

A roofline has kinks, and optima like to lie on them: there one gradient says nothing. So slopes are
taken at several points around a design, each one a cut :math:`f(y) + g\cdot(x - y)`, and a linear
program finds the best design under all cuts at once, on both sides of every kink nearby. Where the
functions are convex (see :mod:`jaxlimits.engine.slopes`) cuts lie below them, and a program that
promises no gain proves that there is none. Many searches go in step: one call of the model and a
few linear programs a round serve all of them.

The linear programs are HiGHS's, through SciPy. The method is ours, after Kelley's cutting planes.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from scipy.optimize import OptimizeResult, linprog
from scipy.sparse import block_diag

PENALTY = 100.0
"""What a budget missed by one in the logarithm costs: more than budgets are worth to an optimum."""

_FIRST_RADIUS, _LARGEST_RADIUS, _LAST_RADIUS = 0.7, 2.0, 1e-6
_LEAST_GAIN = 1e-8
_ROUNDS = 120
_TOGETHER = 32
"""Searches that share a linear program: its cost is then mostly arithmetic (measured: 0.4 ms each,
2.4 ms alone)."""

_DUAL_SPREAD, _DUAL_RADIUS = 1e-4, 0.05


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cuts:
    """The functions and their slopes at some points, the last axis by field.

    Parameters
    ----------
    goal, goal_slopes
        What is to be small.
    misses, miss_slopes
        What must not be above zero; the next to last axis by budget.
    """

    goal: np.ndarray
    goal_slopes: np.ndarray
    misses: np.ndarray
    miss_slopes: np.ndarray

    @property
    def merit(self) -> np.ndarray:
        """What is to be small, with the penalty for the worst miss."""
        return self.goal + PENALTY * np.maximum(self.misses.max(axis=-1), 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """The least and the largest logarithm of each field."""

    lower: np.ndarray
    upper: np.ndarray


Measure = Callable[[np.ndarray, np.ndarray], Cuts]
"""Takes the number of the search and a design's logarithms, for each of several designs."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Worth:
    """What moves an optimum, by search.

    Parameters
    ----------
    budgets
        How the goal falls as each limit is loosened, in logarithms; at least 0.
    fields
        How the goal falls as a field passes a bound that holds it: below 0 at the lower one.
    """

    budgets: np.ndarray
    fields: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Climbed:
    """Where searches ended, and how they came there.

    Parameters
    ----------
    designs
        Logarithms by search and field.
    goals, misses
        What is to be small, and the worst miss of a budget, by round and search; the first round is
        the start. A search that has ended keeps its last values.
    """

    designs: np.ndarray
    goals: np.ndarray
    misses: np.ndarray


def climb(measure: Measure, starts: np.ndarray, box: Box) -> Climbed:
    """Search from each start; return the designs where the searches end, and their ways.

    Parameters
    ----------
    measure
        The functions.
    starts
        Logarithms by search and field.
    box
        Bounds of the fields.
    """
    designs = starts.copy()
    radii = np.full(len(starts), _FIRST_RADIUS)
    first = measure(np.arange(len(starts)), designs)
    merits, goal, miss = first.merit, first.goal.copy(), first.misses.max(axis=-1)
    goals, misses = [goal.copy()], [miss.copy()]
    going = np.arange(len(starts) if starts.shape[1] else 0)
    for _ in range(_ROUNDS):
        if not len(going):
            break
        here = designs[going]
        cuts, places = _around(measure, going, here, 0.5 * radii[going], box)
        steps, promised = _best_steps(cuts, places, here, radii[going], box)
        tried = measure(going, here + steps)
        trial = tried.merit
        gain, hoped = merits[going] - trial, merits[going] - promised
        taken = gain > 0.0
        designs[going[taken]] += steps[taken]
        merits[going[taken]] = trial[taken]
        goal[going[taken]], miss[going[taken]] = tried.goal[taken], tried.misses[taken].max(axis=-1)
        goals.append(goal.copy())
        misses.append(miss.copy())
        radii[going] *= np.where(gain > 0.5 * hoped, 2.0, np.where(gain > 0.1 * hoped, 1.0, 0.25))
        radii[going] *= np.where(hoped < _LEAST_GAIN, 0.1, 1.0)
        radii[going] = np.minimum(radii[going], _LARGEST_RADIUS)
        going = going[radii[going] > _LAST_RADIUS]
    return Climbed(designs=designs, goals=np.array(goals), misses=np.array(misses))


def worth(measure: Measure, designs: np.ndarray, box: Box) -> Worth:
    """Return the multipliers of budgets and bounds at optimal designs.

    At a kink they are not single numbers: these are one of the values between both sides.
    """
    searches = np.arange(len(designs))
    spread = np.full(len(designs), _DUAL_SPREAD)
    cuts, places = _around(measure, searches, designs, spread, box)
    radii = np.full(len(designs), _DUAL_RADIUS)
    budgets = np.zeros((len(designs), cuts.misses.shape[-1]))
    fields = np.zeros(designs.shape)
    for group, solved in _programs(cuts, places, designs, radii, box):
        if solved.x is None:
            continue
        rows = -solved.ineqlin.marginals.reshape(len(group), 1 + budgets.shape[1], -1)
        budgets[group] = rows[:, 1:].sum(axis=2)
        pushes = (solved.lower.marginals + solved.upper.marginals).reshape(len(group), -1)
        fields[group] = pushes[:, : designs.shape[1]]
    return Worth(budgets=budgets, fields=-fields)


def _around(
    measure: Measure,
    searches: np.ndarray,
    designs: np.ndarray,
    spread: np.ndarray,
    box: Box,
) -> tuple[Cuts, np.ndarray]:
    """Cuts at each design and on both sides of it along every field."""
    count = designs.shape[1]
    stencil = np.concatenate([np.zeros((1, count)), np.eye(count), -np.eye(count)])
    places = designs[:, None] + spread[:, None, None] * stencil
    places = np.clip(places, box.lower, box.upper)
    flat = measure(
        np.repeat(searches, len(stencil)), places.reshape(len(designs) * len(stencil), count)
    )
    shape = (len(designs), len(stencil))
    return (
        Cuts(
            goal=flat.goal.reshape(shape),
            goal_slopes=flat.goal_slopes.reshape(*shape, count),
            misses=flat.misses.reshape(*shape, flat.misses.shape[1]),
            miss_slopes=flat.miss_slopes.reshape(*shape, flat.misses.shape[1], count),
        ),
        places,
    )


def _best_steps(
    cuts: Cuts,
    places: np.ndarray,
    here: np.ndarray,
    radii: np.ndarray,
    box: Box,
) -> tuple[np.ndarray, np.ndarray]:
    """Steps to the best design under the cuts, and the merits that these promise there."""
    steps, promised = np.zeros_like(here), np.full(len(here), np.inf)
    for group, solved in _programs(cuts, places, here, radii, box):
        if solved.x is None:  # a shorter step is tried next
            continue
        found = solved.x.reshape(len(group), -1)
        steps[group] = found[:, :-2]
        promised[group] = found[:, -2] + PENALTY * found[:, -1]
    return steps, promised


def _programs(
    cuts: Cuts,
    places: np.ndarray,
    here: np.ndarray,
    radii: np.ndarray,
    box: Box,
) -> Iterator[tuple[np.ndarray, OptimizeResult]]:
    """Solve the linear program of every search, several at a time.

    Unknowns of each: the step, the goal, the worst miss. Rows: cuts of the goal, then of each
    budget.
    """
    count = here.shape[1]
    offsets = places - here[:, None]
    values = np.concatenate([cuts.goal[..., None], cuts.misses], axis=2)
    slopes = np.concatenate([cuts.goal_slopes[:, :, None], cuts.miss_slopes], axis=2)
    constants = values - np.einsum("lprn,lpn->lpr", slopes, offsets)
    for start in range(0, len(here), _TOGETHER):
        group = np.arange(start, min(start + _TOGETHER, len(here)))
        rows = [_rows(slopes[search]) for search in group]
        low = np.maximum(-radii[group, None], box.lower - here[group])
        high = np.minimum(radii[group, None], box.upper - here[group])
        bounds = np.full((len(group), count + 2, 2), [-np.inf, np.inf])
        bounds[:, :count, 0], bounds[:, :count, 1] = np.minimum(low, 0.0), np.maximum(high, 0.0)
        bounds[:, -1, 0] = 0.0
        solved = linprog(
            np.tile([*[0.0] * count, 1.0, PENALTY], len(group)),
            A_ub=block_diag(rows, format="csc"),
            b_ub=-constants[group].transpose(0, 2, 1).ravel(),
            bounds=bounds.reshape(-1, 2),
            method="highs-ds",
        )
        yield group, solved


def _rows(slopes: np.ndarray) -> np.ndarray:
    """Left sides of one search's rows: slope · step − goal, or − the worst miss."""
    points, functions, count = slopes.shape
    rows = np.zeros((functions, points, count + 2))
    rows[..., :count] = slopes.transpose(1, 0, 2)
    rows[0, :, -2] = -1.0
    rows[1:, :, -1] = -1.0
    return rows.reshape(-1, count + 2)
