"""Dollars by hand: what a node of eight H100 costs an hour, and a million tokens of it."""

import jax
import pytest

import jaxlimits as jl
from jaxlimits.model.cost import capital_cost, chip_capital, cost_rate, serving_cost
from jaxlimits.model.fields import quantities
from jaxlimits.model.metrics import Metrics
from jaxlimits.model.power import system_power
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


def provisioned(scenario):
    step = {"traffic": 1.0, "flops": 1.0, "t_step": 1.0}  # whatever it does
    return system_power(scenario.chip, scenario.deployment, **step)


def dollars_an_hour(scenario):
    with jax.enable_x64(True):
        records = (scenario.chip, scenario.deployment, scenario.site)
        return HOUR * float(cost_rate(*records, power=provisioned(scenario)))


def served_for(scenario):
    with jax.enable_x64(True):
        records = (scenario.chip, scenario.deployment, scenario.site)
        return float(serving_cost(*records, power=provisioned(scenario)))


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
    assert served_for(half) == pytest.approx(2 * served_for(full), rel=1e-15)


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


def test_a_rented_node_costs_20_dollars_an_hour_whatever_it_draws():
    # 8 chips * 2.50 USD/h; what they would cost to buy and to power has no part in it
    rented = node(chip_hour_price=2.5 / HOUR)
    assert dollars_an_hour(rented) == pytest.approx(20.0, rel=1e-15)
    dear = node(chip_hour_price=2.5 / HOUR, electricity_price=1.0, depreciation_time=1.0)
    assert dollars_an_hour(dear) == dollars_an_hour(rented)
    assert capital_cost(rented.chip, rented.deployment) == 8 * 44_000.0
    half = node(chip_hour_price=2.5 / HOUR, utilisation=0.5)
    assert served_for(half) * HOUR == pytest.approx(40.0)
    replicas = node(chip_hour_price=2.5 / HOUR, dp_size=3.0, pp_size=2.0)
    assert dollars_an_hour(replicas) == pytest.approx(120.0)


def test_a_rent_reaches_every_dollar_and_its_slope_is_the_number_of_chips():
    point = {"llm": "llama3-70b", "chip": "h100", "tp_size": 8, "x64": True}
    request = {"input_len": 1000, "output_len": 100, "chip_hour_price": "2.50 USD/h"}
    found = jl.evaluate(**point, **request)
    assert found.dollars_per_token == pytest.approx(20.0 / HOUR / found.stps, rel=1e-12)
    assert found.dollars_per_request == pytest.approx(20.0 / HOUR / found.request_rate, rel=1e-12)
    outputs = ["cost_rate_derivative_chip_hour_price", "dollars_per_token_elasticity_pue"]
    rents = ["0 USD/h", "2.50 USD/h"]
    owned = jl.evaluate(**point).cost_rate * HOUR
    swept = jl.sweep(**point, chip_hour_price=rents, outputs=["cost_rate", *outputs])
    assert swept.cost_rate.values * HOUR == pytest.approx([owned, 20.0], rel=1e-12)
    assert swept[outputs[0]].values.tolist() == [0.0, 8.0]
    assert swept[outputs[1]].values[1] == 0.0 < swept[outputs[1]].values[0]


def test_the_rent_that_a_price_of_tokens_allows_is_found():
    point = ("llama3-70b", "h100")
    found = jl.solve(*point, solve_for="chip_hour_price", target="cost_rate <= 16 USD/h", tp_size=8)
    assert (found.reason, found.value * HOUR) == ("met", pytest.approx(2.0, rel=1e-9))


def test_a_rented_chip_needs_no_price_and_no_power_of_its_own():
    chip = {"peak_flops": "1 PFLOP/s", "mem_bw": "4 TB/s", "mem_capacity": "80 GB"}
    grid = {
        "chips": {"bare": chip},
        "base": {"llm": "llama3-8b", "chip": "bare"},
        "axes": {"batch_size": [1, 2]},
        "outputs": ["cost_rate", "dollars_per_token", "power", "batch_capacity"],
    }
    bare = jl.sweep(grid)
    assert bare.cost_rate.isnull().all()
    assert "no power and no price stated" in bare.cost_rate.attrs["absent"]
    rented = jl.sweep(grid, overrides={"chip_hour_price": "3 USD/h"})
    assert rented.cost_rate.values * HOUR == pytest.approx([3.0, 3.0])
    assert "absent" not in rented.cost_rate.attrs
    assert "absent" in rented.power.attrs


@pytest.mark.parametrize(
    ("rent", "says"),
    [
        ("2.5", "chip_hour_price: '2.5': bare number; write it with its unit, as '2 USD/h'"),
        ("-1 USD/h", "chip_hour_price = '-1 USD/h': must be a number, above 0, or 0 for none"),
        ("2.5 USD", "chip_hour_price: '2.5 USD': USD is a price [USD]; a price by time such as"),
    ],
)
def test_a_rent_that_is_none_is_refused(rent, says):
    with pytest.raises(jl.InputError) as error:
        jl.evaluate("llama3-8b", "h100", chip_hour_price=rent)
    assert says in str(error.value)
