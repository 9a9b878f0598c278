"""Streams of the residual by hand, for DeepSeek-V4-Pro: four of 7168 elements, in 61 layers."""

import dataclasses

import pytest

from jaxlimits.model import residual
from jaxlimits.model.collectives import activation_bytes, residual_bytes
from jaxlimits.model.communication import exchanges
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.operators import step_operators
from jaxlimits.model.weights import count_weights
from tests.long_contexts import DEEPSEEK_V4_PRO as PRO

pytestmark = pytest.mark.usefixtures("x64")

ONE = Deployment(query_tokens=1.0)
PLAIN = dataclasses.replace(PRO, hc_mult=0.0)


def test_a_mapping_before_each_mixer_and_each_feed_forward_part():
    # 24 * (4 * 7168 + 1) + 3 weights each, two a layer; at the end 4 * (4 * 7168 + 1) + 1
    assert residual.mapping_weights(PRO, ONE) == 122 * 688_155
    assert residual.last_mapping(PRO) == 114_693


def test_layers_that_are_halves_have_one_mapping():
    halves = dataclasses.replace(PRO, num_mixer_only_layers=10.0, num_ffn_only_layers=5.0)
    assert residual.mapping_weights(halves, ONE) == (122 - 15) * 688_155


def test_mappings_count_with_the_routers_and_the_last_with_the_norms():
    counted, plain = count_weights(PRO, ONE), count_weights(PLAIN, ONE)
    assert counted.router - plain.router == 122 * 688_155
    assert counted.extras - plain.extras == 114_693
    layers = dataclasses.replace(ONE, accounting="layers")
    assert count_weights(PRO, layers).router == counted.router


def test_a_plain_residual_has_no_mapping():
    for weights in (residual.mapping_weights(PLAIN, ONE), residual.last_mapping(PLAIN)):
        assert weights == 0.0
    assert residual.stream_vector_flops(PLAIN, ONE) == 0.0
    assert residual.width(PLAIN, ONE) == 7168


def test_streams_are_normalised_summed_shared_and_mixed():
    # (4 + 2 + 2 + 2 * 4) * 4 * 7168, of which 7168 is the plain sum
    assert residual.stream_vector_flops(PRO, ONE) == 122 * 451_584
    work, plain = (step_operators(llm, ONE).router.vector_flops for llm in (PRO, PLAIN))
    assert work - plain == 122 * 451_584


def test_a_hop_between_stages_moves_all_streams_and_a_collective_one():
    assert residual_bytes(PRO, ONE) == 4 * activation_bytes(PRO, ONE) == 57_344
    stages = Deployment(pp_size=2.0, tp_size=2.0)
    of, plain = (exchanges(llm, None, stages) for llm in (PRO, PLAIN))
    assert of.pp_volume == 4 * plain.pp_volume
    assert of.tp_volume == plain.tp_volume
