"""Sweeps that Python states: mappings in the form of a grid file, and keywords."""

import numpy as np
import pint
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits.grid.mapping import grid_of_mapping, mapping_of_keywords
from jaxlimits.run.pipeline import load_grid

UNITS = pint.UnitRegistry()
GRID = """
outputs = ["utps", "limit"]
[base]
llm = "llama3-8b"
kv_bits = 16
[axes]
chip = ["h100", "b200"]
mem_bw = ["1 TB/s", "4 TB/s"]
batch_size = [1, 8]
"""
MAPPING = {
    "outputs": ["utps", "limit"],
    "base": {"llm": "llama3-8b", "kv_bits": 16},
    "axes": {"chip": ["h100", "b200"], "mem_bw": ["1 TB/s", "4 TB/s"], "batch_size": [1, 8]},
}
KEYWORDS = {
    "llm": "llama3-8b",
    "kv_bits": np.int64(16),
    "chip": np.array(["h100", "b200"]),
    "mem_bw": np.array([1e12, 4e12]),
    "batch_size": (1, 8),
    "outputs": ["utps", "limit"],
}


def axes(**described):
    """The axes that keywords mean, by name."""
    grid = mapping_of_keywords({"llm": "llama3-8b", "chip": "h100", **described})
    return {axis.name: axis for axis in load_grid(grid).axes}


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    """The sweep of keywords, written."""
    return jl.sweep(output=tmp_path_factory.mktemp("stated") / "out.nc", **KEYWORDS)


def test_a_file_a_mapping_and_keywords_are_one_grid(ds, tmp_path):
    (tmp_path / "grid.toml").write_text(GRID)
    for other in (jl.sweep(tmp_path / "grid.toml"), jl.sweep(MAPPING)):
        xr.testing.assert_identical(ds.drop_attrs(), other.drop_attrs())
        assert ds.mem_bw.attrs == other.mem_bw.attrs


def test_a_stated_sweep_says_how_it_was_made(ds, tmp_path):
    written = jl.sweep(output=tmp_path / "out.nc", **KEYWORDS)
    again = jl.sweep_again(tmp_path / "out.nc")
    assert again.utps.identical(written.utps)
    assert 'mem_bw = [\n    "1000000000000.0 B/s"' in written.attrs["grid"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.geomspace(1e12, 4e12, 3), np.geomspace(1e12, 4e12, 3)),
        (np.array([1, 2]) * 1e12 * UNITS("byte/s"), [1e12, 2e12]),
        ([UNITS("1 TB/s"), "2 TB/s"], [1e12, 2e12]),
        (UNITS.Quantity([1, 2], "TB/s"), [1e12, 2e12]),
        ({"geometric": ["1 TB/s", UNITS("4 TB/s")], "num": np.int64(3)}, [1e12, 2e12, 4e12]),
        (xr.DataArray([1e12, 2e12], dims="mem_bw"), [1e12, 2e12]),
    ],
)
def test_an_axis_may_be_an_array_a_list_a_quantity_or_a_range(values, expected):
    np.testing.assert_allclose(axes(mem_bw=values)["mem_bw"].values, expected, rtol=1e-14)


def test_counts_names_and_switches_are_axes_too():
    found = axes(
        batch_size=range(1, 4),
        tp_size={"pow2": [1, 4]},
        roofline=["step", "operator"],
        mem_bw_scale=np.array([0.5, 1.0]),
        kv_bits={"values": [8, 16], "with": {"weight_bits": np.array([4.0, 8.0])}},
    )
    assert list(found) == ["batch_size", "tp_size", "roofline", "mem_bw_scale", "kv_bits"]
    assert found["batch_size"].values == (1.0, 2.0, 3.0)
    assert found["tp_size"].values == (1.0, 2.0, 4.0)
    assert found["kv_bits"].linked == {"weight_bits": (4.0, 8.0)}


def test_keys_of_a_grid_file_keep_their_meaning():
    grid = {
        "base": {"llm": "llama3-8b"},
        "chip": ["h100", "mine"],
        "batch_size": [1, 8],
        "chips": {"mine": {"like": "h100", "mem_bw": UNITS("8 TB/s")}},
        "reduce": {"top": {"op": "max", "of": "stps", "over": ["batch_size"]}},
        "precision": "float64",
    }
    spec = load_grid(mapping_of_keywords(grid))
    assert spec.precision == "float64"
    assert list(spec.file.tables.reduce) == ["top"]
    assert float(spec.catalog.chip("mine").mem_bw) == 8e12


def test_overrides_and_memory_take_numbers_text_and_quantities(ds):
    changed = {"kv_bits": np.float32(8), "sync_latency": UNITS("2 us")}
    spec = load_grid(MAPPING, overrides=changed)
    assert spec.base["sync_latency"] == 2e-6
    assert spec.base["kv_bits"] == 8.0
    for memory in ("1 MB", 1e6, np.int64(1_000_000), UNITS("1 MB")):
        swept = jl.sweep(MAPPING, memory=memory)
        assert swept.attrs["memory"] == 1e6
        np.testing.assert_array_equal(swept.utps, ds.utps)


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({}, "sweep: no grid is given; name one, as 'paper', or describe it"),
        ({"grid": "smoke", "llm": "llama3-8b"}, "a grid is given, and another is described by llm"),
        ({"lm": "llama3-8b"}, "unknown name 'lm'; did you mean llm"),
        ({"memry": "1 MB"}, "unknown name 'memry'; did you mean memory"),
        ({"chip": ["h100"], "axes": {"chip": ["b200"]}}, "axes.chip: is given twice; keep one"),
        ({"chip": "h100", "base": "h100"}, "base = 'h100': must be a mapping"),
        ({"llm": "llama3-8b", "chip": "h100"}, "sweep: axes: nothing varies"),
        ({"chip": ["h100"]}, "sweep: base: no llm is given"),
        ({"mem_bw": np.ones((2, 2))}, "axes.mem_bw: has the shape 2 × 2"),
        ({"mem_bw": [1e12, 2e12]}, "axes.mem_bw = 1000000000000.0: a bare number"),
        ({"mem_bw": UNITS.Quantity([1, 2], "s")}, "axes.mem_bw: '1 s': s is a time"),
        ({"batch_size": [1, [2]]}, "axes.batch_size: holds 1 values, where one is needed"),
        ({"batch_size": np.array([])}, "axes.batch_size: is empty"),
        ({"tp_size": None}, "base.tp_size: is of type NoneType"),
        ({"chip": ["h10"], "llm": "llama3-8b"}, "unknown chip 'h10'; did you mean h100"),
        ({"grid": MAPPING, "memory": "64 s"}, "memory: '64 s': s is a time"),
        ({"grid": MAPPING, "memory": -1}, "memory = '-1 B': must be a number, above 0"),
        ({"grid": MAPPING, "overrides": {"kv_bits": [8, 16]}}, "kv_bits: holds 2 values"),
    ],
)
def test_what_cannot_be_swept_is_refused(keywords, says):
    with pytest.raises(jl.InputError, match=says):
        jl.sweep(**keywords)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"axis": {"chip": ["h100"]}}, "sweep: axis: unknown key 'axis'; did you mean axes"),
        ({"axes": {"chp": ["h100"]}}, "axes.chp: unknown field 'chp'; did you mean chip"),
        ({"axes": {"chip": "h100"}}, "axes.chip = 'h100': must be a list of values"),
        ({"axes": {"tp_size": {"pow": [1, 8]}}}, "axes.tp_size.pow: unknown key 'pow'"),
        ({"axes": ["chip"]}, "sweep: axes = "),
        ({}, "sweep: is an empty grid"),
        ({"title": object()}, "title: is of type object"),
        ({"outputs": ["utpz"]}, "outputs: unknown output 'utpz'; did you mean utps"),
    ],
)
def test_a_mapping_of_another_form_is_refused_as_a_file_is(content, says):
    whole = content and {"base": MAPPING["base"], "axes": {"chip": ["h100"]}, **content}
    with pytest.raises(jl.InputError, match=says):
        load_grid(whole)


def test_a_question_may_be_asked_of_a_mapping():
    point = jl.best(MAPPING, jl.ask(maximise="utps"))
    assert (point.mem_bw.item(), point.batch_size.item()) == (4e12, 1)
    assert grid_of_mapping(MAPPING).tables.base["kv_bits"] == 16
