"""Neighbouring questions as runnable cases: shipped grids and services against worked numbers."""

import math

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.model.sharded import gather_time
from jaxlimits.studies.prices import at_stated_prices
from tests.helpers import PAPER_SHARING, evaluate_x64, named_scenario

LENGTHS = {"input_len": 8192, "output_len": 1025}


@pytest.fixture(scope="module")
def swept():
    """Results of shipped grids, each computed once."""
    found = {}

    def result(name):
        if name not in found:
            found[name] = jl.sweep(name)
        return found[name]

    return result


# ------------------------------------------------------------------------------------ FPGA


def test_the_fpga_is_within_12_percent_of_its_published_rate(swept):
    # Read at 512 tokens: 32 x 202375168 weights of the layers, 131072000 of the head, 266240 of
    # norms, a row of 4096: 6607347712 x 4.15625 / 8 = 3.4327 GB; cache 512 x 262144 = 0.1342 GB.
    # 19.2 GB/s / 3.5669 GB = 5.383 token/s; at 85 %, 4.575; published about 5.
    board = swept("kv260").sel(seq_len=512)
    read = 6_607_347_712 * 4.15625 / 8 + 512 * 262_144
    assert board.utps.sel(mem_bw_scale=1.0).item() == pytest.approx(19.2e9 / read, rel=1e-5)
    assert board.utps.sel(mem_bw_scale=0.85).item() == pytest.approx(5.0, rel=0.12)
    assert board.utps.sel(mem_bw_scale=1.0).item() > 5.0
    assert (board.limit == jl.Limit.MEMORY).all()


def test_the_fpga_fills_its_memory_as_published(swept):
    # 6738415616 x 4.15625 / 8 = 3.5008 GB and 0.1342 GB of cache: 90.9 % of 4 GB; published 93.3.
    filled = swept("kv260").capacity_utilisation.sel(seq_len=512, mem_bw_scale=1.0).item()
    assert filled == pytest.approx((6_738_415_616 * 4.15625 / 8 + 512 * 262_144) / 4e9, rel=1e-5)
    assert filled == pytest.approx(0.933, abs=0.03)


# ---------------------------------------------------------------------------- sharded weights


def test_sharded_weights_are_kept_in_shares_and_come_over_the_links():
    # Llama3-70B in bf16, W = 70.55e9 x 2 B, eight replicas of one chip: an eighth of W and 7/8 of
    # two of 80 layers; 7/8 of W at 450 GB/s takes 274 ms.
    scenario = named_scenario("llama3-70b", "h100", dp_size=8.0, weight_bits=16.0)
    scenario = scenario.but(compute_bits=16.0)
    whole = evaluate_x64(*scenario)
    shared = evaluate_x64(*scenario.but(weight_placement="sharded"))
    weights = whole.weight_bytes
    assert not whole.feasible
    assert shared.feasible
    assert shared.weight_bytes == pytest.approx(weights * (1 / 8 + 7 / 8 * 2 / 80), rel=1e-12)
    assert shared.t_mem == pytest.approx(7 / 8 * weights / 450e9, rel=1e-12)
    assert round(1e3 * shared.t_mem) == 274


@pytest.mark.parametrize(
    ("values", "microseconds"),
    [
        # One message takes 3 us; a share of one layer, an eighth, 1 us of a chip's links.
        ({"topology": "switched", "collective_algorithm": "one-shot"}, 3 + 7),
        ({"topology": "switched", "collective_algorithm": "two-shot"}, 3 + 7),
        ({"topology": "switched", "collective_algorithm": "ring"}, 7 * 3 + 7),
        ({"topology": "switched", "collective_algorithm": "tree"}, 3 * 3 + 7),
        ({"topology": "switched", "collective_algorithm": "best"}, 3 + 7),
        # Loops of 4 and of 2, links of a quarter: 3/2 of a fourth, two shares, in 2 hops, the
        # second 1 us later; then half of a half of a fourth.
        ({"topology": "torus-2d", "collective_algorithm": "one-shot"}, 3 + 1 + 3 + 4 * (3 + 0.5)),
        # 2 x 2 x 2 with links of a sixth: half a part of 4, of 2, and of 1.
        ({"topology": "torus-3d", "collective_algorithm": "tree"}, 3 * 3 + 6 * 3.5),
        # Two domains of four: three of a part of two, then one over a port of a ninth.
        ({"topology": "rail", "collective_algorithm": "ring", "scale_up_size": 4.0}, 9 + 6 + 5 + 9),
    ],
)
def test_a_gather_takes_as_long_as_its_algorithm_needs_where_chips_are_joined(values, microseconds):
    # Links at which one chip's share of a layer takes a microsecond.
    weights = 80 * 8 * 1e6
    links = {"link_bw": 1e12, "sync_latency": 3e-6, "router_latency": 1e-6}
    links |= {"scale_out_bw": 1e12 / 9, "scale_out_latency": 5e-6}
    point = named_scenario("llama3-70b", "h100", dp_size=8.0, **links, **values)
    seconds = gather_time(point.chip, point.llm, point.deployment, weights=weights)
    assert float(seconds) == pytest.approx(80 * microseconds * 1e-6, rel=1e-6)


def test_only_what_memory_does_not_hide_of_a_gather_is_exposed():
    scenario = named_scenario("llama3-8b", "h100", dp_size=8.0)
    resident = evaluate_x64(*scenario).t_mem
    shared = scenario.but(weight_placement="sharded")
    # 7/8 of what memory reads in t comes over links of x times its rate in 7 t / (8 x).
    half, double = (evaluate_x64(*shared.but(link_bw=x * 3.35e12)).t_mem for x in (0.5, 2.0))
    weights = evaluate_x64(*scenario).weight_bytes
    assert double == pytest.approx(resident, rel=1e-12)
    assert half == pytest.approx(7 / 8 * weights / (0.5 * 3.35e12), rel=1e-12)


def test_one_replica_has_nothing_to_gather():
    scenario = named_scenario("llama3-8b", "h100")
    alone, shared = evaluate_x64(*scenario), evaluate_x64(*scenario.but(weight_placement="sharded"))
    for name in ("t_mem", "utps", "weight_bytes", "batch_capacity"):
        assert getattr(shared, name) == pytest.approx(getattr(alone, name), rel=1e-12)


def test_a_long_enough_prompt_hides_the_gathers():
    # Work of I tokens takes 2 x 70e9 x I / 0.99e15 s: as long as 274 ms at about 1900 tokens.
    scenario = named_scenario("llama3-70b", "h100", dp_size=8.0, weight_bits=16.0)
    scenario = scenario.but(compute_bits=16.0, weight_placement="sharded", sync_latency=0.0)
    short = evaluate_x64(*scenario.but(input_len=1000.0))
    long = evaluate_x64(*scenario.but(input_len=4000.0))
    faster = {"link_bw": 900e9}
    assert short.ttft == pytest.approx(short.t_mem, rel=1e-12)
    halved = evaluate_x64(*scenario.but(input_len=1000.0, **faster)).ttft
    assert halved == pytest.approx(short.ttft / 2, rel=0.05)
    assert evaluate_x64(*scenario.but(input_len=4000.0, **faster)).ttft == long.ttft


def test_sharding_lets_in_what_does_not_fit_and_the_links_set_its_pace(swept):
    grid = swept("fsdp").sel(input_len=512, batch_size=1, link_bw=450e9)
    assert not grid.feasible.sel(weight_placement="resident").any()
    shared = grid.sel(weight_placement="sharded")
    assert shared.feasible.sel(dp_size=8).item() == 1
    assert (shared.bytes_per_chip.diff("dp_size") < 0).all()


# ---------------------------------------------------------------------- machines for each phase


def test_machines_apart_prefill_send_and_decode():
    # Cache of 8192 tokens of Llama3-70B in FP8: 8192 x 163840 B = 1.342 GB; 26.8 ms at 50 GB/s,
    # and 10 us.
    prefill = {"chip": "h100", "tp_size": 4}
    decode = {"chip": "h200", "tp_size": 8, "batch_size": 32}
    both = jl.disaggregated("llama3-70b", prefill=prefill, decode=decode, **LENGTHS)
    first = jl.evaluate("llama3-70b", "h100", tp_size=4, x64=True, **LENGTHS)
    rest = jl.evaluate("llama3-70b", "h200", tp_size=8, batch_size=32, x64=True, **LENGTHS)
    assert both.kv_bytes == 8192 * 163_840
    assert both.transfer_time == pytest.approx(8192 * 163_840 / 50e9 + 10e-6, rel=1e-12)
    assert both.ttft == pytest.approx(first.ttft, rel=1e-12)
    decoding = rest.request_latency - rest.ttft
    assert both.request_latency == pytest.approx(both.ttft + both.transfer_time + decoding)
    assert both.decode_rate == pytest.approx(32 / decoding, rel=1e-9)
    assert both.prefill_rate == pytest.approx(1 / first.ttft, rel=1e-9)
    assert both.prefills_per_decode == pytest.approx(both.decode_rate * first.ttft, rel=1e-9)
    dollars = first.cost_rate * first.ttft + rest.cost_rate * decoding / 32
    assert both.dollars_per_request == pytest.approx(dollars, rel=1e-9)
    shares = both.prefill_share + both.transfer_share + decoding / both.request_latency
    assert shares == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("prefill", "says"),
    [
        ({}, "prefill: names no chip"),
        ({"chip": "h100", "input_len": 5}, "input_len = 5: belongs to the request"),
        ({"chip": "h1000"}, "did you mean"),
    ],
)
def test_a_service_names_what_cannot_be(prefill, says):
    with pytest.raises(jl.InputError, match=says):
        jl.disaggregated("llama3-8b", prefill=prefill, decode={"chip": "h100"}, **LENGTHS)


def test_a_link_without_a_unit_is_refused():
    machine = {"chip": "h100"}
    with pytest.raises(jl.InputError, match="link_bw = 50: a bare number"):
        jl.disaggregated("llama3-8b", prefill=machine, decode=machine, link_bw=50, **LENGTHS)


# ------------------------------------------------------------------------------- several calls


def test_several_calls_cost_their_decodes_and_one_prefill():
    one, eight = (
        jl.best_of(calls, "llama3-8b", "h100", batch_size=32, **LENGTHS) for calls in (1, 8)
    )
    point = one.generation
    decoding = point.request_latency - point.ttft
    assert eight.latency == pytest.approx(one.latency)  # all eight have room in the batch
    assert 1 / eight.rate == pytest.approx(point.ttft + 8 * decoding / 32, rel=1e-9)
    assert eight.dollars_per_answer < 8 * one.dollars_per_answer


def test_calls_beyond_the_batch_wait():
    few = jl.best_of(4, "llama3-8b", "h100", batch_size=4, **LENGTHS)
    many = jl.best_of(12, "llama3-8b", "h100", batch_size=4, **LENGTHS)
    ttft = few.generation.ttft
    assert many.latency - ttft == pytest.approx(3 * (few.latency - ttft), rel=1e-9)


def test_a_judge_reads_every_candidate():
    judge = {"llm": "llama3-70b", "chip": "h100", "tp_size": 8, "prefill_batch": 2}
    vote = jl.best_of(8, "llama3-8b", "h100", batch_size=32, **LENGTHS)
    best = jl.best_of(8, "llama3-8b", "h100", batch_size=32, judge=judge, **LENGTHS)
    reading = jl.evaluate(
        *("llama3-70b", "h100"),
        tp_size=8,
        prefill_batch=2,
        input_len=9217,
        output_len=1,
        x64=True,
    )
    assert best.latency - vote.latency == pytest.approx(4 * reading.ttft, rel=1e-9)
    dollars = best.dollars_per_answer - vote.dollars_per_answer
    assert dollars == pytest.approx(8 * reading.ttft * reading.cost_rate / 2, rel=1e-9)
    with pytest.raises(jl.InputError, match="judge: names no llm"):
        jl.best_of(8, "llama3-8b", "h100", judge={"chip": "h100"}, **LENGTHS)


# ------------------------------------------------------------------------------- shipped grids


def test_requests_by_grid_are_those_of_single_points(swept):
    grid = at_stated_prices(swept("requests"))
    where = {"llm": "llama3-70b", "chip": "h200", "input_len": 8192, "output_len": 128}
    where |= {"prefill_chunk": 512, "calls_per_answer": 4}
    names = {name: where[name] for name in ("llm", "chip")}
    rest = {name: value for name, value in where.items() if name not in names} | PAPER_SHARING
    point = jl.evaluate(**names, tp_size=8, weight_bits=8.25, batch_size=16, **rest)
    for metric in grid.data_vars:
        assert grid[metric].sel(where).item() == pytest.approx(getattr(point, metric), rel=1e-6)


def test_speculation_pays_from_some_acceptance_on_and_never_without(swept):
    grid = swept("speculation")
    off, draft = grid.utps.sel(speculation="off"), grid.utps.sel(speculation="draft")
    assert (draft.sel(acceptance=0.0) <= off.sel(acceptance=0.0)).all()
    fits = ~np.isnan(draft)
    assert (draft.diff("acceptance").where(fits) >= 0).sum() == fits.isel(acceptance=0).sum() * 20
    one = {"llm": "llama3-405b", "batch_size": 1, "draft_length": 4}
    assert (draft.sel(one) > off.sel(one)).isel(acceptance=-3)


def test_a_fast_tier_helps_and_a_slow_one_lets_in(swept):
    grid = swept("tiers")
    assert (grid.utps.diff("sram_capacity").fillna(0.0) >= -1e-2).all()
    more = grid.capacity_utilisation.sel(lpddr_capacity=512e9)
    assert (more < grid.capacity_utilisation.sel(lpddr_capacity=0.0)).all()
    assert (grid.t_mem.sel(memory_tiers="add") >= grid.t_mem.sel(memory_tiers="overlap")).sum() > 0


def test_dollars_by_machine_rest_on_the_price_of_a_chip(swept):
    grid = swept("tokens_by_dollar")
    assert "illustrative" in grid.dollars_per_token.attrs["long_name"]
    cheapest = grid.dollars_per_token.min("batch_size")
    assert (cheapest.diff("chip_price_scale").fillna(1.0) > 0).all()
    served = cheapest.sel(llm="llama3-70b", chip="h200", chip_price_scale=1.0).isel(
        electricity_price=1
    )
    assert math.isfinite(served.item())
