"""Speculation: tokens of a step, and a draft that is never free."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxlimits.model.deployment import Deployment
from jaxlimits.model.speculation import mean_layer, tokens_per_step
from tests.batches import Slopes
from tests.helpers import evaluate_x64, named_scenario, slow_but
from tests.laws import law
from tests.model.test_invariants import never_less
from tests.strategies import scenarios

SIZES = {"tp_size": 8.0, "draft_length": 3.0, "acceptance": 0.5}


def tokens(acceptance, length=4.0):
    deployment = Deployment(speculation="draft", acceptance=acceptance, draft_length=length)
    return tokens_per_step(deployment)


@pytest.mark.parametrize(
    ("acceptance", "length", "expected"),
    [
        (0.0, 4.0, 1.0),
        (0.5, 3.0, 1.875),  # 1 + 1/2 + 1/4 + 1/8
        (0.8, 4.0, 3.3616),  # 1 + 0.8 + 0.64 + 0.512 + 0.4096
        (1.0, 4.0, 5.0),
        (0.9, 0.0, 1.0),
    ],
)
def test_tokens_of_a_step(acceptance, length, expected):
    assert tokens(acceptance, length) == pytest.approx(expected, rel=1e-6)


def test_tokens_and_their_slope_are_those_of_the_sum_up_to_certain_acceptance():
    # d/da sum a^j = sum j a^(j-1): 10 at a = 1 and length 4; the same in single precision.
    slope_of = jax.jit(jax.value_and_grad(tokens))
    for acceptance in (0.0, 0.1, 0.4999, 0.5001, 0.9, 0.9999, 0.9999999, 1.0):
        powers = [acceptance**j for j in range(5)]
        slope = sum(j * acceptance ** (j - 1) for j in range(1, 5))
        for x64, near in ((True, 1e-12), (False, 3e-6)):
            with jax.enable_x64(x64):
                value, found = slope_of(jnp.asarray(acceptance))
                assert value == pytest.approx(sum(powers), rel=near)
                assert found == pytest.approx(slope, rel=10 * near)


def test_a_step_verifies_and_then_pays_for_each_proposal():
    scenario = named_scenario("llama3-70b", "h100", **SIZES)
    draft = named_scenario("llama3-8b", "h100", tp_size=8.0)
    both = scenario._replace(draft=draft.llm).but(speculation="draft")
    verify = evaluate_x64(*scenario.but(query_tokens=4.0))
    proposal = evaluate_x64(*draft)
    point = evaluate_x64(*both)
    assert point.t_step == pytest.approx(verify.t_step + 3 * proposal.t_step, rel=1e-12)
    assert point.utps == pytest.approx(1.875 / point.t_step, rel=1e-12)
    assert point.tpot == pytest.approx(point.t_step / 1.875, rel=1e-12)
    assert point.stps == pytest.approx(point.utps, rel=1e-12)
    for stored in ("weight_bytes", "kv_bytes"):
        parts = getattr(verify, stored) + getattr(proposal, stored)
        assert getattr(point, stored) == pytest.approx(parts, rel=1e-12)
    for read in ("weight_traffic", "kv_traffic", "flops", "t_sync"):
        parts = getattr(verify, read) + 3 * getattr(proposal, read)
        assert getattr(point, read) == pytest.approx(parts, rel=1e-12)


def test_a_proposing_layer_stores_one_layer_and_reads_the_head():
    scenario = named_scenario("llama3-8b", "h100", **SIZES)
    plain = evaluate_x64(*scenario.but(query_tokens=4.0))
    point = evaluate_x64(*scenario.but(speculation="mtp"))
    # One layer: 41943040 + 176160768 weights and 8192 of norms, and the last norm of 4096.
    layer, head = 218_103_808 + 8192 + 4096, 128_256 * 4096
    assert point.weight_bytes - plain.weight_bytes == layer
    assert point.kv_bytes == pytest.approx(plain.kv_bytes * 33 / 32, rel=1e-12)
    assert point.weight_traffic - plain.weight_traffic == 3 * (layer + head + 4096)


def test_a_mean_layer_has_every_kind_of_layer_in_its_share():
    layer = mean_layer(named_scenario("deepseek-v3", "h200").llm)
    assert layer.num_layers == 1.0
    assert layer.num_moe_layers == pytest.approx(58 / 61)
    assert layer.hidden_size == 7168


@pytest.mark.parametrize("combination", ["draft", "mtp"])
@law(
    scenario=lambda combination: scenarios(
        combinations=(combination,), feasible=None, acceptance=0.0, acceptance_length=0.0
    ),
)
def test_a_draft_that_is_never_accepted_is_never_faster_than_none(combination, scenario):
    none, point = yield scenario.but(speculation="off"), scenario
    assert never_less(none.utps, point.utps)
    assert never_less(point.weight_bytes, none.weight_bytes)
    assert never_less(none.max_batch_size, point.max_batch_size)


@pytest.mark.parametrize("combination", ["draft", "mtp"])
@law(
    scenario=lambda combination: scenarios(combinations=(combination,)),
    more=st.floats(0.0, 1.0),
)
def test_more_acceptance_never_slows_a_user(combination, scenario, more):
    higher = scenario["acceptance"] + more * (1.0 - scenario["acceptance"])
    low, high = yield scenario, scenario.but(acceptance=higher)
    assert never_less(high.utps, low.utps)
    assert high.t_step == low.t_step
    bound = (scenario["draft_length"] + 1.0) / high.t_step
    assert never_less(bound, high.utps)


# With a draft they equal difference quotients in test_derivatives.py.
@pytest.mark.parametrize("combination", slow_but(["draft", "mtp"], "mtp"))
@law(scenario=lambda combination: scenarios(combinations=(combination,)))
def test_slopes_by_acceptance_are_finite(combination, scenario):
    slopes = yield Slopes(scenario)
    assert all(math.isfinite(slope) for slope in slopes.values())


def test_a_draft_that_is_not_given_is_refused():
    chip, llm, deployment, site, request, _ = named_scenario(
        "llama3-8b", "h100", speculation="draft"
    )
    from jaxlimits.model.evaluate import evaluate

    with pytest.raises(ValueError, match="needs the record of a draft"):
        evaluate(chip, llm, deployment, site, request)


def test_single_precision_is_enough_near_certainty():
    close = np.float32(1.0) - np.finfo(np.float32).eps
    assert float(tokens(jnp.asarray(close), 7.0)) == pytest.approx(8.0, rel=1e-5)
