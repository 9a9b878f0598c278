"""Axes: every form of values, their order, what is linked to them, and every refusal."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.grid.axes import read_axis
from jaxlimits.grid.file import AxisTable

SCALES = [0.25, 0.5, 1, 2, 4, 8, 16]


def axis(name, raw):
    table = AxisTable.model_validate(raw) if isinstance(raw, dict) else raw
    return read_axis(name, table, where="g.toml")


def refused(name, raw):
    with pytest.raises(InputError) as caught:
        axis(name, raw)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("batch_size", [1, 2, 64], (1, 2, 64)),
        ("batch_size", ["1", "1 Ki"], (1, 1024)),
        ("batch_size", [7], (7,)),
        ("batch_size", {"values": [1, 2]}, (1, 2)),
        ("seq_len", ["4 Ki", "128 Ki"], (4096, 131072)),
        ("seq_len", ["1,024", 2048], (1024, 2048)),
        ("mem_bw", ["18 TiB/s"], (18 * 2**40,)),
        ("mem_bw", ["800 GB/s", "4 Tb/s", "1 TB/s"], (0.5e12, 0.8e12, 1e12)),  # 4e12 bit / 8
        ("sync_latency", ["0.2 us", "1.5 us"], (0.2e-6, 1.5e-6)),
        ("die_area", ["814 mm^2"], (814e-6,)),
        ("tp_size", {"linear": [2, 10], "num": 5}, (2, 4, 6, 8, 10)),
        ("mem_bw", {"linear": ["1 TB/s", "3 TB/s"], "num": 3}, (1e12, 2e12, 3e12)),
        ("kv_bits", {"linear": [4, 8], "num": 3}, (4, 6, 8)),
        ("batch_size", {"pow2": [1, 16]}, (1, 2, 4, 8, 16)),
        ("batch_size", {"pow2": [3, 12]}, (3, 6, 12)),
        ("batch_size", {"pow2": [8, 8]}, (8,)),
        ("mem_capacity", {"pow2": ["1 GiB", "4 GiB"]}, (2**30, 2**31, 2**32)),
        ("mem_bw_scale", SCALES, tuple(SCALES)),
        ("mem_bw_scale", {"pow2": [0.25, 16]}, tuple(SCALES)),
        ("llm", ["qwen3-4b", "llama3-8b"], ("qwen3-4b", "llama3-8b")),
        ("chip", {"values": ["h200", "a100"]}, ("h200", "a100")),
        ("accounting", ["layers", "full"], ("layers", "full")),
    ],
)
def test_each_form_gives_its_values(name, raw, expected):
    assert axis(name, raw).values == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"geometric": [1, 512], "num": 10}, [2**n for n in range(10)]),
        ({"geometric": [1, 10_000], "num": 5}, [10**n for n in range(5)]),
        ({"geometric": [3, 3 * 7**6], "num": 7}, [3 * 7**n for n in range(7)]),
        ({"linear": [1, 65536], "num": 6}, [1, 13108, 26215, 39322, 52429, 65536]),
    ],
)
def test_a_range_whose_steps_are_whole_gives_whole_numbers_to_the_last_bit(raw, expected):
    assert axis("batch_size", raw).values == tuple(expected)


def test_a_geometric_range_has_one_ratio_and_its_ends_exactly():
    values = axis("mem_bw", {"geometric": ["1 TB/s", "16 TB/s"], "num": 25}).values
    assert (values[0], values[-1], len(values)) == (1e12, 16e12, 25)
    ratios = np.diff(np.log(values))
    assert np.allclose(ratios, math.log(16) / 24, rtol=1e-12)


def test_numbers_out_of_order_are_sorted_and_linked_values_go_with_them():
    raw = {"values": [32, 8, 128], "with": {"sync_latency": ["1 us", "2 us", "3 us"]}}
    found = axis("tp_size", raw)
    assert found.values == (8, 32, 128)
    assert found.linked["sync_latency"] == (2e-6, 1e-6, 3e-6)


def test_falling_numbers_stay_as_they_are():
    assert axis("batch_size", [8, 4, 1]).values == (8, 4, 1)


def test_names_stay_in_the_order_they_are_written():
    assert axis("llm", ["b", "a", "c"]).values == ("b", "a", "c")


@given(st.lists(st.integers(1, 65536), min_size=1, max_size=12, unique=True))
def test_stored_numbers_are_strictly_monotonic_and_keep_their_partners(numbers):
    partners = [n * 7.0 for n in numbers]
    found = axis("tp_size", {"values": numbers, "with": {"collectives_per_layer": partners}})
    steps = np.diff(found.values)
    assert np.all(steps > 0) or np.all(steps < 0)
    assert sorted(found.values) == sorted(numbers)
    assert found.linked["collectives_per_layer"] == tuple(7.0 * value for value in found.values)


def test_several_fields_and_names_can_be_linked():
    raw = {"values": [1, 2], "with": {"llm": ["qwen3-4b", "llama3-8b"], "kv_bits": [8, 16]}}
    linked = axis("batch_size", raw).linked
    assert linked == {"llm": ("qwen3-4b", "llama3-8b"), "kv_bits": (8, 16)}


def test_linked_values_may_repeat():
    raw = {"values": [8, 32, 128], "with": {"sync_latency": ["0.2 us", "1.5 us", "1.5 us"]}}
    assert axis("tp_size", raw).linked["sync_latency"] == (0.2e-6, 1.5e-6, 1.5e-6)


@pytest.mark.parametrize("name", [*schema.SWITCHES])
def test_a_switch_takes_its_choices_and_nothing_else(name):
    choices = schema.SWITCHES[name].choices
    assert axis(name, list(choices)).values == choices
    message = refused(name, [choices[0], "neither"])
    assert all(repr(choice) in message for choice in choices)


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("mem_bandwidth", ["1 TB/s"], ["mem_bandwidth", "mem_bw"]),
        ("lm", ["llama3-8b"], ["'lm'", "llm"]),
        ("mem_bw_scal", [1], ["'mem_bw_scal'", "mem_bw"]),
        ("llm_scale", [1, 2], ["'llm_scale'"]),
        ("utps", [1, 2], ["'utps'"]),
        ("batch_size", [], ["is empty", "at least one"]),
        ("batch_size", {"values": []}, ["is empty"]),
        ("batch_size", {}, ["has no values", "linear"]),
        ("batch_size", [1, 2, 1], ["twice"]),
        ("mem_bw", ["1 TB/s", "1000 GB/s"], ["twice", "1"]),
        ("llm", ["llama3-8b", "llama3-8b"], ["'llama3-8b' twice"]),
        ("accounting", ["full", "full"], ["'full' twice"]),
        ("batch_size", {"linear": [4, 4], "num": 2}, ["twice"]),
        ("batch_size", {"values": [1], "pow2": [1, 2]}, ["both values and pow2"]),
        ("batch_size", {"linear": [1, 4]}, ["needs num"]),
        ("batch_size", {"geometric": [1, 4]}, ["needs num"]),
        ("batch_size", {"pow2": [1, 4], "num": 3}, ["takes no num"]),
        ("batch_size", {"pow2": [1, 6]}, ["6", "power of two"]),
        ("batch_size", {"pow2": [8, 1]}, ["power of two"]),
        ("seq_len", {"pow2": [0, 8]}, ["power of two"]),
        ("seq_len", {"geometric": [0, 8], "num": 3}, ["above 0"]),
        ("batch_size", {"linear": [1, 4], "num": 3}, ["2.5", "whole", "choose num"]),
        ("batch_size", {"geometric": [1, 512], "num": 3}, ["whole", "choose num"]),
        ("llm", {"linear": [1, 4], "num": 3}, ["no linear range", "list them"]),
        ("accounting", {"pow2": [1, 4]}, ["no pow2 range"]),
        ("batch_size", [float("nan")], ["nan", "whole number"]),
        ("mem_bw_scale", [float("nan")], ["nan"]),
        ("mem_bw_scale", [float("inf")], ["inf"]),
        ("mem_bw_scale", [0], ["above 0"]),
        ("mem_bw", ["nan TB/s"], ["finite"]),
        ("batch_size", [True], ["not a number"]),
        ("mem_bw", ["1e50 B/s"], ["1e50", "float32"]),
        ("llm", [3], ["name from the catalog", "3"]),
        ("llm", [""], ["name from the catalog"]),
    ],
)
def test_an_axis_that_cannot_be_is_refused(name, raw, says):
    message = refused(name, raw)
    assert message.startswith(f"g.toml: axes.{name}")
    for text in says:
        assert text in message


@pytest.mark.parametrize(
    ("linked", "says"),
    [
        ({"sync_latency": ["1 us"]}, ["has 1 value", "2"]),
        ({"sync_latency": []}, ["has 0 values", "2"]),
        ({"sync_latency": ["1 us", "2 us", "3 us"]}, ["has 3 values", "2"]),
        ({"sync_latency": ["1 us", 2]}, ["bare number"]),
        ({"sync_latncy": ["1 us", "2 us"]}, ["sync_latncy", "sync_latency"]),
        ({"accounting": ["full", "layers"]}, ["axis of its own"]),
    ],
)
def test_linked_values_that_cannot_be_are_refused(linked, says):
    message = refused("tp_size", {"values": [1, 2], "with": linked})
    assert message.startswith(f"g.toml: axes.tp_size.with.{next(iter(linked))}")
    for text in says:
        assert text in message


@pytest.mark.parametrize("name", schema.FIELDS)
def test_no_field_takes_a_value_outside_its_bounds(name):
    info = schema.FIELDS[name]
    unit = "" if info.unit in ("1", "token") else f" {info.unit}"
    outside = [-1, 0] if info.positive else [-1]
    outside += [1.5] if info.whole else []
    outside += [info.upper + 1] if math.isfinite(info.upper) else []
    outside += [7] if info.allowed else []
    outside = [value for value in outside if value != info.unset]
    for value in outside:
        message = refused(name, [f"{value}{unit}"])
        assert info.bounds in message
        assert str(value) in message


@pytest.mark.parametrize("name", [n for n, i in schema.FIELDS.items() if i.unit not in "1 token"])
def test_every_field_with_a_unit_refuses_a_bare_number_and_shows_how_to_write_it(name):
    for raw in (5, 5.0, "5"):
        message = refused(name, [raw])
        assert "bare number" in message
        assert "write it with its unit" in message
