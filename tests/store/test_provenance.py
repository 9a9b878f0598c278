"""Provenance: what a result says of itself is enough to make it again, bit for bit."""

import json

import netCDF4
import pytest

import jaxlimits as jl
from jaxlimits.errors import ResultError
from jaxlimits.store.provenance import content_hash

OWN_CHIP = '[chips.mine]\ntitle = "M"\nlike = "h100"\nmem_bw = "6.7 TB/s"\n'
GRID = """
catalog = ["chips.toml"]
[base]
chip = "mine"
seq_len = "8 Ki"
[axes]
llm = ["llama3-8b", "double"]
tp_size = { values = [8, 1, 2], with = { sync_latency = ["1 us", "2 us", "3 us"] } }
roofline = ["step", "operator"]
batch_size = [1, 1024]
[llms.double]
like = "llama3-8b"
num_layers = 64
"""


def bits(dataset):
    return {
        str(name): variable.values.tobytes() if variable.dtype.kind in "fi" else names(variable)
        for name, variable in dataset.variables.items()
    }


def names(variable):
    return [str(value) for value in variable.values.ravel()]


@pytest.fixture
def made(tmp_path):
    """A result from a grid with entries of its own, and the files gone."""
    (tmp_path / "chips.toml").write_text(OWN_CHIP)
    (tmp_path / "grid.toml").write_text(GRID)
    swept = jl.sweep(tmp_path / "grid.toml", tmp_path / "out.nc", overrides={"kv_bits": 16})
    (tmp_path / "chips.toml").unlink()
    (tmp_path / "grid.toml").unlink()
    return tmp_path / "out.nc", swept


def changed(path, **attributes):
    with netCDF4.Dataset(path, "a") as file:
        file.setncatts(attributes)
    return path


def test_a_result_makes_itself_again_bit_for_bit_without_the_files_it_came_from(made, tmp_path):
    path, swept = made
    again = jl.sweep_again(path, tmp_path / "again.nc")
    assert bits(again) == bits(swept)
    with jl.open(tmp_path / "again.nc") as second, jl.open(path) as first:
        assert bits(first.load()) == bits(second.load())
        assert first.attrs["content_hash"] == second.attrs["content_hash"]


def test_a_result_made_again_can_be_made_again(made, tmp_path):
    path, swept = made
    jl.sweep_again(path, tmp_path / "again.nc")
    assert bits(jl.sweep_again(tmp_path / "again.nc")) == bits(swept)


def test_float64_is_made_again_in_float64(tmp_path):
    swept = jl.sweep("smoke", tmp_path / "out.nc", x64=True)
    assert bits(jl.sweep_again(tmp_path / "out.nc")) == bits(swept)


def test_the_file_has_the_grids_text_and_what_was_set(made):
    path, _ = made
    with jl.open(path) as dataset:
        assert dataset.attrs["grid"] == GRID
        assert json.loads(dataset.attrs["overrides"]) == {"kv_bits": "16"}
        assert dataset.attrs["precision"] == "float32"
        assert dataset.attrs["jaxlimits_version"]


def test_the_file_has_the_catalog_entries_that_were_used_and_no_others(made):
    path, _ = made
    with jl.open(path) as dataset:
        catalog = json.loads(dataset.attrs["catalog"])
    assert set(catalog["chips"]) == {"mine"}
    assert set(catalog["llms"]) == {"llama3-8b", "double"}
    assert catalog["chips"]["mine"]["mem_bw"] == "6.7 TB/s"
    assert catalog["chips"]["mine"]["mem_capacity"] == "80 GB"  # of the one it is like
    assert catalog["llms"]["llama3-8b"]["source"]


def test_the_file_has_its_fixed_values_in_si_units(made):
    path, _ = made
    with jl.open(path) as dataset:
        scenario = json.loads(dataset.attrs["scenario"])
    assert scenario["mem_bw"] == 6.7e12
    assert (scenario["seq_len"], scenario["kv_bits"], scenario["chip"]) == (8192, 16, "mine")
    assert "roofline" not in scenario


def test_the_same_sweep_has_the_same_hash_and_another_has_another(tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text('[base]\nllm = "llama3-8b"\nchip = "h100"\n[axes]\nbatch_size = [1]\n')
    first = jl.sweep(grid).attrs["content_hash"]
    assert first.startswith("sha256:")
    assert jl.sweep(grid).attrs["content_hash"] == first
    others = [jl.sweep(grid, overrides={"tp_size": 2}), jl.sweep(grid, x64=True)]
    grid.write_text(grid.read_text().replace("[1]", "[2]"))
    hashes = {first, *(s.attrs["content_hash"] for s in [*others, jl.sweep(grid)])}
    assert len(hashes) == 4


def test_the_hash_does_not_depend_on_the_name_of_the_file_or_the_day(tmp_path):
    text = '[base]\nllm = "llama3-8b"\nchip = "h100"\n[axes]\nbatch_size = [1]\n'
    hashes = set()
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(text)
        hashes.add(jl.sweep(tmp_path / name).attrs["content_hash"])
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "attributes",
    [
        {"grid": GRID.replace("1024", "512")},
        {"overrides": '{"kv_bits": "8"}'},
        {"catalog": '{"llms": {}, "chips": {}}'},
        {"precision": "float64"},
        {"jaxlimits_version": "0.0.0"},
        {"content_hash": "sha256:0"},
    ],
)
def test_a_result_whose_story_was_changed_is_not_made_again(made, attributes):
    path, _ = made
    with pytest.raises(ResultError, match=r"out\.nc: .*hash"):
        jl.sweep_again(changed(path, **attributes))


def test_a_result_that_does_not_say_how_it_was_made_is_refused(made):
    path, _ = made
    with netCDF4.Dataset(path, "a") as file:
        file.delncattr("grid")
        file.delncattr("catalog")
    with pytest.raises(ResultError, match="lacks grid, catalog"):
        jl.sweep_again(path)


def test_remarks_about_a_result_may_be_changed(made):
    path, swept = made
    again = jl.sweep_again(changed(path, title="Another title", note="looked at"))
    assert bits(again) == bits(swept)


def test_the_hash_is_of_what_determines_the_data():
    names = (
        *("format_version", "jaxlimits_version"),
        *("grid", "overrides", "catalog", "precision", "memory", "digits"),
    )
    attributes = dict.fromkeys(names, "x")
    assert content_hash(attributes) == content_hash({**attributes, "history": "today"})
    for name in names:
        assert content_hash({**attributes, name: "y"}) != content_hash(attributes)
