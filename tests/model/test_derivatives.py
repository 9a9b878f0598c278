"""Derivatives against central finite differences, in double precision."""

import functools
import math

import jax
import numpy as np
import pytest

from jaxlimits.model.evaluate import evaluate
from tests.helpers import COMBINATIONS, NUMBERS, Scenario, evaluate_x64, named_scenario

OUTPUTS = (
    *("utps", "stps", "t_compute", "t_mem", "t_sync", "energy_per_token"),
    *("capacity_utilisation", "bandwidth_utilisation", "flops_utilisation"),
)
DISCRETE = {"compute_bits"}
"""A choice of three rates, not a continuum."""

# Points away from kinks and jumps. The values in braces keep them there: a context beside the
# window, a tensor-parallel size beside the number of KV heads.
POINTS = {
    "memory bound": (
        named_scenario("llama3-70b", "h100", tp_size=16.0, pp_size=2.0, batch_size=7.0),
        {"ep_size"},  # at 1, where expert parallelism sets in
    ),
    "compute bound, mixture of experts": (
        named_scenario(
            "gpt-oss-120b",
            "h200",
            tp_size=3.0,
            dp_size=5.0,
            batch_size=2000.0,
            seq_len=500.0,
            vector_work="off",
        ),
        {"ep_size"},
    ),
    "expert parallel": (
        named_scenario(
            "deepseek-v3",
            "h200",
            tp_size=4.0,
            dp_size=16.0,
            ep_size=32.0,
            pp_size=2.0,
            batch_size=13.0,
            seq_len=3000.0,
        ),
        set(),
    ),
    "engine, expert parallel": (
        named_scenario(
            "llama4-maverick",
            "h200",
            tp_size=16.0,
            dp_size=2.0,
            ep_size=16.0,
            batch_size=9.0,
            seq_len=20_000.0,
            **COMBINATIONS["engine"],
        ),
        set(),
    ),
    "paper": (
        named_scenario(
            "qwen3-235b", "xpu-hbm3", tp_size=32.0, batch_size=3.0, **COMBINATIONS["paper"]
        ),
        {"ep_size"},
    ),
}


@functools.cache
def _jacobian():
    def outputs(scenario):
        metrics = evaluate(*scenario)
        return {name: getattr(metrics, name) for name in OUTPUTS}

    return jax.jit(jax.jacrev(outputs))


def slopes(scenario: Scenario) -> dict[str, dict[str, float]]:
    """Derivative of each output by each numeric field."""
    with jax.enable_x64(True):
        jacobian = _jacobian()(jax.tree.map(np.float64, scenario))
    return {output: Scenario(*row).numbers for output, row in jacobian.items()}


def difference_quotients(scenario: Scenario, field: str) -> tuple[dict[str, float], float]:
    """Central difference of each output, and what rounding may add to the largest of them."""
    step = 1e-5 * max(abs(scenario[field]), 1e-2)
    above = _moved(scenario, field, step)
    below = _moved(scenario, field, -step)
    return {
        name: (getattr(above, name) - getattr(below, name)) / (2.0 * step) for name in OUTPUTS
    }, step


def _moved(scenario: Scenario, field: str, step: float):
    """Evaluate beside a point; records refuse values that no user could write, traces do not."""
    with jax.enable_x64(True):
        leaves = jax.tree.map(np.float64, scenario)
        return _beside()(leaves, {name: np.float64(step * (name == field)) for name in NUMBERS})


@functools.cache
def _beside():
    @jax.jit
    def evaluated(scenario, steps):
        return evaluate(*scenario.but(**{name: scenario[name] + steps[name] for name in steps}))

    return evaluated


@pytest.mark.parametrize(("scenario", "jumps"), POINTS.values(), ids=POINTS)
def test_derivatives_equal_difference_quotients(scenario, jumps):
    point = evaluate_x64(*scenario)
    assert point.feasible
    exact = slopes(scenario)
    for field in NUMBERS.keys() - DISCRETE - jumps:
        quotients, step = difference_quotients(scenario, field)
        for output, quotient in quotients.items():
            slope = exact[output][field]
            rounding = 1e-13 * abs(getattr(point, output)) / step
            assert math.isclose(slope, quotient, rel_tol=1e-4, abs_tol=rounding), (output, field)


@pytest.mark.parametrize(("scenario", "_jumps"), POINTS.values(), ids=POINTS)
def test_the_points_cover_what_they_say(scenario, _jumps):
    point = evaluate_x64(*scenario)
    times = sorted((point.t_mem, point.t_compute, point.t_sync))
    assert times[2] > 1.001 * times[1]


def test_bandwidth_moves_a_memory_bound_point_by_its_share_of_the_step():
    # utps = 1 / (m / W + s), hence d ln utps / d ln W = t_mem / t_step.
    scenario = named_scenario("llama3-405b", "xpu-hbm3", tp_size=128.0, **COMBINATIONS["paper"])
    point = evaluate_x64(*scenario)
    slope = slopes(scenario)["utps"]
    share = slope["mem_bw"] * scenario["mem_bw"] / point.utps
    assert share == pytest.approx(point.t_mem / point.t_step, rel=1e-12)
    share = slope["sync_latency"] * scenario["sync_latency"] / point.utps
    assert share == pytest.approx(-point.t_sync / point.t_step, rel=1e-12)
    assert slope["peak_flops"] == slope["mem_capacity"] == 0.0


def test_touched_experts_grow_by_their_closed_form():
    # d/dt E (1 - (1 - k/E)^t) = -E (1 - k/E)^t ln(1 - k/E), here times t_mem per expert.
    scenario = named_scenario("deepseek-v3", "h200", tp_size=8.0, seq_len=0.0, batch_size=5.0)
    slope = slopes(scenario)["t_mem"]["batch_size"]
    growth = -256 * (31 / 32) ** 5 * math.log(31 / 32)
    rate = 8 * scenario["mem_bw"]
    # one expert in 58 layers: 2,554,331,136 B; one row of the embedding: 7168 B
    assert slope == pytest.approx((growth * 2_554_331_136 + 7168) / rate, rel=1e-12)
