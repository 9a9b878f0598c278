"""Machines whose feed-forward parts lie on chips of their own: their bound, against schedules."""

import heapq
import itertools
import math
import random

import numpy as np
import pytest
from scipy.optimize import linprog

import jaxlimits as jl
from jaxlimits.engine.masks import BUSY
from jaxlimits.planning.bound import Points
from jaxlimits.planning.ffn_apart import Steps, best_shares, machines_apart, points_of
from jaxlimits.planning.systems import make_machines
from jaxlimits.planning.targets import read_targets
from tests.helpers import slow_but
from tests.planning.test_bound import Machine, fewest


class Pair:
    """Chips of attention and chips of feed-forward parts, by what steps take of them."""

    def __init__(self, rng: random.Random):
        self.attention_chips, self.ffn_chips = rng.choice([1, 2, 4]), rng.choice([1, 2, 4, 8])
        self.cache = rng.uniform(0.0, 1.0) / self.attention_chips
        self.weights = rng.uniform(0.2, 3.0) / self.attention_chips
        self.experts = rng.uniform(1.0, 12.0) / self.ffn_chips
        self.touched = rng.choice([1.0, 0.1, 0.3])  # of the experts, by one token
        self.work = rng.uniform(0.0, 0.5) / self.ffn_chips
        self.latency = rng.choice([0.0, rng.uniform(0.0, 1.0)])
        self.payload = rng.choice([0.0, rng.uniform(0.0, 0.6)])
        self.layers = rng.randint(1, 3)
        self.room = rng.randint(1, 16)

    @property
    def chips(self) -> int:
        return self.attention_chips + self.ffn_chips

    def parts(self, users):
        """Times of attention, of feed-forward parts, and of one way, whose payload comes last."""
        read = self.experts * (1.0 - (1.0 - self.touched) ** users)
        attention = self.weights + self.cache * users
        return attention, read + self.work * users, self.latency, self.payload * users

    def steps(self) -> Steps:
        batch = np.arange(1.0, self.room + 1.0)
        attention, ffn, latency, payload = self.parts(batch)
        way = attention + ffn + 2.0 * (latency + payload)
        busy = np.stack([attention, ffn, payload, way * batch / self.room])
        return Steps(busy=busy[:, None], way=way[None], batch=batch)

    def points(self, output_len: int, limit: float, number: int) -> Points:
        steps = self.steps()
        return points_of(
            steps,
            best_shares(steps.pace(limit, math.inf)),
            users=steps.batch[None],
            cost=np.full_like(steps.way, self.chips),
            answers=np.full_like(steps.way, 1.0 / output_len),
            places=1e6 * number + steps.batch[None],
        )

    def most(self) -> float:
        """Tokens by time of the best mixture of batches, whatever their way."""
        steps = self.steps()
        most = linprog(-steps.batch, A_ub=steps.busy[:, 0], b_ub=np.ones(len(steps.busy)))
        return -float(most.fun)


class Decoding:
    """Steps of a pair, drawn at random: any batches, and any number of them in flight."""

    def __init__(self, rng: random.Random, pair: Pair, output_len: int):
        self.rng, self.pair, self.output_len = rng, pair, output_len
        self.eager = rng.choice([0.6, 1.0])
        self.free = dict.fromkeys(("attention", "there", "ffn", "back"), 0.0)
        self.events: list = []
        self.order = itertools.count()
        self.waiting: list[float] = []
        self.idle: list[list[float]] = []
        self.resident = 0
        self.times: list[float] = []

    def run(self, ready: list[float]) -> tuple[float, list[float]]:
        """Decode after first tokens at some times: when all have ended, and the times a token."""
        for time in ready:
            self.push(time, None, 0)
        clock = 0.0
        while self.events:
            clock, _, group, place = heapq.heappop(self.events)
            if group is None:
                self.waiting.append(clock)
            elif place < 4 * self.pair.layers:
                self.go_on(clock, group, place)
            else:
                self.end(clock, group)
            self.admit()
            while self.idle and (not self.events or self.rng.random() < self.eager):
                self.begin(clock)
        return clock, self.times

    def push(self, time: float, group, place: int) -> None:
        heapq.heappush(self.events, (time, next(self.order), group, place))

    def go_on(self, clock: float, group, place: int) -> None:
        """One resource of one layer: it begins when the group is there, and the one before gone."""
        attention, ffn, latency, payload = self.pair.parts(len(group))
        kind = [*self.free][place % 4]
        work = {"attention": attention, "ffn": ffn}.get(kind, payload) / self.pair.layers
        ready = max(clock, self.free[kind]) + work
        self.free[kind] = ready
        wait = latency / self.pair.layers if kind in ("there", "back") else 0.0
        self.push(ready + wait, group, place + 1)

    def admit(self) -> None:
        while self.waiting and self.resident < self.pair.room:
            self.idle.append([self.waiting.pop(0), self.output_len])
            self.resident += 1

    def begin(self, clock: float) -> None:
        least = self.rng.choice([1, (len(self.idle) + 1) // 2])
        group = self.rng.sample(self.idle, self.rng.randint(least, len(self.idle)))
        self.idle = [one for one in self.idle if not any(one is other for other in group)]
        self.push(clock, group, 0)

    def end(self, clock: float, group) -> None:
        for one in group:
            one[1] -= 1
            if one[1] > 0:
                self.idle.append(one)
            else:
                self.times.append((clock - one[0]) / self.output_len)
                self.resident -= 1


def prefilled(rng: random.Random, machine: Machine, number: int) -> tuple[list[float], list[float]]:
    """Prefill prompts that come at random, one after another: first tokens, and waits for them."""
    clock, ready, waits = 0.0, [], []
    for arrival in sorted(rng.uniform(0.0, 10.0) for _ in range(number)):
        clock = max(clock, arrival) + machine.step(0, 1.0)
        ready.append(clock)
        waits.append(clock - arrival)
    return ready, waits


@pytest.mark.parametrize("cases", slow_but([150, 1500], 150))
def test_no_schedule_beats_the_bound(cases):
    rng = random.Random(2026)
    closest = 0.0
    for _ in range(cases):
        pairs, other = [Pair(rng) for _ in range(rng.randint(1, 2))], Machine(rng)
        output_len, number = rng.randint(1, 8), rng.randint(4, 40)
        ready, waits = prefilled(rng, other, number)
        served = [
            Decoding(rng, pair, output_len).run(ready[place :: len(pairs)])
            for place, pair in enumerate(pairs)
        ]
        times = [time for _, each in served for time in each]
        assert len(times) == number
        rate = number / max(end for end, _ in served)
        asked = read_targets(rng.choice(targets_kept(times, waits)))
        limit = next((t.limit for t in asked if t.metric == "tpot"), math.inf)
        parts = [pair.points(output_len, limit, place) for place, pair in enumerate(pairs)]
        parts += other.points(output_len)[1:2]  # it has no time for decode steps
        found = fewest(parts, asked, rate=rate, output_len=output_len)
        chips = sum(pair.chips for pair in pairs) + other.chips
        assert found.least <= chips + 1e-6
        closest = max(closest, found.value / chips)
    assert closest > 0.5  # the bound is no idle one


def targets_kept(times: list[float], waits: list[float]) -> list[list[str]]:
    """Targets of the means and of each request that a schedule keeps."""
    of_means = [f"tpot <= {np.mean(times)} s/token", f"ttft <= {np.mean(waits)} s"]
    return [of_means, of_means[:1], [f"every tpot <= {max(times)} s/token"]]


def test_the_bound_on_tokens_is_near_what_mixtures_of_batches_give():
    rng = random.Random(1)
    for number in range(200):
        pair = Pair(rng)
        most = float(pair.points(1, math.inf, number).answers.max())
        assert pair.most() * (1 - 1e-9) <= most <= 1.35 * pair.most()


def test_a_small_and_a_large_batch_fill_each_others_gaps():
    # A sequence alone takes attention 1 s and feed-forward parts 2 s, three together 4 s and 2 s.
    # Two steps of the former and one of the latter take 6 s of either and give 5 tokens: 5/6 by
    # time, where 1/2 and 3/4 are what the longest time of each step would allow.
    steps = Steps(
        busy=np.array([[[1.0, 4.0]], [[2.0, 2.0]], [[0.0, 0.0]], [[0.0, 0.0]]]),
        way=np.array([[3.0, 6.0]]),
        batch=np.array([1.0, 3.0]),
    )
    shares = best_shares(steps.pace(math.inf))
    found = points_of(
        steps,
        shares,
        users=np.array([[1.0, 3.0]]),
        cost=np.ones((1, 2)),
        answers=np.ones((1, 2)),
        places=np.array([[0.0, 1.0]]),
    )
    assert shares.tolist() == [[0.75, 0.25, 0.0, 0.0]]
    assert found.answers == pytest.approx([1 / 1.25, 3 / 3.5])
    assert found.answers.max() >= 5 / 6
    assert found.users == pytest.approx([3 / 1.25, 3 * 6 / 3.5])
    # Where a token must come within 4 s only the small steps count, and these wait for weights.
    within = best_shares(steps.pace(4.0))
    assert within.tolist() == [[0.0, 1.0, 0.0, 0.0]]


SETTINGS = {"kv_sharding": "heads", "collective_algorithm": "one-shot", "link_bw": "2 GB/s"}
APART = {"pp_size": [1, 2], "tp_size": [1, 2], "ffn_chips": [0, 2]}


@pytest.fixture(scope="module")
def found():
    """Machines with such chips, and their operating points at the mean context."""
    machines = make_machines(
        "gpt-oss-120b", ["h200", "h100"], most=8, only=APART, settings=SETTINGS
    )
    work = jl.Workload.of_lengths([(20_000, 1000)], rate=1.0)
    tried = np.array([1.0, 2.0, 7.0, 30.0, 120.0])
    asked = {"tried": tried, "objective": "num_chips", "limit": math.inf}
    return machines, work, tried, machines_apart(machines, work, **asked)


def test_no_number_of_micro_batches_in_flight_gives_more_than_the_points(found):
    machines, work, tried, apart = found
    points = Points.joined(apart.points(work.mean_output_len, first=0))
    metrics = ("stps", "tpot", "num_chips")
    base = {"seq_len": math.floor(work.mean_context), "roofline": "step"}
    model = machines.apart.grid(metrics, axes={"batch_size": tried.tolist()}, base=base).collect()
    names = [layout.name for layout in machines.apart.layouts]
    alone = [name for name in names if name.endswith("mb1")]
    assert len(names) == 4 * len(alone)
    compared = 0
    for number, place in enumerate(points.places):
        chip, layout, batch = np.unravel_index(int(place), apart.grid.shape)
        for batches in (1, 2, 3, 4):
            at = chip, names.index(alone[layout].replace("mb1", f"mb{batches}")), batch
            if np.isfinite(model["stps"][at]):
                answers = model["stps"][at] / work.mean_output_len
                assert answers <= points.answers[number] * (1 + 1e-9)
                assert model["tpot"][at] >= points.tpot[number] * (1 - 1e-9)
                assert model["num_chips"][at] == points.cost[number]
                compared += batches > 1
    assert compared > 100


def test_resources_are_as_busy_as_the_model_says(found):
    # A step takes the way of a micro-batch, or the longest of the three for all in flight.
    machines, work, tried, _ = found
    outputs = (*BUSY, "t_step")
    base = {"seq_len": math.floor(work.mean_context), "roofline": "step"}
    model = machines.apart.grid(outputs, axes={"batch_size": tried.tolist()}, base=base).collect()
    longest = np.max([model[name] for name in BUSY], axis=0)
    batches = np.array([layout.ffn_micro_batches for layout in machines.apart.layouts])[:, None]
    names = [layout._replace(ffn_micro_batches=1) for layout in machines.apart.layouts]
    one = [machines.apart.layouts.index(layout) for layout in names]
    way = model["t_step"][:, one]
    expected = np.maximum(way, batches * longest)
    fits = np.isfinite(model["t_step"])
    assert model["t_step"][fits] == pytest.approx(expected[fits], rel=1e-12)
    assert {int(k) for k in np.argmax([model[name] for name in BUSY], axis=0)[fits]} == {0, 1, 2}
