"""The planner's question: how few chips serve a workload within its targets, and what binds.

Two answers stand side by side. The bound is what no schedule can do without, also one that varies
its batch, mixes layouts or prefills apart (:mod:`jaxlimits.planning.bound`). A choice is machines
as engines run them: groups of one layout that prefill and decode in mixed steps, or groups that do
one of the two. Both are limits of the hardware; a calibration adds what an engine would need.
"""

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import xarray as xr

from jaxlimits.errors import InputError, placed
from jaxlimits.grid.axes import read_value
from jaxlimits.planning.bound import Bound, Points, least_fleet
from jaxlimits.planning.choice import Choice, Miss
from jaxlimits.planning.ffn_apart import machines_apart
from jaxlimits.planning.frontier import (
    Front,
    Frontier,
    bounds_at,
    bounds_at_rates,
    costs_at,
    least_at,
    levels_of,
    rates_around,
)
from jaxlimits.planning.operating import operating_points
from jaxlimits.planning.search import Found, Search
from jaxlimits.planning.systems import (
    Machines,
    Prompts,
    batches,
    decode_grid,
    make_machines,
    prefill_of,
    sizes_of_groups,
)
from jaxlimits.planning.targets import OF_THE_FLEET, Target, read_targets
from jaxlimits.planning.workload import Workload

MINIMISED = ("num_chips", "power", "cost_rate")
"""What a plan may have least of."""

KEPT_POINTS = 20_000_000
"""Operating points that are kept in memory; of more, each pass computes them again."""

_ROUNDING = 1e-9
_STEP = 1.01
"""Factor on a target of a share of the requests, to see what it changes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What serves a workload.

    Parameters
    ----------
    llm, machines_of, workload, targets, minimised
        What was asked; ``machines_of`` are the chips.
    bound
        What no schedule can do without.
    prices
        Change of the bound by each target, for the unit of each [SI]: negative, since a looser
        target takes fewer.
    choices
        Machines that keep every target, the least first, one for each chip and layout or pair.
    predicted
        The least machines by a calibration's prediction of their steps; none without one.
    misses
        Where there is no choice: each target that nothing keeps, with the nearest.
    layouts, layouts_apart
        How many layouts of each chip were tried, and how many of them have chips for feed-forward
        parts alone.
    frontier
        What each target of the time of a token takes, where that was asked for.
    by_rate
        What each rate of requests takes within the targets, where that was asked for.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> work = jl.Workload.of_lengths([(2000, 200)], rate="20 request/s")
    >>> found = jl.plan("llama3-8b", "h100", work, targets="tpot <= 10 ms/token", most=2)
    >>> found.is_met, found.choices[0].kind
    (True, 'aggregated')
    """

    llm: str
    machines_of: tuple[str, ...]
    workload: Workload
    targets: tuple[Target, ...]
    minimised: str
    bound: Bound
    prices: Mapping[str, float]
    choices: tuple[Choice, ...]
    predicted: Choice | None
    misses: tuple[Miss, ...]
    layouts: int
    layouts_apart: int
    frontier: Frontier | None = None
    by_rate: Frontier | None = None

    def __repr__(self) -> str:
        best = self.choices[0] if self.choices else "no layout reaches the targets"
        return f"Plan({best}; no schedule needs less than {self.least:.4g} {self.minimised})"

    @property
    def dataset(self) -> xr.Dataset:
        """The choices along ``choice``, and the frontiers along ``tpot_target`` and ``rate``."""
        from jaxlimits.planning.labelled_plan import label_plan  # noqa: PLC0415  it takes this record

        return label_plan(self)

    @property
    def is_met(self) -> bool:
        """Whether some machines keep every target, and the budgets of the fleet."""
        return bool(self.choices) and not self.exceeded

    @property
    def binds(self) -> str:
        """What holds the number of chips up: capacity, or what binds the steps of the least choice.

        Capacity where fewer chips would be quick enough, and no group of so few holds the model;
        nothing where no machine keeps the targets.
        """
        if not self.choices:
            return ""
        if self.minimised == "num_chips" and self.least > math.ceil(self.bound.value - _ROUNDING):
            return "capacity"
        return ", ".join(dict.fromkeys(g.limit for c in self.choices[:1] for g in c.groups))

    @property
    def least(self) -> float:
        """What no schedule can do without, in the unit of what is minimised [SI]."""
        return self.bound.least

    @property
    def exceeded(self) -> tuple[Target, ...]:
        """Budgets of the fleet that the least choice does not keep."""
        if not self.choices:
            return ()
        totals = self.choices[0].totals
        return tuple(
            target
            for target in self.targets
            if target.metric in OF_THE_FLEET
            and not totals[target.metric] <= target.limit * (1.0 + _ROUNDING)
        )


@placed("plan")
def plan(
    llm: str,
    chips: str | Sequence[str],
    workload: Workload,
    *,
    targets: str | Sequence[str] = (),
    minimise: str = "num_chips",
    most: int = 64,
    only: Mapping[str, Collection[int | float]] | None = None,
    count: int = 5,
    frontier: bool = False,
    catalog: tuple[Any, ...] = (),
    **settings: object,
) -> Plan:
    """Find the fewest chips that serve a workload within targets, and what bounds them from below.

    Parameters
    ----------
    llm, chips
        The model, and the chips of which machines may be built, by their names.
    workload
        How many requests come, and how long they are.
    targets
        ``"ttft <= 1 s"``, ``"tpot <= 20 ms/token"``: of the mean over all requests, or with
        ``every`` or ``p99`` before them, of each or of a share. Budgets of all machines too:
        ``"power <= 1 MW"``, ``"num_chips <= 64"``, ``"cost_rate <= 100 USD/h"``.
    minimise
        ``num_chips``, ``power`` or ``cost_rate``.
    most
        Chips of one group at most.
    only
        Sizes to consider, by field: ``{"pp_size": [1]}``. Chips for feed-forward parts alone are
        considered where it names numbers of them, as ``{"ffn_chips": [0, 4, 8]}``, with one to four
        micro-batches in flight or those that ``ffn_micro_batches`` names; such machines decode.
    count
        How many choices to return.
    frontier
        Find what each of some twenty targets of the time of a token takes, too, and each of as many
        rates of requests, from a tenth of the workload's to ten times as many.
    catalog, **settings
        As for :func:`jaxlimits.evaluate`; with ``calibration`` the plan predicts too. A
        ``prefix_share`` takes the place of the workload's; every prompt reuses so much.

    Returns
    -------
    Plan
        Without choices where no layout reaches the targets: then it says how near they come.

    Raises
    ------
    InputError
        What cannot be read, a setting that the plan chooses itself, no layout.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> work = jl.Workload.of_lengths([(2000, 200)], rate="20 request/s")
    >>> found = jl.plan("llama3-8b", "h100", work, targets="tpot <= 10 ms/token", most=2)
    >>> found.choices[0].num_chips >= found.least
    True
    """
    if minimise not in MINIMISED:
        remedy = f"choose one of {', '.join(MINIMISED)}"
        raise InputError("cannot be minimised", key="minimise", value=minimise, remedy=remedy)
    asked = read_targets(targets)
    names = (chips,) if isinstance(chips, str) else tuple(chips)
    workload, settings = _reusing(workload, settings)
    machines = make_machines(
        llm, names, most=most, only=only or {}, settings=settings, catalog=catalog
    )
    prompts = prefill_of(machines.alike, workload)
    sizes = sizes_of_groups(machines, workload)
    tried = batches(sizes.largest_batch)
    if np.isnan(sizes.totals[minimise]).all():
        problem = f"{minimise} is not known of {', '.join(names)}"
        raise InputError(problem, key="minimise", remedy="state it, or `assume=gpu`")
    least = _bound_of(machines, prompts, workload, minimise, tried, asked)
    bound = least(asked, None)
    search = Search(machines, prompts, workload, asked, sizes.totals, minimise, tried)
    found = search.best(count, calibrated="calibration" in settings)
    return Plan(
        llm=llm,
        machines_of=machines.chips,
        workload=workload,
        targets=asked,
        minimised=minimise,
        bound=bound,
        prices=_prices(bound, asked, least),
        choices=found.choices,
        predicted=found.predicted,
        misses=() if found.choices else search.misses(),
        layouts=len(machines.layouts),
        layouts_apart=len(machines.apart.layouts),
        frontier=_frontier(found.fronts, asked, least) if frontier else None,
        by_rate=_by_rate(found, workload.rate, sizes.totals[minimise], asked, least)
        if frontier
        else None,
    )


def _reusing(
    workload: Workload, settings: Mapping[str, object]
) -> tuple[Workload, dict[str, object]]:
    """The workload and the settings, both with the share of prompts that is reused."""
    name = "prefix_share"
    stated = settings.get(name)
    share = workload.prefix_share if stated is None else read_value(name, stated, key=name)
    rest = {other: value for other, value in settings.items() if other != name}
    return dataclasses.replace(workload, prefix_share=share), rest | (
        {name: share} if share else {}
    )


class _Bounding(Protocol):
    """From targets, and points to begin with, to what no schedule can do without.

    At the rate of the workload, unless another one is stated.
    """

    def __call__(
        self, asked: Sequence[Target], first: Points | None, *, rate: float | None = None
    ) -> Bound: ...


def _bound_of(
    machines: Machines,
    prompts: Prompts,
    workload: Workload,
    minimised: str,
    tried: np.ndarray,
    targets: Sequence[Target],
) -> _Bounding:
    """The bound as a function of the targets; points are kept in memory where they are few.

    It is tightest near the plan's own targets.
    """
    grid = decode_grid(machines.alike, workload, tried=tried, objective=minimised)
    aim = min((t.limit for t in targets if t.metric == "tpot"), default=math.inf)
    apart = machines_apart(machines, workload, tried=tried, objective=minimised, limit=aim)
    number = grid.points + (apart.grid.points if apart else 0)
    kept: dict[float, list[Points]] = {}

    def points(limit: float) -> Iterator[Points]:
        yield from operating_points(grid, tried, prompts, workload, minimised, limit=limit)
        if apart:
            yield from apart.points(workload.mean_output_len, first=grid.points)

    def bounded(
        asked: Sequence[Target], first: Points | None, *, rate: float | None = None
    ) -> Bound:
        limits = [t.limit for t in asked if t.metric == "tpot" and t.percent is not None]
        limit = min(limits, default=math.inf)
        if number <= KEPT_POINTS and limit not in kept:
            kept.clear()
            kept[limit] = [Points.joined(points(limit))]
        return least_fleet(
            lambda: iter(kept.get(limit) or points(limit)),
            rate=workload.rate if rate is None else rate,
            output_len=workload.mean_output_len,
            targets=asked,
            whole=minimised == "num_chips",
            first=first,
        )

    return bounded


def _prices(bound: Bound, targets: Sequence[Target], least: _Bounding) -> dict[str, float]:
    """What one more unit of each target changes of the bound."""
    prices = dict(bound.prices)
    for target in targets if math.isfinite(bound.least) else ():
        if target.metric not in OF_THE_FLEET and target.metric not in prices:
            looser = dataclasses.replace(target, limit=target.limit * _STEP)
            there = least([looser if each is target else each for each in targets], None)
            prices[target.metric] = (there.value - bound.value) / (looser.limit - target.limit)
    return prices


def _frontier(
    fronts: Sequence[tuple[Front, Front]], targets: Sequence[Target], least: _Bounding
) -> Frontier:
    """What each time of a token takes."""
    target = next((t.limit for t in targets if t.metric == "tpot"), math.inf)
    levels = levels_of([front for pair in fronts for front in pair], target)
    (one, apart), *predicted = ([least_at(f, levels) for f in pair] for pair in fronts)
    return Frontier(
        levels=levels,
        bound=bounds_at(levels, least, targets),
        aggregated=one,
        disaggregated=apart,
        predicted=np.fmin(*predicted[0]) if predicted else None,
    )


def _by_rate(
    found: Found,
    rate: float,
    totals: np.ndarray,
    targets: Sequence[Target],
    least: _Bounding,
) -> Frontier:
    """What each rate of requests takes, from a group's best rate of every machine."""
    levels = rates_around(rate)
    prefill = costs_at(levels, found.prefill_rates, totals)
    (one, apart), *predicted = (
        (costs_at(levels, both, totals), prefill + costs_at(levels, decode, totals))
        for both, decode in found.rates
    )
    return Frontier(
        levels=levels,
        bound=bounds_at_rates(levels, lambda at, first: least(targets, first, rate=at)),
        aggregated=one,
        disaggregated=apart,
        predicted=np.fmin(*predicted[0]) if predicted else None,
    )
