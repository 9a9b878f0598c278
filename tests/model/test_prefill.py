"""Prefill and requests: hand-worked numbers, closed forms against loops, and what must hold."""

import math

import pytest
from hypothesis import strategies as st

from jaxlimits.model import prefill
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.metrics import REQUESTED
from jaxlimits.model.prefill import prefill_operators
from tests.batches import Slopes
from tests.helpers import (
    LINK_LATENCIES,
    PAPER,
    Scenario,
    evaluate_x64,
    named_scenario,
    of_all_groups,
    slow_but,
)
from tests.laws import law
from tests.model.test_invariants import RATES, never_less
from tests.strategies import SLOPED, scenarios

causal_pairs, cached_span = map(of_all_groups, (prefill.causal_pairs, prefill.cached_span))
PLAIN = {**PAPER, "accounting": "layers"}


@pytest.fixture(autouse=True)
def in_float64(x64):
    """Compute in float64."""


def prompt(llm: str, *, chunk: float = 0.0, length: float = 8192.0, **values) -> Scenario:
    return named_scenario(llm, "h100", input_len=length, prefill_chunk=chunk, **{**PLAIN, **values})


def volumes(scenario: Scenario):
    """Volumes of a prefill of one prompt, whole or in chunks."""
    length = scenario["input_len"]
    chunk = scenario["prefill_chunk"] or length
    sizes = {"seq_len": length, "query_tokens": chunk}
    return prefill_operators(scenario.llm, scenario.but(**sizes).deployment)


def test_a_dense_prompt_works_through_all_weights_and_half_the_square():
    # Llama3-8B, 8192 tokens: 32 x (41943040 + 176160768) = 6979321856 elements of the layers;
    # 2 x 8192 x 6979321856 = 1.14349e14, and 4 x 32 x 128 x 32 layers x 8192^2 / 2 = 1.75922e13.
    whole = volumes(prompt("llama3-8b"))
    assert whole.total("tensor_flops") == 2 * 8192 * 6_979_321_856 + 4 * 32 * 128 * 32 * 8192**2 / 2
    assert whole.total("weight_traffic") == 6_979_321_856
    assert whole.total("kv_traffic") == 8192 * 32 * 2 * 8 * 128


def test_each_chunk_reads_the_weights_and_the_cache_so_far():
    # 4 chunks of 2048: weights 4 times; cache 2048 + 4096 + 6144 + 8192 = 20480 tokens.
    chunked = volumes(prompt("llama3-8b", chunk=2048.0))
    whole = volumes(prompt("llama3-8b"))
    assert chunked.total("weight_traffic") == 4 * 6_979_321_856
    assert chunked.total("kv_traffic") == 20_480 * 32 * 2 * 8 * 128
    assert chunked.total("tensor_flops") == whole.total("tensor_flops")


def test_latent_attention_prefills_decompressed():
    # DeepSeek-V3, 61 layers, 128 heads: 2 x 128 x (128 + 64 + 128) a pair; absorbed weights come
    # with one decompression of 2 x 512 x 128 x (128 + 128) a token, stored ones hold it.
    pairs = 61 * 8192**2 / 2
    absorbed = volumes(prompt("deepseek-v3")).attention.tensor_flops
    stored = volumes(prompt("deepseek-v3", mla_weights="stored")).attention.tensor_flops
    assert stored == 2 * 128 * 320 * pairs
    assert absorbed - stored == 61 * 8192 * 2 * 512 * 128 * 256


def test_the_head_works_on_the_last_position_alone():
    whole = volumes(prompt("llama3-8b", chunk=1024.0, accounting="full")).lm_head
    # One head of 128256 x 4096, and 8192 rows of the embedding.
    assert whole.tensor_flops == 2 * 128_256 * 4096
    assert whole.weight_traffic == (128_256 + 8192) * 4096


def test_ttft_is_the_work_over_the_rate_where_compute_binds():
    # 8 H100 of 1.9789e15 FLOP/s, no sync: (1.14349e14 + 1.75922e13) / 1.58312e16 = 8.334 ms.
    scenario = prompt("llama3-8b", tp_size=8.0, sync_latency=0.0, output_len=1.0)
    point = evaluate_x64(*scenario)
    flops = 2 * 8192 * 6_979_321_856 + 4 * 32 * 128 * 32 * 8192**2 / 2
    assert point.ttft == pytest.approx(flops / (8 * scenario["peak_flops"]), rel=1e-12)
    assert round(1e3 * point.ttft, 3) == 8.334
    assert (point.request_latency, point.prefill_share) == (point.ttft, 1.0)


def test_an_answer_is_decoded_at_its_mean_context():
    scenario = prompt("llama3-8b", output_len=1001.0, length=4000.0)
    point = evaluate_x64(*scenario)
    # 1000 steps at contexts of 4001 to 5000 tokens; the model is linear in the context.
    steps = [
        evaluate_x64(*scenario.but(seq_len=float(length), input_len=0.0)).t_step
        for length in (4001, 5000)
    ]
    decode = 1000 * sum(steps) / 2
    assert point.request_latency - point.ttft == pytest.approx(decode, rel=1e-12)


def test_a_system_that_serves_requests_in_turn():
    # Two replicas of 16 sequences: each request takes its prefill, and a sixteenth of 99 steps.
    scenario = prompt("llama3-8b", output_len=100.0, batch_size=16.0, dp_size=2.0)
    point = evaluate_x64(*scenario)
    decode = point.request_latency - point.ttft
    assert point.request_rate == pytest.approx(2.0 / (point.ttft + decode / 16), rel=1e-12)
    per_second = point.dollars_per_token * point.stps
    assert point.dollars_per_request == pytest.approx(per_second / point.request_rate, rel=1e-12)


def test_chunks_follow_each_other_through_a_pipeline():
    # 8 chunks in 4 stages: 11 places of 32 instead of all.
    scenario = prompt("llama3-8b", chunk=1024.0, pp_size=4.0, hop_latency=0.0)
    through = evaluate_x64(*scenario)
    alone = evaluate_x64(*scenario.but(pp_size=1.0))
    assert through.ttft == pytest.approx(alone.ttft * 11 / 32, rel=1e-12)
    whole = scenario.but(prefill_chunk=0.0)
    same = evaluate_x64(*whole.but(pp_size=1.0)).ttft
    assert evaluate_x64(*whole).ttft == pytest.approx(same, rel=1e-12)


@pytest.mark.parametrize(("window", "chunk", "length"), [(3, 2, 12), (4, 2, 12), (20, 4, 12)])
def test_a_window_reads_and_attends_as_counted_one_by_one(window, chunk, length):
    scenario = named_scenario("gpt-oss-20b", "h100", sliding_window=float(window))
    layers = scenario["num_windowed_layers"]
    deployment = Deployment(seq_len=float(length), query_tokens=float(chunk))
    full = (24 - layers) * length**2 / 2
    # The area under min(x, w), which is what x tokens attend to in the continuum.
    area = sum(min((x + 0.5) / 1000, window) for x in range(1000 * length)) / 1000
    assert causal_pairs(scenario.llm, deployment) == pytest.approx(full + layers * area, rel=1e-9)
    ends = range(chunk, length + 1, chunk)
    read = layers * sum(min(end, window + chunk) for end in ends) + (24 - layers) * sum(ends)
    assert cached_span(scenario.llm, deployment) == read


def test_chunked_attention_reads_its_chunk_so_far():
    # Maverick: 36 of 48 layers attend within 8192 tokens. 4 x 8192 tokens in chunks of 2048: each
    # of them reads 2048, 4096, 6144 or 8192 tokens of its chunk, 16 times 5120 in the mean.
    llm = named_scenario("llama4-maverick", "h100").llm
    deployment = Deployment(seq_len=32768.0, query_tokens=2048.0)
    full = 12 * sum(range(2048, 32769, 2048))
    assert cached_span(llm, deployment) == full + 36 * 16 * 5120
    assert causal_pairs(llm, deployment) == 12 * 32768**2 / 2 + 36 * 4 * 8192**2 / 2


def test_without_a_request_its_metrics_are_nan():
    point = evaluate_x64(*named_scenario("llama3-8b", "h100"))
    assert all(math.isnan(getattr(point, name)) for name in REQUESTED)
    point = evaluate_x64(*named_scenario("llama3-8b", "h100", input_len=1e7))
    assert not point.feasible
    assert all(math.isnan(getattr(point, name)) for name in REQUESTED)


def test_prompts_that_are_prefilled_together_must_fit_together():
    # 80 GB less 6.98 GB of weights hold 73 GB: 67 prompts of 16384 tokens of 65536 B.
    scenario = prompt("llama3-8b", length=16_384.0, usable_fraction=1.0)
    room = (scenario["mem_capacity"] - 6_979_321_856) // (16_384 * 65_536)
    fits, too_many = (
        evaluate_x64(*scenario.but(prefill_batch=prompts)).ttft for prompts in (room, room + 1)
    )
    assert fits > 0.0
    assert math.isnan(too_many)


def test_answers_are_stored_at_their_full_length_or_prompts_as_many_as_are_prefilled():
    sizes = {"batch_size": 3.0, "pp_size": 2.0, "output_len": 1000.0, "vector_work": "off"}
    scenario = prompt("llama3-8b", length=7000.0, **sizes)
    # 2 stages hold 3 sequences each of 7000 + 1000 tokens of 65536 B, or 4 prompts of 7000.
    assert evaluate_x64(*scenario).kv_bytes == 2 * 3 * 8000 * 65_536
    assert evaluate_x64(*scenario.but(prefill_batch=4.0)).kv_bytes == 2 * 4 * 7000 * 65_536


def test_a_stated_request_sets_the_context_of_every_metric():
    # Weights in 8 bits leave room for 13 or more sequences of 32768 + 1024 tokens of 131072 B.
    scenario = named_scenario("llama3-8b", "h100", input_len=32_768.0, output_len=1024.0)
    scenario = scenario.but(kv_bits=16.0, batch_size=4.0)
    point = evaluate_x64(*scenario)
    decoding = evaluate_x64(*scenario.but(input_len=0.0, seq_len=33_280.0))
    whole = evaluate_x64(*scenario.but(input_len=0.0, seq_len=33_792.0))
    for metric in ("utps", "stps", "tpot", "t_mem", "kv_traffic", "flops", "dollars_per_token"):
        assert getattr(point, metric) == getattr(decoding, metric), metric
    for metric in ("kv_bytes", "max_batch_size", "batch_capacity", "capacity_utilisation"):
        assert getattr(point, metric) == getattr(whole, metric), metric
    assert point.kv_bytes == 4 * 33_792 * 131_072
    other = evaluate_x64(*scenario.but(seq_len=9.0))  # where no request is stated it would count
    assert vars(other) == vars(point)


def test_what_a_request_costs_divides_into_its_prompt_and_its_answers():
    scenario = prompt("llama3-8b", output_len=100.0, batch_size=16.0, dp_size=2.0, pp_size=2.0)
    scenario = scenario.but(calls_per_answer=3.0, prefill_batch=2.0, chip_price=30_000.0)
    point = evaluate_x64(*scenario)
    prompts = scenario["input_len"] * point.dollars_per_input_token
    answers = 3 * 100 * point.dollars_per_output_token
    assert point.dollars_per_request == pytest.approx(prompts + answers, rel=1e-12)
    # 4 lanes, each of which prefills 2 prompts at once; what they cost by time in which they serve:
    rate = point.dollars_per_token * point.stps
    passes = evaluate_x64(*scenario.but(output_len=1.0, pp_size=1.0, hop_latency=0.0)).ttft
    alone = evaluate_x64(*scenario.but(output_len=1.0, hop_latency=0.0)).request_rate
    assert alone == pytest.approx(4 * 2 / passes, rel=1e-9)
    without = scenario.but(hop_latency=0.0)
    cost = evaluate_x64(*without).dollars_per_input_token
    assert cost == pytest.approx(rate * passes / (4 * 2) / scenario["input_len"], rel=1e-9)


def test_a_system_has_so_many_chips_and_users():
    scenario = named_scenario("llama3-8b", "h100", tp_size=2.0, pp_size=3.0, dp_size=5.0)
    point = evaluate_x64(*scenario.but(batch_size=7.0))
    assert (point.num_chips, point.users) == (30.0, 105.0)
    assert point.stps_per_chip == point.stps / 30.0
    assert point.stps == pytest.approx(105 * point.utps, rel=1e-12)


def test_prompts_that_do_not_fit_together_leave_room_for_no_batch():
    scenario = prompt("llama3-8b", length=16_384.0, prefill_batch=100.0)
    point = evaluate_x64(*scenario)
    assert (point.feasible, point.max_batch_size) == (False, 0.0)


ROOMY = {"mem_capacity": 1e15}
"""A memory in which any prompt fits."""


@law(scenario=scenarios(requested=True), more=st.integers(1, 10_000))
def test_a_longer_prompt_never_shortens_ttft(scenario, more):
    roomy = scenario.but(**ROOMY)
    short, long = yield roomy, roomy.but(input_len=scenario["input_len"] + more)
    assert math.isfinite(short.ttft)
    assert never_less(long.ttft, short.ttft)
    assert never_less(long.request_latency, short.request_latency)


@law(scenario=scenarios(requested=True, pp_size=1.0), parts=st.integers(2, 10))
def test_smaller_chunks_never_save_time(scenario, parts):
    whole = scenario.but(prefill_chunk=0.0)
    # Within chunks of recurrent layers the work is that of attention: shorter ones save some.
    size = max(scenario["input_len"] // parts, scenario["state_chunk"], 1.0)
    once, often = yield whole, whole.but(prefill_chunk=size)
    assert never_less(often.ttft, once.ttft) or math.isnan(once.ttft)


@law(scenario=scenarios(requested=True), more=st.integers(1, 100))
def test_more_calls_never_save_time_or_dollars(scenario, more):
    roomy = scenario.but(**ROOMY)
    one, several = yield roomy, roomy.but(calls_per_answer=scenario["calls_per_answer"] + more)
    assert math.isfinite(one.ttft)
    assert several.ttft == one.ttft
    assert never_less(several.request_latency, one.request_latency)
    assert never_less(one.request_rate, several.request_rate)
    assert never_less(several.dollars_per_request, one.dollars_per_request)


@pytest.mark.parametrize("metric", slow_but(["ttft", "request_latency"], "request_latency"))
@law(scenario=scenarios(combinations=SLOPED, requested=True))
def test_a_request_scales_with_all_rates_and_latencies(metric, scenario):
    roomy = scenario.but(**ROOMY)
    point, slopes = yield roomy, Slopes(roomy, metric)
    assert all(math.isfinite(slope) for slope in slopes.values())
    shares = {n: slopes[n] * roomy[n] / getattr(point, metric) for n in (*RATES, *LINK_LATENCIES)}
    rates, latencies = (sum(shares[name] for name in names) for names in (RATES, LINK_LATENCIES))
    assert latencies - rates == pytest.approx(1.0, rel=1e-5)
