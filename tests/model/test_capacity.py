"""Capacity by hand."""

import math

import pytest

from tests.helpers import PAPER, evaluate_x64, named_scenario
from tests.laws import law
from tests.strategies import scenarios


def test_405b_with_32_users_of_64k_tokens_fills_881_gib():
    # 405e9 + 32 * 65,536 * 258,048 = 405e9 + 541,165,879,296 B
    sizes = {"seq_len": 65536.0, "batch_size": 32.0}
    point = evaluate_x64(*named_scenario("llama3-405b", "xpu-hbm3", **sizes, **PAPER))
    stored = point.weight_bytes + point.kv_bytes
    assert stored == pytest.approx(946_165_879_296, rel=1e-12)
    assert round(stored / 2**30) == 881


def test_the_largest_batch_is_what_the_room_beside_the_weights_holds():
    scenario = named_scenario("llama3-70b", "h100", tp_size=8.0, mem_capacity=141e9)
    # (8 * 141e9 - 70,553,706,496) / (4096 * 163,840) = 1,057,446,293,504 / 671,088,640 = 1575.7
    assert evaluate_x64(*scenario).max_batch_size == 1575
    # Four fifths usable: (902.4e9 - 70,553,706,496) / 671,088,640 = 1239.5
    assert evaluate_x64(*scenario.but(usable_fraction=0.8)).max_batch_size == 1239


def test_a_pipeline_holds_a_micro_batch_for_each_stage():
    scenario = named_scenario("llama3-70b", "h100", mem_capacity=141e9, batch_size=10.0)
    point = evaluate_x64(*scenario.but(tp_size=8.0, pp_size=2.0))
    assert point.kv_bytes == 2 * 10 * 671_088_640
    # (16 * 141e9 - 70,553,706,496) / (2 * 671,088,640) = 1628.3
    assert point.max_batch_size == 1628
    assert point.bytes_per_chip == (70_553_706_496 + 20 * 671_088_640) / 16
    assert point.capacity_utilisation == pytest.approx(point.bytes_per_chip / 141e9, rel=1e-14)


def test_replicas_do_not_share_memory():
    one = evaluate_x64(*named_scenario("llama3-70b", "h100", tp_size=8.0))
    three = evaluate_x64(*named_scenario("llama3-70b", "h100", tp_size=8.0, dp_size=3.0))
    assert one.max_batch_size == three.max_batch_size
    assert one.bytes_per_chip == three.bytes_per_chip


def test_copies_of_the_cache_lower_the_largest_batch():
    scenario = named_scenario("llama3-70b", "h100", tp_size=32.0, kv_sharding="heads")
    # (32 * 80e9 - 70,553,706,496) / (4 * 671,088,640) = 927.4
    assert scenario["mem_capacity"] == 80e9
    assert evaluate_x64(*scenario).max_batch_size == 927


def test_without_context_any_batch_fits_beside_the_weights():
    fits = evaluate_x64(*named_scenario("llama3-70b", "h100", seq_len=0.0))
    assert fits.max_batch_size == math.inf
    assert fits.feasible
    beyond = evaluate_x64(*named_scenario("llama3-405b", "h100", seq_len=0.0))
    assert beyond.max_batch_size == 0.0
    assert not beyond.feasible


def test_no_batch_fits_beside_weights_that_do_not():
    assert evaluate_x64(*named_scenario("llama3-405b", "h100")).max_batch_size == 0.0


def test_a_memory_filled_to_the_last_byte_is_enough():
    needed = 70_553_706_496.0 + 671_088_640.0
    assert evaluate_x64(*named_scenario("llama3-70b", "h100", mem_capacity=needed)).feasible
    lacking = named_scenario("llama3-70b", "h100", mem_capacity=needed - 1.0)
    assert not evaluate_x64(*lacking).feasible


@law(scenario=scenarios(feasible=None))
def test_the_largest_batch_fits_and_one_more_does_not(scenario):
    now = yield scenario
    largest = now.max_batch_size if math.isfinite(now.max_batch_size) else 1e9
    sizes = (max(largest, 1.0), largest + 1.0)
    full, beyond = yield [scenario.but(batch_size=size) for size in sizes]
    if math.isfinite(now.max_batch_size):
        assert beyond.capacity_utilisation > 1.0 - 1e-12
    if largest > 0.0:
        assert full.capacity_utilisation <= 1.0 + 1e-12
