"""Dense parts that replicas share, by hand; and experts over another TP than attention."""

import pytest

from tests.helpers import DEFAULT, evaluate_x64, named_scenario

APART = {"tp_size": 1.0, "dp_size": 32.0, "ep_size": 32.0, "batch_size": 16.0, "seq_len": 4096.0}
CONSTANT = {**DEFAULT, "collective_algorithm": "constant"}
# DeepSeek-V3: 3 dense layers of 3 x 7168 x 18432 weights, a head of 129280 x 7168.
DENSE, HEAD = 3 * 3 * 7168 * 18_432, 129_280 * 7168


@pytest.fixture(autouse=True)
def in_float64(x64):
    """Compute in float64."""


def shared(size: float, **values):
    settings = {**CONSTANT, **APART, "dense_tp_size": size, **values}
    return evaluate_x64(*named_scenario("deepseek-v3", "h200", **settings))


def test_eight_replicas_that_share_dense_parts_keep_and_read_an_eighth_each():
    # In 8 bits; the FLOP of a replica stay, since the tokens of all eight meet each eighth.
    alone, group = shared(0.0), shared(8.0)
    saved = (DENSE + HEAD) * 7 / 8
    assert alone.weight_bytes - group.weight_bytes == pytest.approx(saved, rel=1e-12)
    assert alone.weight_traffic - group.weight_traffic == pytest.approx(saved, rel=1e-12)
    assert alone.flops == group.flops
    assert alone.kv_bytes == group.kv_bytes


def test_each_shared_part_costs_two_exchanges():
    # Three dense layers and the head, a gather before and a scatter after: 8 of sync_latency.
    alone, group = shared(0.0), shared(8.0)
    assert (alone.tp_collectives, group.tp_collectives) == (0, 8)
    latency = named_scenario("deepseek-v3", "h200")["sync_latency"]
    assert group.t_sync - alone.t_sync == pytest.approx(8 * latency, rel=1e-9)
    # 7168 x 2 B to each of 7 other chips, 8 times.
    assert group.tp_volume == 8 * 7 * 7168 * 2
    layers = shared(8.0, accounting="layers")
    assert layers.tp_collectives == 6


def test_an_exchange_carries_the_tokens_of_the_group():
    # One message of (8 - 1)/8 of 8 x 16 tokens of 7168 x 2 B over 450 GB/s, 8 times.
    alone, group = (
        shared(size, collective_algorithm="one-shot", link_bw=450e9) for size in (0.0, 8.0)
    )
    payload = 8 * 7 / 8 * 8 * 16 * 7168 * 2 / 450e9
    assert group.t_sync_payload - alone.t_sync_payload == pytest.approx(payload, rel=1e-9)


def test_of_a_prompt_that_comes_with_a_step_the_head_exchanges_one_token():
    # 1/64 of a prompt of 8,192 tokens a step: 16 + 128 tokens at the six exchanges of layers, and
    # 16 + 1/64 at the two of the head.
    served = {"input_len": 8192.0, "output_len": 1024.0, "mixed_steps": "even"}
    alone, group = (
        shared(size, collective_algorithm="one-shot", link_bw=450e9, **served)
        for size in (0.0, 8.0)
    )
    tokens = 6 * (16 + 128) + 2 * (16 + 1 / 64)
    payload = 7 / 8 * 8 * tokens * 7168 * 2 / 450e9
    assert group.t_sync_payload - alone.t_sync_payload == pytest.approx(payload, rel=1e-9)


def test_with_tp_the_exchanges_take_the_place_of_a_collective():
    # TP 2: 61 x 3 collectives, less 58 at experts; 3 fewer of them where 2 of 16 replicas share.
    sizes = {"tp_size": 2.0, "dp_size": 16.0}
    alone, group = shared(0.0, **sizes), shared(4.0, **sizes)
    assert alone.tp_collectives == 61 * 3 - 58
    assert group.tp_collectives == 61 * 3 - 58 - 3 + 8
    saved = (DENSE + HEAD) / 2
    assert alone.weight_bytes - group.weight_bytes == pytest.approx(saved, rel=1e-12)
    assert shared(2.0, **sizes).t_step == alone.t_step


def test_without_expert_parallelism_replicas_share_nothing():
    sizes = {"tp_size": 16.0, "dp_size": 2.0, "ep_size": 1.0}
    alone, group = (shared(size, **sizes) for size in (0.0, 32.0))
    assert alone.t_step == group.t_step
    assert alone.weight_bytes == group.weight_bytes


def test_experts_may_have_another_tp_than_attention():
    # 32 chips of one replica each: in 8 ranks every expert is split over 4 chips, attention over
    # none. A replica keeps 1/32 of all experts however they lie, and the slowest of few ranks has
    # less beside the mean.
    whole, split = (shared(0.0, ep_size=size, batch_size=1.0) for size in (32.0, 8.0))
    assert whole.weight_bytes == split.weight_bytes
    assert split.weight_traffic < whole.weight_traffic  # that of the slowest rank
    assert split.t_mem < whole.t_mem
