"""Recurrent layers by hand: Qwen3-Next-80B, Nemotron-3-Nano, Kimi-Linear, a model without heads."""

import csv
import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from jaxlimits.model import overlay, weights
from jaxlimits.model.attention import recurrent
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.kv_cache import sequence_bytes
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import step_operators
from jaxlimits.model.prefill import prefill_operators
from tests.batches import Slopes
from tests.helpers import Scenario, evaluate_x64, named_scenario
from tests.hybrids import NEMOTRON_NANO, QWEN3_NEXT, RWKV_LIKE
from tests.laws import law
from tests.model.test_invariants import never_less
from tests.strategies import SLOPED, scenarios

pytestmark = pytest.mark.usefixtures("x64")

KIMI_LINEAR = dataclasses.replace(
    QWEN3_NEXT,
    num_layers=27.0,
    num_recurrent_layers=20.0,
    num_moe_layers=26.0,
    conv_channels=12288.0,
)
"""Kimi-Linear-48B-A3B, of which these tests use the states alone."""

STATES = {
    "qwen3-next": (QWEN3_NEXT, 77_266_944),  # 36 * (32 * 128 * 128 * 4 + 3 * 8192 * 2)
    "nemotron-3-nano": (NEMOTRON_NANO, 49_082_368),  # 23 * (64 * 64 * 128 * 4 + 3 * 6144 * 2)
    "kimi-linear": (KIMI_LINEAR, 43_417_600),  # 20 * (32 * 128 * 128 * 4 + 3 * 12288 * 2)
}
EXPECTED = Path(__file__).parents[1] / "golden" / "model_files" / "expected.csv"


def published(file: str) -> dict[str, str]:
    with EXPECTED.open() as rows:
        return next(row for row in csv.DictReader(rows) if row["file"] == file)


def on_h200(llm: LLM, **values: float | str) -> Scenario:
    scenario = named_scenario("llama3-8b", "h200")
    return scenario._replace(llm=llm).but(**values)


@pytest.mark.parametrize(("llm", "size"), STATES.values(), ids=STATES)
def test_a_sequence_keeps_so_many_bytes_whatever_its_length(llm, size):
    for seq_len in (0.0, 1e5):
        assert recurrent.state_bytes(llm, Deployment(seq_len=seq_len)) == size
    assert sequence_bytes(llm, Deployment(seq_len=0.0)) == size


@pytest.mark.parametrize(
    ("llm", "file"), [(QWEN3_NEXT, "hybrid_delta.json"), (NEMOTRON_NANO, "hybrid_mamba.json")]
)
def test_whole_models_hold_what_their_files_come_to(llm, file):
    row, counted = published(file), weights.full_weights(llm, Deployment())
    total = weights.stored_weights(counted, experts=llm.num_experts)
    active = weights.stored_weights(counted, experts=llm.experts_per_token)
    assert total == int(row["total_params"])
    assert active == int(row["active_params"])
    state = int(row["fixed_bytes_per_sequence"])
    cached = int(row["kv_bytes_per_token"])
    for tokens in (0, 1, 1000):
        deployment = Deployment(seq_len=float(tokens), kv_bits=16.0)
        assert sequence_bytes(llm, deployment) == state + tokens * cached


def test_a_delta_mixer_holds_33_718_272_weights_and_192_beside():
    # 36 layers of 33,718,272; 12 of 2048 * 256 * (16 + 2 * 2 + 16) = 18,874,368 and 8,388,608
    layers = weights.layer_weights(QWEN3_NEXT, Deployment())
    assert layers.projections == 36 * 33_718_272 + 12 * 18_874_368
    assert layers.output == 12 * 8_388_608
    # 48 * 6144, 12 * 512, 36 * 192 and the last norm of 2048
    extras = weights.full_weights(QWEN3_NEXT, Deployment()).extras
    assert extras == 294_912 + 6144 + 6912 + 2048


def test_its_norms_keep_the_bits_of_the_head_and_its_weights_those_of_attention():
    bits = {"weight_bits": 0.0, "attention_bits": 4.0, "head_bits": 32.0}
    half = dict.fromkeys(("ffn_bits", "expert_bits", "embedding_bits"), 8.0)
    llm = dataclasses.replace(
        RWKV_LIKE, recurrent_norm_params=1000.0, norm_params=0.0, tied_embeddings=1.0
    )
    point = evaluate_x64(*on_h200(llm, **bits, **half, accounting="full"))
    # mixers 24 * 6 * 2048^2 at half a byte, FFNs 24 * 2 * 2048 * 7168 at one, the head
    # 65,536 * 2048, 24 * 1000 and the last norm of 2048 at four
    mixers, ffns = 24 * 6 * 2048**2, 24 * 2 * 2048 * 7168
    assert point.weight_bytes == mixers / 2 + ffns + 4 * (65_536 * 2048 + 24_000 + 2048)


def test_state_bits_and_activation_bits_set_the_bytes_and_nothing_else_does():
    for given in ({"weight_bits": 4.0}, {"kv_bits": 4.0}, {"compute_bits": 4.0}):
        assert recurrent.state_bytes(QWEN3_NEXT, Deployment(**given)) == 77_266_944
    half = dataclasses.replace(QWEN3_NEXT, state_bits=16.0)
    # 36 * (32 * 128 * 128 * 2 + 3 * 8192 * 1)
    assert recurrent.state_bytes(half, Deployment(activation_bits=8.0)) == 38_633_472


def test_one_step_reads_and_writes_every_state_once():
    # 5 sequences, out and back: 10 * 77,266,944; 12 layers read 1000 tokens of 1024 B
    deployment = Deployment(batch_size=5.0, seq_len=1000.0, query_tokens=3.0)
    step = step_operators(QWEN3_NEXT, deployment).named()
    assert step["state"].kv_traffic == 772_669_440
    assert step["attention"].kv_traffic == 5 * 12 * 1000 * 1024
    assert step["state"].weight_traffic == step["state"].tensor_flops == 0.0
    # 15 tokens * 36 layers * 6 * 32 * 128 * 128 beside the tensor units
    assert step["state"].vector_flops == 15 * 36 * 6 * 524_288
    off = step_operators(QWEN3_NEXT, dataclasses.replace(deployment, vector_work="off"))
    assert off.named()["state"].vector_flops == 0.0


def test_norm_and_convolution_of_a_mixer_run_beside_the_tensor_units():
    # 4 * 2048 + 5 * 8192, where a layer with heads has 4 * 2048 + 3 * (16 + 2) * 256 and a gate of
    # 16 * 256 * 5
    assert recurrent.mixer_vector_flops(QWEN3_NEXT) == 8192 + 40_960
    step = step_operators(QWEN3_NEXT, Deployment(seq_len=0.0)).named()
    assert step["projections"].vector_flops == 36 * 49_152 + 12 * (8192 + 13_824 + 20_480)
    assert step["output"].vector_flops == 48 * 2048  # a residual sum after every mixer


def test_a_prompt_goes_through_in_chunks():
    # 2 prompts of 4096 tokens in 4 prefill chunks, 64 tokens at once through the state: a token
    # and layer 6 * 524,288 + 2 * 64 * 32 * (128 + 128) = 3,145,728 + 1,048,576
    deployment = Deployment(batch_size=2.0, seq_len=4096.0, query_tokens=1024.0)
    work = prefill_operators(QWEN3_NEXT, deployment).named()["state"]
    assert work.tensor_flops == work.wide_flops == 2 * 4096 * 36 * 4_194_304
    assert work.kv_traffic == 4 * 2 * 2 * 77_266_944
    assert work.vector_flops == work.weight_traffic == 0.0
    # Mamba-2: 5 * 524,288 + 2 * 128 * 64 * (64 + 128)
    work = prefill_operators(NEMOTRON_NANO, deployment).named()["state"]
    assert work.tensor_flops == 2 * 4096 * 23 * (2_621_440 + 3_145_728)


def test_a_prefill_in_smaller_chunks_has_no_larger_ones_in_the_state():
    # 16 tokens: 2 * 16 * 32 * 256
    small = Deployment(query_tokens=16.0)
    assert recurrent.chunk_flops(QWEN3_NEXT, small) == 36 * 262_144
    assert recurrent.chunk_flops(QWEN3_NEXT, Deployment(query_tokens=64.0)) == 36 * 1_048_576


def test_a_longer_prompt_costs_in_proportion():
    deployment = Deployment(seq_len=10_000.0, query_tokens=1000.0)
    once = prefill_operators(QWEN3_NEXT, deployment).named()["state"]
    longer = dataclasses.replace(deployment, seq_len=30_000.0)
    thrice = prefill_operators(QWEN3_NEXT, longer).named()["state"]
    assert thrice.tensor_flops == 3 * once.tensor_flops
    assert thrice.kv_traffic == 3 * once.kv_traffic


@pytest.mark.parametrize(
    ("tp_size", "copies"), [(1.0, 1.0), (8.0, 1.0), (32.0, 1.0), (48.0, 1.5), (128.0, 4.0)]
)
def test_by_heads_chips_beyond_the_state_heads_hold_copies(tp_size, copies):
    by_heads = Deployment(tp_size=tp_size, kv_sharding="heads")
    assert recurrent.state_copies(QWEN3_NEXT, by_heads) == copies  # 32 heads
    assert recurrent.state_bytes(QWEN3_NEXT, by_heads) == copies * 77_266_944
    split = Deployment(tp_size=tp_size, kv_sharding="split")
    assert recurrent.state_copies(QWEN3_NEXT, split) == 1.0


def test_a_convolution_alone_needs_no_copies():
    # As short convolutions (LFM2): 10 layers that keep 2 columns of 2048 channels.
    llm = dataclasses.replace(
        RWKV_LIKE,
        num_recurrent_layers=10.0,
        num_state_heads=0.0,
        conv_channels=2048.0,
        conv_columns=2.0,
    )
    by_heads = Deployment(tp_size=64.0, kv_sharding="heads")
    assert recurrent.state_bytes(llm, by_heads) == 10 * 2 * 2048 * 2


def test_the_papers_span_leaves_states_alone():
    full = Deployment(seq_len=1000.0, attention_span="full", kv_bits=16.0)
    assert sequence_bytes(QWEN3_NEXT, full) == 77_266_944 + 1000 * 24_576


def test_a_state_needs_no_collective_of_its_own():
    # 64 chips over 2 KV heads: 12 layers combine partial attention, 36 do not.
    sizes = {"tp_size": 64.0, "collectives": "derived"}
    assert evaluate_x64(*on_h200(QWEN3_NEXT, **sizes)).tp_collectives == 2 * 48 + 12


def test_a_model_without_heads_is_as_fast_at_any_length():
    points = [evaluate_x64(*on_h200(RWKV_LIKE, seq_len=n)) for n in (0.0, 1.0, 1e6)]
    assert len({point.t_step for point in points}) == 1
    assert len({point.kv_bytes for point in points}) == 1
    # 24 * (32 * 64 * 64 * 4 + 4096 * 2), read and written
    assert points[0].kv_bytes == 24 * (524_288 + 8192) == 12_779_520
    assert points[0].kv_traffic == 2 * 12_779_520


def test_the_largest_batch_of_a_model_without_heads_is_that_of_its_states():
    scenario = on_h200(RWKV_LIKE, accounting="layers", usable_fraction=1.0)
    # 24 * (6 * 2048^2 + 2 * 2048 * 7168) = 603,979,776 + 704,643,072 of 141 GB; 12,779,520 each
    point = evaluate_x64(*scenario)
    assert point.weight_bytes == 1_308_622_848
    room = scenario["mem_capacity"] - 1_308_622_848
    assert point.max_batch_size == room // 12_779_520


def test_a_hybrid_fits_fewer_users_by_the_states():
    scenario = on_h200(QWEN3_NEXT, tp_size=2.0, seq_len=32_768.0, kv_bits=16.0)
    point = evaluate_x64(*scenario)
    room = 2 * scenario["mem_capacity"] * scenario["usable_fraction"] - point.weight_bytes
    each = 77_266_944 + 32_768 * 24_576
    assert point.max_batch_size == room // each
    assert point.kv_traffic == 2 * 77_266_944 + 32_768 * 24_576


def test_a_first_token_takes_the_work_of_states_too():
    # One chip, 4096 tokens: 8.25 TFLOP of weights beside 36 * 4,194,304 FLOP a token in the states,
    # in 16 bits, at half the rate of 8 bits.
    sizes = {"input_len": 4096.0, "output_len": 1.0, "vector_work": "off", "accounting": "layers"}
    scenario = on_h200(RWKV_LIKE, compute_bits=0.0, operand_bits=8.0, **sizes)
    point, none = evaluate_x64(*scenario), evaluate_x64(*scenario.but(state_flops=0.0))
    work = 4096 * 24 * 6 * 32 * 64 * 64
    assert point.ttft - none.ttft == pytest.approx(work / (scenario["peak_flops"] / 2), rel=1e-9)


def test_an_engine_runs_a_recurrent_mixers_kernels_in_place_of_attentions():
    # 36 of 6, 12 of 6, 48 of 6 and 4 for the shared expert
    assert overlay.kernels_per_step(QWEN3_NEXT, Deployment()) == 36 * 6 + 12 * 6 + 48 * 10
    # 23 of 6, 6 of 6, 23 of 10
    assert overlay.kernels_per_step(NEMOTRON_NANO, Deployment()) == 23 * 6 + 6 * 6 + 23 * 10


@pytest.mark.parametrize("llm", [QWEN3_NEXT, NEMOTRON_NANO], ids=["delta", "mamba"])
def test_with_nothing_lost_a_calibrated_step_is_the_limit(llm):
    point = evaluate_x64(*on_h200(llm, tp_size=4.0, batch_size=9.0, roofline="operator"))
    assert point.calibrated_t_step == pytest.approx(point.t_step, rel=1e-12)


RECURRENT = ("recurrent", "recurrent_moe")
UNSHARED = {"num_shared_kv_layers": 0.0, "num_k_eq_v_layers": 0.0}
OF_STATES = ("num_state_heads", "state_key_dim", "state_value_dim", "conv_channels", "conv_columns")


@law(scenario=scenarios(architectures=RECURRENT, feasible=None), factor=st.integers(2, 10))
def test_more_state_never_helps(scenario, factor):
    split = scenario.but(kv_sharding="split", mem_capacity=1e18)  # by heads, more heads save copies
    names = [*OF_STATES, "state_bits", "state_flops"]
    if scenario.deployment.accounting != "nominal":  # where their share takes from other parts
        names.append("recurrent_params")
    now, *each = yield [split, *(split.scaled(float(factor), [name]) for name in names)]
    for name, more in zip(names, each, strict=True):
        assert never_less(now.utps, more.utps), name
        assert never_less(now.max_batch_size, more.max_batch_size), name
        assert never_less(more.kv_bytes, now.kv_bytes), name


@law(scenario=scenarios(architectures=("recurrent",)), more=st.integers(1, 10**6))
def test_a_step_without_heads_takes_as_long_at_any_length(scenario, more):
    layers = scenario["num_layers"]
    halves = {"num_ffn_only_layers": 0.0, "num_mixer_only_layers": 0.0}
    alone = scenario.but(num_recurrent_layers=layers, mem_capacity=1e18, **halves, **UNSHARED)
    short, long = yield alone, alone.but(seq_len=scenario["seq_len"] + more)
    for metric in ("t_step", "kv_bytes", "kv_traffic", "max_batch_size", "flops"):
        assert getattr(short, metric) == getattr(long, metric), metric


@law(scenario=scenarios(architectures=RECURRENT, feasible=None), more=st.integers(1, 10**6))
def test_states_do_not_grow_with_the_context(scenario, more):
    counts = ("num_layers", "num_recurrent_layers", "num_ffn_only_layers")
    layers, states, ffns = (scenario[name] for name in counts)
    split = scenario.but(kv_sharding="split", **UNSHARED)
    empty, short, long = yield [split.but(seq_len=n) for n in (0.0, float(more), 2.0 * more)]
    width = scenario["head_dim"] + (scenario["value_head_dim"] or scenario["head_dim"])
    cached = (layers - states - ffns) * scenario["num_kv_heads"] * width
    bits = scenario["kv_bits"] or scenario["cache_bits"]
    grown = scenario["pp_size"] * scenario["batch_size"] * more * cached * bits / 8
    assert short.kv_bytes - empty.kv_bytes == pytest.approx(grown, rel=1e-9, abs=1e-3)
    assert long.kv_bytes - short.kv_bytes == pytest.approx(grown, rel=1e-9, abs=1e-3)


@pytest.mark.slow  # of every architecture the gate has them in test_prefill.py
@law(scenario=scenarios(combinations=SLOPED, architectures=RECURRENT, requested=True))
def test_slopes_of_a_request_are_finite(scenario):
    slopes = yield Slopes(scenario.but(mem_capacity=1e18), "ttft")
    assert all(math.isfinite(slope) for slope in slopes.values())


@pytest.mark.parametrize("kv_sharding", ["split", "heads"])
@pytest.mark.parametrize("llm", [QWEN3_NEXT, NEMOTRON_NANO, RWKV_LIKE])
def test_a_promise_of_no_states_is_what_a_model_without_them_is(llm, kv_sharding):
    changes = {"num_recurrent_layers": 0.0, "num_ffn_only_layers": 0.0}
    plain = dataclasses.replace(llm, **changes, num_mixer_only_layers=0.0)
    scenario = on_h200(plain, tp_size=8.0, kv_sharding=kv_sharding)
    promised = dataclasses.replace(
        scenario.deployment, recurrent_layers=False, partial_layers=False, latent_experts=False
    )
    general = evaluate_x64(*scenario)
    special = evaluate_x64(*scenario._replace(deployment=promised))
    for name, value in vars(general).items():
        np.testing.assert_allclose(getattr(special, name), value, rtol=1e-14, err_msg=name)
