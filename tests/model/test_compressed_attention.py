"""Compressed attention by hand, for DeepSeek-V4-Pro: 31 layers of 128:1 and 30 of 4:1, top 1024.

At 65,536 tokens a layer of the first kind has 512 entries, one of the second 16,384; each reads a
window of 128 tokens beside.
"""

import dataclasses

import pytest

from jaxlimits.model import heads, kv_cache
from jaxlimits.model.attention import compressed, compressed_sparse, shared_kv, sparse
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.operators import step_operators
from jaxlimits.model.weights import count_weights, stored_weights
from tests.helpers import PAPER_SHARING, evaluate_x64, named_scenario, of_all_groups
from tests.long_contexts import DEEPSEEK_V4_FLASH, DEEPSEEK_V4_PRO, MINIMAX_M3

pytestmark = pytest.mark.usefixtures("x64")

PRO, FLASH = DEEPSEEK_V4_PRO, DEEPSEEK_V4_FLASH
LONG = Deployment(seq_len=65_536.0, vector_work="off")
MILLION = Deployment(seq_len=1_048_576.0, vector_work="off")
PROMPT = Deployment(batch_size=2.0, seq_len=1024.0, query_tokens=256.0)  # 4 chunks
stored_span, read_span = map(of_all_groups, (kv_cache.stored_span, kv_cache.read_span))
V32 = named_scenario("deepseek-v3.2", "h200").llm


def step(llm, deployment):
    return step_operators(llm, deployment).named()


# Totals of transformers 5.24.0's classes on the meta device, all parameters and those of a token.
TOTALS = {
    "DeepseekV4ForCausalLM, Pro": (PRO, 1_572_997_179_491, 49_779_058_787),
    "DeepseekV4ForCausalLM, Flash": (FLASH, 284_332_230_231, 13_799_622_231),
    # 57 * 2 * 128 weights of index norms are left out.
    "MiniMaxM3VLForCausalLM": (MINIMAX_M3, 426_174_565_632 - 14_592, 25_962_466_560 - 14_592),
}


@pytest.mark.parametrize(("llm", "total", "active"), TOTALS.values(), ids=TOTALS)
def test_totals_are_those_of_the_published_classes(llm, total, active):
    counted = count_weights(llm, Deployment())
    assert stored_weights(counted, experts=llm.num_experts) == total
    assert stored_weights(counted, experts=llm.experts_per_token) == active


def test_heads_of_one_layer():
    # 7168 * 1536 + 1536 * 128 * 512 + 7168 * 512
    assert heads.projections(PRO, LONG) == 11_010_048 + 100_663_296 + 3_670_016
    # 16 groups of 8 heads: 16 * (8 * 512 * 1024 + 1024 * 7168)
    assert heads.output_projection(PRO, LONG) == 67_108_864 + 117_440_512
    assert heads.kv_elements(PRO, LONG) == 512
    # 128 heads, 512 products of a score and 512 of a value
    assert heads.pair_flops(PRO, LONG) == heads.prefill_pair_flops(PRO, LONG) == 262_144


def test_without_latents_the_projections_are_full():
    plain = dataclasses.replace(PRO, q_lora_rank=0.0, o_lora_rank=0.0)
    assert heads.projections(plain, LONG) == 7168 * 128 * 512 + 7168 * 512
    assert shared_kv.output_projection(plain, LONG) == 128 * 512 * 7168


def test_the_cache_is_half_of_one_head_of_keys_and_values():
    usual = dataclasses.replace(PRO, shared_kv_head_dim=0.0, head_dim=512.0)
    assert heads.kv_elements(usual, LONG) == 2 * heads.kv_elements(PRO, LONG)
    assert heads.pair_flops(usual, LONG) == heads.pair_flops(PRO, LONG)


def test_compressors_of_one_layer():
    one = compressed.compressor(PRO)
    assert one.weights(PRO) == 7_340_032  # 2 * 7168 * 512
    assert one.norms() == 66_048  # 512 + 128 * 512
    assert one.state() == 131_072  # 128 tokens * 2 * 512
    # 4 * 7168 * 512, 4 * 7168 * 128, and index heads 1536 * 64 * 128 + 7168 * 64
    assert compressed_sparse.weights(PRO) == 14_680_064 + 3_670_016 + 13_041_664
    # 512 + 4 * 2 * 512, 128 + 4 * 2 * 128
    assert compressed_sparse.norms(PRO) == 4608 + 1152
    # 8 tokens * 2 * 2 * (512 + 128), in 30 layers
    assert compressed_sparse.state(PRO) == 30 * 20_480


def test_entries_and_windows_are_stored_and_read():
    # 31 * (128 + 512) + 30 * (128 + 16,384); of the latter 1024 are read
    assert stored_span(PRO, LONG) == 19_840 + 495_360
    assert read_span(PRO, LONG) == 19_840 + 34_560


def test_layers_of_the_window_alone_keep_it_alone():
    # 2 * 128 + 20 * (128 + 512) + 21 * (128 + 16,384)
    assert stored_span(FLASH, LONG) == 256 + 12_800 + 346_752


def test_a_context_within_window_and_selection_is_read_whole():
    short = Deployment(seq_len=100.0)
    # 61 * 100 and 31 * 100 / 128 and 30 * 100 / 4
    assert read_span(PRO, short) == stored_span(PRO, short) == 6874.21875


def test_a_sequence_keeps_states_whatever_its_context():
    # 31 * 131,072 * 4 B and 30 * 20,480 * 4 B
    assert kv_cache.sequence_bytes(PRO, Deployment(seq_len=0.0)) == 16_252_928 + 2_457_600
    # 515,200 * 512 B, keys of 30 * 16,384 * 128 B, and the states
    assert kv_cache.sequence_bytes(PRO, LONG) == 263_782_400 + 62_914_560 + 18_710_528
    by_heads = Deployment(seq_len=65_536.0, tp_size=8.0, kv_sharding="heads")
    assert kv_cache.sequence_bytes(PRO, by_heads) == 8 * 345_407_488


def test_one_step_reads_selected_entries_all_keys_and_rows_of_states():
    found = step(PRO, dataclasses.replace(LONG, batch_size=3.0))
    assert found["attention"].kv_traffic == 3 * 54_400 * 512
    assert found["attention"].tensor_flops == 3 * 54_400 * 262_144
    # 31 layers, 2 * 512 elements of 4 B written and as many read
    assert found["compressor"].kv_traffic == 3 * 253_952
    assert found["compressor"].tensor_flops == found["compressor"].weight_traffic == 0.0
    # 30 layers: 16,384 keys of 128 B, and 2560 elements of 4 B written and read
    assert found["compressed_indexer"].kv_traffic == 3 * (62_914_560 + 614_400)
    assert found["compressed_indexer"].tensor_flops == 3 * 491_520 * 16_384


def test_keys_are_read_once_and_scored_by_every_query_token():
    one, five = step(PRO, LONG), step(PRO, dataclasses.replace(LONG, query_tokens=5.0))
    key, more = (found["compressed_indexer"] for found in (one, five))
    assert more.tensor_flops == 5 * key.tensor_flops
    assert more.kv_traffic - key.kv_traffic == 4 * 614_400  # rows of states, a token


def test_vector_work_of_one_layer():
    # Pooling 8 * 512, and of an entry in 128 tokens 7 * 512
    assert compressed.compressor(PRO).vector_flops() == 4096 + 28
    # 8 * 2 * (512 + 128) + 7 * (512 + 128) / 4, and 3 * 64 * 128 of index heads
    assert compressed_sparse.vector_flops(PRO) == 10_240 + 1120 + 24_576


def test_a_prompt_attends_to_windows_and_entries_so_far():
    # 128 * 1024 - 128^2 / 2 pairs within the window; 1024^2 / 2 / 128 with entries
    assert compressed.causal_pairs(PRO, PROMPT) == 122_880 + 4096
    # All 256 entries are fewer than 1024: 1024^2 / 2 / 4
    assert compressed_sparse.causal_pairs(PRO, PROMPT) == 122_880 + 131_072
    # Of 64 selected: 4 * (64 * 256 - 64^2 / 2)
    few = dataclasses.replace(PRO, index_topk=64.0)
    assert compressed_sparse.causal_pairs(few, PROMPT) == 122_880 + 57_344


def test_each_chunk_of_a_prompt_reads_a_window_and_the_entries_so_far():
    # 256 + 3 * (128 + 256) tokens, and 256 + 512 + 768 + 1024 over 128 or 4
    assert compressed.prefill_read(PRO, PROMPT) == 1408 + 20
    assert compressed_sparse.prefill_read(PRO, PROMPT) == 1408 + 640


def test_a_prompt_is_scored_against_the_keys_of_entries_so_far():
    work = compressed_sparse.prefill(PRO, PROMPT)
    pairs = 7_864_320  # 2 prompts * 30 layers * 1024^2 / 2 / 4
    assert work.tensor_flops == pairs * 16_384
    assert work.vector_flops == pairs * 193  # 3 * 64 + 1
    # 2 prompts * 30 layers * 2560 / 4 keys of 128 B; states in and out in 4 chunks
    assert work.kv_traffic == 4_915_200 + 2 * 4 * 2 * 2_457_600
    assert compressed.prefill(PRO, PROMPT).kv_traffic == 2 * 4 * 2 * 16_252_928


def test_the_papers_reading_compresses_nothing():
    paper = dataclasses.replace(LONG, attention_span="full")
    assert kv_cache.sequence_bytes(PRO, paper) == 61 * 65_536 * 512
    assert not {"compressor", "compressed_indexer"} & step(PRO, paper).keys()


def test_a_point_of_the_model_by_hand():
    chip = named_scenario("deepseek-v3", "h200").chip
    sixteen = dataclasses.replace(LONG, tp_size=16.0, collectives="fixed", **PAPER_SHARING)
    point = evaluate_x64(chip, PRO, sixteen)
    # 54,400 * 512 + 63,528,960 + 253,952
    assert point.kv_traffic == 91_635_712
    assert point.kv_bytes == 345_407_488
    assert point.weight_bytes == 1_572_997_179_491
    # Two a weight of a token but its row of the embedding, norms and 61 * 128 sinks; then
    # attention and scores.
    beside = 129_280 * 7168 + 61 * (14_336 + 2048 + 128) + 7168 + 31 * 66_048 + 30 * 5760
    beside += 4 * (4 * 7168 + 1) + 1  # the last mapping of the streams
    assert point.flops == 2 * (49_779_058_787 - beside) + 54_400 * 262_144 + 491_520 * 16_384


# The report's first figure, for one million tokens: V4-Pro has 10 % of V3.2's cache, V4-Flash 7 %.
@pytest.mark.parametrize(("llm", "share"), [(PRO, 0.10), (FLASH, 0.07)])
def test_the_published_share_of_the_cache_of_deepseek_v32(llm, share):
    with_fp4_keys = dataclasses.replace(MILLION, index_bits=4.0)
    own = kv_cache.sequence_bytes(llm, with_fp4_keys)
    assert own / kv_cache.sequence_bytes(V32, MILLION) == pytest.approx(share, abs=0.005)


def test_the_published_share_of_the_work_of_deepseek_v32():
    # 27 % by the report; for V4-Flash it states 10 %, where this counts 12 %.
    work = {
        name: sum(each.tensor_flops for each in step(llm, MILLION).values())
        for name, llm in (("pro", PRO), ("flash", FLASH), ("v3.2", V32))
    }
    assert work["pro"] / work["v3.2"] == pytest.approx(0.27, abs=0.01)
    assert work["flash"] / work["v3.2"] == pytest.approx(0.12, abs=0.005)


def test_blocks_need_no_weights_of_heads():
    # 6144 * 4 * 128 + 6144 * 128
    assert sparse.index_weights(MINIMAX_M3) == 3_145_728 + 786_432
    single = dataclasses.replace(MINIMAX_M3, index_block_size=0.0)
    assert sparse.index_weights(single) == 3_932_160 + 6144 * 4


def test_scores_are_compared_within_blocks_and_blocks_with_each_other():
    assert sparse.index_pair_flops(MINIMAX_M3) == 1024  # 2 * 4 * 128
    assert sparse.index_pair_vector_flops(MINIMAX_M3) == 4.03125  # 4 + 4 / 128
    # 4 * 128 of the key's norm; 3 * 5 * 128 of rotations, whole heads as those of attention
    assert sparse.index_vector_flops(MINIMAX_M3) == 512 + 1920


def test_blocks_keep_every_token_and_read_the_selected():
    # 60 * 65,536 of 2 * 4 * 128 B; keys of 57 * 65,536 * 128 B
    assert kv_cache.sequence_bytes(MINIMAX_M3, LONG) == 4_026_531_840 + 478_150_656
    found = step(MINIMAX_M3, LONG)
    # 3 full layers and 57 of 2048 tokens
    assert found["attention"].kv_traffic == (3 * 65_536 + 57 * 2048) * 1024
    assert found["indexer"].kv_traffic == 478_150_656
    assert found["indexer"].tensor_flops == 57 * 65_536 * 1024
