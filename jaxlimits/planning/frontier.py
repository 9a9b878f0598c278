"""What each time of a token costs, and each rate of requests: least machines and bound, by level.

The machines of every level come from one pass over those that are evaluated anyway: the pass keeps
the Pareto frontier of the time of a token and the cost. The bound of a level is a program of its
own, which begins with the points of the one before. How much a machine serves within the targets
does not depend on how much is asked: its best rate, kept in the same pass, says how many of it
every rate takes.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from jaxlimits.planning.bound import Bound, Points
from jaxlimits.planning.targets import Target

_LEVELS = 20
_RATES = 10.0
"""Factor to either side of the rate of a workload, up to which rates go."""

_SLACK = 1e-9
"""Of a rate, what rounding may take."""

_BEYOND = 1.25
"""Factor on the longest time of a token that still saves something, up to which levels go."""

Front = np.ndarray
"""Times of a token [s] and costs, two rows, of what nothing beats in both; ascending in time."""

NOTHING: Front = np.zeros((2, 0))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Frontier:
    """What each target of the time of a token takes, or each rate of requests within the targets.

    NaN stands where nothing keeps the targets.

    Parameters
    ----------
    levels
        Targets, as that of the plan takes them: of the mean or of a share of the requests [s]; or
        rates [1/s].
    bound
        What no schedule can do without [unit of what is minimised].
    aggregated, disaggregated
        Least cost of machines that prefill and decode in one, and of those that do one of the two.
    predicted
        Least cost of either by a calibration's prediction; none without one.
    """

    levels: np.ndarray
    bound: np.ndarray
    aggregated: np.ndarray
    disaggregated: np.ndarray
    predicted: np.ndarray | None


Rates = np.ndarray
"""Requests by time that one group of each machine serves within the targets: chips, layouts [1/s].

0 where a machine does not keep the targets.
"""


def rates_around(rate: float) -> np.ndarray:
    """Return rates of requests to look at, evenly apart by their logarithms, the stated one too."""
    return np.unique(np.append(np.geomspace(rate / _RATES, rate * _RATES, _LEVELS), rate))


def groups_for(rate: float, rates: np.ndarray) -> np.ndarray:
    """Return how many groups serve requests at a rate, by the rate of one group."""
    return np.ceil(rate / rates * (1.0 - _SLACK))


def costs_at(levels: np.ndarray, best: Rates, totals: np.ndarray) -> np.ndarray:
    """Return the least cost of machines that serve each rate of requests; NaN where none does.

    Parameters
    ----------
    levels
        Rates of requests [1/s].
    best
        What one group of each machine serves.
    totals
        What one group of each machine costs; NaN where that is not stated.
    """
    serves = (best > 0.0) & np.isfinite(totals)
    if not serves.any():
        return np.full(len(levels), np.nan)
    one, each = best[serves], totals[serves]
    return np.array([np.min(groups_for(rate, one) * each) for rate in levels.tolist()])


def front_with(front: Front, tpot: np.ndarray, cost: np.ndarray) -> Front:
    """Return a front with further machines taken in."""
    points = np.concatenate([front, np.stack([tpot, cost])], axis=1)
    points = points[:, np.isfinite(points).all(axis=0)]
    points = points[:, np.lexsort((points[1], points[0]))]
    before = np.minimum.accumulate(np.concatenate([[np.inf], points[1, :-1]]))
    return points[:, points[1] < before]


def least_at(front: Front, levels: np.ndarray) -> np.ndarray:
    """Return the least cost of a front within each time of a token; NaN where nothing keeps it."""
    place = np.searchsorted(front[0], levels * (1.0 + 1e-9), side="right")
    return np.concatenate([[np.nan], front[1]])[place]


def levels_of(fronts: Sequence[Front], target: float) -> np.ndarray:
    """Return times of a token to look at: from the fastest to where more of it saves nothing.

    ``target`` is one of them, unless it is infinite.
    """
    times = np.concatenate([front[0] for front in fronts])
    own = [target] if np.isfinite(target) else []
    if not len(times):
        return np.array(own)
    last = max([float(times.max()) * _BEYOND, *own])
    even = np.geomspace(times.min(), last, _LEVELS)
    return np.unique(np.concatenate([even, own]))


def bounds_at_rates(
    levels: np.ndarray, bounded: Callable[[float, Points | None], Bound]
) -> np.ndarray:
    """Return the bound of each rate of requests; NaN where no schedule keeps the targets.

    Parameters
    ----------
    levels
        Rates of requests [1/s].
    bounded
        From a rate, and points to begin with, to the bound.
    """
    found, known = [], None
    for rate in levels.tolist():
        here = bounded(rate, known)
        known = here.kept
        found.append(here.least)
    bounds = np.array(found)
    return np.where(np.isfinite(bounds), bounds, np.nan)


def bounds_at(
    levels: np.ndarray,
    bounded: Callable[[Sequence[Target], Points | None], Bound],
    targets: Sequence[Target],
) -> np.ndarray:
    """Return the bound with each level in place of the target of the time of a token.

    Parameters
    ----------
    levels
        Times of a token [s].
    bounded
        From targets, and points to begin with, to the bound.
    targets
        Those of the plan; one of the mean where it has none of the time of a token.
    """
    asked = next((t for t in targets if t.metric == "tpot"), Target(metric="tpot", limit=1.0))
    others = [target for target in targets if target.metric != "tpot"]
    found, known = [], None
    for level in levels.tolist():
        here = bounded([*others, dataclasses.replace(asked, limit=level)], known)
        known = here.kept
        found.append(here.least)
    bounds = np.array(found)
    return np.where(np.isfinite(bounds), bounds, np.nan)
