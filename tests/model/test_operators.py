"""Volumes of one step, operator by operator, by hand."""

import pytest

from jaxlimits.model.deployment import Deployment
from jaxlimits.model.heads import pair_flops
from jaxlimits.model.operators import step_operators
from tests.helpers import evaluate_x64, named_scenario

pytestmark = pytest.mark.usefixtures("x64")


def operators(name, **values):
    scenario = named_scenario(name, "h100", vector_work="off", **values)
    return step_operators(scenario.llm, scenario.deployment)


def test_attention_work_is_four_flops_a_head_element():
    llama = named_scenario("llama3-70b", "h100").llm
    assert pair_flops(llama, Deployment()) == 32_768  # 4 * 64 * 128


def test_mla_attends_in_the_latent_space():
    deepseek = named_scenario("deepseek-v3", "h200").llm
    assert pair_flops(deepseek, Deployment()) == 278_528  # 2 * 128 * (2 * 512 + 64)


def test_mla_attention_work_does_not_depend_on_the_stored_form():
    stored = operators("deepseek-v3", seq_len=1000.0)
    absorbed = operators("deepseek-v3", seq_len=1000.0, mla_weights="absorbed")
    # 61 layers * 1000 tokens * 278,528
    assert stored.attention.tensor_flops == absorbed.attention.tensor_flops == 16_990_208_000


def test_dense_work_is_two_flops_a_weight_and_token():
    step = operators("llama3-70b", batch_size=3.0, query_tokens=2.0, seq_len=1000.0)
    # 6 tokens: 2 * 6 * 80 * 83,886,080; 2 * 6 * 80 * 67,108,864; 2 * 6 * 80 * 704,643,072
    assert step.projections.tensor_flops == 960 * 83_886_080
    assert step.output.tensor_flops == 960 * 67_108_864
    assert step.ffn.tensor_flops == 960 * 704_643_072
    assert step.lm_head.tensor_flops == 12 * 1_050_673_152
    # 6 query tokens * 1000 cached * 80 layers * 32,768
    assert step.attention.tensor_flops == 6 * 80_000 * 32_768
    assert step.experts.tensor_flops == step.router.tensor_flops == 0.0


def test_each_weight_is_read_once_whatever_the_batch():
    step = operators("llama3-70b", batch_size=3.0, query_tokens=2.0, seq_len=1000.0)
    # norms: 80 * 16,384 + 8192 beside the projections
    assert step.projections.weight_traffic == 80 * 83_886_080 + 1_318_912
    assert step.output.weight_traffic == 80 * 67_108_864
    assert step.ffn.weight_traffic == 80 * 704_643_072
    # the head whole, and 6 rows of the embedding
    assert step.lm_head.weight_traffic == 1_050_673_152 + 6 * 8192
    # 3 sequences * 1000 tokens * 163,840
    assert step.attention.kv_traffic == 491_520_000
    assert step.attention.weight_traffic == 0.0


def test_volumes_add_up_to_the_points():
    sizes = {"batch_size": 3.0, "query_tokens": 2.0, "seq_len": 1000.0, "tp_size": 8.0}
    point = evaluate_x64(*named_scenario("llama3-70b", "h100", vector_work="off", **sizes))
    # all but the embedding table: 70,553,706,496 - 1,050,673,152, and 6 * 8192
    assert point.weight_traffic == 69_503_033_344 + 49_152
    assert point.kv_traffic == 491_520_000
    # 12 FLOP on each of 68,451,041,280 + 1,050,673,152 weights, and the attention
    assert point.flops == 12 * 69_501_714_432 + 6 * 80_000 * 32_768


def test_a_token_works_on_its_own_experts_and_a_step_reads_the_touched():
    step = operators("deepseek-v3", batch_size=2.0)
    # 2 FLOP * 2 tokens * 8 experts * 58 layers * 44,040,192
    assert step.experts.tensor_flops == 32 * 2_554_331_136
    assert step.experts.weight_traffic == pytest.approx(15.75 * 2_554_331_136, rel=1e-14)
    # routers: 58 * 7168 * 256
    assert step.router.weight_traffic == 106_430_464
    assert step.router.tensor_flops == 4 * 106_430_464
    # 3 dense layers and one shared expert in 58
    assert step.ffn.weight_traffic == 1_189_085_184 + 2_554_331_136


def test_without_expert_parallelism_every_chip_keeps_pace():
    step = operators("deepseek-v3", batch_size=5.0, dp_size=4.0, tp_size=8.0)
    assert all(op.compute_pace == op.traffic_pace == 1.0 for op in step.each())


def test_under_expert_parallelism_only_the_routed_experts_wait_for_the_slowest():
    step = operators("deepseek-v3", batch_size=5.0, dp_size=4.0, tp_size=8.0, ep_size=32.0)
    paces = {name: (op.compute_pace, op.traffic_pace) for name, op in step.named().items()}
    compute, memory = paces.pop("experts")
    assert set(paces.values()) == {(1.0, 1.0)}
    # 20 tokens make 160 pairs on 32 ranks of 8 experts: the fullest has more than the mean of 5.
    assert 1.0 < memory < compute < 32.0


def test_the_slowest_rank_lengthens_times_and_the_volumes_that_they_count():
    sizes = {"tp_size": 8.0, "dp_size": 4.0, "ep_size": 32.0, "vector_work": "off"}
    scenario = named_scenario("deepseek-v3", "h200", **sizes)
    point = evaluate_x64(*scenario)
    step = step_operators(scenario.llm, scenario.deployment)
    traffic = sum(each.weight_traffic + each.kv_traffic for each in step.each())
    beyond = step.experts.weight_traffic * (step.experts.traffic_pace - 1.0)
    assert beyond > 0.0
    paced = float(traffic + beyond)
    assert point.weight_traffic + point.kv_traffic == pytest.approx(paced, rel=1e-12)
    assert point.t_mem == pytest.approx(paced / (8 * scenario["mem_bw"]), rel=1e-12)


def test_layer_accounting_has_no_head_and_reads_no_embedding():
    step = operators("llama3-70b", accounting="layers")
    assert step.lm_head.weight_traffic == step.lm_head.tensor_flops == 0.0
    assert step.projections.weight_traffic == 80 * 83_886_080
