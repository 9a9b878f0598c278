"""The state of the explorer: to a link, to a grid file, and back; what cannot be is said."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits import schema, units
from jaxlimits.errors import InputError, ResultError
from jaxlimits.explorer.grid_text import grid_text, result_bytes
from jaxlimits.explorer.links import query_of, state_of
from jaxlimits.explorer.slider_scales import scale_of
from jaxlimits.explorer.start import start, state_of_grid
from jaxlimits.explorer.state import Span, as_text, check_state
from jaxlimits.grid.file import parse_grid, shipped_grids
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.run.pipeline import load_grid


@pytest.fixture(scope="module")
def begun():
    return start()


def test_a_link_brings_the_state_back(begun):
    state = begun.state.setting("a", "mem_bw", "3.35 TB/s").setting("b", "link_bw", "900 GB/s")
    state = dataclasses.replace(state, metric="stps", target="250 token/s", iso_lines="on")
    assert state_of(query_of(state), default=begun.state) == state
    assert state_of("?" + query_of(state) + "&token=secret", default=begun.state) == state
    assert state_of("", default=begun.state) == begun.state


def grids():
    """Shipped grids, without the problems of `optimise` and `uncertainty` beside them."""
    texts = {name: path.read_text(encoding="utf-8") for name, path in shipped_grids().items()}
    return sorted(name for name, text in texts.items() if "[axes" in text)


@pytest.mark.parametrize("grid", grids())
def test_every_shipped_grid_can_be_started_from(grid, begun):
    found = state_of_grid(load_grid(grid))
    assert state_of(query_of(found), default=begun.state) == found


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("llm=llama3-405b&chip=h200&mem_bw=8", "bare number"),
        ("llm=llama3-405b&chip=h200&mem_bwx=8 TB/s", "did you mean mem_bw"),
        ("llm=llama3-405b", "no chip is given"),
        ("llm=llama3-405b&chip=h200&x=mem_bw", "is not an axis"),
        ("llm=llama3-405b&chip=h200&x=mem_bw|2 TB/s|1 TB/s|geometric", "is not a span"),
        ("llm=llama3-405b&chip=h200&x=lpddr_bw|0 B/s|1 TB/s|geometric", "must lie above 0"),
        ("llm=llama3-405b&chip=h200&x=mem_bw|1 TB/s|2 TB/s|cubic", "unknown spacing"),
        ("llm=llama3-405b&chip=h200&y=mem_bw|1 TB/s|2 TB/s|linear", "both axes"),
        ("llm=llama3-405b&chip=h200&metric=upts", "did you mean utps"),
        ("llm=llama3-405b&chip=h200&target=fast", "no number"),
        ("llm=llama3-405b&chip=h200&iso_lines=some", "unknown choice .some."),
        ("llm=llama3-405b&chip=h200&tp_size=0", "at least 1"),
        ("llm=llama3-405b&chip=h200&chip=b200", "set twice"),
        ("llm=llama3-405b&chip=h200&b.mem_bw=8 TB/s", "machine B has no chip"),
        ("llm=llama3-405b&chip=h200&tp_size=", "has no value"),
    ],
)
def test_a_link_that_cannot_be_says_why(begun, query, says):
    with pytest.raises(InputError, match=says):
        state_of(query, default=begun.state)


def test_another_chip_brings_its_own_numbers_and_b_has_hardware_of_its_own(begun):
    state = begun.state.setting("a", "mem_bw", "9 TB/s").setting("a", "batch_size", "64")
    assert "mem_bw" not in state.of("b")
    assert state.of("b")["batch_size"] == "64"
    assert "mem_bw" not in state.setting("a", "chip", "h100").settings
    assert state.setting("a", "mem_bw", None).settings == begun.state.setting(
        "a", "batch_size", "64"
    ).settings  # fmt: skip


@pytest.mark.parametrize("name", schema.FIELDS)
def test_every_field_has_a_slider_of_values_that_it_can_take(name):
    info = schema.FIELDS[name]
    for centre in (0.0, 1.0, 1e6) if info.unit == "1" else (0.0, units.parse(*_one(info))):
        scale = scale_of(name, min(max(centre, info.lower), info.upper))
        assert len(scale.values) >= 2
        assert list(scale.values) == sorted(set(scale.values))
        assert all(info.admits(value) for value in scale.values)
        parsed = [units.parse(text, info.unit) for text in scale.texts]
        assert parsed == list(scale.values)
        places = {0, len(scale.values) // 2, len(scale.values) - 1}
        assert all(scale.nearest(scale.values[place]) == place for place in places)


def _one(info):
    return f"1 {info.display}", info.unit


@pytest.mark.parametrize(
    "value", [3.35e12, 1 / 3, 2.0**43, 1e-300, 0.0, 1.2345678901234567, 123456789.0]
)
def test_text_reads_back_to_the_same_number(value):
    for unit in ("B/s", "1", "s", "USD"):
        if value < 1e-200 and unit != "1":
            continue
        assert units.parse(as_text(value, unit), unit) == value


def read_back(text):
    file = parse_grid(text, where="grid", stem="explored", folder=Path())
    return build_spec(file, grid_catalog(file))


def test_the_grid_file_is_the_map_of_both_machines(begun):
    state = begun.state.setting("a", "peak_flops", "3 PFLOP/s")
    state = state.setting("b", "interconnect", "nvlink5")
    spec = read_back(grid_text(state, begun.catalog))
    assert [axis.name for axis in spec.axes] == ["chip", "sync_latency", "mem_bw"]
    assert spec.shape == (2, 512, 512)
    assert spec.axes[0].values == ("h200-a", "b200-b")
    assert spec.catalog.chip("h200-a").peak_flops == 3e15
    stated = begun.catalog.values("interconnect", "nvlink5")
    assert spec.catalog.chip("b200-b").link_bw == stated["link_bw"]


def test_values_that_the_other_fields_exclude_are_left_out_of_the_grid(begun):
    state = begun.state.setting("a", "llm", "deepseek-v3").setting("a", "ep_size", "16")
    tp = Span(name="tp_size", first="1", last="64")
    state = dataclasses.replace(state, other={}, x=tp)
    spec = read_back(grid_text(state, begun.catalog))
    assert [axis.values for axis in spec.axes if axis.name == "tp_size"] == [(16, 32, 48, 64)]
    nowhere = state.setting("a", "ep_size", "7")
    with pytest.raises(InputError, match="no point of the map is possible"):
        grid_text(nowhere, begun.catalog)


def test_the_result_is_an_ordinary_one_that_starts_the_same_map(begun, tmp_path):
    whole = Span(name="batch_size", first="1", last="8")
    state = dataclasses.replace(begun.state, other={}, y=whole, metric="stps")
    state = state.setting("a", "chip", "h100")
    (tmp_path / "explored.nc").write_bytes(result_bytes(state, begun.catalog))
    with jl.open(tmp_path / "explored.nc") as dataset:
        assert dict(dataset.sizes) == {"batch_size": 8, "mem_bw": 512}
        here = dataset.sel(batch_size=8).isel(mem_bw=100)
        point = jl.evaluate(
            "llama3-405b", "h100", tp_size=8, batch_size=8,
            mem_bw=f"{here.mem_bw.item()!r} B/s", x64=False,
        )  # fmt: skip
        assert np.allclose(here.stps.item(), point.stps, rtol=1e-6, equal_nan=True)
    again = start(tmp_path / "explored.nc").state
    assert {again.x.name, again.y.name} == {"mem_bw", "batch_size"}
    assert again.x == dataclasses.replace(state.x, first="1 TB/s", last="32 TB/s")


def test_an_entry_of_a_grid_of_one_s_own_goes_into_the_grid_file(tmp_path):
    (tmp_path / "own.toml").write_text(
        '[base]\nllm = "llama3-8b"\nchip = "mine"\n[axes]\nmem_bw_scale = [1, 2, 4]\n'
        '[chips.mine]\nlike = "h100"\nmem_bw = "5 TB/s"\n'
    )
    found = start(tmp_path / "own.toml")
    assert found.state.x == Span(name="mem_bw", first="5 TB/s", last="20 TB/s")
    assert found.state.settings["mem_bw"] == "10 TB/s"
    spec = read_back(grid_text(found.state, found.catalog))
    assert spec.catalog.chip("mine").mem_bw == 5e12


def test_a_result_whose_entry_has_changed_since_keeps_its_own(tmp_path):
    (tmp_path / "own.toml").write_text(
        '[base]\nllm = "llama3-8b"\nchip = "mine"\n[axes]\nmem_bw = ["1 TB/s", "2 TB/s"]\n'
        '[chips.mine]\nlike = "h100"\nmem_capacity = "99 GB"\n'
    )
    jl.sweep(tmp_path / "own.toml", tmp_path / "own.nc")
    (tmp_path / "mine.toml").write_text('[chips.mine]\nlike = "h100"\n')
    found = start(tmp_path / "own.nc", tmp_path / "mine.toml")
    assert found.state.settings["chip"] == "mine-recorded"
    assert found.catalog.chip("mine-recorded").mem_capacity == 99e9


def test_what_is_no_result_or_grid_is_refused(tmp_path):
    with pytest.raises(ResultError, match="no such file"):
        start(tmp_path / "missing.nc")
    (tmp_path / "text.nc").write_text("no result")
    with pytest.raises(ResultError, match="not a readable NetCDF"):
        start(tmp_path / "text.nc")
    with pytest.raises(InputError, match="did you mean"):
        start("smok")


def test_both_machines_and_axes_are_checked(begun):
    state = dataclasses.replace(begun.state, other={"chip": "b200", "batch_size": "4"})
    state = dataclasses.replace(state, x=Span(name="batch_size", first="1", last="2"))
    with pytest.raises(InputError, match="shares the axes"):
        check_state(state)
