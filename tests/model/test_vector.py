"""Work beside the tensor units, by hand, for Llama 3.1 8B and DeepSeek-V3."""

from jaxlimits.model import heads, vector
from jaxlimits.model.deployment import Deployment
from tests.helpers import evaluate_x64, named_scenario

LLAMA = named_scenario("llama3-8b", "h100").llm
DEEPSEEK = named_scenario("deepseek-v3", "h200").llm


def test_projection_work_is_one_norm_and_the_rotary_embedding():
    # 4 * 4096 + 3 * (32 + 8) * 128 = 16,384 + 15,360
    assert heads.projection_vector_flops(LLAMA, Deployment()) == 31_744
    # 4 * 7168 + 3 * (128 + 1) * 64 = 28,672 + 24,768
    assert heads.projection_vector_flops(DEEPSEEK, Deployment()) == 53_440


def test_each_score_costs_five_operations():
    assert heads.score_vector_flops(LLAMA) == 160  # 5 * 32
    assert heads.score_vector_flops(DEEPSEEK) == 640  # 5 * 128


def test_the_residual_sum_costs_one_operation_an_element():
    assert vector.output_vector_flops(LLAMA) == 4096


def test_the_router_costs_a_softmax():
    assert vector.router_vector_flops(DEEPSEEK) == 1280  # 5 * 256
    assert vector.router_vector_flops(LLAMA) == 0


def test_feed_forward_work_is_activation_norm_and_residual():
    # 32 * (6 * 14,336 + 5 * 4096)
    assert vector.ffn_vector_flops(LLAMA, Deployment()) == 32 * (86_016 + 20_480)
    # 6 * (3 * 18,432 + 58 * 2048) + 61 * 5 * 7168
    assert vector.ffn_vector_flops(DEEPSEEK, Deployment()) == 6 * 174_080 + 2_186_240


def test_routed_experts_cost_activation_and_combination():
    # 58 * 8 * (6 * 2048 + 2 * 7168)
    assert vector.expert_vector_flops(DEEPSEEK, Deployment()) == 464 * 26_624
    assert vector.expert_vector_flops(LLAMA, Deployment()) == 0


def test_the_head_costs_a_norm_and_a_softmax():
    # 4 * 4096 + 5 * 128,256
    assert vector.head_vector_flops(LLAMA) == 657_664


def test_vector_work_sets_the_time_where_the_vector_units_are_slow():
    slow = named_scenario("llama3-8b", "h100", peak_vector_flops=1e9, seq_len=1000.0)
    # 32 * (31,744 + 4096) + ffn + 32 * 160 * 1000 + head
    # = 1,146,880 + 3,407,872 + 5,120,000 + 657,664 = 10,332,416 FLOP at 1e9 FLOP/s
    assert abs(evaluate_x64(*slow).t_compute - 0.010332416) < 1e-15


def test_without_it_only_the_tensor_units_count():
    slow = named_scenario("llama3-8b", "h100", peak_vector_flops=1e9, vector_work="off")
    point = evaluate_x64(*slow)
    assert abs(point.t_compute * slow["peak_flops"] / point.flops - 1.0) < 1e-14


def test_layer_accounting_has_no_head_to_normalise_for():
    slow = named_scenario("llama3-8b", "h100", peak_vector_flops=1e9, seq_len=1000.0)
    point = evaluate_x64(*slow.but(accounting="layers"))
    assert abs(point.t_compute - (0.010332416 - 657_664e-9)) < 1e-15
