"""The roofline by hand, on operators with round numbers."""

import pytest

from jaxlimits.model.anatomy import _part
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.metrics import Limit
from jaxlimits.model.operators import Operators
from jaxlimits.model.roofline import (
    compute_time,
    mem_time,
    merged,
    stage_rates,
    step_times,
    tensor_rate,
)
from jaxlimits.model.step import Pass
from jaxlimits.model.volumes import Operator
from tests.helpers import evaluate_x64, named_scenario

pytestmark = pytest.mark.usefixtures("x64")

MACHINE = named_scenario(
    "llama3-8b",
    "h100",
    peak_flops=1e15,
    peak_vector_flops=1e13,
    mem_bw=1e12,
    flops_ratio_16bit=0.5,
    flops_ratio_4bit=2.0,
    sync_latency=1e-6,
)
IDLE = Operator(tensor_flops=0.0, vector_flops=0.0, weight_traffic=0.0)
TENSOR = Operator(tensor_flops=8e15, vector_flops=0.0, weight_traffic=4e12, kv_traffic=2e12)
MEMORY = Operator(tensor_flops=1e15, vector_flops=3e13, weight_traffic=5e12)


def chain(attention, experts):
    others = dict.fromkeys(["projections", "output", "router", "ffn", "lm_head"], IDLE)
    return Operators(attention=attention, experts=experts, **others)


@pytest.mark.parametrize(("bits", "rate"), [(16.0, 5e14), (8.0, 1e15), (4.0, 2e15)])
def test_operand_width_sets_the_tensor_rate(bits, rate):
    assert tensor_rate(MACHINE.chip, Deployment(compute_bits=bits)) == rate


def test_compute_takes_the_slower_of_tensor_and_vector_units():
    alone = stage_rates(MACHINE.chip, Deployment())
    assert compute_time(TENSOR, alone) == 8.0  # 8e15 / 1e15
    assert compute_time(MEMORY, alone) == 3.0  # 3e13 / 1e13, above 1e15 / 1e15
    assert compute_time(TENSOR, stage_rates(MACHINE.chip, Deployment(tp_size=4.0))) == 2.0


def test_memory_time_is_all_bytes_over_the_bandwidth_of_one_stage():
    assert mem_time(TENSOR, stage_rates(MACHINE.chip, Deployment())) == 6.0  # (4e12 + 2e12) / 1e12
    deployment = Deployment(tp_size=4.0, pp_size=3.0, dp_size=2.0)
    assert mem_time(TENSOR, stage_rates(MACHINE.chip, deployment)) == 1.5


UNEVEN = Operator(
    tensor_flops=8e15,
    vector_flops=6e13,
    weight_traffic=4e12,
    kv_traffic=2e12,
    compute_pace=1.5,
    traffic_pace=2.0,
)


def test_the_slowest_rank_sets_the_pace():
    rates = stage_rates(MACHINE.chip, Deployment())
    assert compute_time(UNEVEN, rates) == 12.0  # 8 * 1.5
    assert mem_time(UNEVEN, rates) == 12.0  # 6 * 2


def test_a_whole_step_has_each_volume_at_its_pace():
    whole = merged(chain(MEMORY, UNEVEN))
    assert whole.tensor_flops == 13e15  # 1 + 8 * 1.5
    assert whole.vector_flops == 12e13  # 3 + 6 * 1.5
    assert whole.weight_traffic == 13e12  # 5 + 4 * 2
    assert whole.kv_traffic == 4e12  # 2 * 2
    assert whole.compute_pace == whole.traffic_pace == 1.0


def test_a_part_of_an_anatomy_is_the_work_of_one_chip_at_its_pace():
    deployment = Deployment(tp_size=4.0, compute_bits=16.0)
    operators = chain(MEMORY, UNEVEN)
    part = _part(
        UNEVEN, Pass(operators, MACHINE.chip, MACHINE.llm, deployment, sequences=1.0), times=2.0
    )
    assert part.tensor_flops == 6e15  # 2 * 8 * 1.5 / 4
    assert part.vector_flops == 4.5e13  # 2 * 6 * 1.5 / 4
    assert part.traffic == 6e12  # 2 * (4 + 2) * 2 / 4
    assert part.t_tensor == 12.0  # 6e15 / 5e14
    assert part.t_vector == 4.5  # 4.5e13 / 1e13
    assert part.t_mem == 6.0  # 6e12 / 1e12


def test_the_step_overlaps_whole_sums():
    times = step_times(chain(TENSOR, MEMORY), MACHINE.chip, MACHINE.llm, Deployment())
    assert times.t_compute == 9.0  # tensor 8 + 1, above vector 0 + 3
    assert times.t_mem == 11.0  # 6 + 5
    assert times.t_sync == 0.0
    assert times.t_step == 11.0


def test_operators_overlap_one_by_one():
    deployment = Deployment(roofline="operator")
    times = step_times(chain(TENSOR, MEMORY), MACHINE.chip, MACHINE.llm, deployment)
    assert times.t_compute == 11.0  # 8 + max(1, 3)
    assert times.t_mem == 11.0
    assert times.t_step == 13.0  # max(8, 6) + max(3, 5)


def test_both_rooflines_agree_where_one_resource_binds_throughout():
    for operator in (TENSOR, MEMORY):
        both = [
            step_times(
                chain(operator, operator), MACHINE.chip, MACHINE.llm, Deployment(roofline=roofline)
            )
            for roofline in ("step", "operator")
        ]
        assert both[0].t_step == both[1].t_step


def test_synchronisation_comes_on_top():
    deployment = Deployment(tp_size=2.0, collective_algorithm="constant")
    times = step_times(chain(TENSOR, MEMORY), MACHINE.chip, MACHINE.llm, deployment)
    assert times.t_sync == pytest.approx(96e-6)  # 3 * 32 layers * 1 us
    assert times.t_step == pytest.approx(5.5 + 96e-6)


def test_rates_are_those_of_one_user_and_of_the_system():
    # Every term by hand: 8.03e9 B at 8 bits, one user, no cache.
    scenario = named_scenario(
        "llama3-8b",
        "h100",
        tp_size=2.0,
        pp_size=4.0,
        dp_size=3.0,
        batch_size=5.0,
        seq_len=0.0,
        accounting="nominal",
        mem_bw=1e12,
        sync_latency=2e-6,
        hop_latency=10e-6,
    )
    point = evaluate_x64(*scenario)
    # 8e9 / (2 * 1e12) = 4 ms; 3 * 32 * 2 us = 0.192 ms; 3 hops of 0.01 ms
    assert point.t_mem == pytest.approx(4e-3)
    assert point.t_sync == pytest.approx(0.222e-3)
    assert point.t_step == point.tpot == pytest.approx(4.222e-3)
    assert point.utps == pytest.approx(1 / 4.222e-3)
    # 3 replicas of 4 micro-batches of 5 in flight
    assert point.stps == pytest.approx(60 / 4.222e-3)
    assert point.limit == Limit.MEMORY
    assert point.bandwidth_utilisation == pytest.approx(4 / 4.222)
    # 2 * 5 * 8e9 FLOP on 2 chips
    assert point.flops == pytest.approx(8e10)
    flops_rate = 2 * scenario["peak_flops"]
    assert point.flops_utilisation == pytest.approx(8e10 / flops_rate / 4.222e-3)


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        ({}, Limit.MEMORY),
        ({"batch_size": 4096.0, "seq_len": 0.0}, Limit.COMPUTE),
        ({"sync_latency": 1e-3}, Limit.SYNC),
        ({"mem_capacity": 1e9}, Limit.CAPACITY),
    ],
)
def test_the_limit_names_the_longest_time_or_the_capacity(values, limit):
    point = evaluate_x64(*named_scenario("llama3-70b", "h100", tp_size=8.0, **values))
    assert point.limit == limit
    assert point.feasible == (limit != Limit.CAPACITY)
