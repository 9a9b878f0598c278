"""The model against a second one in plain Python, and its single against its double precision."""

import math

import pytest

from jaxlimits.catalog.loader import load_catalog
from jaxlimits.model.fields import quantities
from jaxlimits.model.metrics import Metrics
from jaxlimits.schema import CALIBRATED, FLAGS, OUTPUTS
from tests.batches import Single, Sync
from tests.helpers import (
    ALGORITHMS,
    COMBINATIONS,
    MIXED_STEPS,
    ON_TOPOLOGIES,
    Scenario,
    evaluate_x32,
    evaluate_x64,
    make_scenario,
    named_scenario,
    one_in,
)
from tests.laws import Law, hold, law
from tests.reference import Point, reference, sync_parts
from tests.strategies import SLOPED, scenarios

CONTINUOUS = [
    name
    for name in quantities(Metrics)
    if name not in {*FLAGS, "batch_capacity", "max_batch_size", "limit_factor"}
]


def assert_same(metrics: Metrics, expected: dict[str, float], *, rel: float = 1e-9) -> None:
    for name in set(CONTINUOUS) - set(CALIBRATED):
        assert getattr(metrics, name) == pytest.approx(expected[name], rel=rel, nan_ok=True), name
    assert metrics.feasible == expected["feasible"]
    assert metrics.batch_capacity == pytest.approx(expected["batch_capacity"], rel=1e-9, abs=1e-6)
    assert metrics.limit_factor == pytest.approx(expected["limit_factor"], rel=rel)
    # A quotient on a whole number may be floored to either side.
    assert metrics.max_batch_size == pytest.approx(expected["max_batch_size"], rel=1e-9, abs=1.0)
    if metrics.limit != expected["limit"]:
        shares = sorted(expected[name] for name in ("t_mem", "t_compute", "t_sync"))
        assert shares[1] == pytest.approx(shares[2], rel=rel)


def equals_the_reference(scenario: Scenario, *, rel: float = 1e-9) -> Law:
    point = yield scenario
    assert_same(point, reference(scenario.numbers, scenario.switches), rel=rel)


@pytest.mark.parametrize("name", COMBINATIONS)
@law(scenario=lambda name: scenarios(combinations=(name,), feasible=None))
def test_the_model_equals_an_independent_one(name, scenario):
    return equals_the_reference(scenario)


@pytest.mark.parametrize(
    "name",
    one_in(
        3, ["default", "engine", "mtp", "draft", "mtp, nominal", "sharded", "sharded on a torus"]
    ),
)
@law(
    max_examples=25,
    scenario=lambda name: scenarios(combinations=(name,), requested=True, feasible=None),
)
def test_the_model_equals_an_independent_one_with_requests_and_drafts(name, scenario):
    return equals_the_reference(scenario)


@pytest.mark.parametrize("mode", one_in(2, MIXED_STEPS))
@law(
    max_examples=25,
    scenario=scenarios(combinations=("default",), requested=True, feasible=None),
)
def test_the_model_equals_an_independent_one_in_mixed_steps(mode, scenario):
    return equals_the_reference(scenario.but(mixed_steps=mode))


@pytest.mark.parametrize("name", one_in(3, ["draft", "default", "derived"]))
@law(max_examples=25, scenario=lambda name: scenarios(combinations=(name,), tiered=True))
def test_the_model_equals_an_independent_one_with_several_tiers(name, scenario):
    return equals_the_reference(scenario, rel=1e-6)  # as far as the linear program goes


@pytest.mark.parametrize("combination", one_in(3, COMBINATIONS.values(), COMBINATIONS))
def test_the_model_equals_an_independent_one_on_every_llm_of_the_catalog(combination):
    sizes = {"tp_size": 8.0, "dp_size": 4.0, "pp_size": 2.0, "batch_size": 3.0}
    points = [named_scenario(llm, "h200", **sizes, **combination) for llm in load_catalog().llms]
    spread = [p.but(ep_size=16.0) if p["num_experts"] else p for p in points]
    hold(equals_the_reference(point) for point in spread)


@pytest.mark.parametrize("algorithm", one_in(3, ALGORITHMS))
@law(scenario=scenarios(combinations=("default",)))
def test_the_model_equals_an_independent_one_under_every_algorithm(algorithm, scenario):
    return equals_the_reference(scenario.but(collective_algorithm=algorithm))


@pytest.mark.parametrize(("topology", "algorithm"), one_in(4, ON_TOPOLOGIES))
@law(scenario=scenarios(combinations=("default",)))
def test_synchronisation_equals_an_independent_one_on_every_topology(topology, algorithm, scenario):
    scenario = scenario.but(topology=topology, collective_algorithm=algorithm)
    times = yield Sync(scenario)
    expected = sync_parts(Point(scenario.numbers, scenario.switches))
    assert (times.total, times.latency, times.payload) == pytest.approx(expected, rel=1e-9)


def test_the_reference_names_every_metric_of_the_limit():
    scenario = named_scenario("llama3-8b", "h100")
    assert set(reference(scenario.numbers, scenario.switches)) == set(OUTPUTS) - set(CALIBRATED)


def tie_distance(exact: Metrics) -> float:
    """By what share the longest of the three times exceeds the next."""
    times = sorted((exact.t_mem, exact.t_compute, exact.t_sync))
    return times[2] / max(times[1], 1e-300) - 1.0 if exact.feasible else math.inf


@law(scenario=scenarios(combinations=SLOPED, feasible=None))
def test_single_precision_is_within_1e_5_of_double(scenario):
    single, double = yield Single(scenario), scenario
    if tie_distance(double) > 1e-5:
        assert single.limit == double.limit
    assert single.feasible == double.feasible  # the scenarios keep 1 % away from this boundary
    for name in CONTINUOUS:
        expected = getattr(double, name)
        assert getattr(single, name) == pytest.approx(expected, rel=1e-5, nan_ok=True), name
    assert single.limit_factor == pytest.approx(double.limit_factor, rel=1e-5)


@law(scenario=scenarios(combinations=SLOPED))
def test_the_largest_batch_in_single_precision_is_right_to_1e_6_of_the_memory(scenario):
    # The room beside the weights is a difference: where the weights nearly fill the memory, its
    # error is a share of the memory, not of the room.
    single, double = yield Single(scenario), scenario
    if not math.isfinite(double.max_batch_size):
        assert single.max_batch_size == double.max_batch_size
        return
    sequence = double.kv_bytes / scenario["batch_size"]
    memory = double.weight_bytes / double.capacity_utilisation + double.kv_bytes
    error = abs(single.max_batch_size - double.max_batch_size)
    assert error <= 1.0 + 1e-5 * double.max_batch_size + 1e-6 * memory / sequence


@pytest.mark.parametrize("change", [0.99998, 1.00002])
def test_feasibility_in_single_precision_is_right_to_1e_5(change):
    scenario = named_scenario("llama3-70b", "h100", tp_size=8.0, batch_size=32.0)
    scenario = scenario.but(mem_capacity=change * evaluate_x64(*scenario).bytes_per_chip)
    assert evaluate_x32(*scenario).feasible == evaluate_x64(*scenario).feasible == (change > 1.0)


def test_a_scenario_is_made_of_plain_numbers():
    scenario = named_scenario("deepseek-v3", "h200", ep_size=8.0, tp_size=8.0)
    assert make_scenario(scenario.numbers, scenario.switches) == scenario
