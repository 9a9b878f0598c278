"""Heads by hand where they differ: value heads, windowed layers' own, gates, shared caches."""

import dataclasses

import numpy as np
import pytest

from jaxlimits.model import heads, kv_cache, vector, weights
from jaxlimits.model.attention import gqa
from jaxlimits.model.collectives import tp_collectives
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.head_groups import head_groups
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import step_operators
from jaxlimits.model.prefill import prefill_operators
from tests.helpers import evaluate_x64, named_scenario, one_in
from tests.other_heads import GEMMA_3N, GEMMA_4, MIMO, QWEN_3_NEXT

pytestmark = pytest.mark.usefixtures("x64")

LAYERS = Deployment(accounting="layers")
FULL = Deployment()


def test_layers_of_mimo_v2_flash_are_two_groups():
    # full:      4096 * (64 * 192 + 4 * 192 + 4 * 128) = 55,574,528
    # windowed:  4096 * (64 * 192 + 8 * 192 + 8 * 128) = 60,817,408
    # output:    64 * 128 * 4096                       = 33,554,432 in both
    full, windowed = head_groups(MIMO, FULL)
    assert (full.count, windowed.count) == (9, 39)
    assert gqa.projections(full.llm, FULL) == 55_574_528
    assert gqa.projections(windowed.llm, FULL) == 60_817_408
    counted = weights.count_weights(MIMO, LAYERS)
    assert counted.projections == 9 * 55_574_528 + 39 * 60_817_408
    assert counted.output == 48 * 33_554_432


def test_mimo_v2_flash_has_308_778_768_832_parameters():
    # attention                                    4,482,662,400
    # dense layer  3 * 4096 * 16384              =   201,326,592
    # MoE layers   47 * (256 * 3 * 4096 * 2048 + 4096 * 256) = 302,844,477,440
    # tables       2 * 152,576 * 4096            = 1,249,902,592
    # norms        48 * 2 * 4096 + 4096          =       397,312, sinks 39 * 64 = 2,496
    counted = weights.count_weights(MIMO, FULL)
    assert weights.stored_weights(counted, experts=256.0) == 308_778_768_832
    assert weights.stored_weights(counted, experts=8.0) == 15_445_924_288


def test_mimo_v2_flash_caches_222_720_bytes_a_token():
    # full: 9 * 4 * (192 + 128) * 2 B = 23,040; windowed: 39 * 8 * (192 + 128) * 2 B = 199,680
    assert kv_cache.sequence_bytes(MIMO, Deployment(seq_len=1)) == 222_720
    # beyond the window 23,040 B a token and 128 * 199,680 B
    long = kv_cache.sequence_bytes(MIMO, Deployment(seq_len=10_000))
    assert long == 10_000 * 23_040 + 25_559_040


def test_every_group_scores_with_its_own_heads_and_reads_its_own_cache():
    sizes = Deployment(batch_size=3, seq_len=1000, query_tokens=2)
    work = step_operators(MIMO, sizes).attention
    # 3 * 2 * (9 * 1000 + 39 * 128) pairs of 64 heads, 2 * (192 + 128) FLOP and 5 of the softmax
    assert work.tensor_flops == 6 * (9_000 + 4_992) * 64 * 640
    assert work.vector_flops == 6 * (9_000 + 4_992) * 64 * 5
    assert work.kv_traffic == 3 * (9_000 * 2_560 + 4_992 * 5_120)


def test_windowed_layers_may_have_another_number_of_query_heads():
    # As Step-3.5: 64 heads, in windowed layers 96, each with one gate. 3 of 4 layers are windowed.
    model = LLM(
        num_layers=4,
        hidden_size=4096,
        vocab_size=1000,
        num_heads=64,
        num_kv_heads=8,
        head_dim=128,
        num_windowed_layers=3,
        sliding_window=512,
        windowed_num_heads=96,
        attention_gate_dim=1,
    )
    counted = weights.count_weights(model, LAYERS)
    # 4096 * (64 * 128 + 2 * 8 * 128 + 64), and 96 for 64
    full, windowed = 4096 * (8_192 + 2_048 + 64), 4096 * (12_288 + 2_048 + 96)
    assert counted.projections == full + 3 * windowed
    assert counted.output == 4096 * 128 * (64 + 3 * 96)
    prompt = Deployment(seq_len=512, query_tokens=512, vector_work="off")
    # 512^2 / 2 pairs, 4 * 128 FLOP a head
    scores = prefill_operators(model, prompt).attention.tensor_flops
    assert scores == 131_072 * 512 * (64 + 3 * 96)


def test_heads_keep_their_widths_where_windows_do_not_count():
    everywhere = Deployment(seq_len=1000, attention_span="full")
    # 9 layers of 2,560 B and 39 of 5,120 B a token
    assert kv_cache.sequence_bytes(MIMO, everywhere) == 1000 * (9 * 2_560 + 39 * 5_120)


def test_chips_beyond_the_kv_heads_of_a_group_hold_copies_of_its_cache():
    eight = Deployment(seq_len=1, tp_size=8, kv_sharding="heads")
    # 4 heads twice on 8 chips, 8 heads once
    assert kv_cache.sequence_bytes(MIMO, eight) == 2 * 23_040 + 199_680


def test_only_layers_with_fewer_kv_heads_than_chips_combine_partial_attention():
    # 3 collectives in each of 9 full layers, of 4 heads, 2 in the others: 27 + 78
    dense = dataclasses.replace(MIMO, num_moe_layers=0.0)
    derived = Deployment(tp_size=8, collectives="derived", kv_sharding="split")
    assert tp_collectives(dense, derived) == 105
    assert tp_collectives(dense, dataclasses.replace(derived, tp_size=16.0)) == 3 * 48
    assert tp_collectives(dense, dataclasses.replace(derived, tp_size=4.0)) == 2 * 48


def test_layers_that_share_a_cache_of_gemma_3n_hold_no_keys_and_values():
    # query and output: 2048 * 8 * 256 = 4,194,304 each; keys and values 2 * 2048 * 512 = 2,097,152
    counted = weights.count_weights(GEMMA_3N, LAYERS)
    assert counted.projections == 35 * 4_194_304 + 20 * 2_097_152
    assert counted.output == 35 * 4_194_304
    # a token in 20 of 35 layers: 2 * 2 * 256 elements of 2 B
    assert kv_cache.sequence_bytes(GEMMA_3N, Deployment(seq_len=1)) == 20 * 2_048
    long = kv_cache.sequence_bytes(GEMMA_3N, Deployment(seq_len=10_000))
    assert long == 2_048 * (4 * 10_000 + 16 * 512)


def test_every_layer_reads_the_cache_that_it_shares():
    work = step_operators(GEMMA_3N, Deployment(seq_len=10_000))
    assert work.attention.kv_traffic == 2_048 * (7 * 10_000 + 28 * 512)
    # 7 * 10,000 + 28 * 512 pairs of 8 heads, 4 * 256 FLOP
    assert work.attention.tensor_flops == 84_336 * 8 * 1_024
    # 4 * 2048 of the norm and 3 * 8 * 256 of queries; 3 * 2 * 256 of keys in 20 layers
    assert work.projections.vector_flops == 35 * (8_192 + 6_144) + 20 * 1_536


def test_further_weights_are_multiplied_and_further_tables_are_looked_up():
    bare = dataclasses.replace(GEMMA_3N, extra_params=0, extra_embedding_params=0)
    with_all, without = (weights.count_weights(model, FULL) for model in (GEMMA_3N, bare))
    assert with_all.ffn - without.ffn == 89_391_104
    # 262,144 rows of 35 * 256 elements beside the tied table
    assert (with_all.embedding, without.embedding) == (2_348_810_240, 0)
    assert weights.count_weights(GEMMA_3N, LAYERS).ffn == without.ffn
    five = Deployment(batch_size=5, weight_bits=16)
    looked_up = step_operators(GEMMA_3N, five).lm_head.weight_traffic
    # the LM head, 262,400 * 2048, and 5 rows of the table and of the further one
    assert looked_up == 2 * (537_395_200 + 5 * (2_048 + 8_960))
    one = step_operators(GEMMA_3N, FULL).ffn.tensor_flops
    assert one == 2 * (35 * 3 * 2_048 * 16_384 + 89_391_104)


def test_a_proposing_layer_has_its_share_of_what_is_in_no_part():
    sizes = {"speculation": "mtp", "draft_length": 1.0, "weight_bits": 8.0, "seq_len": 0.0}
    fields = {name: getattr(GEMMA_3N, name) for name in vars(GEMMA_3N)}
    scenario = named_scenario("llama3-8b", "h200", mem_capacity=1e12, **fields, **sizes)
    own = evaluate_x64(*scenario.but(speculation="off"))
    point = evaluate_x64(*scenario)
    # one mean layer: attention 335,544,320 / 35, FFN 3 * 2048 * 16384, extras / 35, last norm 2048
    layer = 335_544_320 / 35 + 100_663_296 + 89_391_104 / 35 + 2_048
    assert point.weight_bytes - own.weight_bytes == pytest.approx(layer, rel=1e-9)
    # which reads these, the LM head, a row of the table and a 35th of a row of the further one;
    # two tokens are verified instead of one
    rows = 2_048 + 8_960 / 35 + (2_048 + 8_960)
    read = layer + 537_395_200 + rows
    assert point.weight_traffic - own.weight_traffic == pytest.approx(read, rel=1e-9)


def test_layers_whose_values_are_their_keys_cache_both_but_project_once():
    counted = weights.count_weights(GEMMA_4, LAYERS)
    # full: 5376 * 512 * (32 + 4); windowed: 5376 * 256 * (32 + 2 * 16)
    assert counted.projections == 99_090_432 + 5 * 88_080_384
    assert counted.output == 5376 * 32 * (512 + 5 * 256)
    # full: 2 * 4 * 512 * 2 B = 8,192; windowed: 2 * 16 * 256 * 2 B = 16,384
    assert kv_cache.sequence_bytes(GEMMA_4, Deployment(seq_len=1)) == 8_192 + 5 * 16_384


def test_the_gate_of_qwen3_next_is_as_wide_as_its_queries():
    # query and gate 2048 * 16 * 512 = 16,777,216, keys and values 2 * 2048 * 512 = 2,097,152
    assert heads.projections(QWEN_3_NEXT, FULL) == 18_874_368
    assert heads.output_projection(QWEN_3_NEXT, FULL) == 8_388_608
    # 16 heads of 256 elements: a sigmoid of 4 and a product
    assert heads.gate_vector_flops(QWEN_3_NEXT, FULL) == 16 * 256 * 5
    bare = dataclasses.replace(QWEN_3_NEXT, attention_gate_dim=0)
    gated, plain = (step_operators(model, FULL).projections for model in (QWEN_3_NEXT, bare))
    assert gated.vector_flops - plain.vector_flops == 20_480
    assert gated.tensor_flops - plain.tensor_flops == 2 * 8_388_608
    # one gate a head: 16 sigmoids, 16 * 256 products
    one = dataclasses.replace(QWEN_3_NEXT, attention_gate_dim=1)
    assert heads.gate_vector_flops(one, FULL) == 16 * 4 + 4_096 * vector.PRODUCT


def test_a_latent_that_is_shared_is_not_projected_again():
    model = named_scenario("deepseek-v3", "h200", num_shared_kv_layers=20.0).llm
    plain = dataclasses.replace(model, num_shared_kv_layers=0.0)
    counted, whole = (weights.count_weights(each, LAYERS) for each in (model, plain))
    # 20 layers without 7168 * (512 + 64)
    assert whole.projections - counted.projections == 20 * 4_128_768
    # 576 elements in 41 of 61 layers
    assert kv_cache.sequence_bytes(model, Deployment(seq_len=1)) == 41 * 576


FLAGS = ("value_heads", "attention_gates", "windowed_heads", "shared_kv", "extra_weights")


@pytest.mark.parametrize("accounting", one_in(3, ["full", "layers", "nominal"]))
@pytest.mark.parametrize(
    "name", one_in(2, ["llama3-8b", "gpt-oss-20b", "deepseek-v3.2", "llama4-scout"])
)
def test_parts_that_a_model_lacks_are_exactly_nothing(name, accounting):
    sizes = {"batch_size": 3.0, "seq_len": 3000.0, "input_len": 500.0, "collectives": "derived"}
    traced = named_scenario(name, "h200", tp_size=16.0, accounting=accounting, **sizes)
    spared = dataclasses.replace(traced.deployment, **dict.fromkeys(FLAGS, False))
    found, expected = evaluate_x64(*traced), evaluate_x64(*traced._replace(deployment=spared))
    for metric, value in vars(expected).items():
        np.testing.assert_allclose(getattr(found, metric), value, rtol=1e-14, err_msg=metric)
