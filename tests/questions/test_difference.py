"""What differs between two results, by hand and against everything in memory at once."""

import json

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits.questions import differing_variables
from jaxlimits.store.netcdf import write_dataset

CODES = {"flag_values": np.array([0, 1, 2], np.int8), "flag_meanings": "memory compute sync"}


def made(mem_bw=(1e12, 2e12, 4e12), batch_size=(1, 8), scale=1.0, **settings):
    """A result by hand: utps of some bandwidths and batches."""
    speeds = scale * np.array(mem_bw)[:, None] / (1e10 * np.array(batch_size))
    return xr.Dataset(
        {
            "utps": (("mem_bw", "batch_size"), speeds),
            "limit": (("mem_bw", "batch_size"), np.zeros(speeds.shape, np.int8), CODES),
        },
        {"mem_bw": list(mem_bw), "batch_size": list(batch_size)},
        attrs={"format_version": 1, "scenario": json.dumps(settings), "history": str(scale)},
    )


def test_a_result_does_not_differ_from_itself_or_from_one_that_was_made_later():
    found = jl.diff(made(), made().assign_attrs(history="another day"))
    assert found.is_equal
    assert {name: each.points for name, each in found.variables.items()} == {"utps": 6, "limit": 6}


def test_where_a_variable_differs_most_is_found():
    other = made()
    other.utps[0, 1] += 3.0  # 12.5: the most by share, 24 %
    other.utps[2, 0] -= 20.0  # 400: the most
    utps = jl.diff(made(), other).variables["utps"]
    assert (utps.differing, utps.points) == (2, 6)
    assert utps.absolute == pytest.approx(20.0)
    assert utps.absolute_at == {"mem_bw": 4e12, "batch_size": 1}
    assert utps.relative == pytest.approx(3.0 / 12.5)
    assert utps.relative_at == {"mem_bw": 1e12, "batch_size": 8}


def test_points_that_only_one_result_has_a_value_at_are_counted():
    other = made()
    other.utps[0, 0] = np.nan
    ours = made()
    ours.utps[1] = np.nan
    utps = jl.diff(ours, other).variables["utps"]
    assert (utps.differing, utps.only_first, utps.only_second) == (3, 1, 2)
    assert np.isnan(utps.absolute)
    assert not utps.absolute_at


def test_infinite_and_zero_values_have_a_difference_that_can_be_said():
    ours, other = made(), made()
    ours.utps[:] = [[0.0, np.inf], [np.inf, 1.0], [1.0, 1.0]]
    other.utps[:] = [[2.0, np.inf], [5.0, 1.0], [1.0, 1.0]]
    utps = jl.diff(ours, other).variables["utps"]
    assert utps.differing == 2
    assert (utps.absolute, utps.relative) == (np.inf, np.inf)
    assert utps.relative_at == {"mem_bw": 1e12, "batch_size": 1}


def test_codes_are_counted_by_what_became_of_what():
    other = made()
    other.limit[0] = 2
    other.limit[1, 0] = 1
    limit = jl.diff(made(), other).variables["limit"]
    assert limit.differing == 3
    assert limit.changes == {("memory", "sync"): 2, ("memory", "compute"): 1}


def test_only_common_values_are_compared_in_whatever_order():
    other = made(mem_bw=(4e12 * (1 + 1e-12), 1e12, 9e12), batch_size=(8, 1, 64))
    found = jl.diff(made(), other)
    assert found.axes["mem_bw"].only_first == (2e12,)
    assert found.axes["mem_bw"].only_second == (9e12,)
    assert found.axes["batch_size"].only_second == (64,)
    assert found.variables["utps"].points == 4
    assert found.variables["utps"].relative < 1e-11
    assert jl.diff(made(), other, within=1e-9).variables["utps"].is_equal


def test_settings_are_compared_one_by_one():
    catalog = {"chips": {"a": {"mem_bw": "1 TB/s", "note": "x"}}}
    changed = {"chips": {"a": {"mem_bw": "2 TB/s", "note": "x"}, "b": {"mem_bw": "3 TB/s"}}}
    found = jl.diff(
        made(kv_bits=8, chip="a").assign_attrs(catalog=json.dumps(catalog)),
        made(kv_bits=16, chip="a", pue=1.2).assign_attrs(catalog=json.dumps(changed), title="t"),
    )
    assert found.attributes == {
        "scenario.kv_bits": (8, 16),
        "scenario.pue": (None, 1.2),
        "catalog.chips": ("a", "a, b"),
        "catalog.chips.a.mem_bw": ("1 TB/s", "2 TB/s"),
        "title": (None, "t"),
    }
    assert all(each.is_equal for each in found.variables.values())
    assert not found.is_equal


def test_what_only_one_has_or_lies_otherwise_is_named():
    ours = made().assign(power=("batch_size", [1.0, 2.0]))
    other = made().isel(mem_bw=0, drop=True).assign(ttft=1.0)
    found = jl.diff(ours, other)
    assert (found.only_first, found.only_second) == (("mem_bw", "power"), ("ttft",))
    assert found.variables["utps"].unlike == (
        "not compared, along mem_bw × batch_size and along batch_size"
    )


@pytest.mark.parametrize("most", [1, 2, 5, 1000])
def test_blocks_say_what_the_whole_does(most, monkeypatch, tmp_path):
    random = np.random.default_rng(3)
    shape = (5, 4, 3)
    arrays = [random.normal(size=shape) for _ in range(2)]
    codes = [random.integers(0, 3, shape).astype(np.int8) for _ in range(2)]
    paths = []
    for place, (array, code) in enumerate(zip(arrays, codes, strict=True)):
        array[random.random(shape) < 0.2] = np.nan
        dims = ("a", "b", "c")
        coordinates = {"a": np.arange(5.0), "b": list("wxyz"), "c": [1, 2, 3]}
        dataset = xr.Dataset({"v": (dims, array), "k": (dims, code, CODES)}, coordinates)
        paths.append(tmp_path / f"{place}.nc")
        write_dataset(dataset.assign_attrs(format_version=1), paths[-1])
    monkeypatch.setattr(differing_variables, "MOST_VALUES", most)
    found = jl.diff(*paths)
    one, other = arrays
    v = found.variables["v"]
    assert v.only_first == (np.isnan(other) & ~np.isnan(one)).sum()
    assert v.absolute == np.nanmax(abs(other - one))
    at = np.unravel_index(np.nanargmax(abs(other - one) / abs(one)), shape)
    assert v.relative_at == {"a": float(at[0]), "b": "wxyz"[at[1]], "c": at[2] + 1}
    assert found.variables["k"].differing == (codes[0] != codes[1]).sum()


def test_a_block_holds_no_more_than_is_said(monkeypatch):
    monkeypatch.setattr(differing_variables, "MOST_VALUES", 10)
    for shape in ([], [7], [3, 4], [2, 100], [4, 3, 30], [0, 3]):
        blocks = list(differing_variables._blocks(shape))
        sizes = [int(np.prod([part.stop - part.start for part in block])) for block in blocks]
        assert all(size <= 10 for size in sizes)
        assert sum(sizes) == np.prod(shape)
