"""Verdicts follow from the inputs: turned, they turn."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits.run.pipeline import run_spec
from jaxlimits.studies.claim import Verdict, judge, judge_cases
from jaxlimits.studies.claims import (
    bandwidth,
    dram,
    eight_times,
    four_times,
    hbm3_limit,
    plateau,
    speed,
    sync,
    ways,
)
from jaxlimits.studies.claims import instance_memory as capacity
from jaxlimits.studies.claims.knee import at_crossing, crossing
from jaxlimits.studies.paper import PAPER
from jaxlimits.studies.runner import study_specs
from tests.helpers import evaluate_x64, named_scenario

LAYERS = {"accounting": "layers", "vector_work": "off"}
HOLDS, IN_PART, NOT = Verdict.HOLDS, Verdict.IN_PART, Verdict.NOT_REPRODUCED


def results(claim, **overrides):
    study = dataclasses.replace(PAPER, claims=(claim,), families=())
    specs = study_specs(study, overrides, quick=False)
    return {name: run_spec(spec) for name, spec in specs.items()}


def verdict(claim, **overrides):
    return claim.find(results(claim, **overrides)).judged.verdict


def memory_time(chip):
    """Time of memory of one user of Llama 3.1 405B on 128 chips, 4 Ki tokens [s]."""
    return evaluate_x64(*named_scenario("llama3-405b", chip, **LAYERS, tp_size=128.0)).t_mem


@pytest.mark.parametrize(
    ("true", "cases", "expected"),
    [(20, 20, HOLDS), (19, 20, HOLDS), (18, 20, IN_PART), (1, 20, IN_PART), (0, 20, NOT)],
)
def test_a_verdict_is_the_share_of_the_cases(true, cases, expected):
    held = np.arange(cases) < true
    assert judge_cases(held) == (true / cases, cases, expected)


def test_a_verdict_says_in_how_many_cases():
    said = {
        (36, 100): "holds in 36 % of cases",
        (999, 1000): "holds in 99 % of cases",
        (10, 10): "holds in 100 % of cases",
        (1, 1000): "not reproduced: holds in 1 % of cases",
        (0, 3): "not reproduced: holds in 0 % of cases",
        (0, 0): "not reproduced: there is no case",
    }
    for (true, cases), words in said.items():
        assert judge_cases(np.arange(cases) < true).words == words


def test_a_claim_without_a_case_is_not_reproduced():
    share, cases, found = judge_cases(np.array([], dtype=bool))
    assert (np.isnan(share), cases, found) == (True, 0, NOT)


def test_only_what_is_a_case_counts():
    held, among = xr.DataArray([True, False, True]), xr.DataArray([True, False, True])
    assert judge(held, among=among) == (1.0, 2, HOLDS)


def test_slow_collectives_keep_hbm3_below_1000_and_fast_ones_do_not():
    assert verdict(hbm3_limit.CLAIM, sync_latency="10 us") is HOLDS
    assert verdict(hbm3_limit.CLAIM, sync_latency="0.1 us") is IN_PART


def test_hbm3_stays_below_1000_up_to_128_chips():
    finding = hbm3_limit.CLAIM.find(results(hbm3_limit.CLAIM))
    # 402e9 B over 256 chips of 4 TiB/s: 357 us; 126 layers of 3 * 1.5 us: 567 us; 1,082 token/s
    assert finding.numbers["first_tp_size"].value == 256
    assert finding.numbers["fastest_up_to_128"].value < 1000.0
    assert "xpu-hbm3 from TP256 on" in finding.sentence


def test_bandwidth_drives_the_speed_where_nothing_else_takes_time():
    free = {"sync_latency_scale": "1e-6", "peak_flops_scale": "1e6"}
    assert verdict(bandwidth.CLAIM) is IN_PART
    assert verdict(bandwidth.CLAIM, **free) is HOLDS
    assert verdict(bandwidth.CLAIM, sync_latency_scale="100") is NOT


def test_dear_electricity_makes_dollars_follow_watts():
    # At 1000 $/kWh no other price counts, whatever its spread.
    assert verdict(dram.CLAIM) is IN_PART
    assert verdict(dram.CLAIM, electricity_price="1000 $/kWh") is HOLDS


def test_dear_memory_takes_the_lead_per_dollar_from_dram():
    plain, dear = (
        dram.CLAIM.find(results(dram.CLAIM, **prices)).numbers["lead_per_dollar_stated"].value
        for prices in ({}, {"mem_price": "1000000 USD/GB"})
    )
    assert dear < 1.0 < plain


def test_the_lead_per_dollar_is_given_over_the_spread_of_prices():
    finding = dram.CLAIM.find(results(dram.CLAIM))
    worst, stated, best = (
        finding.numbers[f"lead_per_dollar_{name}"].value for name in ("worst", "stated", "best")
    )
    assert worst < stated < best
    assert finding.is_priced
    assert "illustrative" in finding.sentence
    costs = [finding.numbers[f"smallest_sram_system_{n}"] for n in ("worst", "stated", "best")]
    low, middle, high = (number.value for number in costs)
    # Electricity aside, a factor of 4 to either side: 2 on the one kind, 2 on the other.
    assert middle / 4.0 < low < middle < high < middle * 4.0
    assert all("illustrative prices" in number.meaning for number in costs)


def test_the_gain_from_bandwidth_is_all_of_it_once_collectives_are_free():
    assert verdict(eight_times.CLAIM) is IN_PART
    free = results(eight_times.CLAIM, sync_latency_scale="1e-6")
    finding = eight_times.CLAIM.find(free)
    assert finding.judged.verdict is NOT
    assert finding.numbers["median"].value == pytest.approx(8.0, rel=1e-5)


def test_gains_flatten_at_the_bandwidth():
    # Where 1 % less latency buys 0.1 % of speed a tenth of a step is sync: 0.9 / t_mem.
    finding = plateau.CLAIM.find(results(plateau.CLAIM))
    assert finding.numbers["llama3_405b"].value == pytest.approx(
        0.9 / memory_time("xpu-3d-dram"), rel=2e-3
    )
    assert finding.judged.verdict is NOT
    assert verdict(plateau.CLAIM, mem_bw_scale="0.2") is IN_PART


@pytest.mark.parametrize("chip", ["xpu-hbm3", "xpu-hbm4", "xpu-3d-dram"])
def test_the_knee_is_where_sync_takes_as_long_as_memory(chip, knees):
    by_hand = memory_time(chip) / (3 * 126)
    found = knees.sel(llm="llama3-405b", chip=chip, tp_size=128, seq_len=4096, batch_size=1)
    assert float(found) == pytest.approx(by_hand, rel=1e-3)


@pytest.fixture(scope="module")
def knees():
    return sync.knee(results(sync.CLAIM)[sync.GRID])


def test_a_hundred_times_slower_memory_moves_every_knee_above_a_microsecond():
    plain = sync.CLAIM.find(results(sync.CLAIM))
    slow = sync.CLAIM.find(results(sync.CLAIM, mem_bw_scale="0.01"))
    assert plain.judged.verdict is IN_PART
    assert "in 69 it lies below a microsecond" in plain.sentence
    assert "in 0 it lies below a microsecond" in slow.sentence
    assert slow.numbers["knee_xpu-hbm4"].value == pytest.approx(42.1e-6, rel=5e-3)
    assert slow.numbers["least"].value > 1e-6


def test_a_knee_beyond_the_grid_is_a_case_in_which_the_claim_does_not_hold():
    # 333 times as many collectives put every knee below 0.1 us, most below the grid's 0.01 us.
    plain = sync.CLAIM.find(results(sync.CLAIM))
    many = sync.CLAIM.find(results(sync.CLAIM, collectives_per_layer="1000"))
    assert many.judged.cases == plain.judged.cases == 115
    assert many.judged.verdict is NOT
    assert "93 beyond the latencies of the grid" in many.sentence
    assert "nan" not in many.sentence


def test_what_flattens_beyond_the_grid_is_a_case_too():
    found = results(plateau.CLAIM)
    whole = plateau.CLAIM.find(found)
    short = {plateau.GRID: found[plateau.GRID].sel(sync_latency=slice(1e-7, None))}
    assert whole.judged.cases == plateau.CLAIM.find(short).judged.cases == 48


@pytest.mark.parametrize(
    ("claim", "overrides", "expected"),
    [
        (capacity.CLAIM, {}, IN_PART),
        (capacity.CLAIM, {"weight_bits": "64"}, HOLDS),  # qwen3-4b: 4e9 * 8 B, and 155 GB of cache
        (capacity.CLAIM, {"weight_bits": "0.01", "kv_bits": "0.01"}, NOT),
        (four_times.CLAIM, {}, IN_PART),
        (four_times.CLAIM, {"sync_latency_scale": "1e-6"}, NOT),
        (four_times.CLAIM, {"sync_latency_scale": "1000"}, HOLDS),
        (speed.CLAIM, {}, IN_PART),
        # Six bits a weight: gpt-oss-120b is no large model any more; 378 collectives of 1.275 us
        # leave 405B 18 us of the 500 that 2,000 token/s allow.
        (speed.CLAIM, {"weight_bits": "6", "sync_latency_scale": "0.85"}, HOLDS),
    ],
)
def test_verdicts_turn_with_their_inputs(claim, overrides, expected):
    assert verdict(claim, **overrides) is expected


def test_a_crossing_is_interpolated_over_the_logarithm():
    axis = xr.DataArray([1.0, 10.0, 100.0], dims="x", coords={"x": [1.0, 10.0, 100.0]})
    difference = xr.DataArray(
        [[-1.0, 1.0, 2.0], [1.0, 2.0, 3.0], [-3.0, -2.0, -1.0]],
        dims=("case", "x"),
        coords={"x": axis},
    )
    found = crossing(difference, "x")
    assert found.values[0] == pytest.approx(10**0.5)
    assert np.isnan(found.values[1:]).all()
    assert at_crossing(difference, 2.0 * difference, "x").values[0] == 0.0


def test_10000_needs_the_latency_that_memory_leaves():
    # 100 us less the time of memory, over 378 collectives; 405B leaves 4.7 us.
    found = speed.latency_for_hard(jl.sweep("better_collectives"))
    by_hand = (1e-4 - memory_time("xpu-3d-dram")) / (3 * 126)
    assert float(found.sel(llm="llama3-405b")) == pytest.approx(by_hand, rel=3e-2)


def way(needed, utps, **chosen):
    """One model, machine and context, in which each set of measures gives the same but some."""
    axes = {axis: [0, 1] for axis in ways.MEASURES}
    shape = (2,) * len(axes)
    here = xr.Dataset(
        {
            "needed_latency": (tuple(axes), np.full(shape, needed)),
            "utps": (tuple(axes), np.full(shape, 100.0)),
        },
        coords=axes,
    )
    here.utps.loc[{axis: int(axis in chosen) for axis in ways.MEASURES}] = utps
    return here


def test_the_least_set_is_the_smallest_that_reaches_the_target():
    measures, _ = ways.least_measures(way(np.nan, 1e4, speculation=1, sram_capacity=1))
    assert measures == [ways.MEASURES["speculation"], ways.MEASURES["sram_capacity"]]


def test_a_machine_that_reaches_it_needs_no_measure():
    assert ways.least_measures(way(2e-6, 1e4)) == ([], 2e-6)


def test_quicker_collectives_alone_are_one_measure_if_they_can_be_built():
    assert ways.least_measures(way(0.2e-6, 1e4, weight_bits=1, speculation=1)) == (
        [ways.COLLECTIVES],
        0.2e-6,
    )
    assert ways.least_measures(way(0.05e-6, 100.0)) is None
