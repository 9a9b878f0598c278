"""Weights counted by hand."""

import pytest

from jaxlimits.model import ffn, heads, weights
from jaxlimits.model.attention import gqa, mla, query
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fields import switches
from tests.helpers import evaluate_x64, named_scenario
from tests.laws import law
from tests.strategies import scenarios

pytestmark = pytest.mark.usefixtures("x64")

LLAMA_70B = named_scenario("llama3-70b", "h100").llm
DEEPSEEK = named_scenario("deepseek-v3", "h200").llm
QWEN_4B = named_scenario("qwen3-4b", "h100").llm
GPT_OSS = named_scenario("gpt-oss-20b", "h100").llm

LAYERS = Deployment(accounting="layers")
ABSORBED = Deployment(accounting="layers", mla_weights="absorbed")
FULL = Deployment(accounting="full")
NOMINAL = Deployment(accounting="nominal")


def test_one_llama3_70b_layer_holds_855_638_016_weights():
    # query, key, value: 8192 * 128 * (64 + 2 * 8)                =  83,886,080
    # output:            64 * 128 * 8192                          =  67,108,864
    # feed-forward:      3 * 8192 * 28672                         = 704,643,072
    assert gqa.projections(LLAMA_70B, LAYERS) == 83_886_080
    assert heads.output_projection(LLAMA_70B, LAYERS) == 67_108_864
    assert ffn.dense_weights(LLAMA_70B) == 704_643_072
    counted = weights.count_weights(LLAMA_70B, LAYERS)
    assert counted.common == 80 * 855_638_016
    assert counted.router == counted.expert == counted.lm_head == counted.extras == 0.0


def test_llama3_70b_in_full_is_70_553_706_496():
    # layers:    80 * 855,638,016         = 68,451,041,280
    # embedding: 128,256 * 8192           =  1,050,673,152, and the LM head as much
    # norms:     80 * 2 * 8192 + 8192     =      1,318,912
    counted = weights.count_weights(LLAMA_70B, FULL)
    assert counted.lm_head == counted.embedding == 1_050_673_152
    assert counted.extras == 1_318_912
    assert weights.stored_weights(counted, experts=0.0) == 70_553_706_496


def test_one_llama3_405b_model_holds_401_646_551_040_weights_in_its_layers():
    # 16384 * 128 * (128 + 16) + 128 * 128 * 16384 + 3 * 16384 * 53248
    # = 301,989,888 + 268,435,456 + 2,617,245,696 = 3,187,671,040, times 126
    llm = named_scenario("llama3-405b", "h100").llm
    assert weights.count_weights(llm, LAYERS).common == 126 * 3_187_671_040 == 401_646_551_040


def test_stored_mla_has_187_105_280_weights_a_layer():
    # down to the query's rank:   7168 * 1536
    assert query.query_latent(DEEPSEEK) == 11_010_048
    # up to the query heads:      1536 * 128 * (128 + 64)    =  37,748,736
    # latent and rotary key:      7168 * (512 + 64)          =   4,128,768
    # latent to keys and values:  512 * 128 * (128 + 128)    =  16,777,216
    assert mla.projections(DEEPSEEK, LAYERS) == 58_654_720
    assert heads.projections(DEEPSEEK, LAYERS) == 69_664_768
    # output:                     128 * 128 * 7168           = 117,440,512
    assert heads.output_projection(DEEPSEEK, LAYERS) == 117_440_512


def test_absorbed_mla_has_598_147_072_weights_a_layer():
    # 7168 * 1536 + 1536 * 128 * (512 + 64) + 7168 * (512 + 64)
    # = 11,010,048 + 113,246,208 + 4,128,768
    assert heads.projections(DEEPSEEK, ABSORBED) == 128_385_024
    # 128 * 512 * 7168
    assert heads.output_projection(DEEPSEEK, ABSORBED) == 469_762_048


def test_mla_without_a_query_rank_has_one_full_query_matrix():
    llm = named_scenario("deepseek-v3", "h200", q_lora_rank=0.0).llm
    # 7168 * 128 * (128 + 64) + 7168 * 576 + 512 * 128 * 256
    # = 176,160,768 + 4,128,768 + 16,777,216
    assert mla.projections(llm, LAYERS) == 197_066_752


def test_grouped_query_models_have_no_mla_weights_and_the_reverse():
    assert mla.projections(LLAMA_70B, ABSORBED) == 0.0
    assert mla.projections(LLAMA_70B, LAYERS) == 0.0
    assert gqa.projections(DEEPSEEK, LAYERS) == 0.0


def test_deepseek_v3_experts_are_654_billion():
    counted = weights.count_weights(DEEPSEEK, LAYERS)
    # one expert: 3 * 7168 * 2048 = 44,040,192; in 58 layers; 256 routed
    assert counted.expert == 58 * 44_040_192 == 2_554_331_136
    assert 256 * counted.expert == 653_908_770_816
    # routers: 58 * 7168 * 256
    assert counted.router == 106_430_464
    # dense: 3 layers * 3 * 7168 * 18432 = 1,189,085,184, beside one shared expert a MoE layer
    assert counted.ffn == 1_189_085_184 + 2_554_331_136


def test_deepseek_v3_in_full_is_671_026_404_352():
    # attention   61 * 187,105,280                  =  11,413,422,080
    # dense, shared and routed experts, routers     = 657,758,617,600
    # embedding and LM head 2 * 129,280 * 7168      =   1,853,358,080
    # norms       61 * (14,336 + 2,048) + 7168      =       1,006,592
    counted = weights.count_weights(DEEPSEEK, FULL)
    assert counted.extras == 1_006_592
    stored = weights.stored_weights(counted, experts=256.0)
    assert stored == 11_413_422_080 + 657_758_617_600 + 1_853_358_080 + 1_006_592
    assert stored == 671_026_404_352


def test_a_tied_embedding_is_stored_once_and_read_as_the_lm_head():
    counted = weights.count_weights(QWEN_4B, FULL)
    assert counted.embedding == 0.0
    assert counted.lm_head == 151_936 * 2560
    point = evaluate_x64(*named_scenario("qwen3-4b", "h100", batch_size=5.0, seq_len=0.0))
    # Everything stored is read, and 5 rows of the table once more.
    assert point.weight_traffic == point.weight_bytes + 5 * 2560


def test_an_untied_embedding_is_stored_whole_and_read_by_rows():
    sizes = {"batch_size": 5.0, "query_tokens": 3.0, "seq_len": 0.0}
    point = evaluate_x64(*named_scenario("llama3-70b", "h100", mem_capacity=1e12, **sizes))
    # All but the table, 128,256 * 8192, and 15 rows of it
    assert point.weight_traffic == point.weight_bytes - 1_050_673_152 + 15 * 8192


def test_biases_of_experts_count_with_the_experts():
    counted = weights.count_weights(GPT_OSS, FULL)
    # 24 layers * (3 * 2880 * 2880 + 8640)
    assert counted.expert == 24 * (24_883_200 + 8_640)
    # 24 * (2 * 2880 + 8096) + 2880
    assert counted.extras == 24 * (5_760 + 8_096) + 2_880


def test_nominal_weights_of_a_dense_model_are_the_number_in_its_name():
    counted = weights.count_weights(LLAMA_70B, NOMINAL)
    assert counted.common == pytest.approx(70e9, rel=1e-14)
    assert counted.expert == 0.0
    # Each operator keeps its share: 83,886,080 of 855,638,016
    assert counted.projections == pytest.approx(70e9 * 83_886_080 / 855_638_016, rel=1e-14)


def test_nominal_weights_of_deepseek_v3_split_into_experts_and_the_rest():
    counted = weights.count_weights(DEEPSEEK, NOMINAL)
    # inactive: 671e9 - 37e9 = 634e9, in 256 - 8 = 248 experts: 2.556451612903e9 each
    assert counted.expert == pytest.approx(634e9 / 248, rel=1e-14)
    # the rest: 37e9 - 8 * 2.556451612903e9 = 16.548387096774e9
    assert counted.common == pytest.approx(16.548387096774e9, rel=1e-12)
    assert weights.stored_weights(counted, experts=256.0) == pytest.approx(671e9, rel=1e-14)
    assert counted.common + 8 * counted.expert == pytest.approx(37e9, rel=1e-14)


@pytest.mark.parametrize(("bits", "share"), [(16.0, 2.0), (8.0, 1.0), (4.25, 0.53125), (4.0, 0.5)])
def test_bytes_are_weights_times_bits(bits, share):
    point = evaluate_x64(*named_scenario("llama3-70b", "h100", weight_bits=bits))
    assert point.weight_bytes == share * 70_553_706_496


@law(scenario=scenarios(feasible=None))
def test_layers_are_never_more_than_everything(scenario):
    layers, full = yield [scenario.but(accounting=counted) for counted in ("layers", "full")]
    assert layers.weight_bytes < full.weight_bytes
    assert layers.weight_traffic < full.weight_traffic


@law(
    scenario=scenarios(
        architectures=("moe", "mla_moe"),
        batch_size=1.0,
        query_tokens=1.0,
        ep_size=1.0,
        feasible=None,
    )
)
def test_nominal_accounting_keeps_both_totals(scenario):
    scenario = scenario.but(accounting="nominal", weight_bits=8.0)
    point = yield scenario
    assert point.weight_bytes == pytest.approx(scenario["nominal_params"], rel=1e-9)
    assert point.weight_traffic == pytest.approx(scenario["nominal_active_params"], rel=1e-9)


def test_every_accounting_that_can_be_chosen_is_one_that_counts():
    assert set(weights._ACCOUNTINGS) == set(switches(Deployment)["accounting"].choices)
