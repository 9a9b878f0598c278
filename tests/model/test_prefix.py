"""Prefixes that are reused: by hand, against loops over chunks, and what must hold."""

import itertools
import math

import pytest

from jaxlimits.model.prefill import prefill_operators
from tests.helpers import PAPER, Scenario, evaluate_x64, named_scenario
from tests.hybrids import QWEN3_NEXT
from tests.laws import law
from tests.strategies import scenarios

PLAIN = {**PAPER, "accounting": "layers"}


@pytest.fixture(autouse=True)
def in_float64(x64):
    """Compute in float64."""


def prompt(llm: str = "llama3-8b", *, length: float = 8192.0, **values) -> Scenario:
    return named_scenario(llm, "h100", input_len=length, **{**PLAIN, **values})


def volumes(scenario: Scenario, *, chunk: float, reused: float):
    sizes = {"seq_len": scenario["input_len"], "query_tokens": chunk}
    return prefill_operators(scenario.llm, scenario.but(**sizes).deployment, reused=reused)


def test_the_rest_of_a_prompt_attends_to_all_of_it():
    # Llama3-8B, 8192 tokens of which 6144 are there: 2048 x 6979321856 x 2 FLOP of the layers, and
    # 4 x 32 x 128 x 32 layers x (8192^2 - 6144^2) / 2 of attention; one chunk reads all 8192.
    found = volumes(prompt(), chunk=2048.0, reused=6144.0)
    attention = 4 * 32 * 128 * 32 * (8192**2 - 6144**2) / 2
    assert found.total("tensor_flops") == 2 * 2048 * 6_979_321_856 + attention
    assert found.total("weight_traffic") == 6_979_321_856
    assert found.total("kv_traffic") == 8192 * 32 * 2 * 8 * 128


def test_chunks_of_the_rest_read_what_lies_before_them():
    # Two chunks of 1024: they end at 7168 and 8192 tokens.
    found = volumes(prompt(), chunk=1024.0, reused=6144.0)
    assert found.total("weight_traffic") == 2 * 6_979_321_856
    assert found.total("kv_traffic") == (7168 + 8192) * 32 * 2 * 8 * 128


@pytest.mark.parametrize(
    ("llm", "each"),
    [
        # gpt-oss-20b: 12 layers read all so far, 12 a window of 128 tokens and the chunk's own.
        ("gpt-oss-20b", lambda end: 12 * end + 12 * (128 + 1024)),
        # Llama 4 Maverick: 12 of 48 layers read all so far, 36 what is in their 8192 tokens.
        ("llama4-maverick", lambda end: 12 * end + 36 * end),
    ],
)
def test_layers_with_a_span_read_it_in_every_chunk(llm, each):
    scenario = prompt(llm, attention_span="model")
    found = volumes(scenario, chunk=1024.0, reused=4096.0).total("kv_traffic")
    tokens = sum(each(end) for end in (5120, 6144, 7168, 8192))
    assert found == pytest.approx(tokens * 2 * 8 * scenario["head_dim"], rel=1e-12)


def test_ttft_is_that_of_the_rest():
    # As above, on one chip of 1.979e15 FLOP/s where compute binds.
    scenario = prompt(prefix_share=0.75, sync_latency=0.0)
    flops = 2 * 2048 * 6_979_321_856 + 4 * 32 * 128 * 32 * (8192**2 - 6144**2) / 2
    assert evaluate_x64(*scenario).ttft == pytest.approx(flops / scenario["peak_flops"], rel=1e-12)


def test_chunks_are_those_of_what_is_computed():
    # Of 8192 tokens 2048 are left: a whole chunk of them is the same as chunks of 4096.
    whole, chunked = (prompt(prefix_share=0.75, prefill_chunk=size) for size in (0.0, 4096.0))
    assert evaluate_x64(*whole).ttft == evaluate_x64(*chunked).ttft


def test_a_prefix_is_stored_once():
    # Llama3-8B, 65536 B a token in 8 bits: 16 sequences of 8192 + 1024 tokens, 6144 in common.
    point = evaluate_x64(*prompt(prefix_share=0.75, output_len=1024.0, batch_size=16.0))
    assert point.kv_bytes == (16 * (8192 + 1024 - 6144) + 6144) * 65_536
    # What is left beside the weights and the prefix, by what a sequence has of its own.
    room = (point.weight_bytes + point.kv_bytes) / point.capacity_utilisation
    beside = room - point.weight_bytes - 6144 * 65_536
    assert point.batch_capacity == pytest.approx(beside / (3072 * 65_536), rel=1e-9)


def test_one_sequence_stores_what_it_did():
    alone, reusing = (
        evaluate_x64(*prompt(prefix_share=share, output_len=1024.0)) for share in (0.0, 0.5)
    )
    assert alone.kv_bytes == reusing.kv_bytes
    assert alone.tpot == reusing.tpot


def test_windows_keep_of_a_prefix_what_is_left_and_states_nothing():
    # gpt-oss-20b, 4 sequences of 8192 + 64 tokens, 4096 in common: beyond them 4160, more than the
    # window, so that nothing of a prefix is left in the 12 windowed layers.
    values = {"attention_span": "model", "output_len": 64.0, "batch_size": 4.0}
    point = evaluate_x64(*prompt("gpt-oss-20b", prefix_share=0.5, **values))
    assert point.kv_bytes == 12 * 1024 * (4 * 4160 + 4096) + 12 * 1024 * 4 * 128
    # 8180 tokens in common: 76 each, and of the window's 128 the prefix has 52.
    point = evaluate_x64(*prompt("gpt-oss-20b", prefix_share=8180 / 8192, **values))
    full, windowed = 4 * 76 + 8180, 4 * 76 + 52
    assert point.kv_bytes == pytest.approx(12 * 1024 * (full + windowed), rel=1e-12)
    state = prompt(prefix_share=0.5, output_len=64.0)._replace(llm=QWEN3_NEXT)
    more = evaluate_x64(*state.but(batch_size=2.0)).kv_bytes - evaluate_x64(*state).kv_bytes
    # 4160 tokens of 12 full layers with 2 KV heads of 256, and the whole of 36 states.
    assert more == 12 * 4160 * 2 * 2 * 256 + 77_266_944


def test_mixed_steps_carry_the_rest_of_the_prompts():
    # 64 sequences of 1,024 tokens: 1/16 of a prompt a step, a quarter of its 8,192 tokens computed.
    values = {"output_len": 1024.0, "batch_size": 64.0, "tp_size": 8.0, "prefix_share": 0.75}
    alone, even = (evaluate_x64(*prompt(mixed_steps=mode, **values)) for mode in ("off", "even"))
    carried = 2 * 128 * 6_979_321_856 + 4 * 32 * 128 * 32 * (8192**2 - 6144**2) / 2 / 16
    assert even.flops - alone.flops == pytest.approx(carried, rel=1e-12)


def test_the_last_token_of_a_prompt_is_always_computed():
    all_, but_one = (evaluate_x64(*prompt(prefix_share=s)) for s in (1.0, 8191 / 8192))
    assert all_.ttft == pytest.approx(but_one.ttft, rel=1e-9)
    assert math.isfinite(all_.ttft)


@law(max_examples=30, scenario=scenarios(combinations=("default",), requested=True, feasible=True))
def test_more_of_a_prefix_never_takes_longer_nor_more_memory(scenario):
    # One chunk whatever it holds: of a whole number of smaller ones there may be a fraction more.
    # And room for whole prompts, of which the scenario may reuse nearly all.
    scenario = scenario.but(prefill_chunk=0.0).scaled(1e6, ["mem_capacity"])
    shares = (0.0, 0.5, 0.9)
    points = yield tuple(scenario.but(prefix_share=share) for share in shares)
    for less, more in itertools.pairwise(points):
        assert more.ttft <= less.ttft * (1 + 1e-9)
        assert more.kv_bytes <= less.kv_bytes * (1 + 1e-9)
        assert more.max_batch_size >= less.max_batch_size
        assert more.tpot == pytest.approx(less.tpot, rel=1e-12)
