"""What must hold at any point, whatever the numbers."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jaxlimits.model.fields import quantities
from jaxlimits.model.metrics import REQUESTED, Limit, Metrics
from jaxlimits.schema import CALIBRATED
from tests.helpers import (
    ALGORITHMS,
    COMBINATIONS,
    LINK_LATENCIES,
    NUMBERS,
    PAPER,
    Scenario,
    elasticities,
    evaluate_x64,
    gradient_x64,
    named_scenario,
)
from tests.reference import VOID_IF_INFEASIBLE
from tests.strategies import scenarios

RATES = ("peak_flops", "peak_vector_flops", "mem_bw", "link_bw", "scale_out_bw")
RATIOS = ("flops_ratio_16bit", "flops_ratio_4bit")
CAPACITIES = ("mem_capacity", "usable_fraction")
PRICES = ("chip_price", "mem_price", "server_price", "network_price", "electricity_price")
HAIR = 1e-12
"""Rounding in float64, as a share."""

TP_ONLY = {"pp_size": 1.0, "dp_size": 1.0, "ep_size": 1.0}
ONE_QUERY_TOKEN = {"query_tokens": 1.0}


def never_less(more: float, less: float) -> bool:
    """Whether one metric is at least another, a point that does not fit counting as nothing."""
    more, less = (0.0 if math.isnan(value) else value for value in (more, less))
    return more >= less * (1.0 - HAIR)


@pytest.mark.parametrize("name", [*RATES, *RATIOS, *CAPACITIES])
@given(scenario=scenarios(feasible=None), factor=st.floats(1.0, 100.0))
def test_more_of_a_rate_or_capacity_never_hurts(name, scenario, factor):
    value = min(factor * scenario[name], NUMBERS[name].upper)
    less, more = evaluate_x64(*scenario), evaluate_x64(*scenario.but(**{name: value}))
    for metric in ("utps", "stps", "max_batch_size"):
        assert never_less(getattr(more, metric), getattr(less, metric)), metric


@pytest.mark.parametrize("name", LINK_LATENCIES)
@given(scenario=scenarios(), added=st.floats(0.0, 1e-3))
def test_a_longer_latency_never_helps(name, scenario, added):
    slow = evaluate_x64(*scenario.but(**{name: scenario[name] + added}))
    fast = evaluate_x64(*scenario)
    assert never_less(fast.utps, slow.utps)
    assert never_less(fast.stps, slow.stps)


@given(scenario=scenarios(), factor=st.floats(1e-2, 1e2))
def test_time_scales_with_all_rates_and_latencies(scenario, factor):
    scaled = scenario.scaled(factor, RATES).scaled(1.0 / factor, LINK_LATENCIES)
    before, after = evaluate_x64(*scenario), evaluate_x64(*scaled)
    assert after.t_step == pytest.approx(before.t_step / factor, rel=1e-12)
    assert after.limit == before.limit or _tied(before)


def _tied(point: Metrics) -> bool:
    times = sorted((point.t_mem, point.t_compute, point.t_sync))
    return times[2] == pytest.approx(times[1], rel=1e-12)


@given(scenario=scenarios())
def test_elasticities_of_rates_less_those_of_latencies_are_one(scenario):
    shares = elasticities(scenario, [*RATES, *LINK_LATENCIES])
    rates, latencies = shares[: len(RATES)], shares[len(RATES) :]
    assert sum(rates) - sum(latencies) == pytest.approx(1.0, rel=1e-5)
    assert min(rates) >= 0.0 >= max(latencies)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(scenario=scenarios(combinations=("paper",)), factor=st.floats(1.0, 100.0))
def test_links_obey_the_same_laws_under_every_algorithm(algorithm, scenario, factor):
    scenario = scenario.but(collective_algorithm=algorithm)
    here = evaluate_x64(*scenario)
    wider = evaluate_x64(*scenario.scaled(factor, ["link_bw"]))
    slower = evaluate_x64(*scenario.scaled(factor, LINK_LATENCIES))
    quick = evaluate_x64(*scenario.scaled(factor, RATES).scaled(1.0 / factor, LINK_LATENCIES))
    assert never_less(wider.utps, here.utps)
    assert never_less(here.utps, slower.utps)
    assert quick.t_step == pytest.approx(here.t_step / factor, rel=1e-12)


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "constant"])
@given(scenario=scenarios(combinations=("paper",)))
def test_no_algorithm_beats_the_best_nor_any_the_bare_latency(algorithm, scenario):
    each = evaluate_x64(*scenario.but(collective_algorithm=algorithm))
    best = evaluate_x64(*scenario.but(collective_algorithm="best"))
    constant = evaluate_x64(*scenario.but(collective_algorithm="constant"))
    assert never_less(each.t_sync, best.t_sync)
    assert never_less(best.t_sync, constant.t_sync)


@given(scenario=scenarios(combinations=("paper",)))
def test_one_shot_without_a_payload_is_the_papers_constant(scenario):
    empty = {"collective_algorithm": "one-shot", "activation_bits": 1e-300}
    point = evaluate_x64(*scenario.but(**empty))
    constant = evaluate_x64(*scenario.but(collective_algorithm="constant"))
    assert point.t_sync == pytest.approx(constant.t_sync, abs=1e-300)


@given(scenario=scenarios(combinations=("paper",), **TP_ONLY))
def test_with_tensor_parallelism_alone_three_elasticities_are_one(scenario):
    bandwidth, flops, sync = elasticities(scenario, ["mem_bw", "peak_flops", "sync_latency"])
    assert bandwidth + flops - sync == pytest.approx(1.0, rel=1e-5)


@given(scenario=scenarios(tp_size=1.0, **TP_ONLY))
def test_one_chip_costs_no_sync(scenario):
    assert evaluate_x64(*scenario).t_sync == 0.0


@given(scenario=scenarios(**TP_ONLY), more=st.integers(1, 1024))
def test_a_larger_batch_slows_the_user_and_speeds_up_the_system(scenario, more):
    small = evaluate_x64(*scenario)
    large = evaluate_x64(*scenario.but(batch_size=scenario["batch_size"] + more))
    assume(large.feasible)
    assert never_less(small.utps, large.utps)
    assert never_less(large.stps, small.stps)


@given(scenario=scenarios(feasible=None, seq_len=0.0))
def test_no_context_has_no_cache(scenario):
    point = evaluate_x64(*scenario)
    assert point.kv_bytes == point.kv_traffic == 0.0
    assert point.max_batch_size == (math.inf if point.feasible else 0.0)


@given(
    scenario=scenarios(architectures=("windowed", "chunked_moe"), feasible=None),
    moved=st.integers(1, 100),
)
def test_a_windowed_or_chunked_layer_never_costs_more_than_a_full_one(scenario, moved):
    kind = "num_windowed_layers" if scenario["num_windowed_layers"] else "num_chunked_layers"
    fewer = scenario.but(**{kind: max(scenario[kind] - moved, 0.0)})
    short, full = evaluate_x64(*scenario), evaluate_x64(*fewer)
    for metric in ("kv_bytes", "kv_traffic", "flops"):
        assert never_less(getattr(full, metric), getattr(short, metric)), metric
    for metric in ("utps", "stps", "max_batch_size"):
        assert never_less(getattr(short, metric), getattr(full, metric)), metric


SPARSE = ("mla_sparse_moe",)


@given(scenario=scenarios(architectures=SPARSE, feasible=None), more=st.integers(1, 100_000))
def test_selecting_more_tokens_never_costs_less(scenario, more):
    few = evaluate_x64(*scenario)
    many = evaluate_x64(*scenario.but(index_topk=scenario["index_topk"] + more))
    for metric in ("kv_traffic", "flops"):
        assert never_less(getattr(many, metric), getattr(few, metric)), metric
    assert never_less(few.utps, many.utps)
    assert many.kv_bytes == few.kv_bytes


@given(scenario=scenarios(architectures=SPARSE, feasible=None))
def test_sparse_attention_never_reads_more_than_full_attention_and_its_indexer(scenario):
    sparse, full, index = sparse_full_and_indexer(scenario)
    assert never_less(full.kv_traffic + index["kv_traffic"], sparse.kv_traffic)
    assert never_less(full.flops + index["flops"], sparse.flops)
    assert sparse.kv_bytes == pytest.approx(full.kv_bytes + index["kv_bytes"], rel=1e-12)


@given(scenario=scenarios(architectures=SPARSE, feasible=None), more=st.integers(0, 1000))
def test_an_indexer_that_selects_everything_comes_on_top_of_full_attention(scenario, more):
    everything = scenario.but(index_topk=max(scenario["seq_len"], 1.0) + more)
    sparse, full, index = sparse_full_and_indexer(everything)
    for metric in ("kv_traffic", "kv_bytes", "flops"):
        expected = getattr(full, metric) + index[metric]
        assert getattr(sparse, metric) == pytest.approx(expected, rel=1e-12), metric


def sparse_full_and_indexer(scenario: Scenario) -> tuple[Metrics, Metrics, dict[str, float]]:
    """A point, the same without its indexer, and what the indexer does, each counted plainly."""
    scenario = scenario.but(attention_span="model", accounting="layers")
    plain = evaluate_x64(*scenario.but(attention_span="full"))
    layers, batch, span = (scenario[n] for n in ("num_sparse_layers", "batch_size", "seq_len"))
    heads, width, hidden = (scenario[n] for n in ("index_n_heads", "index_head_dim", "hidden_size"))
    copies = scenario["tp_size"] if scenario.deployment.kv_sharding == "heads" else 1.0
    keys = layers * batch * span * width * copies * scenario["index_bits"] / 8
    rows = scenario["q_lora_rank"] or hidden
    elements = layers * (rows * heads * width + hidden * width + hidden * heads)
    pairs = layers * batch * scenario["query_tokens"] * span
    flops = 2 * batch * scenario["query_tokens"] * elements + 2 * heads * width * pairs
    index = {"kv_traffic": keys, "kv_bytes": scenario["pp_size"] * keys, "flops": flops}
    return evaluate_x64(*scenario), plain, index


@given(scenario=scenarios(architectures=("windowed", "chunked_moe")))
def test_the_papers_full_attention_never_costs_less(scenario):
    own = evaluate_x64(*scenario.but(attention_span="model"))
    full = evaluate_x64(*scenario.but(attention_span="full"))
    assert never_less(full.kv_bytes, own.kv_bytes)
    assert never_less(own.utps, full.utps)


@given(scenario=scenarios(feasible=None))
def test_a_cache_copied_by_heads_never_beats_a_split_one(scenario):
    # Where collectives are derived, a split beyond the heads pays for one more of them.
    split = evaluate_x64(*scenario.but(kv_sharding="split", collectives="fixed"))
    heads = evaluate_x64(*scenario.but(kv_sharding="heads", collectives="fixed"))
    for metric in ("utps", "stps", "max_batch_size"):
        assert never_less(getattr(split, metric), getattr(heads, metric)), metric
    assert never_less(heads.kv_bytes, split.kv_bytes)
    assert never_less(heads.kv_traffic, split.kv_traffic)


@given(scenario=scenarios())
def test_a_split_within_the_heads_needs_no_copies(scenario):
    heads = scenario["num_kv_heads"]
    within = scenario.but(tp_size=min(scenario["tp_size"], heads), dp_size=1.0, ep_size=1.0)
    split, copied = within.but(kv_sharding="split"), within.but(kv_sharding="heads")
    assume(evaluate_x64(*split).feasible)
    np.testing.assert_equal(vars(evaluate_x64(*split)), vars(evaluate_x64(*copied)))


@given(scenario=scenarios(architectures=("moe", "mla_moe"), feasible=None, dp_size=1.0))
def test_stored_experts_are_at_least_the_touched_and_those_at_least_the_active(scenario):
    scenario = scenario.but(accounting="layers", weight_bits=8.0)
    point = evaluate_x64(*scenario)
    active = point.weight_traffic if _is_one_token(scenario) else _active_bytes(scenario)
    assert never_less(point.weight_bytes, point.weight_traffic)
    assert never_less(point.weight_traffic, active)


def _is_one_token(scenario: Scenario) -> bool:
    return scenario["batch_size"] * scenario["query_tokens"] == 1.0


def _active_bytes(scenario: Scenario) -> float:
    one = scenario.but(batch_size=1.0, **ONE_QUERY_TOKEN)
    return evaluate_x64(*one).weight_traffic


@given(scenario=scenarios())
def test_overlap_operator_by_operator_is_never_faster(scenario):
    step = evaluate_x64(*scenario.but(roofline="step"))
    operator = evaluate_x64(*scenario.but(roofline="operator"))
    assert never_less(operator.t_step, step.t_step)
    assert never_less(operator.t_compute, step.t_compute)
    assert operator.t_mem == pytest.approx(step.t_mem, rel=1e-12)
    assert never_less(step.t_compute + step.t_mem + step.t_sync, step.t_step)


@given(scenario=scenarios(feasible=None), bound=st.sampled_from(["tensor", "memory"]))
def test_rooflines_agree_where_one_resource_binds_throughout(scenario, bound):
    # A tensor rate so low, or a bandwidth so low, that it binds in every operator with such work.
    starved = {"tensor": {"peak_flops": 1.0, "vector_work": "off"}, "memory": {"mem_bw": 1.0}}
    scenario = scenario.but(**starved[bound])
    step = evaluate_x64(*scenario.but(roofline="step"))
    operator = evaluate_x64(*scenario.but(roofline="operator"))
    assert operator.t_step == pytest.approx(step.t_step, rel=1e-9, nan_ok=True)


@given(scenario=scenarios())
def test_vector_work_never_saves_time(scenario):
    off = evaluate_x64(*scenario.but(vector_work="off"))
    on = evaluate_x64(*scenario.but(vector_work="on"))
    assert never_less(on.t_step, off.t_step)


@pytest.mark.parametrize("name", PRICES)
@given(scenario=scenarios(feasible=None), factor=st.floats(1.0, 100.0))
def test_a_higher_price_never_saves_dollars(name, scenario, factor):
    cheap, dear = evaluate_x64(*scenario), evaluate_x64(*scenario.scaled(factor, [name]))
    assert never_less(dear.capital_cost, cheap.capital_cost)
    assert never_less(dear.cost_rate, cheap.cost_rate)
    assert never_less(dear.dollars_per_token, cheap.dollars_per_token)
    assert never_less(cheap.stps_per_dollar, dear.stps_per_dollar)


@given(scenario=scenarios(), factor=st.floats(1e-2, 1e2))
def test_dollars_scale_with_all_prices_and_nothing_else_does(scenario, factor):
    before, after = evaluate_x64(*scenario), evaluate_x64(*scenario.scaled(factor, PRICES))
    for name in quantities(Metrics):
        power = {"capital_cost": 1, "cost_rate": 1, "dollars_per_token": 1, "stps_per_dollar": -1}
        expected = getattr(before, name) * factor ** power.get(name, 0)
        assert getattr(after, name) == pytest.approx(expected, rel=1e-12, nan_ok=True), name


@given(scenario=scenarios(), years=st.floats(1.0, 100.0), share=st.floats(0.01, 1.0))
def test_longer_and_fuller_use_makes_tokens_cheaper(scenario, years, share):
    point = evaluate_x64(*scenario)
    longer = evaluate_x64(*scenario.scaled(years, ["depreciation_time"]))
    emptier = evaluate_x64(*scenario.scaled(share, ["utilisation"]))
    assert never_less(point.dollars_per_token, longer.dollars_per_token)
    assert emptier.dollars_per_token * share == pytest.approx(point.dollars_per_token, rel=1e-12)
    assert emptier.cost_rate == point.cost_rate
    assert point.dollars_per_token * point.stps_per_dollar == pytest.approx(1.0, rel=1e-12)


@given(scenario=scenarios(feasible=False))
def test_a_point_that_does_not_fit_is_data(scenario):
    point = evaluate_x64(*scenario)
    assert not point.feasible
    assert point.limit == Limit.CAPACITY
    assert point.capacity_utilisation > 1.0
    assert point.max_batch_size < scenario["batch_size"]
    void = {*VOID_IF_INFEASIBLE, *CALIBRATED, *REQUESTED}
    for name in quantities(Metrics):
        value = getattr(point, name)
        assert math.isnan(value) if name in void else math.isfinite(value), name


@given(scenario=scenarios())
def test_a_point_that_fits_has_every_number(scenario):
    point = evaluate_x64(*scenario)
    assert point.feasible
    assert point.limit in {Limit.MEMORY, Limit.COMPUTE, Limit.SYNC}
    assert point.capacity_utilisation <= 1.0
    assert never_less(point.max_batch_size, scenario["batch_size"])
    without_bound = {"max_batch_size", "batch_capacity"}  # nothing is stored for a sequence
    for name in set(quantities(Metrics)) - set(REQUESTED):
        assert math.isfinite(getattr(point, name)) or name in without_bound, name
        assert getattr(point, name) >= 0.0, name


@given(scenario=scenarios())
def test_no_share_of_a_peak_exceeds_one(scenario):
    point = evaluate_x64(*scenario)
    assert point.bandwidth_utilisation <= 1.0 + HAIR
    assert point.flops_utilisation <= 1.0 + HAIR


@given(scenario=scenarios())
def test_rates_are_of_one_user_and_of_all_users(scenario):
    point = evaluate_x64(*scenario)
    users = scenario["batch_size"] * scenario["pp_size"] * scenario["dp_size"]
    assert point.utps * point.tpot == pytest.approx(1.0, rel=1e-12)
    assert point.stps == pytest.approx(users * point.utps, rel=1e-12)


@pytest.mark.parametrize("name", COMBINATIONS)
@given(data=st.data())
def test_gradients_of_utps_are_finite_wherever_it_is(name, data):
    scenario = data.draw(scenarios(combinations=(name,)))
    for field, slope in gradient_x64(scenario).items():
        assert math.isfinite(slope), field


EDGES = {
    "no context": {"seq_len": 0.0},
    "one chip": {"tp_size": 1.0, "mem_capacity": 1e13},
    "no latency": {"sync_latency": 0.0, "hop_latency": 0.0, "all_to_all_latency": 0.0},
    "one chip, no context": {"tp_size": 1.0, "seq_len": 0.0, "mem_capacity": 1e13},
    "one layer": {"num_layers": 1.0, "num_moe_layers": 0.0, "num_windowed_layers": 0.0},
    "context at the window": {"seq_len": 128.0},
    "context at the selection": {"seq_len": 2048.0},
}


@pytest.mark.parametrize("edge", EDGES.values(), ids=EDGES)
@pytest.mark.parametrize(
    "llm", ["llama3-70b", "deepseek-v3", "deepseek-v3.2", "gpt-oss-20b", "llama4-maverick"]
)
@pytest.mark.parametrize("switches", [{}, PAPER], ids=["default", "paper"])
def test_gradients_of_utps_are_finite_at_the_edges(llm, edge, switches):
    if "num_layers" in edge:
        edge = edge | {"num_chunked_layers": 0.0, "num_sparse_layers": 0.0}
    scenario = named_scenario(llm, "h200", tp_size=8.0, **switches).but(**edge)
    assert evaluate_x64(*scenario).feasible
    for field, slope in gradient_x64(scenario).items():
        assert math.isfinite(slope), field


def test_gradients_are_finite_where_every_token_uses_every_expert():
    sizes = {"tp_size": 8.0, "experts_per_token": 256.0}
    scenario = named_scenario("deepseek-v3", "h200", **sizes)
    for values in ({}, {"ep_size": 8.0}):
        slopes = gradient_x64(scenario.but(**values))
        assert all(math.isfinite(slope) for slope in slopes.values())


@pytest.mark.parametrize("tp_size", [1.0, 2.0, 8.0])
def test_gradients_are_finite_where_chips_exchange_payloads(tp_size):
    sizes = {"tp_size": tp_size, "dp_size": 8.0, "pp_size": 2.0, "mem_capacity": 1e13}
    scenario = named_scenario("deepseek-v3.2", "h200", collective_algorithm="best", **sizes)
    for ep_size in (1.0, 8.0):
        point = scenario.but(ep_size=ep_size)
        assert evaluate_x64(*point).feasible
        slopes = gradient_x64(point)
        assert all(math.isfinite(slope) for slope in slopes.values())
        assert slopes["link_bw"] > 0.0
