"""Bottlenecks: what binds, what binds next, and where they change places."""

import itertools

import pytest

from jaxlimits.model.binding import binding_limit, limit_factor, next_limit
from jaxlimits.model.metrics import Limit
from jaxlimits.model.roofline import StepTimes
from tests.helpers import evaluate_x64, named_scenario
from tests.laws import law
from tests.strategies import scenarios

NAMES = {"t_mem": Limit.MEMORY, "t_compute": Limit.COMPUTE, "t_sync": Limit.SYNC}

PARTS = {"t_sync_latency": 0.0, "t_sync_payload": 0.0}
"""Parts of the synchronisation, which no bottleneck asks for."""


@pytest.mark.parametrize("order", [*itertools.permutations(NAMES)])
def test_the_second_longest_time_binds_next_at_the_ratio_of_the_two(order):
    times = StepTimes(**dict(zip(order, (6.0, 2.0, 1.0), strict=True)), t_step=0.0, **PARTS)
    assert binding_limit(times, feasible=True) == NAMES[order[0]]
    assert next_limit(times, feasible=True) == NAMES[order[1]]
    assert limit_factor(times, stored=1.0, capacity=2.0) == 3.0


def test_a_point_that_does_not_fit_needs_more_memory_before_its_time_binds():
    times = StepTimes(t_mem=1.0, t_compute=2.0, t_sync=0.5, t_step=0.0, **PARTS)
    assert binding_limit(times, feasible=False) == Limit.CAPACITY
    assert next_limit(times, feasible=False) == Limit.COMPUTE
    assert limit_factor(times, stored=3.0, capacity=2.0) == 1.5


def test_what_binds_alone_never_gives_way():
    times = StepTimes(t_mem=1.0, t_compute=0.0, t_sync=0.0, t_step=1.0, **PARTS)
    assert limit_factor(times, stored=1.0, capacity=2.0) == float("inf")


IMPROVES = {Limit.MEMORY: "mem_bw", Limit.COMPUTE: "peak_flops", Limit.SYNC: "sync_latency"}


@law(scenario=scenarios(combinations=("paper",)))
def test_the_limit_changes_where_the_factor_says(scenario):
    # Without hops, all-to-alls and vector work each time is in proportion to one field alone.
    scenario = scenario.but(hop_latency=0.0, all_to_all_latency=0.0)
    now = yield scenario
    factor, field = now.limit_factor, IMPROVES[Limit(now.limit)]
    if not 1.01 < factor < 1e6:
        return
    better = (0.999 * factor, 1.001 * factor)
    scales = [1.0 / each if field == "sync_latency" else each for each in better]
    changed = yield [scenario.but(**{field: scale * scenario[field]}) for scale in scales]
    assert [each.limit for each in changed] == [now.limit, now.next_limit]


def test_ratios_of_times_are_one_where_the_limit_changes():
    scenario = named_scenario("llama3-70b", "h100", tp_size=8.0, batch_size=64.0)
    now = evaluate_x64(*scenario)
    knee = scenario.but(sync_latency=scenario["sync_latency"] / now.sync_to_work)
    assert evaluate_x64(*knee).sync_to_work == pytest.approx(1.0, rel=1e-12)
    plain = scenario.but(vector_work="off")
    ratio = evaluate_x64(*plain).compute_to_memory
    ridge = plain.but(mem_bw=plain["mem_bw"] / ratio)
    assert evaluate_x64(*ridge).compute_to_memory == pytest.approx(1.0, rel=1e-12)
