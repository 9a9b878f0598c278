r"""The fewest chips that any schedule needs: a linear program over operating points.

An operating point is what a group of chips does in one step again and again: a layout, :math:`B`
sequences that decode, and prompts that are prefilled beside them. Whatever a scheduler does, its
chips spend some time at each point; with :math:`x_j` groups at point j in the mean,

.. math::
    \min \sum_j x_j c_j \quad\text{with}\quad
    \sum_j x_j d_j \ge r, \qquad \sum_j x_j p_j \ge r, \qquad
    \sum_j x_j u_j \le r\,O\,T, \qquad \sum_j x_j p_j f_j \le r\,F

where c are chips, d and p the answers that a group finishes and the prompts that it prefills in a
second, u its sequences in flight and f the time to a first token that its layout has at least. The
third line is the target :math:`T` of the mean time a token, by Little's law: answers are in flight
for :math:`O\,T` in the mean. A batch that varies, layouts that are mixed, prefill apart from decode
or in one step with it, are all mixtures of points, so that the least value bounds every schedule
from below. Where a share q of the requests must keep a target each, a request is taken to be
served at one point throughout, and the points that keep it carry :math:`q\,r`. Machines with two
kinds of chips have points too, that hold for any number of micro-batches in flight
(:mod:`jaxlimits.planning.ffn_apart`).

The program has four rows and millions of columns. Columns are generated: the program of a few is
solved, the others are priced by its dual values, and the most promising join it, until none is
left that would. All of it is ours.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.optimize import linprog

from jaxlimits.planning.targets import Target

_JOINING = 16
"""Columns of one block that join the program at once."""

_ROUNDING = 1e-6
"""Of a chip, what sums of fractions may be beside a whole number."""

_TOLERANCE = 1e-9
"""Of a point's cost, what the cost that it would add may be below zero."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Points:
    """Operating points, each array with one number a point.

    Parameters
    ----------
    cost
        Chips of the group, or what else is minimised.
    answers, prompts
        Answers that it finishes and prompts that it prefills by time [1/s].
    users
        Sequences that decode [1].
    tpot, ttft
        Time of one token at the point, and the least time to a first token [s].
    places
        A number that tells where a point comes from.
    """

    cost: np.ndarray
    answers: np.ndarray
    prompts: np.ndarray
    users: np.ndarray
    tpot: np.ndarray
    ttft: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.cost)

    def at(self, chosen: np.ndarray) -> "Points":
        """Some of the points."""
        arrays = {f.name: getattr(self, f.name)[chosen] for f in dataclasses.fields(self)}
        return Points(**arrays)

    def keys(self) -> np.ndarray:
        """One value for each point by which it is known again: where it comes from, its rates."""
        return self.places + 1j * (self.answers + 2.0 * self.prompts)

    def with_others(self, others: "Points") -> "Points":
        """These points and those of others that are not among them."""
        new = ~np.isin(others.keys(), self.keys())
        return Points.joined([self, others.at(new)]) if new.any() else self

    @classmethod
    def joined(cls, parts: Iterable["Points"]) -> "Points":
        """All points of several sets."""
        listed = list(parts)
        names = [f.name for f in dataclasses.fields(cls)]
        return cls(**{n: np.concatenate([getattr(p, n) for p in listed]) for n in names})


Blocks = Callable[[], Iterator[Points]]
"""Starts anew over all points, a block at a time."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """What no schedule can do without.

    Parameters
    ----------
    least
        The least cost; infinite where no mixture keeps the targets. Chips are whole.
    value
        What the mixture costs, groups taken in fractions.
    points, shares
        Points of a mixture that costs so much, and how many groups are at each in the mean.
    prices
        Change of the cost by one more unit of each target of a mean, by metric: of ``tpot`` [s],
        ``ttft`` [s], and of the ``rate`` [1/s].
    kept
        Points that the program came to hold, for one that differs in little.
    """

    least: float
    value: float
    points: Points
    shares: np.ndarray
    prices: dict[str, float]
    kept: Points = dataclasses.field(repr=False)


def least(
    blocks: Blocks,
    *,
    rate: float,
    output_len: float,
    targets: Iterable[Target] = (),
    first: Points | None = None,
    most: float = math.inf,
) -> Bound:
    """Return the least cost of serving requests at a rate within targets.

    Parameters
    ----------
    blocks
        The points.
    rate, output_len
        Requests in a second, and tokens of an answer in the mean.
    targets
        Of ``tpot`` and ``ttft``; others are passed over.
    first
        Points among them to begin with, as those of a program that differs in little.
    most
        What a group may cost.
    """
    program = _Program(rate=rate, output_len=output_len, targets=tuple(targets), most=most)
    kept, solution = _generated(program, blocks, first or _none(), seeking=True)
    if solution.value <= _TOLERANCE:
        kept, solution = _generated(program, blocks, kept, seeking=False)
        return program.bound(kept, solution)
    nothing = np.zeros(0)
    infinite = {"least": math.inf, "value": math.inf}
    return Bound(**infinite, points=_none(), shares=nothing, prices={}, kept=kept)


def _generated(
    program: "_Program", blocks: Blocks, kept: Points, *, seeking: bool
) -> tuple[Points, "_Solution"]:
    """Add points until no other improves the program; those that were kept, and its solution.

    ``seeking`` is the search for a mixture that keeps all conditions, whatever it costs.
    """
    while True:
        solution = program.solved(kept, seeking=seeking)
        if seeking and solution.value <= _TOLERANCE:  # nothing is missing that another could add
            return kept, solution
        promising = [
            block.at(_most_promising(program.reduced_cost(block, solution.duals, seeking=seeking)))
            for block in blocks()
        ]
        more = kept.with_others(Points.joined([_none(), *promising]))
        if len(more) == len(kept):
            return kept, solution
        kept = more


def least_fleet(
    blocks: Blocks,
    *,
    rate: float,
    output_len: float,
    targets: Iterable[Target] = (),
    whole: bool,
    first: Points | None = None,
) -> Bound:
    """Return the least cost, where a fleet of N chips has no group of more than N.

    Where cost is chips (``whole``), the bound is the least N of which a mixture of groups of at
    most N chips is enough: a fleet cannot use a part of a larger group. The mixtures of a larger N
    are more, so that the least is found by halving.

    Parameters
    ----------
    blocks, rate, output_len, targets, first
        As for :func:`least`.
    whole
        Whether the cost of a point is its chips.
    """
    asked = {"rate": rate, "output_len": output_len, "targets": tuple(targets)}
    free = least(blocks, **asked, first=first)
    if not whole or not math.isfinite(free.value):
        return free
    enough = math.ceil(max(free.value, *free.points.cost) - _ROUNDING)
    short, best, known = math.ceil(free.value - _ROUNDING) - 1, free, free.kept
    while enough - short > 1:
        middle = (short + enough) // 2
        few = known.at(known.cost <= middle)
        found = least(blocks, **asked, first=few, most=middle)
        known = known.with_others(found.kept)
        if found.value <= middle + _ROUNDING:
            enough, best = middle, found
        else:
            short = middle
    return dataclasses.replace(best, least=float(enough), kept=known)


def _none() -> Points:
    return Points(**{field.name: np.zeros(0) for field in dataclasses.fields(Points)})


def _most_promising(reduced: np.ndarray) -> np.ndarray:
    below = np.flatnonzero(reduced < -_TOLERANCE)
    if len(below) <= _JOINING:
        return below
    return below[np.argpartition(reduced[below], _JOINING)[:_JOINING]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Solution:
    """What it costs, groups at each point, and the price of each condition.

    While a mixture is sought, what is missing of the conditions is what it costs.
    """

    value: float
    shares: np.ndarray
    duals: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Program:
    """Rows of the program, each at least its right side, over groups of at most some cost."""

    rate: float
    output_len: float
    targets: tuple[Target, ...]
    most: float

    def rows(self, points: Points) -> Iterator[np.ndarray]:
        """One row for each condition, one column a point."""
        yield from (points.answers, points.prompts)
        for target in self.targets:
            if target.metric == "tpot":
                yield _of_tokens(points, target)
            if target.metric == "ttft":
                yield _of_first_tokens(points, target)

    def right(self) -> np.ndarray:
        """What each row must reach."""
        sides = [self.rate, self.rate]
        for target in self.targets:
            each = self.output_len if target.metric == "tpot" else 1.0
            if target.metric in ("tpot", "ttft"):
                mean = -self.rate * each * target.limit
                share = target.percent
                sides.append(mean if share is None else self.rate * share / 100.0)
        return np.array(sides)

    def solved(self, points: Points, *, seeking: bool) -> _Solution:
        """The program of some points."""
        rows, right = np.stack(list(self.rows(points))), self.right()
        scale = np.abs(right)
        columns, cost = rows / scale[:, None], points.cost
        if seeking:
            columns = np.hstack([columns, np.eye(len(right))])
            cost = np.concatenate([np.zeros(len(points)), np.ones(len(right))])
        found = linprog(cost, A_ub=-columns, b_ub=-right / scale, method="highs")
        if found.status != 0:
            raise RuntimeError(f"the linear program of a plan was not solved: {found.message}")
        duals = -np.asarray(found.ineqlin.marginals) / scale
        return _Solution(float(found.fun), np.asarray(found.x)[: len(points)], duals)

    def reduced_cost(self, points: Points, duals: np.ndarray, *, seeking: bool) -> np.ndarray:
        """What a group at each point would add to the cost, as a share of what it costs.

        One that costs too much would never do.
        """
        gain = np.zeros(len(points))
        for dual, row in zip(duals, self.rows(points), strict=True):
            if dual:
                gain += dual * row
        added = -gain if seeking else 1.0 - gain / points.cost
        return added if math.isinf(self.most) else np.where(points.cost <= self.most, added, 0.0)

    def bound(self, points: Points, solution: _Solution) -> Bound:
        """The bound of a solution that no other point improves."""
        prices = {"rate": float(solution.duals @ self.right()) / self.rate}
        place = 2
        for target in self.targets:
            if target.metric in ("tpot", "ttft"):
                if target.percent is None:
                    each = self.output_len if target.metric == "tpot" else 1.0
                    prices[target.metric] = -float(solution.duals[place]) * self.rate * each
                place += 1
        used = solution.shares > _TOLERANCE
        return Bound(
            least=solution.value,
            value=solution.value,
            points=points.at(used),
            shares=solution.shares[used],
            prices=prices,
            kept=points,
        )


def _of_tokens(points: Points, target: Target) -> np.ndarray:
    if target.percent is None:
        return -points.users
    return points.answers * (points.tpot <= target.limit * (1.0 + _TOLERANCE))


def _of_first_tokens(points: Points, target: Target) -> np.ndarray:
    if target.percent is None:
        return -points.prompts * np.where(points.prompts > 0.0, points.ttft, 0.0)
    return points.prompts * (points.ttft <= target.limit * (1.0 + _TOLERANCE))
