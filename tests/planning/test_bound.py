"""The bound of a plan: against the whole linear program, and against schedules that were run."""

import itertools
import math
import random

import numpy as np
import pytest
from scipy.optimize import linprog

from jaxlimits.planning.bound import Bound, Points, least, least_fleet
from jaxlimits.planning.operating import _Block
from jaxlimits.planning.targets import read_targets
from tests.helpers import slow_but

TARGETS = (
    [],
    ["tpot <= 2 ms/token"],
    ["tpot <= 2 ms/token", "ttft <= 20 ms"],
    ["p99 tpot <= 2 ms/token", "p90 ttft <= 20 ms"],
    ["every tpot <= 3 ms/token", "ttft <= 50 ms"],
)


def points(number: int, seed: int) -> Points:
    """Random points, of which some decode, some prefill, and some do both."""
    rng = np.random.default_rng(seed)
    users = rng.integers(1, 200, number).astype(float)
    cost = 2.0 ** rng.integers(0, 7, number)
    tpot = (0.005 + users * 1e-4 * rng.uniform(0.5, 2.0, number)) / cost**0.7
    kind = rng.random(number)
    decodes, prefills = kind < 0.8, kind > 0.6
    return Points(
        cost=cost,
        answers=np.where(decodes, users / tpot / 1000.0, 0.0),
        prompts=np.where(prefills, rng.uniform(1.0, 10.0, number) * cost, 0.0),
        users=np.where(decodes, users, 0.0),
        tpot=np.where(decodes, tpot, 0.0),
        ttft=rng.uniform(0.05, 3.0, number) / cost,
        places=np.arange(number, dtype=float),
    )


def whole_program(found: Points, texts: list[str], *, rate: float, output_len: float) -> float:
    """The same linear program, written out and solved at once."""
    above, most = [-found.answers, -found.prompts], [-rate, -rate]
    for target in read_targets(texts):
        if target.metric == "tpot" and target.percent is None:
            above.append(found.users)
            most.append(rate * output_len * target.limit)
        elif target.metric == "tpot":
            above.append(-found.answers * (found.tpot <= target.limit))
            most.append(-rate * target.percent / 100.0)
        elif target.percent is None:
            above.append(found.prompts * found.ttft)
            most.append(rate * target.limit)
        else:
            above.append(-found.prompts * (found.ttft <= target.limit))
            most.append(-rate * target.percent / 100.0)
    solution = linprog(found.cost, A_ub=np.stack(above), b_ub=np.array(most))
    return float(solution.fun) if solution.status == 0 else math.inf


@pytest.mark.parametrize("texts", TARGETS, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_columns_that_are_generated_give_the_whole_program(texts, seed):
    every = points(20_000, seed)
    parts = [every.at(np.arange(start, start + 5_000)) for start in range(0, 20_000, 5_000)]
    found = least(lambda: iter(parts), rate=100.0, output_len=1000.0, targets=read_targets(texts))
    expected = whole_program(every, texts, rate=100.0, output_len=1000.0)
    assert found.least == pytest.approx(expected, rel=1e-7)
    assert np.dot(found.shares, found.points.cost) == pytest.approx(expected, rel=1e-6)


def test_targets_that_no_mixture_keeps_have_no_least():
    asked = read_targets("tpot <= 1 ns/token")
    found = least(lambda: iter([points(100, 0)]), rate=1.0, output_len=1000.0, targets=asked)
    assert math.isinf(found.least)


@pytest.mark.parametrize("metric", ["tpot", "ttft"])
def test_the_price_of_a_target_is_the_derivative(metric):
    every = points(5_000, 3)

    def at(tpot: float, ttft: float):
        asked = read_targets([f"tpot <= {tpot} s/token", f"ttft <= {ttft} s"])
        return least(lambda: iter([every]), rate=50.0, output_len=1000.0, targets=asked)

    here = at(2e-3, 5e-3)
    factor = 1.0 + 1e-6
    more = at(2e-3 * factor, 5e-3) if metric == "tpot" else at(2e-3, 5e-3 * factor)
    step = (2e-3 if metric == "tpot" else 5e-3) * 1e-6
    assert here.prices[metric] == pytest.approx((more.value - here.value) / step, rel=1e-2)
    assert here.prices[metric] < 0.0


def test_a_fleet_has_no_group_larger_than_itself():
    # One group of 64 chips does 100 requests a second; one of 4 does 1. For 2 requests a second a
    # share of 1.28 chips of the large group would do, but whoever has it has 64: 8 small chips do.
    both = Points(
        cost=np.array([64.0, 4.0]),
        answers=np.array([100.0, 1.0]),
        prompts=np.array([100.0, 1.0]),
        users=np.array([10.0, 10.0]),
        tpot=np.array([1.0, 1.0]),
        ttft=np.array([0.1, 0.1]),
        places=np.array([0.0, 1.0]),
    )
    asked = {"rate": 2.0, "output_len": 10.0}
    assert least(lambda: iter([both]), **asked).least == pytest.approx(1.28)
    assert least_fleet(lambda: iter([both]), whole=True, **asked).least == 8.0
    assert least_fleet(lambda: iter([both]), whole=False, **asked).least == pytest.approx(1.28)


class Machine:
    """One group of chips, by what its steps take."""

    def __init__(self, rng: random.Random):
        self.chips = rng.choice([1, 2, 4, 8])
        self.weights = rng.uniform(1.0, 5.0) / self.chips
        self.cache = rng.uniform(0.0, 0.5) / self.chips
        self.work = rng.uniform(0.0, 0.5) / self.chips
        self.prompt_memory = rng.choice([0.0, rng.uniform(0.0, 1.0)]) / self.chips
        self.prompt_work = rng.uniform(0.5, 20.0) / self.chips
        self.waits = rng.choice([0.0, rng.uniform(0.0, 1.0)])
        self.room = rng.randint(1, 12)

    def step(self, users: int, prompts: float) -> float:
        memory = self.weights + self.cache * users + self.prompt_memory * prompts
        return max(memory, self.work * users + self.prompt_work * prompts) + self.waits

    def points(self, output_len: int) -> list[Points]:
        users = np.arange(1.0, self.room + 1.0)
        memory, compute = self.weights + self.cache * users, self.work * users
        step = np.maximum(memory, compute) + self.waits
        found = {"t_mem": memory, "t_compute": compute, "t_sync": np.full_like(step, self.waits)}
        shape = np.ones_like(step)
        more = (self.prompt_memory * shape, self.prompt_work * shape)
        block = _Block(
            found={**found, "t_step": step, "stps": users / step, "users": users},
            cost=self.chips * shape,
            answers=users / step / output_len,
            more=more,
            lanes=shape,
            ttft=self.step(0, 1.0) * shape,
            number=users,
        )
        alone = 1.0 / np.maximum(*more)
        return [block.decoding(), block.prefilling(alone, where=users == 1.0), block.doing_both()]


def fewest(parts: list[Points], asked: list, *, rate: float, output_len: float) -> Bound:
    """The bound on whole groups of chips."""
    return least_fleet(
        lambda: iter(parts), rate=rate, output_len=output_len, targets=asked, whole=True
    )


def run(rng: random.Random, machines: list[Machine], output_len: int, requests: int):
    """Serve requests by steps drawn at random; their rate, and the means of tpot and ttft."""
    shares = [requests // len(machines)] * len(machines)
    shares[0] += requests - sum(shares)
    served = [
        serve(rng, machine, number, output_len)
        for machine, number in zip(machines, shares, strict=True)
    ]
    ends, times, waits = zip(*served, strict=True)
    means = (float(np.mean([*itertools.chain(*each)])) for each in (times, waits))
    return requests / max(ends), *means


def serve(rng: random.Random, machine: Machine, number: int, output_len: int):
    """Serve requests on one machine: when the last ends, times a token, and times to the first."""
    queue = sorted(rng.uniform(0.0, 30.0) for _ in range(number))
    clock, resident, waits, times = 0.0, [], [], []
    begun = None  # the share of a prompt that is still to be prefilled, and when it came
    while queue or begun or resident:
        if not (begun or resident or queue[0] <= clock):
            clock = queue[0]
        free = begun is None and len(resident) < machine.room and queue and queue[0] <= clock
        if free and (not resident or rng.random() < 0.8):
            begun = (1.0, queue.pop(0))
        part = min(rng.choice([0.25, 0.5, 1.0]), begun[0]) if begun else 0.0
        some = resident and (not part or rng.random() < 0.8)
        chosen = rng.sample(resident, rng.randint(1, len(resident))) if some else []
        clock += machine.step(len(chosen), part)
        for one in chosen:
            one[1] -= 1
        times += [(clock - one[0]) / output_len for one in chosen if one[1] == 0]
        resident = [one for one in resident if one[1] > 0]
        if begun:
            begun = (begun[0] - part, begun[1])
            if begun[0] <= 0.0:
                waits.append(clock - begun[1])
                resident.append([clock, output_len])
                begun = None
    return clock, times, waits


@pytest.mark.parametrize("cases", slow_but([150, 1000], 150))
def test_no_schedule_beats_the_bound(cases):
    rng = random.Random(2026)
    closest = 0.0
    for _ in range(cases):
        kinds = [Machine(rng) for _ in range(rng.randint(1, 3))]
        machines = [rng.choice(kinds) for _ in range(rng.randint(1, 4))]
        output_len = rng.randint(1, 8)
        rate, tpot, ttft = run(rng, machines, output_len, requests=rng.randint(3, 20))
        parts = [part for kind in kinds for part in kind.points(output_len)]
        asked = read_targets([f"tpot <= {tpot} s/token", f"ttft <= {ttft} s"])
        found = fewest(parts, asked, rate=rate, output_len=output_len)
        chips = sum(machine.chips for machine in machines)
        assert found.least <= chips + 1e-6
        closest = max(closest, found.value / chips)
    assert closest > 0.5  # the bound is no idle one
