"""Dollars by hand: what a node of eight H100 costs an hour, and a million tokens of it."""

import pytest

from jaxlimits.model.cost import capital_cost, chip_capital, cost_rate, serving_cost
from jaxlimits.model.fields import quantities
from jaxlimits.model.metrics import Metrics
from tests.helpers import evaluate_x64, named_scenario

HOUR = 3600.0
PRICES = {
    "chip_price": 30_000.0,
    "server_price": 80_000.0,
    "network_price": 4_000.0,
    "electricity_price": 0.08 / 3.6e6,
    "pue": 1.2,
    "depreciation_time": 4 * 365.25 * 24 * HOUR,
}


def node(**values):
    prices = {**PRICES, "server_power": 300.0, **values}
    return named_scenario("llama3-70b", "h100", tp_size=8.0, **prices)


def dollars_an_hour(scenario):
    return HOUR * cost_rate(scenario.chip, scenario.deployment, scenario.site)


def test_a_chip_bears_its_share_of_server_and_network():
    assert chip_capital(node().chip) == 44_000.0  # 30,000 + 4,000 + 80,000 / 8


def test_memory_that_is_sold_apart_is_paid_by_its_size():
    # 80 GB at 20 USD/GB
    assert chip_capital(node(mem_price=20e-9).chip) == pytest.approx(45_600.0, rel=1e-15)


def test_every_chip_of_every_replica_is_bought():
    scenario = node(pp_size=2.0, dp_size=3.0)
    assert capital_cost(scenario.chip, scenario.deployment) == 48 * 44_000.0


def test_a_node_costs_10_dollars_61_an_hour():
    # owning    8 * 44,000 USD / 35,064 h                         = 10.0388 USD/h
    # powering  8 * (700 + 300 / 8) W = 5.9 kW; * 1.2 * 0.08 USD  =  0.5664 USD/h
    assert round(dollars_an_hour(node()), 2) == 10.61
    assert dollars_an_hour(node()) == pytest.approx(352_000 / 35_064 + 0.5664, rel=1e-12)
    assert round(dollars_an_hour(node(electricity_price=0.0)), 2) == 10.04
    assert round(dollars_an_hour(node(depreciation_time=1e30)), 2) == 0.57


def test_idle_time_is_paid_for_by_the_tokens():
    full, half = node(), node(utilisation=0.5)
    assert dollars_an_hour(half) == dollars_an_hour(full)
    assert serving_cost(half.chip, half.deployment, half.site) == pytest.approx(
        2 * serving_cost(full.chip, full.deployment, full.site), rel=1e-15
    )


def test_a_million_tokens_cost_2_dollars_95():
    # Nothing but the collectives takes time: 240 of 50 us, 12 ms for 12 sequences, 1000 token/s;
    # 10.6052 USD for 3.6e6 tokens.
    endless = {"mem_bw": 1e30, "peak_flops": 1e30, "peak_vector_flops": 1e30}
    scenario = node(batch_size=12.0, sync_latency=50e-6, **endless)
    point = evaluate_x64(*scenario)
    assert point.stps == pytest.approx(1000.0, rel=1e-12)
    assert round(1e6 * point.dollars_per_token, 2) == 2.95
    assert point.stps_per_dollar == pytest.approx(3.6e6 / (352_000 / 35_064 + 0.5664), rel=1e-12)
    assert round(1e6 * evaluate_x64(*scenario.but(utilisation=0.5)).dollars_per_token, 2) == 5.89


def test_the_default_prices_are_those_of_the_example():
    plain = named_scenario("llama3-70b", "h100", tp_size=8.0, server_power=300.0)
    assert dollars_an_hour(plain) == pytest.approx(dollars_an_hour(node()), rel=1e-12)


def test_what_does_not_fit_costs_by_the_hour_all_the_same():
    point = evaluate_x64(*named_scenario("llama3-405b", "h100"))
    assert not point.feasible
    assert point.capital_cost == 44_000.0
    assert point.cost_rate > 0.0


@pytest.mark.parametrize(
    "name",
    [
        *("capital_cost", "cost_rate", "dollars_per_token", "stps_per_dollar"),
        *("dollars_per_request", "dollars_per_input_token", "dollars_per_output_token"),
    ],
)
def test_every_output_in_dollars_owns_up_to_its_prices(name):
    assert "illustrative" in quantities(Metrics)[name].meaning


def test_every_other_output_is_free_of_prices():
    priced = {name for name, info in quantities(Metrics).items() if "USD" in info.unit}
    of_requests = {f"dollars_per_{one}" for one in ("request", "input_token", "output_token")}
    of_systems = {"capital_cost", "cost_rate", "dollars_per_token", "stps_per_dollar"}
    assert priced == of_systems | of_requests
