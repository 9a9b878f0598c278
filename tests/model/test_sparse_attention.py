"""Sparse attention by hand, for DeepSeek-V3.2: 61 sparse layers, 64 index heads, top 2048."""

import dataclasses

import numpy as np
import pytest

from jaxlimits.model import kv_cache
from jaxlimits.model.attention import sparse as kind
from jaxlimits.model.operators import step_operators
from tests.helpers import COMBINATIONS, evaluate_x64, named_scenario, of_all_groups, slow_but

pytestmark = pytest.mark.usefixtures("x64")

stored_span, read_span = map(of_all_groups, (kv_cache.stored_span, kv_cache.read_span))
LONG = {"seq_len": 100_000.0}


def sparse(**values):
    return named_scenario("deepseek-v3.2", "h200", **{"tp_size": 8.0, **LONG, **values})


def operators(**values):
    scenario = sparse(**{"vector_work": "off", **values})
    return step_operators(scenario.llm, scenario.deployment).named()


def test_an_indexer_holds_14_million_weights_a_layer():
    # 1536 * 64 * 128 + 7168 * 128 + 7168 * 64 = 12,582,912 + 917,504 + 458,752
    assert kind.index_weights(sparse().llm) == 13_959_168


def test_index_heads_without_a_query_latent_start_from_the_residual_stream():
    # 7168 * 64 * 128 + 917,504 + 458,752
    assert kind.index_weights(sparse(q_lora_rank=0.0).llm) == 60_096_512


def test_each_score_costs_two_flops_an_element_of_each_head():
    assert kind.index_pair_flops(sparse().llm) == 16_384  # 2 * 64 * 128


def test_all_tokens_are_stored_and_the_selected_are_read():
    scenario = sparse()
    assert stored_span(scenario.llm, scenario.deployment) == 6_100_000  # 61 * 100,000
    assert read_span(scenario.llm, scenario.deployment) == 124_928  # 61 * 2048


def test_a_context_within_the_selection_is_read_whole():
    scenario = sparse(seq_len=2000.0)
    assert read_span(scenario.llm, scenario.deployment) == 122_000  # 61 * 2000


def test_one_step_reads_the_selected_tokens_and_every_key():
    step = operators(batch_size=3.0)
    # 3 * 124,928 * 576 B; 3 * 61 * 100,000 * 128 B
    assert step["attention"].kv_traffic == 215_875_584
    assert step["indexer"].kv_traffic == 2_342_400_000
    # 3 * 124,928 * 278,528; 3 * 6,100,000 * 16,384
    assert step["attention"].tensor_flops == 104_387_837_952
    assert step["indexer"].tensor_flops == 299_827_200_000
    assert step["indexer"].weight_traffic == 0.0


def test_a_prompt_is_scored_against_the_keys_so_far_chunk_by_chunk():
    scenario = sparse(batch_size=2.0, seq_len=1000.0, query_tokens=250.0)
    work = kind.prefill(scenario.llm, scenario.deployment)
    pairs = 61_000_000  # 2 prompts * 61 layers * 1000^2 / 2
    assert work.tensor_flops == pairs * 16_384
    assert work.vector_flops == pairs * 193  # 3 * 64 + 1
    # 4 chunks read 250 + 500 + 750 + 1000 keys of 128 B, in 61 layers of 2 prompts
    assert work.kv_traffic == 2 * 61 * 2500 * 128
    assert work.weight_traffic == 0.0


def test_a_point_of_the_model_by_hand():
    point = evaluate_x64(*sparse(vector_work="off"))
    v3 = evaluate_x64(
        *named_scenario("deepseek-v3", "h200", tp_size=8.0, vector_work="off", **LONG)
    )
    # 124,928 * 576 + 61 * 100,000 * 128 = 71,958,528 + 780,800,000, where V3 reads 6.1e6 * 576
    assert point.kv_traffic == 852_758_528
    assert v3.kv_traffic == 3_513_600_000
    # 6.1e6 * (576 + 128), where V3 stores 6.1e6 * 576
    assert point.kv_bytes == 4_294_400_000
    # 61 indexers of 13,959,168 weights, and 256 norm weights and biases of their keys
    assert point.weight_bytes - v3.weight_bytes == 61 * (13_959_168 + 256)
    # 2 * 851,509,248 + 6.1e6 * 16,384 - (6,100,000 - 124,928) * 278,528
    assert point.flops - v3.flops == 1_703_018_496 + 99_942_400_000 - 1_664_224_854_016
    # 8 chips of 4.8 TB/s
    assert point.t_mem == pytest.approx((point.weight_traffic + 852_758_528) / 38.4e12, rel=1e-12)


def test_keys_with_their_scales_have_a_33rd_more_bytes():
    # 128 B and one scale of 4 B
    bare, scaled = operators(), operators(index_bits=8.25)
    assert scaled["indexer"].kv_traffic * 128 == bare["indexer"].kv_traffic * 132


def test_the_keys_are_read_once_and_scored_by_every_query_token():
    one, five = operators(), operators(query_tokens=5.0)
    assert five["indexer"].kv_traffic == one["indexer"].kv_traffic
    assert five["indexer"].tensor_flops == 5 * one["indexer"].tensor_flops


def test_by_heads_every_chip_holds_the_keys():
    split, heads = operators(), operators(kv_sharding="heads")
    assert heads["indexer"].kv_traffic == 8 * split["indexer"].kv_traffic
    assert heads["attention"].kv_traffic == 8 * split["attention"].kv_traffic


def test_vector_work_of_an_indexer():
    llm = sparse().llm
    # 4 * 128 + 3 * (64 + 1) * 64
    assert kind.index_vector_flops(llm) == 512 + 12_480
    assert kind.index_pair_vector_flops(llm) == 193  # 3 * 64 + 1


def test_the_papers_reading_has_no_indexer():
    full = sparse(attention_span="full", qk_norm_params=2048.0)
    v3 = named_scenario("deepseek-v3", "h200", tp_size=8.0, attention_span="full", **LONG)
    np.testing.assert_equal(vars(evaluate_x64(*full)), vars(evaluate_x64(*v3)))


def test_an_indexer_pays_only_in_long_contexts():
    # It reads 128 B a token and saves 576 B for each beyond 2048: as much at 2633.1 tokens.
    def gain(seq_len):
        scenario = sparse(seq_len=seq_len, accounting="layers")
        full = evaluate_x64(*scenario.but(attention_span="full"))
        return full.kv_traffic - evaluate_x64(*scenario).kv_traffic

    assert gain(2633.0) < 0.0 < gain(2634.0)


LLMS = ["llama3-70b", "gpt-oss-20b", "llama4-scout", "deepseek-v3"]


@pytest.mark.parametrize("combination", COMBINATIONS.values(), ids=COMBINATIONS)
@pytest.mark.parametrize("llm", slow_but(LLMS, "gpt-oss-20b", "deepseek-v3"))
def test_a_model_without_sparse_layers_needs_no_terms_for_them(llm, combination):
    scenario = named_scenario(llm, "h200", tp_size=8.0, **combination)
    spared = dataclasses.replace(scenario.deployment, sparse_attention=False)
    with_terms, without = (
        evaluate_x64(*scenario),
        evaluate_x64(*scenario._replace(deployment=spared)),
    )
    for name, value in vars(with_terms).items():
        assert getattr(without, name) == pytest.approx(value, rel=1e-14, nan_ok=True), name
