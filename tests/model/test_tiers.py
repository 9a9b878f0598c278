"""Tiers of memory: the closed forms against linear programs, and against plain reasoning."""

import dataclasses
import math

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxlimits.model.tiers import Data, Tier, remaining_traffic, streaming_time, traffic_lines
from tests.batches import Plain, Slopes, answered
from tests.helpers import evaluate_x64, named_scenario
from tests.laws import law
from tests.model.test_invariants import never_less
from tests.reference import placement_time
from tests.strategies import SLOPED, logs, scenarios

HIERARCHY = {
    "sram_capacity": 2e9,
    "sram_bw": 100e12,
    "lpddr_capacity": 500e9,
    "lpddr_bw": 0.5e12,
}


@pytest.fixture(autouse=True)
def in_float64(x64):
    """Compute in float64."""


@st.composite
def hierarchies(draw):
    """Data and tiers in which they fit, with room to spare or none."""
    kinds = draw(st.lists(st.tuples(logs(1e-3, 1.0), logs(1e-4, 10.0)), min_size=1, max_size=4))
    tiers = draw(st.lists(st.tuples(logs(1e-3, 1.0), logs(1e-2, 1e2)), min_size=1, max_size=3))
    stored = sum(size for size, _ in kinds)
    room = sum(size for size, _ in tiers)
    spare = draw(st.one_of(st.just(1.0), st.floats(1.0, 20.0))) * (1.0 + 1e-9)
    tiers = [(size * spare * stored / room, rate) for size, rate in tiers]
    return [(size, size * heat) for size, heat in kinds], tiers


@settings(max_examples=60)
@given(case=hierarchies(), overlap=st.booleans())
def test_the_closed_form_is_the_optimum_of_the_linear_program(case, overlap):
    kinds, tiers = case
    data = [Data(stored=jax.numpy.asarray(s), traffic=jax.numpy.asarray(v)) for s, v in kinds]
    places = [Tier(capacity=c, bandwidth=w) for c, w in tiers]
    found = float(streaming_time(data, places, overlap=overlap))
    assert found == pytest.approx(placement_time(kinds, tiers, overlap=overlap), rel=1e-6)


def test_what_is_left_is_the_coldest():
    # 10 B read 20 times over, 30 B read once, 5 B never: taking 15 B leaves 25 B of the second.
    data = [Data(stored=s, traffic=jax.numpy.asarray(v)) for s, v in ((10.0, 200.0), (30.0, 30.0))]
    data.append(Data(stored=5.0, traffic=jax.numpy.asarray(0.0)))
    left = [
        float(remaining_traffic(traffic_lines(data), taken))
        for taken in (0.0, 4.0, 15.0, 40.0, 99.0)
    ]
    assert left == [230.0, 150.0, 25.0, 0.0, 0.0]


def test_tiers_that_stream_at_once_share_the_traffic():
    # Llama3-8B whole in both tiers: 3.35 + 100 TB/s, of which SRAM holds 2 GB of 8.03 + 0.27 GB:
    # HBM streams the other 6.3 GB in 1.88 ms, SRAM its 2 GB in 0.02 ms.
    scenario = named_scenario("llama3-8b", "h100", sram_capacity=2e9, sram_bw=100e12)
    plain, point = evaluate_x64(*scenario.but(sram_capacity=0.0)), evaluate_x64(*scenario)
    read = plain.weight_traffic + plain.kv_traffic
    # One row of the embedding is read with the weights: they count as read 1 + 5e-7 times.
    assert point.t_mem == pytest.approx((read - 2e9) / 3.35e12, rel=1e-6)
    turn = evaluate_x64(*scenario.but(memory_tiers="add"))
    assert turn.t_mem == pytest.approx((read - 2e9) / 3.35e12 + 2e9 / 100e12, rel=1e-6)


def test_a_large_slow_tier_holds_what_does_not_fit():
    # Llama3-70B on one H100 of 80 GB with LPDDR: the rest beyond 80 GB streams at 0.5 TB/s.
    scenario = named_scenario("llama3-70b", "h100", lpddr_capacity=500e9, lpddr_bw=0.5e12)
    scenario = scenario.but(weight_bits=16.0)
    assert not evaluate_x64(*scenario.but(lpddr_capacity=0.0)).feasible
    point = evaluate_x64(*scenario)
    assert point.feasible
    embedding = 128_256 * 8192 * 2.0
    slow = point.weight_bytes + point.kv_bytes - scenario["mem_capacity"] - embedding
    rows = 8192 * 2.0  # read, but not beside the embedding
    assert point.t_mem == pytest.approx(slow / 0.5e12, rel=2 * rows / slow)


def test_a_cache_that_does_not_fit_lies_in_the_slow_tier_and_is_read_there():
    # Llama3-8B, layers alone in 8 bits, 6,979,321,856 B, and 16 sequences of 131,072 tokens of
    # 65,536 B: 137,438,953,472 B more than 80 GB hold. What lies beyond streams at 0.5 TB/s, while
    # HBM streams its 80 GB at 3.35.
    values = {"accounting": "layers", "seq_len": 131_072.0, "batch_size": 16.0}
    tier = {"lpddr_capacity": 500e9, "lpddr_bw": 0.5e12}
    scenario = named_scenario("llama3-8b", "h100", **values)
    alone, point = evaluate_x64(*scenario), evaluate_x64(*scenario.but(**tier))
    assert (alone.feasible, alone.max_batch_size) == (False, 8.0)  # (80 - 6.98) / 8.59 GB
    assert (point.feasible, point.max_batch_size) == (True, 66.0)  # (580 - 6.98) / 8.59 GB
    beyond = 6_979_321_856 + 137_438_953_472 - 80e9
    assert point.t_mem == pytest.approx(beyond / 0.5e12, rel=1e-12)
    turn = evaluate_x64(*scenario.but(memory_tiers="add", **tier))
    assert turn.t_mem == pytest.approx(80e9 / 3.35e12 + beyond / 0.5e12, rel=1e-12)


def test_capacity_zero_is_no_tier_at_all():
    scenario = named_scenario("deepseek-v3", "h200", tp_size=8.0, sram_bw=1e15, lpddr_bw=1e15)
    bare = named_scenario("deepseek-v3", "h200", tp_size=8.0)
    for name in ("t_mem", "t_step", "utps", "bandwidth_utilisation", "capacity_utilisation"):
        same = getattr(evaluate_x64(*bare), name)
        assert getattr(evaluate_x64(*scenario), name) == same or math.isnan(same)


@law(scenario=scenarios(tiered=True), factor=st.floats(1.0, 100.0))
def test_more_of_a_tier_never_hurts(scenario, factor):
    names = ("sram_capacity", "sram_bw", "lpddr_capacity", "lpddr_bw", "mem_bw")
    here, *each = yield [scenario, *(scenario.scaled(factor, [name]) for name in names)]
    for name, more in zip(names, each, strict=True):
        assert more.utps >= here.utps * (1.0 - 1e-9), name
        assert never_less(more.max_batch_size, here.max_batch_size)


@law(scenario=scenarios(tiered=True))
def test_tiers_in_turn_are_never_faster_than_at_once(scenario):
    once, turn = yield scenario.but(memory_tiers="overlap"), scenario.but(memory_tiers="add")
    assert turn.t_mem >= once.t_mem * (1.0 - 1e-9)


def test_a_tier_that_holds_nothing_adds_no_bandwidth():
    # As in a grid whose other points have the tier, where the part is traced for all.
    scenario = named_scenario("llama3-8b", "h100", sram_bw=1e13, lpddr_bw=1e12)
    tiers = {"sram_tier": True, "lpddr_tier": True}
    general = scenario._replace(deployment=dataclasses.replace(scenario.deployment, **tiers))
    point = evaluate_x64(*general)
    assert vars(point) == pytest.approx(vars(evaluate_x64(*scenario)), rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("memory_tiers", ["overlap", "add"])
def test_what_is_read_but_stored_nowhere_streams_no_faster_than_the_rest(memory_tiers):
    # Every layer reads a cache that none of them keeps: with tiers that hold nothing, all traffic
    # is the memory's.
    scenario = named_scenario("llama3-8b", "h100", sram_bw=3.35e12, memory_tiers=memory_tiers)
    scenario = scenario.but(num_shared_kv_layers=32.0, seq_len=131_072.0, batch_size=16.0)
    tiers = {"sram_tier": True, "lpddr_tier": True}
    general = scenario._replace(deployment=dataclasses.replace(scenario.deployment, **tiers))
    point = evaluate_x64(*general)
    assert point.kv_bytes == 0.0 < point.kv_traffic
    assert point.t_mem == pytest.approx((point.weight_traffic + point.kv_traffic) / 3.35e12)


@law(scenario=scenarios(combinations=SLOPED, tiered=True))
def test_slopes_with_tiers_are_finite(scenario):
    slopes = yield Slopes(scenario)
    assert all(math.isfinite(slope) for slope in slopes.values())


@pytest.mark.parametrize("tiers", ["overlap", "add"])
def test_slopes_by_a_tier_are_difference_quotients(tiers):
    scenario = named_scenario("deepseek-v3", "h200", tp_size=8.0, batch_size=8.0, **HIERARCHY)
    point = scenario.but(memory_tiers=tiers)
    names = ("sram_capacity", "sram_bw", "mem_bw", "mem_capacity", "lpddr_bw")
    moved = [point.scaled(1.0 + h, [name]) for name in names for h in (1e-6, -1e-6)]
    slopes, here, *ends = answered([Slopes(point), Plain(point), *map(Plain, moved)])
    for name, above, below in zip(names, ends[::2], ends[1::2], strict=True):
        quotient = (above.utps - below.utps) / (2e-6 * point[name])
        size = 1e-6 * here.utps / point[name]
        assert slopes[name] == pytest.approx(quotient, rel=1e-5, abs=size), (tiers, name)
