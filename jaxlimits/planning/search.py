"""The search for the least machines that keep every target, as engines run them."""

import dataclasses
import heapq
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxlimits.model.metrics import Limit
from jaxlimits.planning.choice import Choice, Group, Miss
from jaxlimits.planning.frontier import NOTHING, Front, Rates, front_with, groups_for
from jaxlimits.planning.served import Served, decoding_blocks, served_blocks
from jaxlimits.planning.systems import Machines, Prompts, shares_filled
from jaxlimits.planning.targets import FITS, Target
from jaxlimits.planning.workload import Workload

_SLACK = 1e-9
"""Of a target, what rounding may take."""


@dataclasses.dataclass(frozen=True, slots=True)
class Search:
    """The search for machines as engines run them.

    Parameters
    ----------
    machines, prompts, workload, targets
        What may be built, its prefill, and what is asked of it.
    totals
        What one group costs, by metric; arrays of chips and layouts.
    minimised
        The metric to have least of.
    tried
        Batches.
    """

    machines: Machines
    prompts: Prompts
    workload: Workload
    targets: tuple[Target, ...]
    totals: Mapping[str, np.ndarray]
    minimised: str
    tried: np.ndarray

    def best(self, count: int, *, calibrated: bool) -> "Found":
        """The least choices, the least by a calibration's prediction, and the fronts of both."""
        percent = self._percent("tpot")
        mixed = "even" if percent is None else "stalls"
        blocks = self._blocks(mixed, calibrated=calibrated)
        shape = self.machines.shape
        serving, decoding = _Least(count, shape), _Least(count, shape)
        predicted, predicted_decoding = _Least(1, shape), _Least(1, shape)
        for block in blocks:
            serving.add(self._serving(block), self._limit("tpot"))
            decoding.add(self._decoding(block), self._limit("tpot"))
            if calibrated:
                predicted.add(self._serving(block, predicted=True), self._limit("tpot"))
                asked = self._decoding(block, predicted=True)
                predicted_decoding.add(asked, self._limit("tpot"))
        for block in self._blocks_apart():
            decoding.add(self._decoding(block), self._limit("tpot"))
        prefilling = _Least(1, shape)
        prefilling.add(self._prefilling(), math.inf)
        choices = self._choices(serving, decoding, prefilling)[:count]
        least = self._choices(predicted, predicted_decoding, prefilling)
        pairs = ((serving, decoding), *([(predicted, predicted_decoding)] if calibrated else []))
        return Found(
            choices=tuple(choices),
            predicted=least[0] if least else None,
            fronts=tuple((one.front, _with_prefill(other, prefilling)) for one, other in pairs),
            rates=tuple((one.rates, other.rates) for one, other in pairs),
            prefill_rates=prefilling.rates,
        )

    def misses(self) -> tuple[Miss, ...]:
        """Each target of a request that no machine keeps, with the nearest.

        Where no group holds the model with one whole request, that alone.
        """
        found = []
        every = itertools.chain(self._blocks("even", calibrated=False), self._blocks_apart())
        columns = zip(*every, strict=True)
        base = Served(*(np.concatenate(column) for column in columns))
        if not len(base.tpot):
            filled = shares_filled(self.machines, self.workload)
            chip, layout = np.unravel_index(int(np.argmin(filled)), filled.shape)
            return (
                Miss(
                    target=FITS,
                    chip=self.machines.chips[chip],
                    layout=self.machines.layouts[layout],
                    value=float(filled[chip, layout]),
                    limit=Limit.CAPACITY.name.lower(),
                ),
            )
        for target in self.targets:
            if target.metric == "ttft":
                times = self._ttft()
                place = np.unravel_index(int(np.nanargmin(times)), times.shape)
                value, limit = float(times[place]), self._prefill_limit(place)
            elif target.metric == "tpot":
                nearest = int(np.argmin(base.tpot_alone))
                place = (base.chip[nearest], base.layout[nearest])
                value = float(base.tpot_alone[nearest])
                limit = _word(base.limit_alone[nearest])
            else:
                continue
            if not value <= target.limit:
                chip, layout = self.machines.chips[place[0]], self.machines.layouts[place[1]]
                miss = Miss(target=target, chip=chip, layout=layout, value=value, limit=limit)
                found.append(miss)
        return tuple(found)

    def _blocks(self, mixed: str, *, calibrated: bool) -> Iterator[Served]:
        return served_blocks(
            self.machines.alike, self.workload, tried=self.tried, mixed=mixed, calibrated=calibrated
        )

    def _blocks_apart(self) -> Iterator[Served]:
        return decoding_blocks(self.machines, self.workload, tried=self.tried)

    def _limit(self, metric: str) -> float:
        return next((t.limit for t in self.targets if t.metric == metric), math.inf)

    def _percent(self, metric: str) -> float | None:
        return next((t.percent for t in self.targets if t.metric == metric), None)

    def _ttft(self) -> np.ndarray:
        """Time to the first token as its target takes it, by chip and layout [s]."""
        percent = self._percent("ttft")
        if percent is None:
            return self.prompts.ttft @ np.array(self.workload.shares)
        return self.prompts.ttft[
            ..., self.workload.input_lens.index(self.workload.prompt_at(percent))
        ]

    def _prefill_limit(self, place: tuple[Any, ...]) -> str:
        shares = np.array(self.workload.shares)
        memory, compute = (
            each[place] @ shares for each in (self.prompts.memory, self.prompts.compute)
        )
        return "compute" if compute >= memory else "memory"

    def _cost(self, chip: np.ndarray, layout: np.ndarray, count: np.ndarray) -> np.ndarray:
        return count * self.totals[self.minimised][chip, layout]

    def _groups(self, rates: np.ndarray) -> np.ndarray:
        return groups_for(self.workload.rate, rates)

    def _serving(self, block: Served, *, predicted: bool = False) -> "_Candidates":
        slower = block.predicted if predicted else 1.0
        keeps = self._ttft()[block.chip, block.layout] <= self._limit("ttft") * (1.0 + _SLACK)
        return self._candidates(
            "serve", block, block.requests / slower, block.tpot * slower, block.limit, keeps
        )

    def _decoding(self, block: Served, *, predicted: bool = False) -> "_Candidates":
        slower = block.predicted_alone if predicted else 1.0
        keeps = np.ones_like(block.tpot_alone, bool)
        return self._candidates(
            "decode",
            block,
            block.answers / slower,
            block.tpot_alone * slower,
            block.limit_alone,
            keeps,
        )

    def _prefilling(self) -> "_Candidates":
        times = self.prompts.ttft @ np.array(self.workload.shares)
        keeps = self._ttft() <= self._limit("ttft") * (1.0 + _SLACK)
        chip, layout = np.nonzero(keeps & np.isfinite(times))
        rates = self.prompts.lanes[layout] / times[chip, layout]
        count = self._groups(rates)
        return _Candidates(
            role="prefill",
            cost=self._cost(chip, layout, count),
            chip=chip,
            layout=layout,
            batch=np.ones_like(rates),
            count=count,
            rate=rates,
            tpot=np.zeros_like(rates),
            limit=np.array(
                [_CODES[self._prefill_limit(place)] for place in zip(chip, layout, strict=True)],
                int,
            ),
        )

    def _candidates(
        self,
        role: str,
        block: Served,
        rates: np.ndarray,
        tpot: np.ndarray,
        limit: np.ndarray,
        keeps: np.ndarray,
    ) -> "_Candidates":
        chip, layout, rate = block.chip[keeps], block.layout[keeps], rates[keeps]
        count = self._groups(rate)
        return _Candidates(
            role=role,
            cost=self._cost(chip, layout, count),
            chip=chip,
            layout=layout,
            batch=block.batch[keeps],
            count=count,
            rate=rate,
            tpot=tpot[keeps],
            limit=limit[keeps],
        )

    def _choices(self, serving: "_Least", decoding: "_Least", prefilling: "_Least") -> list[Choice]:
        """Choices of machines that do both, and of those that do one each, the least first."""
        together = [(one,) for one in serving.rows()]
        apart = [(one, other) for one in prefilling.rows() for other in decoding.rows()]
        found = [self._choice(rows) for rows in (*together, *apart)]
        return sorted(found, key=lambda choice: (choice.cost, len(choice.groups)))

    def _choice(self, rows: tuple["_Row", ...]) -> Choice:
        groups = tuple(
            Group(
                role=row.role,
                chip=self.machines.chips[row.chip],
                layout=self.machines.layouts[row.layout],
                batch_size=row.batch,
                count=int(row.count),
                rate=row.rate,
                limit=_word(row.limit),
            )
            for row in rows
        )
        totals = {
            name: float(sum(row.count * each[row.chip, row.layout] for row in rows))
            for name, each in self.totals.items()
        }
        first = rows[0]
        return Choice(
            groups=groups,
            cost=totals[self.minimised],
            totals=totals,
            tpot=max(row.tpot for row in rows),
            ttft=float(self._ttft()[first.chip, first.layout]),
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a search found.

    Parameters
    ----------
    choices
        The least machines, best first.
    predicted
        The least by a calibration's prediction; none without one.
    fronts
        Of what keeps every target but that of the time of a token, in the time of a token and cost:
        machines that do both, and those that do one each; once more by the prediction.
    rates
        Of what keeps every target, requests that a group of each machine serves: those that do
        both, and those that decode alone; once more by the prediction.
    prefill_rates
        Requests that it prefills, where it does no more.
    """

    choices: tuple[Choice, ...]
    predicted: Choice | None
    fronts: tuple[tuple[Front, Front], ...]
    rates: tuple[tuple[Rates, Rates], ...]
    prefill_rates: Rates


def _with_prefill(decoding: "_Least", prefilling: "_Least") -> Front:
    """Front of machines that decode, with what the least machines cost that prefill for them."""
    rows = prefilling.rows()
    if not rows:
        return NOTHING
    return decoding.front + np.array([[0.0], [rows[0].cost]])


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Candidates:
    """Machines that keep the targets but that of the time of a token: arrays of equal length."""

    role: str
    cost: np.ndarray
    chip: np.ndarray
    layout: np.ndarray
    batch: np.ndarray
    count: np.ndarray
    rate: np.ndarray
    tpot: np.ndarray
    limit: np.ndarray

    def at(self, chosen: np.ndarray) -> "_Candidates":
        """Some of them."""
        names = [each.name for each in dataclasses.fields(self) if each.name != "role"]
        arrays = {name: getattr(self, name)[chosen] for name in names}
        return _Candidates(role=self.role, **arrays)


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    """One of them."""

    role: str
    cost: float
    chip: int
    layout: int
    batch: float
    count: float
    rate: float
    tpot: float
    limit: int

    def order(self) -> tuple[float, ...]:
        """The least first, of equal costs what serves most; then by their places."""
        return self.cost, -self.count * self.rate, -self.rate, self.chip, self.layout


class _Least:
    """The least candidates of a stream, the best batch of each chip and layout.

    Its ``front`` is of all, whatever their time of a token; its ``rates`` are the best of each chip
    and layout within it.
    """

    def __init__(self, count: int, shape: tuple[int, int]):
        self._count = count
        self._kept: dict[tuple[int, int], _Row] = {}
        self.front: Front = NOTHING
        self.rates: Rates = np.zeros(shape)

    def add(self, found: _Candidates, limit: float) -> None:
        """Take in a block, of which a time of a token within the limit counts [s].

        Of equal costs the higher rate is better; a machine of unknown cost is none.
        """
        self.front = front_with(self.front, found.tpot, found.cost)
        in_time = found.tpot <= limit * (1.0 + _SLACK)
        found = found.at(in_time & np.isfinite(found.cost))
        np.maximum.at(self.rates, (found.chip, found.layout), found.rate)
        for place in _best_of_each(found)[: 4 * self._count].tolist():
            row = _Row(
                role=found.role,
                cost=float(found.cost[place]),
                chip=int(found.chip[place]),
                layout=int(found.layout[place]),
                batch=float(found.batch[place]),
                count=float(found.count[place]),
                rate=float(found.rate[place]),
                tpot=float(found.tpot[place]),
                limit=int(found.limit[place]),
            )
            key = (row.chip, row.layout)
            other = self._kept.get(key)
            if other is None or (row.cost, -row.rate) < (other.cost, -other.rate):
                self._kept[key] = row

    def rows(self) -> list[_Row]:
        """The least of all, best first."""
        ordered = heapq.nsmallest(self._count, self._kept.values(), key=_Row.order)
        return [row for row in ordered if math.isfinite(row.cost)]


def _best_of_each(found: _Candidates) -> np.ndarray:
    """Places of the best batch of each chip and layout, the best machine first.

    The least cost of each machine is found first, so that few are left to be put in order.
    """
    _, machine = np.unique(found.chip * (1 << 32) + found.layout, return_inverse=True)
    least = np.full(machine.max(initial=-1) + 1, np.inf)
    np.minimum.at(least, machine, found.cost)
    kept = np.flatnonzero(found.cost == least[machine])
    # Rates that differ by no more than rounding are alike: the one that serves sooner is better.
    rates = -np.round(np.log(np.maximum(found.rate[kept], np.finfo(float).tiny)), 6)
    order = kept[np.lexsort((found.tpot[kept], rates, found.cost[kept]))]
    _, first = np.unique(machine[order], return_index=True)
    return order[np.sort(first)]


_CODES = {code.name.lower(): int(code) for code in Limit}


def _word(code: float) -> str:
    return Limit(int(code)).name.lower()
