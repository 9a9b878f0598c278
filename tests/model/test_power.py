"""Power by hand, provisioned and by activity, and beside measured powers."""

import csv

import jax
import numpy as np
import pytest

from jaxlimits.calibration.measured_tables import shipped_tables
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.operators import step_operators
from jaxlimits.model.power import activity_power, chip_power, system_power
from jaxlimits.model.roofline import merged
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
    step = {"traffic": 1e12, "flops": 1e15, "t_step": 0.1}
    power = system_power(scenario.chip, scenario.deployment, **step)
    assert power == pytest.approx(50_373.18697, rel=1e-9)


def test_activity_takes_its_energies_up_to_the_cap():
    energies = {"idle_power": 200.0, "read_energy": 100e-12, "flop_energy": 1e-12}
    sizes = {"tp_size": 4.0, "pp_size": 2.0, "server_power": 800.0, "chips_per_server": 8.0}
    scenario = named_scenario("llama3-8b", "h100", power_model="activity", **energies, **sizes)
    chip = scenario.but(power_cap=0.0).chip
    # 200 W + 100 pJ/B * 2 TB/s + 1 pJ/FLOP * 300 TFLOP/s
    assert float(activity_power(chip, byte_rate=2e12, flop_rate=3e14)) == pytest.approx(700.0)
    capped = scenario.but(power_cap=650.0).chip
    assert float(activity_power(capped, byte_rate=2e12, flop_rate=3e14)) == 650.0
    # each of four chips of a stage streams 8 TB of 32 in 4 s: 2 TB/s; eight chips, 100 W of server
    step = {"traffic": 32e12, "flops": 4.8e15, "t_step": 4.0}
    power = system_power(chip, scenario.deployment, **step)
    assert float(power) == pytest.approx(8 * (700.0 + 100.0))


def test_less_work_takes_less_power_and_never_more_than_the_cap():
    def power(**values):
        named = {"tp_size": 8.0, "power_model": "activity", "server_power": 0.0}
        return float(evaluate_x64(*named_scenario("llama3-70b", "b200", **named, **values)).power)

    assert power(batch_size=1.0, sync_latency=50e-6) < power(batch_size=1.0)
    assert power(batch_size=256.0) <= 8 * 1000.0
    # a bandwidth-bound step: 390 W and 100 pJ/B of nearly 8 TB/s exceed 1000 W: the cap holds
    assert power(batch_size=64.0, sync_latency=0.0) == pytest.approx(8000.0)


def test_measured_powers_are_met_within_15_percent_in_the_mean():
    """66 rows of the ML.ENERGY Leaderboard, at their measured rates; none is left out."""
    catalog, errors = load_catalog(), {}
    with shipped_tables()["energy"].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    bits = {"BF16": (16.0, 16.0, 16.0), "FP8": (8.0, 16.0, 8.0), "MXFP4": (4.25, 16.0, 16.0)}
    points, measured = [], []
    for row in rows:
        weight, cache, compute = bits[row["precision"]]
        name = catalog_name(row["model"])
        deployment = Deployment(
            tp_size=float(row["tp"]),
            batch_size=float(row["batch"]),
            seq_len=float(row["seq_len"]),
            weight_bits=weight,
            kv_bits=cache,
            compute_bits=compute,
        )
        points.append((catalog.llm(name), deployment))
        count = float(row["chips"])
        watts = float(row["watts"]) / count
        assert float(row["watts"]) / float(row["stps"]) == pytest.approx(
            float(row["joules_per_token"]), rel=0.02
        )
        measured.append((count, float(row["batch"]) / float(row["stps"]), watts))
    stacked = jax.tree.map(lambda *x: np.array(x, dtype=np.float32), *points)
    whole = jax.jit(jax.vmap(lambda one: merged(step_operators(*one))))(stacked)
    for place, (row, (count, time, watts)) in enumerate(zip(rows, measured, strict=True)):
        name = row["system"].partition("x")[2]
        chip = catalog.chip("b200" if name.startswith("B200") else "h100")
        traffic = float(whole.weight_traffic[place] + whole.kv_traffic[place]) / (count * time)
        flops = float(whole.tensor_flops[place]) / (count * time)
        found = float(activity_power(chip, byte_rate=traffic, flop_rate=flops))
        errors.setdefault(name, []).append(abs(found / watts - 1.0))
    assert len(rows) >= 20
    assert set(errors) == {"B200-SXM", "H100-SXM"}
    for name, found in errors.items():
        assert np.mean(found) <= 0.15, name


NAMES = {"70B": "llama3-70b", "405B": "llama3-405b", "3.1-8B": "llama3-8b", "32B": "qwen3-32b"}
NAMES |= {"gpt-oss-120b": "gpt-oss-120b", "gpt-oss-20b": "gpt-oss-20b", "Qwen3-8B": "qwen3-8b"}
NAMES |= {"235B": "qwen3-235b", "30B": "qwen3-30b", "DeepSeek": "deepseek-v3"}


def catalog_name(text):
    (name,) = {own for part, own in NAMES.items() if part in text}
    return name


def test_power_does_not_depend_on_the_work():
    idle = evaluate_x64(*named_scenario("llama3-8b", "xpu-hbm3", seq_len=0.0))
    busy = evaluate_x64(*named_scenario("llama3-8b", "xpu-hbm3", batch_size=64.0))
    does_not_fit = evaluate_x64(*named_scenario("llama3-405b", "xpu-hbm3"))
    assert idle.power == busy.power == does_not_fit.power


def test_energy_of_a_token_is_power_over_throughput():
    point = evaluate_x64(*named_scenario("llama3-8b", "xpu-hbm3", tp_size=2.0, batch_size=4.0))
    assert point.energy_per_token == pytest.approx(point.power / point.stps, rel=1e-15)
    assert point.stps_per_watt * point.energy_per_token == pytest.approx(1.0, rel=1e-15)
