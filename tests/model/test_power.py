"""Provisioned power by hand."""

import pytest

from jaxlimits.model.power import chip_power, system_power
from tests.helpers import evaluate_x64, named_scenario


def test_the_papers_hbm3_chip_draws_1049_watts():
    chip = named_scenario("llama3-8b", "xpu-hbm3").chip
    # die     800 mm² * 1.1 W/mm²        = 880 W
    # memory  30 pJ/B * 4 * 2^40 B/s     = 131.9414 W
    # server  300 W / 8                  =  37.5 W
    assert chip_power(chip) == pytest.approx(1049.4413953, rel=1e-9)


def test_a_board_power_stands_beside_its_share_of_the_server():
    scenario = named_scenario(
        "llama3-8b", "h100", base_power=700.0, die_area=0.0, mem_energy=0.0, server_power=1200.0
    )
    # 700 + 1200 / 8
    assert chip_power(scenario.chip) == 850.0


def test_every_chip_of_every_replica_is_provisioned():
    sizes = {"tp_size": 8.0, "pp_size": 2.0, "dp_size": 3.0}
    scenario = named_scenario("llama3-8b", "xpu-hbm3", **sizes)
    # 48 * 1049.4413953
    assert system_power(scenario.chip, scenario.deployment) == pytest.approx(50_373.18697, rel=1e-9)


def test_power_does_not_depend_on_the_work():
    idle = evaluate_x64(*named_scenario("llama3-8b", "xpu-hbm3", seq_len=0.0))
    busy = evaluate_x64(*named_scenario("llama3-8b", "xpu-hbm3", batch_size=64.0))
    does_not_fit = evaluate_x64(*named_scenario("llama3-405b", "xpu-hbm3"))
    assert idle.power == busy.power == does_not_fit.power


def test_energy_of_a_token_is_power_over_throughput():
    point = evaluate_x64(*named_scenario("llama3-8b", "xpu-hbm3", tp_size=2.0, batch_size=4.0))
    assert point.energy_per_token == pytest.approx(point.power / point.stps, rel=1e-15)
    assert point.stps_per_watt * point.energy_per_token == pytest.approx(1.0, rel=1e-15)
