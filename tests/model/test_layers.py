"""Layers of one half alone, by hand for Nemotron-3-Nano: 6 attention, 23 Mamba-2, 23 of experts."""

import dataclasses

import pytest

from jaxlimits.model import layers, vector, weights
from jaxlimits.model.attention import layers_with_heads
from jaxlimits.model.communication import exchanges
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.head_groups import head_groups
from jaxlimits.model.kv_cache import stored_span
from jaxlimits.model.operators import step_operators
from tests.helpers import named_scenario, of_all_groups
from tests.hybrids import NEMOTRON_NANO

pytestmark = pytest.mark.usefixtures("x64")

LLAMA = named_scenario("llama3-8b", "h100").llm
DENSE = Deployment()


def test_52_layers_are_29_mixers_and_23_of_experts():
    assert layers.mixing_layers(NEMOTRON_NANO, DENSE) == 29
    assert layers.ffn_layers(NEMOTRON_NANO, DENSE) == 23
    assert layers.dense_layers(NEMOTRON_NANO, DENSE) == 0
    assert layers_with_heads(NEMOTRON_NANO, DENSE) == 6
    assert sum(group.count for group in head_groups(NEMOTRON_NANO, DENSE)) == 6
    assert of_all_groups(stored_span)(NEMOTRON_NANO, Deployment(seq_len=1000.0)) == 6000


def test_other_models_have_both_halves_in_each_layer():
    for found in (layers.mixing_layers, layers.ffn_layers, layers.dense_layers, layers_with_heads):
        assert found(LLAMA, DENSE) == 32


def test_a_dense_model_of_halves_holds_half_of_each():
    # 16 layers of attention alone and 16 of an FFN alone.
    halves = dataclasses.replace(LLAMA, num_ffn_only_layers=16.0, num_mixer_only_layers=16.0)
    whole, half = (weights.layer_weights(llm, DENSE) for llm in (LLAMA, halves))
    assert half.projections == whole.projections / 2
    assert half.output == whole.output / 2
    assert half.ffn == whole.ffn / 2


def test_norm_and_residual_count_once_for_each_half():
    step = step_operators(NEMOTRON_NANO, Deployment(seq_len=0.0)).named()
    assert step["output"].vector_flops == 29 * 2688
    # 23 * (5 * 2688 + 5 * 3712): norm and residual, and the shared expert without a gate
    ffn = vector.ffn_vector_flops(NEMOTRON_NANO, DENSE)
    assert step["ffn"].vector_flops == ffn == 23 * (13_440 + 18_560)


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"kv_sharding": "heads"}, 52),  # 29 + 23
        ({"kv_sharding": "split"}, 58),  # 8 chips over 2 KV heads: 6 more
        ({"kv_sharding": "split", "tp_size": 2.0}, 52),
        ({"kv_sharding": "heads", "ep_size": 8.0}, 29),  # none after experts
        ({"collectives": "fixed"}, 156),  # 3 * 52
        ({"collectives": "fixed", "ep_size": 8.0}, 133),  # 3 * 52 - 23
    ],
)
def test_collectives_are_counted_for_what_layers_have(changes, count):
    deployment = Deployment(**{"tp_size": 8.0, "collectives": "derived", **changes})
    found = exchanges(NEMOTRON_NANO, None, deployment)
    assert found.tp_collectives == count
    assert found.ep_collectives == (46 if "ep_size" in changes else 0)
