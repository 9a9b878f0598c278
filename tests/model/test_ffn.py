"""Shapes of feed-forward parts: gated or not, on a latent, shared ones of another width."""

import dataclasses

import pytest

from jaxlimits.model import collectives, ffn, vector, weights
from jaxlimits.model.attention import sparse
from jaxlimits.model.communication import exchanges
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.overlay import activation_pass
from tests.helpers import evaluate_x64, named_scenario
from tests.hybrids import NEMOTRON_NANO

pytestmark = pytest.mark.usefixtures("x64")

HERE = Deployment()
LLAMA = named_scenario("llama3-8b", "h100").llm
DEEPSEEK = named_scenario("deepseek-v3", "h200").llm
SPARSE = named_scenario("deepseek-v3.2", "h200").llm
SUPER = dataclasses.replace(
    NEMOTRON_NANO,
    # Nemotron-3-Super: 512 experts of 2688 on a latent of 1024 beside a stream of 4096, 22 a token;
    # one shared expert of 5376.
    hidden_size=4096.0,
    num_moe_layers=40.0,
    num_layers=88.0,
    num_recurrent_layers=40.0,
    num_ffn_only_layers=40.0,
    num_mixer_only_layers=48.0,
    num_experts=512.0,
    experts_per_token=22.0,
    moe_intermediate_size=2688.0,
    shared_intermediate_size=5376.0,
    expert_hidden_size=1024.0,
)


def test_a_layer_has_three_matrices_with_a_gate_and_two_without():
    # 3 * 4096 * 14336, and 2 * 4096 * 14336
    assert ffn.dense_weights(LLAMA) == 176_160_768
    plain = dataclasses.replace(LLAMA, ffn_matrices=2.0)
    assert ffn.dense_weights(plain) == 117_440_512
    assert ffn.expert_weights(DEEPSEEK, HERE) == 44_040_192  # 3 * 7168 * 2048
    assert ffn.expert_weights(NEMOTRON_NANO, HERE) == 9_977_856  # 2 * 2688 * 1856


def test_an_activation_without_a_gate_costs_one_operation_less():
    assert (vector.activation_flops(3.0), vector.activation_flops(2.0)) == (6.0, 5.0)
    plain = dataclasses.replace(LLAMA, ffn_matrices=2.0)
    gated = vector.ffn_vector_flops(LLAMA, HERE)
    assert gated - vector.ffn_vector_flops(plain, HERE) == 32 * 14_336


def test_widths_of_blocks_count_by_their_mean():
    # Blocks of 10,000 and 20,001 in two layers each are four of 15,000.5.
    mean = dataclasses.replace(LLAMA, num_layers=4.0, intermediate_size=15_000.5)
    blocks = sum(2 * 3 * 4096 * width for width in (10_000, 20_001))
    assert weights.layer_weights(mean, HERE).ffn == blocks
    assert vector.ffn_vector_flops(mean, HERE) == 6 * 60_002 + 4 * 5 * 4096


def test_a_shared_expert_has_a_width_of_its_own():
    assert ffn.shared_width(DEEPSEEK, HERE) == 2048
    assert ffn.shared_weights(NEMOTRON_NANO, HERE) == 19_955_712  # 2 * 2688 * 3712
    # 23 of them, no dense layer
    assert weights.layer_weights(NEMOTRON_NANO, HERE).ffn == 23 * 19_955_712


def test_experts_on_a_latent_are_as_wide_and_every_token_goes_down_and_up():
    # one expert 2 * 1024 * 2688; down and up 2 * 4096 * 1024; shared 2 * 4096 * 5376
    assert ffn.expert_weights(SUPER, HERE) == 5_505_024
    assert ffn.latent_weights(SUPER) == 8_388_608
    layers = weights.layer_weights(SUPER, HERE)
    assert layers.expert == 40 * 5_505_024
    assert layers.ffn == 40 * (8_388_608 + 44_040_192)
    assert layers.router == 40 * 4096 * 512  # on the stream itself


def test_what_experts_give_is_summed_in_the_latent():
    # 40 * 22 * (5 * 2688 + 2 * 1024)
    assert vector.expert_vector_flops(SUPER, HERE) == 880 * 15_488


def test_tokens_go_to_experts_in_the_latents_width():
    placed = Deployment(tp_size=4.0, dp_size=4.0, ep_size=16.0, batch_size=8.0)
    # 8 * 22 * 1024 * 2 B from 4 chips; all-reduces and hops move 4096 elements
    assert collectives.routed_bytes(SUPER, placed) == 8 * 22 * 2048 / 4
    assert collectives.activation_bytes(SUPER, placed) == 8 * 8192
    found = exchanges(SUPER, None, placed)
    assert found.ep_volume == pytest.approx(80 * 22 * 2048 * 15 / 16, rel=1e-12)
    assert found.tp_volume == 2 * 3 * found.tp_collectives * 8192


def test_an_engine_moves_activations_of_experts_in_that_width():
    chip = named_scenario("llama3-8b", "h200").chip
    seconds = activation_pass(chip, SUPER, HERE)
    assert seconds == pytest.approx(2 * 22 * 1024 * 40 / 4.8e12, rel=1e-12)


def test_a_latent_as_wide_as_the_stream_adds_its_projections_alone():
    scenario = named_scenario("deepseek-v3", "h200", tp_size=8.0)
    same = evaluate_x64(*scenario.but(expert_hidden_size=7168.0))
    plain = evaluate_x64(*scenario)
    assert same.weight_bytes - plain.weight_bytes == 58 * 2 * 7168**2


def test_a_selection_that_layers_share_is_scored_once():
    # 21 of 61 sparse layers have an indexer (13,959,168 weights, 128 B a token).
    shared = dataclasses.replace(SPARSE, num_indexer_layers=21.0)
    deployment = Deployment(seq_len=1000.0)
    assert sparse.index_bytes(SPARSE, deployment) == 61 * 1000 * 128
    assert sparse.index_bytes(shared, deployment) == 21 * 1000 * 128
    every, some = (weights.layer_weights(llm, deployment) for llm in (SPARSE, shared))
    assert every.projections - some.projections == 40 * 13_959_168
    assert sparse.KIND.part.vector_flops(shared) == 21 * sparse.index_vector_flops(SPARSE)
    for work in (sparse.decode, sparse.prefill):
        whole, part = work(SPARSE, deployment), work(shared, deployment)
        assert 61 * part.tensor_flops == 21 * whole.tensor_flops
        assert 61 * part.kv_traffic == pytest.approx(21 * whole.kv_traffic, rel=1e-12)
