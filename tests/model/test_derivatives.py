"""Derivatives against central finite differences, in double precision."""

import math
from collections.abc import Sequence

import jax
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from tests.batches import elasticities, gradient_x64, metrics_program
from tests.elementwise import at_columns
from tests.helpers import (
    COMBINATIONS,
    NUMBERS,
    Scenario,
    evaluate_x64,
    named_scenario,
    one_in,
)
from tests.hybrids import NEMOTRON_NANO, QWEN3_NEXT
from tests.other_heads import GEMMA_3N, MIMO

OUTPUTS = (
    *("utps", "stps", "t_compute", "t_mem", "t_sync", "energy_per_token"),
    *("capacity_utilisation", "bandwidth_utilisation", "flops_utilisation"),
    *("cost_rate", "dollars_per_token"),
)
OF_REQUESTS = ("ttft", "request_latency", "request_rate", "dollars_per_request")
DISCRETE = {"compute_bits"}
"""A choice of three rates, not a continuum."""

SET_IN = {"cp_size"}
"""Fields above 1 of which something sets in, as one more collective in each layer."""

OF_HEADS = ("value_head_dim", "attention_gate_dim")
OF_HEADS += tuple(
    f"windowed_{name}" for name in ("num_heads", "num_kv_heads", "head_dim", "value_head_dim")
)
OTHERS = (*OF_HEADS, "q_lora_rank", "hc_mult", "index_block_size")
ABSENT = {"chip_hour_price", "power_cap", "acceptance_length", "dense_tp_size", "ffn_chips"}
ABSENT |= {prefix + name for prefix in ("", "draft_") for name in OTHERS}
"""Fields that jump at 0: heads as elsewhere, no latent, gate, streams or blocks, a chip that is
owned or has no cap of power, an accepted length that is computed."""

# Points away from kinks and jumps, but for the fields in braces: expert parallelism sets in where
# ``ep_size`` exceeds 1, and the imbalance it brings has a kink where a rank holds a whole number of
# experts, as it always does; operator by operator or with tiers of memory, an indexer without heads
# has a kink at no layer; widths and a number of indexers that are 0 stand for others.
WIDTHS = {"expert_hidden_size", "shared_intermediate_size"}
INDEXERS = {"num_sparse_layers", "num_compressed_sparse_layers", "num_indexer_layers"}
POINTS = {
    "memory bound": (
        named_scenario("llama3-70b", "h100", tp_size=16.0, pp_size=2.0, batch_size=7.0),
        {"ep_size"},
    ),
    "compute bound, mixture of experts": (
        named_scenario(
            "gpt-oss-120b",
            "h200",
            tp_size=3.0,
            dp_size=5.0,
            batch_size=2000.0,
            seq_len=500.0,
        ),
        {"ep_size", *WIDTHS},
    ),
    "expert parallel": (
        named_scenario(
            "deepseek-v3",
            "h200",
            tp_size=4.0,
            dp_size=16.0,
            ep_size=32.0,
            pp_size=2.0,
            batch_size=13.0,
            seq_len=3000.0,
        ),
        {"ep_size", "num_experts", *WIDTHS},
    ),
    "engine, expert parallel": (
        named_scenario(
            "llama4-maverick",
            "h200",
            tp_size=16.0,
            dp_size=2.0,
            ep_size=16.0,
            batch_size=333.0,
            seq_len=20_000.0,
            scale_up_size=9.0,  # 32 chips in 3.6 domains: no whole number, at which one more begins
            **COMBINATIONS["engine"],
        ),
        {"ep_size", "num_experts", *INDEXERS, *WIDTHS},
    ),
    "sparse attention": (
        named_scenario(
            "deepseek-v3.2",
            "h200",
            tp_size=12.0,
            batch_size=70.0,
            seq_len=50_000.0,
            query_tokens=2.0,
        ),
        {"ep_size", "num_indexer_layers", *WIDTHS},
    ),
    "recurrent layers": (
        named_scenario("llama3-8b", "h200")
        ._replace(llm=QWEN3_NEXT)
        .but(tp_size=48.0, batch_size=70.0, kv_sharding="heads")
        .but(input_len=3000.0, output_len=90.0, prefill_chunk=410.0),
        {"ep_size", *WIDTHS},
    ),
    "halves of layers": (
        named_scenario("llama3-8b", "h200")
        ._replace(llm=NEMOTRON_NANO)
        .but(tp_size=6.0, batch_size=7.0, **COMBINATIONS["derived"]),
        {"ep_size", "num_kv_heads", "tp_size", "mesh_rows", *INDEXERS, *WIDTHS},  # a torus
    ),
    "heads of their own": (
        named_scenario("llama3-8b", "h200")
        ._replace(llm=MIMO)
        .but(tp_size=6.0, batch_size=70.0, attention_gate_dim=1.0, **COMBINATIONS["engine"]),
        {"ep_size", *INDEXERS, *WIDTHS},
    ),
    "shared caches": (
        named_scenario("llama3-8b", "h200")
        ._replace(llm=GEMMA_3N)
        .but(tp_size=3.0, batch_size=70.0)
        .but(input_len=3000.0, output_len=90.0, prefill_chunk=410.0),
        {"ep_size"},
    ),
    "a request, with a draft": (
        named_scenario(
            "llama3-70b",
            "h100",
            tp_size=16.0,
            pp_size=2.0,
            batch_size=7.0,
            input_len=3000.0,
            output_len=500.0,
            prefill_chunk=700.0,
            prefill_batch=2.0,
            calls_per_answer=30.0,
            speculation="draft",
            acceptance=0.7,
        ),
        {"ep_size", "draft_num_indexer_layers"},
    ),
    "a request of experts, with a proposing layer": (
        named_scenario(
            "gpt-oss-120b",
            "h200",
            tp_size=3.0,
            dp_size=5.0,
            batch_size=20.0,
            input_len=1500.0,
            output_len=30.0,
            prefill_chunk=410.0,
            speculation="mtp",
            acceptance=0.45,
            sram_capacity=1e9,
            sram_bw=1e13,
            lpddr_capacity=1e9,
            lpddr_bw=1e12,
        ),
        {"ep_size", *INDEXERS, *WIDTHS},
    ),
    "paper": (
        named_scenario(
            "qwen3-235b", "xpu-hbm3", tp_size=32.0, batch_size=3.0, **COMBINATIONS["paper"]
        ),
        {"ep_size"},
    ),
}


ROWS = 3 * len(NUMBERS)
"""Every array of points has this length, so that each operation is compiled for one."""


def along(scenario: Scenario, moves: Sequence[tuple[str, float]]) -> list[tuple[dict, dict]]:
    """Outputs one step along a field, and their slopes there, for several fields and steps.

    Steps are taken on the numbers: a record refuses values that no user could write.
    """
    places = [list(NUMBERS).index(field) for field, _ in moves]
    points = np.repeat([[number] for number in scenario.numbers.values()], ROWS, axis=1)
    points[places, range(len(moves))] += [step for _, step in moves]
    directions = np.zeros_like(points)
    directions[places, range(len(moves))] = 1.0
    with jax.enable_x64(True):
        program = metrics_program(scenario).only((*OUTPUTS, *OF_REQUESTS))
        order = [list(NUMBERS).index(name) for name in program.inputs]
        numbers = [*points[order]]
        run = jaxpr_as_fun(program.traced)
        both = jax.make_jaxpr(lambda at, along: jax.jvp(run, at, along))
        traced = both(*[(np.float64(0.0),) * len(numbers)] * 2)
        found = at_columns(traced, [*numbers, *directions[order]])
        values, slopes = found[: len(found) // 2], found[len(found) // 2 :]
        rows = (np.transpose(np.asarray(part)).tolist() for part in (values, slopes))
    return [
        tuple(dict(zip(program.outputs, numbers, strict=True)) for numbers in row)
        for row in list(zip(*rows, strict=True))[: len(moves)]
    ]


@pytest.mark.parametrize(("scenario", "jumps"), one_in(3, POINTS.values(), POINTS))
def test_derivatives_equal_difference_quotients(scenario, jumps):
    gradient = gradient_x64(scenario)
    ends = {f: (-1e-5, 0.0, 1e-5) if scenario[f] else (0.0, 0.0, 1e-5) for f in NUMBERS}
    moves = [(f, end * (scenario[f] or 1.0)) for f in NUMBERS for end in ends[f]]  # none below zero
    found = iter(along(scenario, moves))
    for field, below, here, above in zip(NUMBERS, found, found, found, strict=True):
        if field in DISCRETE | jumps or (field in ABSENT and not scenario[field]):
            continue
        if field in SET_IN and scenario[field] == 1.0:
            continue
        low, _, high = ends[field]
        step = scenario[field] or 1.0
        point, slope = here
        for output in (*OUTPUTS, *(OF_REQUESTS if scenario["input_len"] else ())):
            quotient = (above[0][output] - below[0][output]) / ((high - low) * step)
            near = pytest.approx(quotient, rel=1e-4, abs=1e-9 * point[output] / step)
            assert slope[output] == near, (output, field)
        near = pytest.approx(slope["utps"], rel=1e-9, abs=1e-14 * point["utps"] / step)
        assert gradient[field] == near, field


@pytest.mark.parametrize(("scenario", "_jumps"), one_in(3, POINTS.values(), POINTS))
def test_the_points_fit_and_keep_away_from_ties(scenario, _jumps):
    point = evaluate_x64(*scenario)
    assert point.feasible
    times = sorted((point.t_mem, point.t_compute, point.t_sync))
    assert times[2] > 1.001 * times[1]


def test_bandwidth_moves_a_memory_bound_point_by_its_share_of_the_step():
    # utps = 1 / (m / W + s), hence d ln utps / d ln W = t_mem / t_step.
    scenario = named_scenario("llama3-405b", "xpu-hbm3", tp_size=128.0, **COMBINATIONS["paper"])
    point = evaluate_x64(*scenario)
    names = ("mem_bw", "sync_latency", "peak_flops", "mem_capacity")
    shares = (point.t_mem / point.t_step, -point.t_sync / point.t_step, 0.0, 0.0)
    assert elasticities(scenario, names) == pytest.approx(shares, rel=1e-12)


def test_touched_experts_grow_by_their_closed_form():
    # d/dt E (1 - (1 - k/E)^t) = -E (1 - k/E)^t ln(1 - k/E), here times t_mem per expert.
    scenario = named_scenario("deepseek-v3", "h200", tp_size=8.0, seq_len=0.0, batch_size=5.0)
    ((_, slopes),) = along(scenario, [("batch_size", 0.0)])
    growth = -256 * (31 / 32) ** 5 * math.log(31 / 32)
    rate = 8 * scenario["mem_bw"]
    # one expert in 58 layers: 2,554,331,136 B; one row of the embedding: 7168 B
    assert slopes["t_mem"] == pytest.approx((growth * 2_554_331_136 + 7168) / rate, rel=1e-12)


@pytest.mark.parametrize("batch_size", [2.0, 9.0, 12.0])
def test_the_slope_at_a_whole_batch_is_that_between_its_neighbours(batch_size):
    # A whole number of routed tokens is where the bounds of the load imbalance are met exactly.
    sizes = {"tp_size": 16.0, "dp_size": 2.0, "ep_size": 16.0, "batch_size": batch_size}
    scenario = named_scenario("llama4-maverick", "h200", peak_flops=1e12, **sizes)
    below, here, above = along(scenario, [("batch_size", step) for step in (-0.25, 0.0, 0.25)])
    secant = (above[0]["t_compute"] - below[0]["t_compute"]) / 0.5
    assert here[1]["t_compute"] == pytest.approx(secant, rel=0.1)
