"""A result says which point it is of, also once it is joined to others."""

import json

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits.store.netcdf import open_dataset
from tests.command_line import run

GRID = {"batch_size": [1, 2], "outputs": ["utps", "limit"]}


def swept(output=None, **point):
    return jl.sweep(output=output, llm="llama3-8b", **point, **GRID)


@pytest.fixture(scope="module")
def pair():
    own = {"accounting": "layers", "mem_bw_scale": 2}
    return swept(chip="h100", tp_size=2, **own), swept(chip="b200", tp_size=8, **own)


def test_what_was_set_is_a_coordinate_without_a_dimension(pair):
    first = pair[0]
    told = {str(n): v.item() for n, v in first.coords.items() if not v.ndim}
    sizes = {"tp_size": 2, "pp_size": 1, "dp_size": 1, "seq_len": 4096}
    names = {"llm": "llama3-8b", "chip": "h100", "accounting": "layers"}
    assert told == {**names, **sizes, "mem_bw_scale": 2.0}
    assert first.tp_size.attrs["long_name"].startswith("chips that split every operator")
    assert first.seq_len.attrs["units"]


def test_joined_results_keep_who_they_are(pair):
    joined = xr.concat(pair, "run")
    assert joined.chip.values.tolist() == ["h100", "b200"]
    assert joined.tp_size.values.tolist() == [2, 8]
    assert joined.llm.item() == "llama3-8b"
    picked = joined.set_index(run="chip").sel(run="b200")
    assert np.array_equal(picked.utps, pair[1].utps)
    rows = pair[0].to_dataframe()
    assert rows.chip.tolist() == ["h100", "h100"]


def test_a_file_brings_them_back(tmp_path):
    path = tmp_path / "one.nc"
    kept = swept(path, chip="h100", tp_size=2)
    with jl.open(path) as read:
        for name in ("llm", "chip", "tp_size", "pp_size", "seq_len"):
            assert read[name].item() == kept[name].item()
            assert read[name].dims == ()
    facts = run("info", path, "--json").json
    assert facts["fixed"]["chip"] == "h100"
    assert set(facts["axes"]) == {"batch_size"}
    assert "chip" in run("info", path).out
    assert jl.sweep_again(path).equals(kept)


def test_a_request_has_no_context_beside_it():
    served = swept(chip="h100", tp_size=2, input_len=100, output_len=10)
    assert "seq_len" not in served.coords
    assert (served.input_len.item(), served.output_len.item()) == (100, 10)


def test_a_shipped_grid_keeps_its_coordinates_and_has_attributes_instead(tmp_path):
    plain = jl.sweep("smoke", tmp_path / "smoke.nc")
    axes = {"mem_bw", "sync_latency", "seq_len", "batch_size"}
    assert set(map(str, plain.coords)) == axes
    with open_dataset(tmp_path / "smoke.nc") as read:
        assert set(map(str, read.coords)) == axes
        told = {name: read.attrs[name] for name in ("llm", "chip", "tp_size", "kv_bits")}
    assert told == {"llm": "llama3-405b", "chip": "h100", "tp_size": 8.0, "kv_bits": 8.0}
    other = jl.sweep("smoke", overrides={"chip": "h200"})
    assert other.chip.item() == "h200"
    assert "chip" not in other.attrs
    assert json.loads(other.attrs["scenario"])["chip"] == "h200"


def test_a_name_that_something_else_has_stays_an_attribute_of_the_scenario():
    asked = {"mem_bw": {"for": "mem_bw", "of": "utps", "at_least": "10 token/s", "keep": True}}
    found = jl.sweep(
        llm="llama3-8b", chip="h100", mem_bw="3 TB/s", batch_size=[1, 2], require=asked
    )
    assert found.mem_bw.dims == ("batch_size",)
