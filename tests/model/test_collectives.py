"""Exposed synchronisation, counted by hand."""

import pytest

from jaxlimits.model import collectives
from tests.helpers import ALGORITHMS, named_scenario

pytestmark = pytest.mark.usefixtures("x64")

LATENCIES = {"sync_latency": 1e-6, "all_to_all_latency": 1e-3, "hop_latency": 1.0}
"""Seconds that keep the three counts apart in one sum."""


def sync_time(name, **values):
    scenario = named_scenario(name, "h100", **LATENCIES, **values)
    return float(collectives.sync(scenario.chip, scenario.llm, scenario.deployment).total)


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


# With a payload: llama3-70b is 8192 wide, deepseek-v3 7168; an activation has 2 bytes.


def test_by_the_constant_the_payload_costs_nothing():
    sizes = {"tp_size": 8.0, "pp_size": 2.0, "dp_size": 2.0, "ep_size": 8.0}
    few = sync_time("deepseek-v3", **sizes)
    assert few == sync_time("deepseek-v3", **sizes, batch_size=512.0, link_bw=1.0)


def test_activations_are_counted_by_sequences_query_tokens_and_width():
    scenario = named_scenario("llama3-70b", "h100", batch_size=3.0, query_tokens=2.0)
    # 3 * 2 tokens * 8192 elements * 2 B
    assert collectives.activation_bytes(scenario.llm, scenario.deployment) == 98_304
    eight = scenario.but(activation_bits=8.0)
    assert collectives.activation_bytes(eight.llm, eight.deployment) == 49_152


def test_each_token_goes_to_its_experts_from_one_of_the_chips():
    scenario = named_scenario("deepseek-v3", "h200", batch_size=4.0, tp_size=8.0)
    # 4 tokens * 8 experts * 7168 elements * 2 B / 8 chips
    assert collectives.routed_bytes(scenario.llm, scenario.deployment) == 57_344


@pytest.mark.parametrize(
    ("algorithm", "each"),
    [
        # 16,384 B at 16.384 GB/s are 1 us; the latency is 1 us too.
        ("constant", 1e-6),
        ("one-shot", 8e-6),  # 1 + 7
        ("two-shot", 3.75e-6),  # 2 + 2 * 7/8
        ("ring", 15.75e-6),  # 14 * (1 + 1/8)
        ("tree", 12e-6),  # 6 * (1 + 1)
        ("in-network", 3e-6),  # 2 + 1
        ("best", 3e-6),
        ("auto", 3e-6),
    ],
)
def test_every_collective_of_every_layer_moves_the_activations(algorithm, each):
    sizes = {"tp_size": 8.0, "link_bw": 16.384e9, "collective_algorithm": algorithm}
    assert sync_time("llama3-70b", **sizes) == pytest.approx(240 * each)  # 3 * 80


def test_a_hop_moves_the_activations_once():
    sizes = {"pp_size": 4.0, "link_bw": 16_384.0, "collective_algorithm": "ring"}
    assert sync_time("llama3-70b", **sizes) == pytest.approx(3 * (1.0 + 1.0))


def test_an_all_to_all_moves_what_is_for_other_ranks():
    sizes = {"tp_size": 1.0, "dp_size": 8.0, "ep_size": 8.0, "batch_size": 4.0}
    # 4 tokens * 8 experts * 14,336 B * 7/8 = 401,408 B, twice in each of 58 layers
    seconds = sync_time("deepseek-v3", **sizes, collective_algorithm="best", link_bw=401_408e3)
    assert seconds == pytest.approx(116 * (1e-3 + 1e-3))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_chip_waits_for_nobody_whatever_the_algorithm(algorithm):
    assert sync_time("llama3-70b", collective_algorithm=algorithm, batch_size=64.0) == 0.0
