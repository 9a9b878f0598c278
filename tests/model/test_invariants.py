"""What must hold at any point, whatever the numbers."""

import math

import numpy as np
import pytest
from hypothesis import strategies as st

from jaxlimits.model.fields import quantities
from jaxlimits.model.metrics import REQUESTED, Limit, Metrics
from jaxlimits.schema import CALIBRATED
from tests.batches import Plain, Slopes
from tests.helpers import (
    ALGORITHMS,
    COMBINATIONS,
    LINK_LATENCIES,
    NUMBERS,
    PAPER,
    Scenario,
    named_scenario,
    one_in,
)
from tests.laws import Law, hold, law
from tests.reference import VOID_IF_INFEASIBLE
from tests.strategies import SLOPED, WITHOUT_STATE, scenarios

RATES = ("peak_flops", "peak_vector_flops", "mem_bw", "link_bw", "scale_out_bw")
RATIOS = ("flops_ratio_16bit", "flops_ratio_4bit")
CAPACITIES = ("mem_capacity", "usable_fraction")
PRICES = ("chip_price", "mem_price", "server_price", "network_price", "electricity_price")
HAIR = 1e-12
"""Rounding in float64, as a share."""

TP_ONLY = {"pp_size": 1.0, "dp_size": 1.0, "ep_size": 1.0}


def never_less(more: float, less: float) -> bool:
    """Whether one metric is at least another, a point that does not fit counting as nothing."""
    more, less = (0.0 if math.isnan(value) else value for value in (more, less))
    return more >= less * (1.0 - HAIR)


@law(scenario=scenarios(feasible=None), factor=st.floats(1.0, 100.0))
def test_more_of_a_rate_or_capacity_never_hurts(scenario, factor):
    names = [*RATES, *RATIOS, *CAPACITIES]
    values = {name: min(factor * scenario[name], NUMBERS[name].upper) for name in names}
    less, *each = yield [scenario, *(scenario.but(**{name: values[name]}) for name in names)]
    for name, more in zip(names, each, strict=True):
        for metric in ("utps", "stps", "max_batch_size"):
            assert never_less(getattr(more, metric), getattr(less, metric)), (name, metric)


@law(scenario=scenarios(), added=st.floats(0.0, 1e-3))
def test_a_longer_latency_never_helps(scenario, added):
    longer = [scenario.but(**{name: scenario[name] + added}) for name in LINK_LATENCIES]
    fast, *each = yield [scenario, *longer]
    for name, slow in zip(LINK_LATENCIES, each, strict=True):
        assert never_less(fast.utps, slow.utps), name
        assert never_less(fast.stps, slow.stps), name


@law(scenario=scenarios(), factor=st.floats(1e-2, 1e2))
def test_time_scales_with_all_rates_and_latencies(scenario, factor):
    scaled = scenario.scaled(factor, RATES).scaled(1.0 / factor, LINK_LATENCIES)
    before, after = yield scenario, scaled
    assert after.t_step == pytest.approx(before.t_step / factor, rel=1e-12)
    assert after.limit == before.limit or _tied(before)


def _tied(point: Metrics) -> bool:
    times = sorted((point.t_mem, point.t_compute, point.t_sync))
    return times[2] == pytest.approx(times[1], rel=1e-12)


def elasticities(scenario: Scenario, fields: list[str]) -> Law:
    """By what share the speed of one user changes for a share of change in each field."""
    point, slopes = yield scenario, Slopes(scenario)
    return [slopes[name] * scenario[name] / point.utps for name in fields]


@law(scenario=scenarios())
def test_elasticities_of_rates_less_those_of_latencies_are_one(scenario):
    shares = yield from elasticities(scenario, [*RATES, *LINK_LATENCIES])
    rates, latencies = shares[: len(RATES)], shares[len(RATES) :]
    assert sum(rates) - sum(latencies) == pytest.approx(1.0, rel=1e-5)
    assert min(rates) >= 0.0 >= max(latencies)


@pytest.mark.parametrize("algorithm", one_in(3, ALGORITHMS))
@law(scenario=scenarios(combinations=("paper",)), factor=st.floats(1.0, 100.0))
def test_links_obey_the_same_laws_under_every_algorithm(algorithm, scenario, factor):
    scenario = scenario.but(collective_algorithm=algorithm)
    here, wider, slower, quick = yield (
        scenario,
        scenario.scaled(factor, ["link_bw"]),
        scenario.scaled(factor, LINK_LATENCIES),
        scenario.scaled(factor, RATES).scaled(1.0 / factor, LINK_LATENCIES),
    )
    assert never_less(wider.utps, here.utps)
    assert never_less(here.utps, slower.utps)
    assert quick.t_step == pytest.approx(here.t_step / factor, rel=1e-12)


@law(scenario=scenarios(combinations=("paper",)))
def test_no_algorithm_beats_the_best_nor_any_the_bare_latency(scenario):
    each = yield [scenario.but(collective_algorithm=algorithm) for algorithm in ALGORITHMS]
    times = {name: point.t_sync for name, point in zip(ALGORITHMS, each, strict=True)}
    assert never_less(times["best"], times["constant"])
    for algorithm in set(ALGORITHMS) - {"constant"}:
        assert never_less(times[algorithm], times["best"]), algorithm


@law(scenario=scenarios(combinations=("paper",)))
def test_one_shot_without_a_payload_is_the_papers_constant(scenario):
    empty = {"collective_algorithm": "one-shot", "activation_bits": 1e-300}
    other = scenario.but(collective_algorithm="constant")
    point, constant = yield Plain(scenario.but(**empty)), Plain(other)
    assert point.t_sync == pytest.approx(constant.t_sync, abs=1e-300)


@law(scenario=scenarios(combinations=("paper",), **TP_ONLY))
def test_with_tensor_parallelism_alone_three_elasticities_are_one(scenario):
    fields = ["mem_bw", "peak_flops", "sync_latency"]
    bandwidth, flops, sync = yield from elasticities(scenario, fields)
    assert bandwidth + flops - sync == pytest.approx(1.0, rel=1e-5)


@law(scenario=scenarios(tp_size=1.0, **TP_ONLY))
def test_one_chip_costs_no_sync(scenario):
    point = yield scenario
    assert point.t_sync == 0.0


@law(scenario=scenarios(**TP_ONLY), more=st.integers(1, 1024))
def test_a_larger_batch_slows_the_user_and_speeds_up_the_system(scenario, more):
    roomy = scenario.scaled(1e4, ["mem_capacity"])
    small, large = yield roomy, roomy.but(batch_size=scenario["batch_size"] + more)
    assert large.feasible
    assert never_less(small.utps, large.utps)
    assert never_less(large.stps, small.stps)


@law(scenario=scenarios(architectures=WITHOUT_STATE, feasible=None, seq_len=0.0))
def test_no_context_has_no_cache(scenario):
    point = yield scenario
    assert point.kv_bytes == point.kv_traffic == 0.0
    assert point.max_batch_size == (math.inf if point.feasible else 0.0)


OWN_OF_WINDOWED = ("windowed_num_heads", "windowed_num_kv_heads", "windowed_head_dim")
OWN_OF_WINDOWED += ("windowed_value_head_dim", "num_shared_kv_windowed_layers")


@law(
    scenario=scenarios(architectures=("windowed", "chunked_moe"), feasible=None),
    moved=st.integers(1, 100),
)
def test_a_windowed_or_chunked_layer_never_costs_more_than_a_full_one(scenario, moved):
    # Layers with other heads, or with another layer's cache, may cost more or less in any case.
    scenario = scenario.but(**dict.fromkeys(OWN_OF_WINDOWED, 0.0))
    kind = "num_windowed_layers" if scenario["num_windowed_layers"] else "num_chunked_layers"
    fewer = scenario.but(**{kind: max(scenario[kind] - moved, 0.0)})
    short, full = yield scenario, fewer
    for metric in ("kv_bytes", "kv_traffic", "flops"):
        assert never_less(getattr(full, metric), getattr(short, metric)), metric
    for metric in ("utps", "stps", "max_batch_size"):
        assert never_less(getattr(short, metric), getattr(full, metric)), metric


SPARSE = ("mla_sparse_moe",)


@law(scenario=scenarios(architectures=SPARSE, feasible=None), more=st.integers(1, 100_000))
def test_selecting_more_tokens_never_costs_less(scenario, more):
    few, many = yield scenario, scenario.but(index_topk=scenario["index_topk"] + more)
    for metric in ("kv_traffic", "flops"):
        assert never_less(getattr(many, metric), getattr(few, metric)), metric
    assert never_less(few.utps, many.utps)
    assert many.kv_bytes == few.kv_bytes


@law(scenario=scenarios(combinations=SLOPED, architectures=SPARSE, feasible=None))
def test_sparse_attention_never_reads_more_than_full_attention_and_its_indexer(scenario):
    sparse, full, index = yield from sparse_full_and_indexer(scenario)
    assert never_less(full.kv_traffic + index["kv_traffic"], sparse.kv_traffic)
    assert never_less(full.flops + index["flops"], sparse.flops)
    assert sparse.kv_bytes == pytest.approx(full.kv_bytes + index["kv_bytes"], rel=1e-12)


@law(
    scenario=scenarios(combinations=SLOPED, architectures=SPARSE, feasible=None),
    more=st.integers(0, 1000),
)
def test_an_indexer_that_selects_everything_comes_on_top_of_full_attention(scenario, more):
    everything = scenario.but(index_topk=max(scenario["seq_len"], 1.0) + more)
    sparse, full, index = yield from sparse_full_and_indexer(everything)
    for metric in ("kv_traffic", "kv_bytes", "flops"):
        expected = getattr(full, metric) + index[metric]
        assert getattr(sparse, metric) == pytest.approx(expected, rel=1e-12), metric


def sparse_full_and_indexer(scenario: Scenario) -> Law:
    """A point, the same without its indexer, and what the indexer does, each counted plainly."""
    scenario = scenario.but(attention_span="model", accounting="layers")
    sparse, plain = yield scenario, scenario.but(attention_span="full")
    batch, span = scenario["batch_size"], scenario["seq_len"]
    layers = scenario["num_indexer_layers"] or scenario["num_sparse_layers"]
    heads, width, hidden = (scenario[n] for n in ("index_n_heads", "index_head_dim", "hidden_size"))
    by_heads = scenario.deployment.kv_sharding == "heads"
    copies = scenario["tp_size"] / scenario["cp_size"] if by_heads else 1.0
    keys = layers * batch * span * width * copies * scenario["index_bits"] / 8
    rows = scenario["q_lora_rank"] or hidden
    elements = layers * (rows * heads * width + hidden * width + hidden * heads)
    pairs = layers * batch * scenario["query_tokens"] * span
    flops = 2 * batch * scenario["query_tokens"] * elements + 2 * heads * width * pairs
    index = {"kv_traffic": keys, "kv_bytes": scenario["pp_size"] * keys, "flops": flops}
    return sparse, plain, index


@law(scenario=scenarios(combinations=SLOPED, architectures=("windowed", "chunked_moe")))
def test_the_papers_full_attention_never_costs_less(scenario):
    own, full = yield scenario.but(attention_span="model"), scenario.but(attention_span="full")
    assert never_less(full.kv_bytes, own.kv_bytes)
    assert never_less(own.utps, full.utps)


@law(scenario=scenarios(combinations=SLOPED, feasible=None))
def test_a_cache_copied_by_heads_never_beats_a_split_one(scenario):
    # Where collectives are derived, a split beyond the heads pays for one more of them.
    split, heads = yield (
        scenario.but(kv_sharding="split", collectives="fixed"),
        scenario.but(kv_sharding="heads", collectives="fixed"),
    )
    for metric in ("utps", "stps", "max_batch_size"):
        assert never_less(getattr(split, metric), getattr(heads, metric)), metric
    assert never_less(heads.kv_bytes, split.kv_bytes)
    assert never_less(heads.kv_traffic, split.kv_traffic)


@law(scenario=scenarios(combinations=SLOPED))
def test_a_split_within_the_heads_needs_no_copies(scenario):
    others = ("windowed_num_kv_heads", "num_state_heads")
    heads = min(scenario["num_kv_heads"], *(scenario[name] or math.inf for name in others))
    if scenario["num_sparse_layers"]:
        heads = 1.0  # all index heads read one key
    roomy = scenario.scaled(1e4, ["mem_capacity"])  # for the few chips that are left
    sizes = {"tp_size": min(scenario["tp_size"], heads), "dp_size": 1.0, "ep_size": 1.0}
    within = roomy.but(cp_size=1.0, **sizes)  # nor a part of the sequence elsewhere
    split, copied = yield [Plain(within.but(kv_sharding=by)) for by in ("split", "heads")]
    assert split.feasible
    np.testing.assert_equal(vars(split), vars(copied))


@law(scenario=scenarios(architectures=("moe", "mla_moe"), feasible=None, dp_size=1.0))
def test_stored_experts_are_at_least_the_touched_and_those_at_least_the_active(scenario):
    scenario = scenario.but(accounting="layers", weight_bits=8.0)
    point, one_token = yield scenario, scenario.but(batch_size=1.0, query_tokens=1.0)
    assert never_less(point.weight_bytes, point.weight_traffic)
    assert never_less(point.weight_traffic, one_token.weight_traffic)


@law(scenario=scenarios(combinations=SLOPED))
def test_overlap_operator_by_operator_is_never_faster(scenario):
    step, operator = yield scenario.but(roofline="step"), scenario.but(roofline="operator")
    assert never_less(operator.t_step, step.t_step)
    assert never_less(operator.t_compute, step.t_compute)
    assert operator.t_mem == pytest.approx(step.t_mem, rel=1e-12)
    assert never_less(step.t_compute + step.t_mem + step.t_sync, step.t_step)


@law(
    scenario=scenarios(combinations=SLOPED, feasible=None),
    bound=st.sampled_from(["tensor", "memory"]),
)
def test_rooflines_agree_where_one_resource_binds_throughout(scenario, bound):
    # A tensor rate so low, or a bandwidth so low, that it binds in every operator with such work.
    starved = {"tensor": {"peak_flops": 1.0, "vector_work": "off"}, "memory": {"mem_bw": 1.0}}
    scenario = scenario.but(**starved[bound])
    step, operator = yield scenario.but(roofline="step"), scenario.but(roofline="operator")
    assert operator.t_step == pytest.approx(step.t_step, rel=1e-9, nan_ok=True)


@law(scenario=scenarios(combinations=SLOPED))
def test_vector_work_never_saves_time(scenario):
    off, on = yield scenario.but(vector_work="off"), scenario.but(vector_work="on")
    assert never_less(on.t_step, off.t_step)


@law(scenario=scenarios(feasible=None), factor=st.floats(1.0, 100.0))
def test_a_higher_price_never_saves_dollars(scenario, factor):
    cheap, *each = yield [scenario, *(scenario.scaled(factor, [name]) for name in PRICES)]
    for name, dear in zip(PRICES, each, strict=True):
        assert never_less(dear.capital_cost, cheap.capital_cost), name
        assert never_less(dear.cost_rate, cheap.cost_rate), name
        assert never_less(dear.dollars_per_token, cheap.dollars_per_token), name
        assert never_less(cheap.stps_per_dollar, dear.stps_per_dollar), name


@law(scenario=scenarios(), factor=st.floats(1e-2, 1e2))
def test_dollars_scale_with_all_prices_and_nothing_else_does(scenario, factor):
    before, after = yield scenario, scenario.scaled(factor, PRICES)
    for name in quantities(Metrics):
        power = {"capital_cost": 1, "cost_rate": 1, "dollars_per_token": 1, "stps_per_dollar": -1}
        expected = getattr(before, name) * factor ** power.get(name, 0)
        assert getattr(after, name) == pytest.approx(expected, rel=1e-12, nan_ok=True), name


@law(scenario=scenarios(), years=st.floats(1.0, 100.0), share=st.floats(0.01, 1.0))
def test_longer_and_fuller_use_makes_tokens_cheaper(scenario, years, share):
    point, longer, emptier = yield (
        scenario,
        scenario.scaled(years, ["depreciation_time"]),
        scenario.scaled(share, ["utilisation"]),
    )
    assert never_less(point.dollars_per_token, longer.dollars_per_token)
    assert emptier.dollars_per_token * share == pytest.approx(point.dollars_per_token, rel=1e-12)
    assert emptier.cost_rate == point.cost_rate
    assert point.dollars_per_token * point.stps_per_dollar == pytest.approx(1.0, rel=1e-12)


@law(scenario=scenarios(feasible=False))
def test_a_point_that_does_not_fit_is_data(scenario):
    point = yield scenario
    assert not point.feasible
    assert point.limit == Limit.CAPACITY
    assert point.capacity_utilisation > 1.0
    assert point.max_batch_size < scenario["batch_size"]
    void = {*VOID_IF_INFEASIBLE, *CALIBRATED, *REQUESTED}
    for name in quantities(Metrics):
        value = getattr(point, name)
        assert math.isnan(value) if name in void else math.isfinite(value), name


@law(scenario=scenarios())
def test_a_point_that_fits_has_every_number(scenario):
    point = yield scenario
    assert point.feasible
    assert point.limit in {Limit.MEMORY, Limit.COMPUTE, Limit.SYNC}
    assert point.capacity_utilisation <= 1.0
    assert never_less(point.max_batch_size, scenario["batch_size"])
    without_bound = {"max_batch_size", "batch_capacity"}  # nothing is stored for a sequence
    for name in set(quantities(Metrics)) - set(REQUESTED):
        assert math.isfinite(getattr(point, name)) or name in without_bound, name
        assert getattr(point, name) >= 0.0, name


@law(scenario=scenarios())
def test_no_share_of_a_peak_exceeds_one(scenario):
    point = yield scenario
    assert point.bandwidth_utilisation <= 1.0 + HAIR
    assert point.flops_utilisation <= 1.0 + HAIR


@law(scenario=scenarios())
def test_rates_are_of_one_user_and_of_all_users(scenario):
    point = yield scenario
    users = scenario["batch_size"] * scenario["pp_size"] * scenario["dp_size"]
    assert point.utps * point.tpot == pytest.approx(1.0, rel=1e-12)
    assert point.stps == pytest.approx(users * point.utps, rel=1e-12)


@pytest.mark.parametrize("name", COMBINATIONS)
@law(scenario=lambda name: scenarios(combinations=(name,)))
def test_gradients_of_utps_are_finite_wherever_it_is(name, scenario):
    slopes = yield Slopes(scenario)
    for field, slope in slopes.items():
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


@pytest.mark.parametrize("switches", [{}, PAPER], ids=["default", "paper"])
def test_gradients_of_utps_are_finite_at_the_edges(switches):
    llms = ("llama3-70b", "deepseek-v3", "deepseek-v3.2", "gpt-oss-20b", "llama4-maverick")
    hold(
        gradients_are_finite(at_edge(named_scenario(llm, "h200", tp_size=8.0, **switches), edge))
        for llm in llms
        for edge in EDGES.values()
    )


def at_edge(scenario: Scenario, edge: dict[str, float]) -> Scenario:
    if "num_layers" in edge:
        edge = edge | {"num_chunked_layers": 0.0, "num_sparse_layers": 0.0}
    return scenario.but(**edge)


def gradients_are_finite(scenario: Scenario, *, positive: tuple[str, ...] = ()) -> Law:
    point, slopes = yield scenario, Slopes(scenario)
    assert point.feasible, scenario
    for field, slope in slopes.items():
        assert math.isfinite(slope), (field, scenario)
    for field in positive:
        assert slopes[field] > 0.0, (field, scenario)


def test_gradients_are_finite_where_every_token_uses_every_expert():
    sizes = {"tp_size": 8.0, "experts_per_token": 256.0}
    scenario = named_scenario("deepseek-v3", "h200", **sizes)
    hold(gradients_are_finite(scenario.but(ep_size=ep_size)) for ep_size in (1.0, 8.0))


def test_gradients_are_finite_where_chips_exchange_payloads():
    sizes = {"dp_size": 8.0, "pp_size": 2.0, "mem_capacity": 1e13}
    scenario = named_scenario("deepseek-v3.2", "h200", collective_algorithm="best", **sizes)
    hold(
        gradients_are_finite(scenario.but(tp_size=tp_size, ep_size=ep_size), positive=("link_bw",))
        for tp_size in (1.0, 2.0, 8.0)
        for ep_size in (1.0, 8.0)
    )
