"""Exposed synchronisation, counted by hand."""

import pytest

from jaxlimits.model import collectives
from tests.helpers import named_scenario

pytestmark = pytest.mark.usefixtures("x64")

LATENCIES = {"sync_latency": 1e-6, "all_to_all_latency": 1e-3, "hop_latency": 1.0}
"""Seconds that keep the three counts apart in one sum."""


def sync_time(name, **values):
    return float(collectives.sync_time(*named_scenario(name, "h100", **LATENCIES, **values)))


def test_one_chip_waits_for_nobody():
    assert sync_time("llama3-70b") == 0.0
    assert sync_time("llama3-70b", collectives="derived") == 0.0
    assert sync_time("deepseek-v3", kv_sharding="heads", collectives="derived") == 0.0


def test_the_papers_layer_has_three_collectives():
    assert sync_time("llama3-70b", tp_size=8.0) == pytest.approx(240e-6)  # 3 * 80
    assert sync_time("llama3-405b", tp_size=128.0) == pytest.approx(378e-6)  # 3 * 126


def test_their_number_can_be_set():
    # 2 * 80
    assert sync_time("llama3-70b", tp_size=8.0, collectives_per_layer=2.0) == pytest.approx(160e-6)
    assert sync_time("llama3-70b", tp_size=8.0, collectives_per_layer=0.0) == 0.0


@pytest.mark.parametrize(
    ("name", "tp_size", "sharding", "count"),
    [
        ("llama3-70b", 8.0, "split", 160),  # 2 * 80
        ("llama3-70b", 16.0, "split", 240),  # 8 KV heads over 16 chips: 3 * 80
        ("llama3-70b", 16.0, "heads", 160),  # copies need no combination
        ("deepseek-v3", 2.0, "split", 183),  # one latent: 3 * 61
        ("deepseek-v3", 2.0, "heads", 122),  # 2 * 61
    ],
)
def test_a_third_collective_combines_attention_split_beyond_the_kv_heads(
    name, tp_size, sharding, count
):
    switches = {"collectives": "derived", "kv_sharding": sharding, "collectives_per_layer": 7.0}
    assert sync_time(name, tp_size=tp_size, **switches) == pytest.approx(count * 1e-6)


def test_two_all_to_alls_replace_the_collective_of_each_expert_layer():
    # TP: 3 * 61 - 58 = 125; all-to-alls: 2 * 58 = 116
    placed = {"tp_size": 8.0, "ep_size": 8.0}
    assert sync_time("deepseek-v3", **placed) == pytest.approx(125e-6 + 116e-3)
    # derived by heads: 2 * 61 - 58 = 64
    derived = {"collectives": "derived", "kv_sharding": "heads"}
    assert sync_time("deepseek-v3", **placed, **derived) == pytest.approx(64e-6 + 116e-3)


def test_no_more_collectives_are_replaced_than_there_are():
    placed = {"tp_size": 8.0, "ep_size": 8.0, "collectives_per_layer": 0.0}
    assert sync_time("deepseek-v3", **placed) == pytest.approx(116e-3)
    half = {"tp_size": 8.0, "ep_size": 8.0, "collectives_per_layer": 0.5}
    assert sync_time("deepseek-v3", **half) == pytest.approx(
        1.5e-6 + 116e-3
    )  # 0.5 * 3 dense layers


def test_single_chip_replicas_with_shared_experts_exchange_only_tokens():
    placed = {"tp_size": 1.0, "dp_size": 8.0, "ep_size": 8.0}
    assert sync_time("deepseek-v3", **placed) == pytest.approx(116e-3)


def test_replicas_alone_wait_for_nobody():
    assert sync_time("deepseek-v3", dp_size=8.0) == 0.0


def test_a_dense_model_has_no_all_to_all():
    placed = {"tp_size": 8.0, "ep_size": 8.0}
    assert sync_time("llama3-70b", **placed) == pytest.approx(240e-6)


def test_a_pipeline_has_one_hop_less_than_stages():
    assert sync_time("llama3-70b", pp_size=4.0) == 3.0
    assert sync_time("llama3-70b", pp_size=4.0, tp_size=8.0) == pytest.approx(3.0 + 240e-6)
