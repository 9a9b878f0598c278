"""Bits by part: whose they are, hand sums of three checkpoints, and how wide products are."""

import dataclasses

import pytest

from jaxlimits.model.deployment import Deployment
from jaxlimits.model.precision import (
    IN_4,
    IN_8,
    IN_16,
    PARTS,
    cache_bits,
    in_bytes,
    part_bits,
    product_width,
)
from jaxlimits.model.roofline import stage_rates, tensor_time
from jaxlimits.model.volumes import Operator
from tests.helpers import evaluate_x64, named_scenario
from tests.laws import law
from tests.strategies import PART_BITS, scenarios

pytestmark = pytest.mark.usefixtures("x64")

MIXED = {"attention_bits": 8.0, "ffn_bits": 4.5, "expert_bits": 4.25, "head_bits": 16.0}
LLM = dataclasses.replace(named_scenario("gpt-oss-120b", "h100").llm, **MIXED)
RELEASED = {"weight_bits": 0.0, "compute_bits": 0.0}


def test_a_model_keeps_the_bits_of_its_parts_where_the_deployment_sets_none():
    bits = part_bits(LLM, Deployment())
    assert (bits.attention, bits.ffn, bits.expert, bits.head) == (8.0, 4.5, 4.25, 16.0)


def test_weight_bits_set_every_part_and_all_are_the_same_number():
    bits = part_bits(LLM, Deployment(weight_bits=6.0))
    each = (bits.attention, bits.ffn, bits.expert, bits.embedding, bits.head)
    assert len(PARTS) == len(each)
    assert all(part is each[0] and part == 6.0 for part in each)


def test_a_part_set_beside_weight_bits_wins():
    deployment = Deployment(weight_bits=6.0, own_bits=(("llm", "expert_bits"),))
    bits = part_bits(LLM, deployment)
    assert (bits.attention, bits.expert, bits.head) == (6.0, 4.25, 6.0)


def test_the_cache_is_the_models_unless_kv_bits_are_set():
    llm = dataclasses.replace(LLM, cache_bits=16.0)
    assert cache_bits(llm, Deployment()) == 16.0
    assert cache_bits(llm, Deployment(kv_bits=8.0)) == 8.0
    own = Deployment(kv_bits=8.0, own_bits=(("llm", "cache_bits"),))
    assert cache_bits(llm, own) == 16.0


def test_elements_of_one_part_are_added_before_they_are_multiplied():
    bits = 6.0
    assert in_bytes([(0.1, bits), (0.2, bits)]) == (0.1 + 0.2) * (6.0 / 8.0)
    assert in_bytes([(3.0, 8.0), (2.0, 16.0)]) == 7.0


def test_gpt_oss_120b_reads_5_00_gb_for_one_token():
    # attention:  36 * 2880 * 64 * (64 + 2 * 8 + 64)          =   955,514,880 at 2 B
    # routers:    36 * 2880 * 128                             =    13,271,040 at 2 B
    # LM head:    201,088 * 2880, and one row of 2880         =   579,136,320 at 2 B
    # norms and biases: 36 * (5760 + 8192 + 4 * 8640) + 2880  =     1,749,312 at 2 B
    # experts:    36 * 4 * 3 * 2880 * 2880                    = 3,583,180,800 at 4.25 / 8 B
    rest = 2 * (955_514_880 + 13_271_040 + 579_136_320 + 1_749_312)
    one = 3_583_180_800 / 4 * 4.25 / 8
    assert rest + 4 * one == pytest.approx(5.0029e9, rel=1e-4)
    mxfp4 = dict.fromkeys(PARTS, 16.0) | {"expert_bits": 4.25}
    scenario = named_scenario("gpt-oss-120b", "h100", tp_size=2.0, **RELEASED, **mxfp4)
    assert evaluate_x64(*scenario).weight_traffic == pytest.approx(rest + 4 * one, rel=1e-6)
    # eight tokens touch 128 * (1 - (1 - 4/128)^8) = 28.71 experts a layer
    eight = evaluate_x64(*scenario.but(batch_size=8.0)).weight_traffic
    assert eight == pytest.approx(rest + 28.71 * one, rel=1e-3)
    # 4.25 bits for all would make it 1.83 times as little
    narrow = evaluate_x64(*scenario.but(weight_bits=4.25)).weight_traffic
    assert (rest + 4 * one) / narrow == pytest.approx(1.8345, rel=1e-3)


def test_deepseek_v3_in_nvfp4_with_attention_in_fp8_reads_27_1_gb_for_one_token():
    # attention:        61 * 187,105,280                   = 11,413,422,080 at 1 B
    # dense and shared: 3 * 396,361,728 + 58 * 44,040,192  =  3,743,416,320 at 4.5 / 8 B
    # routers, LM head: 58 * 7168 * 256 + 129,280 * 7168   =  1,033,109,504 at 2 B
    # experts:          58 * 8 * 44,040,192                = 20,434,649,088 at 4.5 / 8 B
    rest = 11_413_422_080 + 3_743_416_320 * 4.5 / 8 + 2 * 1_033_109_504
    one = 20_434_649_088 / 8 * 4.5 / 8
    assert rest + 8 * one == pytest.approx(27.08e9, rel=1e-3)
    nvfp4 = {"attention_bits": 8.0, "ffn_bits": 4.5, "expert_bits": 4.5}
    nvfp4 |= {"embedding_bits": 16.0, "head_bits": 16.0}
    scenario = named_scenario("deepseek-v3", "b200", tp_size=8.0, **RELEASED, **nvfp4)
    assert evaluate_x64(*scenario).weight_traffic == pytest.approx(rest + 8 * one, rel=1e-3)
    # eight tokens touch 256 * (1 - (1 - 8/256)^8) = 57.42 experts a layer
    eight = evaluate_x64(*scenario.but(batch_size=8.0)).weight_traffic
    assert eight == pytest.approx(rest + 57.42 * one, rel=1e-3)


def test_kimi_k2_with_experts_in_int4_reads_33_0_gb_for_one_token():
    # Kimi-K2.5's text model has the shape of Kimi-K2; groups of 32 have a 16-bit scale: 4.5 bits.
    # attention:        61 * 101,122,048                   =  6,168,444,928 at 2 B
    # dense and shared: 396,361,728 + 60 * 44,040,192      =  3,038,773,248 at 2 B
    # routers, LM head: 60 * 7168 * 384 + 163,840 * 7168   =  1,339,555,840 at 2 B
    # experts:          60 * 8 * 44,040,192                = 21,139,292,160 at 4.5 / 8 B
    rest = 2 * (6_168_444_928 + 3_038_773_248 + 1_339_555_840)
    one = 21_139_292_160 / 8 * 4.5 / 8
    assert rest + 8 * one == pytest.approx(32.98e9, rel=1e-3)
    int4 = dict.fromkeys(PARTS, 16.0) | {"expert_bits": 4.5, "operand_bits": 16.0}
    scenario = named_scenario("kimi-k2", "b200", tp_size=8.0, **RELEASED, **int4)
    assert evaluate_x64(*scenario).weight_traffic == pytest.approx(rest + 8 * one, rel=1e-3)
    # eight tokens touch 384 * (1 - (1 - 8/384)^8) = 59.53 experts a layer
    eight = evaluate_x64(*scenario.but(batch_size=8.0)).weight_traffic
    assert eight == pytest.approx(rest + 59.53 * one, rel=1e-3)


@pytest.mark.parametrize(
    ("bits", "width"),
    [
        *((4.0, IN_4), (4.127, IN_4), (4.25, IN_4), (4.5, IN_4)),
        *((8.0, IN_8), (8.002, IN_8), (8.5, IN_8), (16.0, IN_16)),
    ],
)
def test_scales_do_not_make_an_operand_wider(bits, width):
    assert product_width(bits, dataclasses.replace(LLM, operand_bits=4.0)) == width


def test_weights_alone_in_few_bits_are_multiplied_in_16():
    awq = dataclasses.replace(LLM, operand_bits=16.0)
    assert product_width(4.15625, awq) == IN_16
    with_fp8_activations = dataclasses.replace(LLM, operand_bits=8.0)
    assert product_width(4.25, with_fp8_activations) == IN_8
    assert product_width(16.0, with_fp8_activations) == IN_16


@pytest.mark.parametrize(("ratio", "seconds"), [(2.0, 3.5), (1.0, 5.0)])
def test_each_product_runs_at_the_rate_of_its_width(ratio, seconds):
    # 1 s of work in 8 bits, 1 in 16 that takes 2, 1 in 4 that takes 0.5, or 2 as 16-bit work
    chip = named_scenario("llama3-8b", "h100", peak_flops=1e12, flops_ratio_4bit=ratio).chip
    work = Operator(
        tensor_flops=3e12, vector_flops=0.0, weight_traffic=0.0, wide_flops=1e12, narrow_flops=1e12
    )
    assert tensor_time(work, stage_rates(chip, Deployment())) == pytest.approx(seconds)
    in_16 = Deployment(compute_bits=16.0)
    assert tensor_time(work, stage_rates(chip, in_16)) == pytest.approx(6.0)


@law(scenario=scenarios(feasible=True))
def test_setting_all_parts_is_setting_each(scenario):
    scenario = scenario.but(mem_capacity=1e18)
    together, apart = yield (
        scenario.but(weight_bits=8.25),
        scenario.but(weight_bits=0.0, **dict.fromkeys(PARTS, 8.25)),
    )
    assert together.weight_bytes == pytest.approx(apart.weight_bytes, rel=1e-12)
    assert together.weight_traffic == pytest.approx(apart.weight_traffic, rel=1e-12)
    assert together.t_compute == pytest.approx(apart.t_compute, rel=1e-12)


# A chip without a rate of its own for 4 bits computes them at 16: there 8 may be faster.
@law(scenario=scenarios(feasible=True, weight_bits=0.0, flops_ratio_4bit=2.0))
def test_more_bits_of_any_part_are_never_faster(scenario):
    more = {
        part: next(bits for bits in (*PART_BITS, 32.0) if bits > scenario[part]) for part in PARTS
    }
    roomy = scenario.but(mem_capacity=1e18)
    now, *each = yield [scenario, *(roomy.but(**{part: bits}) for part, bits in more.items())]
    for part, wide in zip(more, each, strict=True):
        assert wide.utps <= now.utps * (1.0 + 1e-12), part
        assert wide.weight_bytes >= now.weight_bytes, part


UNSET = {**RELEASED, "kv_bits": 0.0}
IS_SET = ("released_bits", "released_cache", "part_widths")
IS_UNSET = ("stated_bits", "stated_cache", "stated_width")


@pytest.mark.parametrize(("values", "promises"), [({}, IS_SET), (UNSET, IS_UNSET)])
def test_a_promise_that_bits_are_set_or_that_they_are_not_changes_no_value(values, promises):
    scenario = named_scenario("deepseek-v3", "h200", tp_size=8.0, batch_size=3.0, **values)
    promised = dataclasses.replace(scenario.deployment, **dict.fromkeys(promises, False))
    general, special = (
        evaluate_x64(*each) for each in (scenario, scenario._replace(deployment=promised))
    )
    for name in ("weight_bytes", "weight_traffic", "kv_bytes", "t_compute", "flops_utilisation"):
        assert getattr(special, name) == pytest.approx(getattr(general, name), rel=1e-12), name
