"""Mixed steps: prompts that ride with decode steps, against loops, by hand, and what must hold."""

import itertools
import math

import pytest

from tests.helpers import PAPER, evaluate_x64, named_scenario
from tests.laws import law
from tests.strategies import scenarios

SERVED = {"input_len": 8192.0, "output_len": 1024.0, "tp_size": 8.0, "batch_size": 64.0}


@pytest.fixture(autouse=True)
def in_float64(x64):
    """Compute in float64."""


def served(mode: str, llm: str = "llama3-8b", **values):
    settings = {**PAPER, "accounting": "layers", **SERVED, "mixed_steps": mode, **values}
    return evaluate_x64(*named_scenario(llm, "h100", **settings))


def test_a_step_of_a_dense_model_carries_its_share_of_the_prompts():
    # 64 sequences of 1,024 tokens: 1/16 of a prompt ends in each step, 512 of its tokens.
    # Llama3-8B, layers alone: 2 x 512 x 6979321856 FLOP, and 4 x 32 x 128 x 32 x 8192^2 / 2 / 16.
    alone, even = served("off"), served("even")
    carried = 2 * 512 * 6_979_321_856 + 4 * 32 * 128 * 32 * 8192**2 / 2 / 16
    assert even.flops - alone.flops == pytest.approx(carried, rel=1e-12)
    assert even.weight_traffic == alone.weight_traffic
    assert even.kv_traffic - alone.kv_traffic == pytest.approx(8192 / 16 * 65_536, rel=1e-12)
    assert even.t_mem > alone.t_mem
    assert even.request_rate == pytest.approx(even.stps / 1024, rel=1e-12)


def test_decode_steps_that_stall_wait_for_each_prefill():
    alone, waits = served("off"), served("stalls")
    assert waits.t_step == pytest.approx(alone.t_step + alone.ttft / 16, rel=1e-12)
    assert waits.ttft == alone.ttft


def test_a_step_carries_a_whole_chunk_or_nothing():
    # 1/16 of a prompt of 8,192 ends in each step: a chunk of 2,048 tokens comes with every fourth,
    # which computes 2 x 2048 x 6979321856 FLOP and a quarter of the attention beside.
    alone, mean = served("off"), served("chunks", prefill_chunk=2048.0)
    chunk = 2 * 2048 * 6_979_321_856 + 4 * 32 * 128 * 32 * 8192**2 / 2 / 4
    rate = 8 * named_scenario("llama3-8b", "h100")["peak_flops"]
    carrying = (alone.flops + chunk) / rate + alone.t_sync  # computes longer than it streams
    assert mean.t_step == pytest.approx(0.75 * alone.t_step + 0.25 * carrying, rel=1e-12)
    assert mean.flops == pytest.approx(served("even").flops, rel=1e-12)
    assert mean.weight_traffic == alone.weight_traffic


def test_chunks_that_every_step_carries_are_spread_evenly():
    small, even = (served(mode, prefill_chunk=256.0) for mode in ("chunks", "even"))
    assert small.t_step == pytest.approx(even.t_step, rel=1e-12)  # two in each step


def test_prompts_in_few_steps_touch_fewer_experts_in_the_mean():
    # gpt-oss-120b, one sequence of 8,192 + 1,024 tokens: 8 of 128 experts... 4 for each of 9 tokens
    # evenly, 4 for the one that decodes: 128 (1 - (124/128)^9) = 31.8 against 4.
    values = {"batch_size": 1.0, "accounting": "full"}
    even, bound = (served(mode, "gpt-oss-120b", **values) for mode in ("even", "bound"))
    alone = served("off", "gpt-oss-120b", **values)
    touched = 128 * (1 - (124 / 128) ** 9)
    experts = (even.weight_traffic - bound.weight_traffic) / (touched - 4)
    assert bound.weight_traffic == pytest.approx(alone.weight_traffic, rel=1e-3)  # embedding rows
    # 3 matrices of 2,880 x 2,880 in each of 36 layers, in 8 bits; biases beside them.
    assert experts == pytest.approx(3 * 2880 * 2880 * 36, rel=0.02)


def test_the_worst_step_carries_the_last_chunk_of_a_prompt():
    # Llama3-8B, 64 sequences and 2,048 tokens that attend to all 8,192: beside the decode step
    # 2 x 2048 x 6979321856 FLOP, 4 x 32 x 128 x 32 x (8192^2 - 6144^2) / 2 of attention, and
    # 8192 x 65536 B of cache; weights once.
    scenario = named_scenario(
        "llama3-8b", "h100", **{**PAPER, "accounting": "layers", **SERVED}, prefill_chunk=2048.0
    )
    alone = evaluate_x64(*scenario)
    chunk = 2 * 2048 * 6_979_321_856 + 4 * 32 * 128 * 32 * (8192**2 - 6144**2) / 2
    compute = (alone.flops + chunk) / (8 * scenario["peak_flops"])
    memory = (alone.weight_traffic + alone.kv_traffic + 8192 * 65_536) / (8 * scenario["mem_bw"])
    assert compute > memory
    assert alone.worst_tpot == pytest.approx(compute + alone.t_sync, rel=1e-12)
    for mode in ("even", "bound", "stalls", "chunks"):
        assert served(mode, prefill_chunk=2048.0).worst_tpot == alone.worst_tpot


def test_the_worst_step_of_a_whole_prefill_is_a_decode_step_with_all_of_a_prompt():
    # Weights are read once for both; so it takes less than one after the other.
    point = served("off")
    assert point.ttft < point.worst_tpot < point.tpot + point.ttft
    flops = point.flops + 2 * 8192 * 6_979_321_856 + 4 * 32 * 128 * 32 * 8192**2 / 2
    rate = 8 * named_scenario("llama3-8b", "h100")["peak_flops"]
    assert point.worst_tpot == pytest.approx(flops / rate + point.t_sync, rel=1e-12)


@law(max_examples=30, scenario=scenarios(combinations=("default",), requested=True, feasible=True))
def test_the_worst_step_takes_no_less_than_one_without_a_prompt(scenario):
    point = yield scenario.but(mixed_steps="off")
    assert point.worst_tpot >= point.tpot * (1 - 1e-9)


def test_without_a_request_nothing_is_mixed():
    values = {"input_len": 0.0, "output_len": 1.0}
    alone, even = served("off", **values), served("even", **values)
    assert even.t_step == alone.t_step
    assert math.isnan(even.request_rate)


@law(scenario=scenarios(combinations=("default",), requested=True, feasible=True))
def test_whole_chunks_lie_between_the_bound_and_steps_that_stall(scenario):
    modes = ("off", "bound", "chunks", "stalls")
    points = yield tuple(scenario.but(mixed_steps=mode) for mode in modes)
    for less, more in itertools.pairwise(points):
        assert less.t_step <= more.t_step * (1 + 1e-9)


def test_copies_take_no_more_of_the_mean_than_of_each_step():
    # 3 tokens a rank route unevenly by a factor that 32 copies of 256 experts lower by an eighth,
    # but not to 1; the prompts' share of the mean step is spread evenly, and lowered with it.
    sizes = {"tp_size": 1.0, "dp_size": 32.0, "ep_size": 32.0, "batch_size": 3.0}
    copied = {**sizes, "redundant_experts": 32.0, "input_len": 1024.0, "output_len": 128.0}
    bound, chunks = (served(mode, "deepseek-v3", **copied) for mode in ("bound", "chunks"))
    assert bound.flops < chunks.flops
    assert bound.t_step <= chunks.t_step
