"""The calibrated overlay: the limit where nothing is lost, and hand-worked numbers where it is."""

import functools

import jax
import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.evaluate import evaluate
from jaxlimits.model.fabric import Fabric, measured_all_reduce_time
from jaxlimits.model.fields import quantities
from jaxlimits.model.metrics import Metrics
from jaxlimits.model.operators import step_operators
from jaxlimits.model.overlay import (
    activation_pass,
    kernels_per_step,
    overlapped,
    overlay_parts,
    predicted_spread,
    routing_share,
    timed,
)
from tests.helpers import named_scenario, one_in

POINTS = {
    "dense": named_scenario("llama3-70b", "h100", tp_size=8.0, batch_size=16.0),
    "one chip": named_scenario("llama3-8b", "a100", batch_size=400.0, seq_len=256.0),
    "experts and latent": named_scenario("deepseek-v3", "b200", tp_size=8.0, batch_size=64.0),
    "expert parallel": named_scenario(
        "qwen3-235b", "h200", tp_size=4.0, dp_size=4.0, ep_size=8.0, batch_size=32.0
    ),
    "pipeline": named_scenario("llama3-405b", "mi300x", tp_size=8.0, pp_size=2.0),
    "sparse": named_scenario("deepseek-v3.2", "b200", tp_size=8.0, batch_size=64.0),
}
REAL = Calibration(
    mem_efficiency=0.84,
    expert_efficiency=0.8,
    kv_efficiency=0.7,
    flops_efficiency=0.78,
    kernel_latency=5e-6,
    sequence_latency=4e-6,
    collective_factor=1.1,
    overlap_loss=0.5,
    routed_passes=16.0,
    routing_spread=1.0,
    spread=0.1,
)
MEASURED = Fabric(
    one_shot_latency=7e-6,
    one_shot_bw=400e9,
    two_shot_latency=18e-6,
    two_shot_bw=560e9,
    library_bytes=2.0 * 2**20,
    library_latency=13e-6,
    library_hop_latency=0.6e-6,
)


@pytest.fixture(autouse=True)
def in_float64(x64):
    """Compute in float64."""


def parts(point, fabric=MEASURED):
    operators = step_operators(point.llm, point.deployment)
    return overlay_parts(operators, *asked(point), fabric=fabric)


def overlay(point, calibration=REAL, fabric=MEASURED):
    return timed(parts(point, fabric), calibration)


def collectives_of(point, fabric):
    return float(overlay(point, Calibration(), fabric).collectives)


def kernels_of(name):
    point = POINTS[name]
    return float(kernels_per_step(point.llm, point.deployment))


def asked(point):
    return point.chip, point.llm, point.deployment


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_with_nothing_lost_it_is_the_limit_under_the_operator_roofline(point):
    limit = evaluate(*point.but(roofline="operator"))
    t_step = overlay(point, Calibration(), Fabric()).t_step
    assert float(t_step) == pytest.approx(float(limit.t_step), rel=1e-12)


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_a_real_engine_is_slower_than_the_limit(point):
    limit = evaluate(*point.but(roofline="operator"))
    assert float(overlay(point, REAL, Fabric()).t_step) > float(limit.t_step)


def test_kernels_are_counted_layer_by_layer():
    # Llama 3 70B: 80 layers of 6 + 4
    assert kernels_of("dense") == 800.0
    # DeepSeek-V3: 61 of 14, 3 dense of 4, 58 of 6 experts' and 4 shared = 854 + 12 + 580
    assert kernels_of("experts and latent") == 1446.0
    # Qwen3 235B: 94 layers of 6 + 6, nothing shared
    assert kernels_of("expert parallel") == 1128.0
    # DeepSeek-V3.2: 61 indexers of 26 beside V3's
    assert kernels_of("sparse") == 1446.0 + 61 * 26


def test_overlap_goes_from_the_maximum_to_the_sum():
    assert float(overlapped(3.0, 4.0, loss=0.0)) == 4.0
    assert float(overlapped(3.0, 4.0, loss=0.5)) == pytest.approx(5.0)
    assert float(overlapped(3.0, 4.0, loss=1.0)) == pytest.approx(7.0)
    assert float(overlapped(3.0, 0.0, loss=0.5)) == 3.0
    assert float(overlapped(0.0, 0.0, loss=0.5)) == 0.0


def test_skewed_routing_touches_fewer_experts():
    consists = parts(POINTS["experts and latent"])
    # 64 tokens, 8 of 256 experts: l = -64 ln(1 - 1/32) = 2.03191; v = 1: 256 l/(1 + l) = 171.565
    # over 256 (1 - exp(-l)) = 222.441 under uniform routing
    share = routing_share(consists, Calibration(routing_spread=1.0))
    assert float(share) == pytest.approx(171.565 / 222.441, rel=1e-5)
    assert float(routing_share(consists, Calibration())) == 1.0
    nearly = routing_share(consists, Calibration(routing_spread=1e-6))
    assert float(nearly) == pytest.approx(1.0, abs=1e-5)
    assert float(routing_share(parts(POINTS["dense"]), REAL)) == 1.0


def test_activations_move_once_for_each_expert_and_pass():
    point = POINTS["experts and latent"]
    # 2 B x 64 tokens x 8 experts x 7168 x 58 layers / 8 TB/s = 53.2 us a pass
    expected = 2 * 64 * 8 * 7168 * 58 / 8e12
    assert float(activation_pass(*asked(point))) == pytest.approx(expected, rel=1e-12)
    assert float(overlay(point).activations) == pytest.approx(16 * expected, rel=1e-12)
    assert float(activation_pass(*asked(POINTS["dense"]))) == 0.0


def test_the_host_serves_each_sequence_of_a_step():
    # 64 sequences of 4 us
    assert float(overlay(POINTS["experts and latent"]).host) == pytest.approx(256e-6)


def test_the_quickest_kind_of_all_reduce_is_taken():
    time = functools.partial(measured_all_reduce_time, MEASURED)
    # one shot, 128 KiB among 8: 7 us + 7 x 131072 B / 400 GB/s = 9.294 us; the library takes 21.4
    assert float(time(payload=131072.0, chips=8.0)) == pytest.approx(9.29376e-6, rel=1e-5)
    # two shots, 8 MiB: 18 us + 1.75 x 8388608 B / 560 GB/s = 44.2 us; one shot takes 153.8
    assert float(time(payload=8.0 * 2**20, chips=8.0)) == pytest.approx(44.2144e-6, rel=1e-5)
    # the library, 1 MiB: 13 us + 14 x 0.6 us = 21.4 us; two shots take 21.28, one shot 25.35
    assert float(time(payload=2.0**20, chips=8.0)) == pytest.approx(21.2768e-6, rel=1e-5)
    assert float(time(payload=8.0 * 2**20, chips=1.0)) == 0.0


def test_a_mesh_uses_the_links_to_its_peers_only():
    mesh = Fabric(one_shot_latency=1.0, two_shot_latency=1e-9, two_shot_bw=70e9, mesh_peers=7.0)
    # among 4 of 8, 3/7 of 70 GB/s: 1.5 x 1 MB / 30 GB/s
    time = measured_all_reduce_time(mesh, payload=1e6, chips=4.0)
    assert float(time) == pytest.approx(50e-6, rel=1e-4)


def test_a_step_of_70b_has_no_dip_where_tensorrt_changes_its_kind():
    catalog = jl.load_catalog()
    named = {"calibration": "trtllm", "fabric": "trtllm-b200", "catalog": catalog, "x64": True}
    times = [
        jl.evaluate("llama3-70b", "b200", tp_size=8, batch_size=b, **named).calibrated_t_step
        for b in (120, 124, 128, 132)
    ]
    assert times == sorted(times)
    assert times[-1] < 1.1 * times[0]


def test_collectives_are_two_measured_all_reduces_a_layer():
    point = POINTS["dense"]
    each = measured_all_reduce_time(MEASURED, payload=2.0 * 16 * 8192, chips=8.0)
    assert collectives_of(point, MEASURED) == pytest.approx(160 * float(each))
    limit = float(evaluate(*point).t_sync)
    assert collectives_of(point, Fabric()) == pytest.approx(limit)


@pytest.mark.parametrize("point", one_in(3, POINTS.values(), POINTS))
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in quantities(Calibration)
        if not name.endswith(("spread", "widening")) or name == "routing_spread"
    ],
)
def test_derivatives_by_every_constant_are_those_of_finite_differences(name, point):
    def t_step(value):
        values = {field: getattr(REAL, field) for field in quantities(Calibration)}
        return overlay(point, Calibration(**{**values, name: value})).t_step

    here = getattr(REAL, name)
    step = 1e-5 * here
    slope = float(jax.grad(t_step)(here))
    difference = (float(t_step(here + step)) - float(t_step(here - step))) / (2.0 * step)
    assert slope == pytest.approx(difference, rel=1e-4, abs=1e-9 * float(t_step(here)) / here)


def test_experts_of_one_replica_are_reduced_and_not_exchanged():
    """Engines all-reduce where every chip has all tokens; the limit's all-to-alls are a switch."""
    one = named_scenario("deepseek-v3", "b200", tp_size=8.0, ep_size=8.0, batch_size=64.0)
    without = one.but(ep_size=1.0)
    assert collectives_of(one, MEASURED) == pytest.approx(collectives_of(without, MEASURED))
    asked_for = one.but(expert_exchange="all-to-all")
    assert collectives_of(asked_for, MEASURED) != pytest.approx(collectives_of(one, MEASURED))
    limit = evaluate(*one)
    assert float(limit.ep_collectives) == 2 * 58  # the limit's convention stands
    reduced = evaluate(*one.but(expert_exchange="all-reduce"))
    assert float(reduced.ep_collectives) == 0.0
    assert float(reduced.tp_collectives) == float(evaluate(*without).tp_collectives)
    several = one.but(dp_size=2.0, expert_exchange="all-reduce")
    assert float(evaluate(*several).ep_collectives) == 2 * 58  # replicas share experts


def test_volumes_are_those_that_the_times_count():
    """Under EP the slowest rank reads and computes more than the mean: in times and in volumes."""
    point = POINTS["expert parallel"]
    metrics = evaluate(*point)
    chip, deployment = point.chip, point.deployment
    traffic = float(metrics.weight_traffic + metrics.kv_traffic)
    assert float(metrics.t_mem) == pytest.approx(
        traffic / (float(deployment.tp_size) * float(chip.mem_bw)), rel=1e-9
    )
    assert float(metrics.bandwidth_utilisation) <= 1.0


def test_a_spread_widens_with_what_is_new():
    point = POINTS["dense"]
    engine = Calibration(
        spread=0.3, kernel_spread=0.4, chip_widening=2.0, model_widening=1.5, attention_widening=1.0
    )
    took = {"t_step": 4.0, "t_kernels": 4.0, "t_sync": 2.0}

    def spread(chip, llm, fabric=MEASURED):
        return float(predicted_spread(chip, llm, engine, fabric, **took))

    known = point.but(measured_chip=1.0, measured_model=1.0, measured_attention=1.0)
    assert spread(known.chip, known.llm) == pytest.approx(0.5)  # of 0.3 and 0.4
    other = known.but(measured_chip=0.0)
    assert spread(other.chip, other.llm) == pytest.approx(1.0)  # twice
    model = other.but(measured_model=0.0)
    assert spread(model.chip, model.llm) == pytest.approx(0.5 * (1 + 3 + 1.25) ** 0.5)
    guessed = Fabric(fabric_spread=0.4)  # half of the step: 0.2 beside 0.5
    assert spread(known.chip, known.llm, guessed) == pytest.approx((0.25 + 0.04) ** 0.5)


@pytest.mark.parametrize("seq_len", [4096.0, 65536.0, 1048576.0])
def test_a_sparse_model_is_never_quicker_than_its_limit(seq_len):
    point = POINTS["sparse"].but(batch_size=256.0, seq_len=seq_len, mem_capacity=1e13)
    beside = evaluate(*point, REAL, MEASURED)
    assert float(beside.calibrated_t_step) > float(beside.t_step)


@pytest.mark.parametrize("point", one_in(2, POINTS.values(), POINTS))
def test_derivatives_are_finite_where_nothing_is_lost(point):
    """Guards hold: zero constants, dense models and one chip put no NaN into a gradient."""

    def t_step(calibration, fabric, where):
        return overlay(where, calibration, fabric).t_step

    records = jax.tree.map(np.float64, (Calibration(), Fabric(), point))
    slopes = jax.grad(t_step, argnums=(0, 1, 2))(*records)
    assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(slopes))


def test_calibrated_metrics_stand_beside_the_limit_and_leave_it_alone():
    point = POINTS["dense"]
    plain, beside = evaluate(*point), evaluate(*point, REAL, MEASURED)
    t_step = float(overlay(point).t_step)
    assert float(beside.calibrated_t_step) == pytest.approx(t_step)
    assert float(beside.calibrated_utps) == pytest.approx(1.0 / t_step)
    assert float(beside.calibrated_stps) == pytest.approx(16.0 / t_step)
    # exp(1.96 x 0.1) = 1.2165
    assert float(beside.calibrated_utps_upper) == pytest.approx(1.2165 / t_step, rel=1e-4)
    assert float(beside.calibrated_utps_lower) == pytest.approx(1.0 / 1.2165 / t_step, rel=1e-4)
    for name in quantities(Metrics):
        if not name.startswith("calibrated_"):
            np.testing.assert_equal(float(getattr(plain, name)), float(getattr(beside, name)), name)


def test_a_point_that_does_not_fit_has_no_calibrated_times():
    metrics = evaluate(*POINTS["dense"].but(batch_size=1e6), REAL, MEASURED)
    assert not metrics.feasible
    assert np.isnan(float(metrics.calibrated_t_step))
    assert np.isnan(float(metrics.calibrated_stps))


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_single_precision_is_within_1e_5_of_double(point):
    double = float(overlay(point).t_step)
    with jax.enable_x64(False):
        records = jax.tree.map(np.float32, (*point, REAL, MEASURED))
        single = float(jax.jit(evaluate)(*records).calibrated_t_step)
    assert single == pytest.approx(double, rel=1e-5)
