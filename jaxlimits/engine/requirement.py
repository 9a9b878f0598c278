"""Requirements at one point: the value of a field that brings a metric to a target.

Where the metric rises or falls throughout, the value is found by bisection over the floating-point
numbers themselves. Those above zero lie in the order of their bit patterns: halving the patterns
between two ends goes from zero to any magnitude, and ends at two neighbouring numbers of which one
reaches the target and the other does not. No tolerance is left to choose, and the number of
halvings is known beforehand: at most 31 in float32, 63 in float64. Whole numbers are found in the
same way, rounded down. A field of which some value between the ends may be the best, as the length
of a draft, is scanned first, at places whose bit patterns are evenly apart, and then bisected
between the first that reaches the target and the one before. A field without an order, as the
number of chips, is tried value by value.

All of it is written for one point, and mapped over grids as the metrics are. A library's bisection
(``optimistix.Bisection`` under ``vmap``) takes about twice as long for a million points, raises for
all of them where the bracket of one has no root, and knows no whole numbers;
``benchmarks/bench_solve.py`` runs both.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits.grid.requirements import REASONS, Requirement
from jaxlimits.model.metrics import Limit

Test = Callable[[jax.Array], jax.Array]


class Trial(NamedTuple):
    """What a value of the unknown comes to, each question a small program of its own.

    Parameters
    ----------
    outcome
        The metric that has a target, and what binds.
    feasible
        Whether the point fits in memory.
    allowed
        Whether the other fields admit the value.
    """

    outcome: Callable[[jax.Array], tuple[jax.Array, jax.Array]]
    feasible: Test
    allowed: Test


_PATTERNS = {4: np.dtype(np.int32), 8: np.dtype(np.int64)}


class Answer(NamedTuple):
    """What a requirement comes to at one point.

    Parameters
    ----------
    value
        Of the unknown [its unit]; NaN where none reaches the target.
    reached
        The metric there; where none reaches the target the best that it comes to, and NaN where
        none fits.
    reason
        One of :data:`jaxlimits.grid.requirements.REASONS`.
    place
        The value at which the metric is best of all that were tried; NaN where none fits.
    """

    value: jax.Array
    reached: jax.Array
    reason: jax.Array
    place: jax.Array


class Tried(NamedTuple):
    """What one value of the unknown comes to.

    Parameters
    ----------
    value
        The value.
    metric, score
        The metric, NaN where the point cannot be; the same with the sign that makes more better.
    met
        Whether it reaches the target.
    allowed, feasible
        Whether the other fields admit the value, and whether the point fits in memory.
    limit
        What binds.
    """

    value: jax.Array
    metric: jax.Array
    score: jax.Array
    met: jax.Array
    allowed: jax.Array
    feasible: jax.Array
    limit: jax.Array


def answer(asked: Requirement, trial: Trial, *, target: jax.Array, here: jax.Array) -> Answer:
    """Find the value of the unknown that a requirement asks for.

    Parameters
    ----------
    asked
        The requirement.
    trial
        What a value of the unknown comes to.
    target
        What the metric is brought to: traced, so that one program serves every target.
    here
        The value that the point has now, which its other fields admit.
    """

    def at(value: jax.Array) -> Tried:
        metric, limit = trial.outcome(value)
        fits, allowed = trial.feasible(value), trial.allowed(value)
        metric = jnp.where(fits & allowed, metric, jnp.nan)
        sign = 1.0 if asked.at_least else -1.0
        met = sign * metric >= sign * target
        return Tried(value, metric, sign * metric, met, allowed, fits, limit)

    if asked.candidates:
        return _by_trial(asked, at, here.dtype)
    return _by_bisection(asked, trial, at, here)


def _by_bisection(
    asked: Requirement, trial: Trial, at: Callable[[jax.Array], Tried], here: jax.Array
) -> Answer:
    """Cut the bracket to what can be and fits, then halve it down to the target.

    More of the field helps where the metric is better at the upper end: the answer is then the
    least value, else the largest.
    """
    edge = _edge_finder(asked, here.dtype)
    low, high = (jnp.asarray(end, here.dtype) for end in (asked.low, asked.high))
    if asked.is_constrained:
        inside = jnp.clip(here, low, high)
        low, high = (edge(trial.allowed, inside, end) for end in (low, high))
    fits_low = trial.feasible(low)
    start, other = jnp.where(fits_low, low, high), jnp.where(fits_low, high, low)
    end = edge(trial.feasible, start, other)
    lower, upper = at(jnp.minimum(start, end)), at(jnp.maximum(start, end))
    helps = ~(upper.score < lower.score)
    best, opposite = _either(helps, upper, lower), _either(helps, lower, upper)
    if asked.is_scanned:
        inside, before = _scanned(asked, at, lower.value, upper.value)
        between = inside.met & ~best.met
        better = between | (inside.score > best.score)
        opposite = _either(between, before, opposite)
        best = _either(better, inside, best)
    found = at(edge(lambda v: at(v).met, best.value, opposite.value))
    # The last value that reached the target may miss it by a rounding where it is compiled anew.
    found = found._replace(met=found.met | best.met)
    all_fit = (lower.value == low) & (upper.value == high)
    is_cut = (best.value != low) & (best.value != high)
    met = _met(everywhere=opposite.met, all_fit=all_fit)
    return _answer(found, best, met=met, is_cut=is_cut, exists=best.allowed)


def _scanned(
    asked: Requirement, at: Callable[[jax.Array], Tried], low: jax.Array, high: jax.Array
) -> tuple[Tried, Tried]:
    """Scan between two ends: the least value that reaches the target and the one before it.

    Where none does, the best value.
    """
    dtype = low.dtype
    pattern = _PATTERNS[dtype.itemsize]
    first, last = (jax.lax.bitcast_convert_type(end, pattern) for end in (low, high))
    places = first + (last - first) // SCAN * jnp.arange(SCAN + 1, dtype=pattern)
    values = jax.lax.bitcast_convert_type(places, dtype)
    values = jnp.where(jnp.arange(SCAN + 1) == SCAN, high, values)
    values = jnp.floor(values) if asked.is_whole else values

    def step(
        seen: tuple[Tried, Tried, Tried], value: jax.Array
    ) -> tuple[tuple[Tried, Tried, Tried], None]:
        found, before, last = seen
        tried = at(value)
        is_first = tried.met & ~found.met
        is_better = ~found.met & ((tried.score > found.score) | jnp.isnan(found.score))
        return (
            _either(is_first | is_better, tried, found),
            _either(is_first, last, before),
            tried,
        ), None

    start = at(low)
    (found, before, _), _ = jax.lax.scan(step, (start, start, start), values)
    return found, before


SCAN = 128
"""Steps of a scan: from 1 to the largest number of tokens each is a third more than the one
before."""


def _edge_finder(asked: Requirement, dtype: np.dtype) -> Callable[..., jax.Array]:
    """Return the function that goes from a value that holds as far as it holds."""
    pattern = _PATTERNS[dtype.itemsize]
    ends = np.array([asked.low, asked.high], dtype).view(pattern)
    halvings = int(ends[1] - ends[0]).bit_length()

    def as_value(bits: jax.Array) -> jax.Array:
        value = jax.lax.bitcast_convert_type(bits, dtype)
        return jnp.floor(value) if asked.is_whole else value

    def edge(holds: Test, good: jax.Array, bad: jax.Array) -> jax.Array:
        def halve(_: jax.Array, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            good, bad = ends
            middle = (good & bad) + ((good ^ bad) >> 1)  # their mean, without overflow
            held = holds(as_value(middle))
            return jnp.where(held, middle, good), jnp.where(held, bad, middle)

        ends = tuple(jax.lax.bitcast_convert_type(value, pattern) for value in (good, bad))
        last, _ = jax.lax.fori_loop(0, halvings, halve, ends)
        return jnp.where(holds(bad), bad, as_value(last))

    return edge


class _Seen(NamedTuple):
    """What the candidates tried so far came to; NaN where there was none.

    Parameters
    ----------
    least, largest
        Candidates that reach the target.
    first, worst
        Scores of the first that fits, and of the worst.
    best
        The candidate of the best score.
    is_cut
        Whether a neighbour of the best does not fit.
    last_was_best, last_was_unfit
        Of the candidate before.
    every, all_fit, any_allowed
        Whether all that fit reach the target, whether all that are allowed fit, and whether any is
        allowed.
    """

    least: jax.Array
    largest: jax.Array
    first: jax.Array
    worst: jax.Array
    best: Tried
    is_cut: jax.Array
    last_was_best: jax.Array
    last_was_unfit: jax.Array
    every: jax.Array
    all_fit: jax.Array
    any_allowed: jax.Array


def _by_trial(asked: Requirement, at: Callable[[jax.Array], Tried], dtype: np.dtype) -> Answer:
    """Try every candidate, in ascending order.

    More of the field helps where any candidate is better than the first that fits: the answer is
    then the least that reaches the target, else the largest.
    """
    candidates = jnp.asarray(asked.candidates, dtype)

    def step(seen: _Seen, value: jax.Array) -> tuple[_Seen, None]:
        return _with(seen, at(value)), None

    seen, _ = jax.lax.scan(step, _nothing(at(candidates[0])), candidates)
    falls = ~(seen.best.score > seen.first) & (seen.worst < seen.first)
    chosen = jnp.where(falls, seen.largest, seen.least)
    found = at(chosen)
    found = found._replace(met=found.met | ~jnp.isnan(chosen))  # as it was when it was tried
    met = _met(everywhere=seen.every, all_fit=seen.all_fit)
    return _answer(found, seen.best, met=met, is_cut=seen.is_cut, exists=seen.any_allowed)


def _nothing(like: Tried) -> _Seen:
    nan, no = jnp.full_like(like.value, jnp.nan), jnp.zeros((), bool)
    none = Tried(nan, nan, nan, no, no, no, jnp.full_like(like.limit, Limit.CAPACITY))
    return _Seen(nan, nan, nan, nan, none, no, no, no, ~no, ~no, no)


def _with(seen: _Seen, tried: Tried) -> _Seen:
    """Add a candidate to what was seen."""
    is_best = (tried.score > seen.best.score) | (
        jnp.isnan(seen.best.score) & ~jnp.isnan(tried.score)
    )
    unfit = tried.allowed & ~tried.feasible
    return _Seen(
        least=jnp.where(jnp.isnan(seen.least) & tried.met, tried.value, seen.least),
        largest=jnp.where(tried.met, tried.value, seen.largest),
        first=jnp.where(jnp.isnan(seen.first), tried.score, seen.first),
        worst=jnp.fmin(seen.worst, tried.score),
        best=_either(is_best, tried, seen.best),
        is_cut=jnp.where(is_best, seen.last_was_unfit, seen.is_cut | (seen.last_was_best & unfit)),
        last_was_best=is_best,
        last_was_unfit=unfit,
        every=seen.every & (tried.met | ~tried.allowed | ~tried.feasible),
        all_fit=seen.all_fit & ~unfit,
        any_allowed=seen.any_allowed | tried.allowed,
    )


def _met(*, everywhere: jax.Array, all_fit: jax.Array) -> jax.Array:
    """Say how far the values go that reach the target."""
    end = jnp.where(all_fit, REASONS["met_everywhere"], REASONS["met_where_it_fits"])
    return jnp.where(everywhere, end, REASONS["met"]).astype(jnp.int8)


def _answer(
    found: Tried, best: Tried, *, met: jax.Array, is_cut: jax.Array, exists: jax.Array
) -> Answer:
    """Say what was found, or why nothing was: what binds where the metric is best."""
    binds = jnp.where(is_cut | ~best.feasible, jnp.int8(Limit.CAPACITY), best.limit)
    unreachable = jnp.where(exists, binds, jnp.int8(REASONS["unreachable_excluded"]))
    return Answer(
        value=jnp.where(found.met, found.value, jnp.nan),
        reached=jnp.where(found.met, found.metric, best.metric),
        reason=jnp.where(found.met, met, unreachable),
        place=jnp.where(jnp.isnan(best.score), jnp.nan, best.value),
    )


def _either(condition: jax.Array, one: Tried, other: Tried) -> Tried:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), one, other)
