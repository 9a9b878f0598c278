"""Sweeps with `fast`: what they record, how they go on, and what they refuse."""

import dataclasses
import sys

import jax
import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits.engine import chunk_sizes
from jaxlimits.engine.loop import chunks, split
from jaxlimits.engine.sensitivity import _traced_model
from jaxlimits.run import streamed
from jaxlimits.run.pipeline import describe_plan, load_grid
from tests.command_line import run
from tests.run.test_streamed import assert_same_bits, stopped

AXES = {
    "batch_size": {"pow2": [1, 64]},
    "mem_bw_scale": {"geometric": [0.5, 4], "num": 30},
    "sync_latency": {"geometric": ["0.1 us", "10 us"], "num": 40},
}
GRID = {
    "base": {"llm": "llama3-70b", "chip": "b200"},
    "axes": AXES,
    "reduce": {
        "best": {"op": "argmax", "of": "stps", "over": ["batch_size"]},
        "average": {"op": "mean", "of": "utps"},
    },
}


@pytest.fixture
def ragged(monkeypatch):
    # As if loops took few points at once, so that a small grid has a few chunks.
    monkeypatch.setattr(chunk_sizes, "_POINTS_IN_LOOP", 900)
    monkeypatch.setattr(streamed, "LONG_POINTS", 1000)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "grid.toml"
    lines = ["[base]", 'llm = "llama3-70b"', 'chip = "b200"', "[axes]"]
    lines += [
        "batch_size = { pow2 = [1, 64] }",
        "mem_bw_scale = { geometric = [0.5, 4], num = 30 }",
    ]
    lines += ['sync_latency = { geometric = ["0.1 us", "10 us"], num = 40 }']
    lines += ["[reduce.best]", "op = 'argmax'", "of = 'stps'", "over = ['batch_size']"]
    path.write_text("\n".join([*lines, "[reduce.average]", "op = 'mean'", "of = 'utps'"]))
    return path


def test_a_result_says_what_computed_it_and_is_made_again(tmp_path):
    with jl.sweep(GRID, tmp_path / "fast.nc", fast=True) as fast, jl.sweep(GRID) as plain:
        assert (fast.arrangement, plain.arrangement) == ("loop", "xla")
        assert fast.content_hash != plain.content_hash
        xr.testing.assert_allclose(fast, plain, rtol=1e-6)
    jl.sweep_again(tmp_path / "fast.nc", tmp_path / "again.nc").close()
    assert_same_bits(tmp_path / "again.nc", tmp_path / "fast.nc")


def test_a_point_that_was_evaluated_before_does_not_matter(file):
    # What a point's program was traced on is not what a loop's part is traced on.
    _traced_model.cache_clear()
    jl.evaluate("llama3-70b", "b200", batch_size=4.0)
    xr.testing.assert_allclose(jl.sweep(file, fast=True), jl.sweep(file), rtol=1e-6)


def test_a_result_from_before_there_were_loops_is_made_again(tmp_path):
    jl.sweep(GRID, tmp_path / "new.nc").close()
    with jl.open(tmp_path / "new.nc") as dataset:
        del dataset.attrs["arrangement"]
        dataset.to_netcdf(tmp_path / "old.nc")
    assert jl.sweep_again(tmp_path / "old.nc").arrangement == "xla"


KEPT = ["", 'outputs = ["utps", "limit"]\nelasticities = ["mem_bw"]\ndigits = 5\n']


@pytest.mark.parametrize("whole", KEPT, ids=["reduced", "kept whole beside"])
def test_a_sweep_goes_on_to_the_same_bits(ragged, file, tmp_path, monkeypatch, whole):
    file.write_text(whole + file.read_text())
    jl.sweep(file, tmp_path / "whole.nc", fast=True).close()
    output = tmp_path / "out.nc"
    stopped(file, output, monkeypatch, after=3, fast=True)
    jl.sweep(file, output, fast=True, resume=True).close()
    assert_same_bits(output, tmp_path / "whole.nc")


def test_a_dense_grid_is_swept_in_shards(ragged, tmp_path, monkeypatch):
    """As a sweep without `fast`: the same variables in shards, and two chunks of any shape."""
    monkeypatch.setattr(streamed, "SINGLE_FILE_BYTES", 1000)
    grid = {"base": GRID["base"], "axes": AXES, "outputs": ["utps", "power", "limit"]}
    with jl.sweep(grid, tmp_path / "fast.nc", fast=True) as fast, jl.sweep(grid) as plain:
        assert (tmp_path / "fast.nc.shards").is_dir() or len(list(tmp_path.iterdir())) > 1
        assert fast.arrangement == "loop"
        xr.testing.assert_allclose(fast.load(), plain, rtol=1e-6)
        assert fast.limit.equals(plain.limit)
        assert {name: array.dtype for name, array in fast.items()} == {
            name: array.dtype for name, array in plain.items()
        }


@pytest.mark.parametrize("begun", [True, False])
def test_a_ledger_of_the_other_kind_is_refused(ragged, file, tmp_path, monkeypatch, begun):
    output = tmp_path / "out.nc"
    monkeypatch.setattr(chunk_sizes, "_POINTS_ON_CPU", 900)
    stopped(file, output, monkeypatch, after=3, fast=begun)
    told = {
        True: "was begun with --fast; continue it with --fast, name another output",
        False: "was begun without --fast, by XLA alone; leave --fast out there",
    }
    done = run("sweep", file, "-o", output, "--resume", *([] if begun else ["--fast"]))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"the unfinished sweep {told[begun]}" in done.err


BINS = {"first": "1 token/s", "last": "2 token/s"}
OWN = {
    "peak_flops": "1 PFLOP/s",
    "mem_bw": "2 TB/s",
    "mem_capacity": "80 GB",
    "link_bw": "1 TB/s",
    "sync_latency": "1 us",
}
UNSERVED = {
    "frontier": (
        {"reduce": {"front": {"op": "frontier", "of": ["utps", "stps"]}}},
        r"cannot compute reduce.front, frontier: it looks at points of many rows",
    ),
    "many": (
        {"reduce": {"first": {"op": "top", "of": "utps", "k": 65}}},
        r"cannot compute reduce.first, top: k must be at most 64",
    ),
    "absent": (
        {
            "base": {"llm": "llama3-70b"},
            "axes": {"chip": ["h100", "own"], "batch_size": [1, 8]},
            "chips": {"own": OWN},
            "reduce": {"most": {"op": "max", "of": "power"}},
        },
        r"cannot compute reduce.most, as power is absent: no power stated for chip 'own'",
    ),
    "narrow": (
        {
            "precision": "float64",
            "reduce": {"h": {"op": "histogram", "of": "utps", **BINS, "bins": 65536}},
        },
        r"reduce.h, histogram: its bins are too narrow",
    ),
}


@pytest.mark.parametrize("case", UNSERVED)
def test_what_loops_do_not_serve_is_refused(case):
    changes, told = UNSERVED[case]
    with pytest.raises(jl.InputError, match=f"fast.*{told}.*sweep without `fast=True`"):
        jl.sweep({**GRID, **changes}, fast=True)


def test_searches_are_refused():
    require = {"need": {"of": "utps", "for": "mem_bw", "at_least": "50 token/s"}}
    reduce = {"least": {"op": "min", "of": "need"}}
    axes = {name: axis for name, axis in AXES.items() if name != "mem_bw_scale"}
    grid = {**GRID, "axes": axes, "require": require, "reduce": reduce}
    with pytest.raises(jl.InputError, match="searches for no unknown: need"):
        jl.sweep(grid, fast=True)


def test_an_operation_that_a_loop_cannot_have_is_named_or_done_by_xla(monkeypatch):
    grid = {
        "base": {"chip": "b200", "roofline": "operator", "batch_size": 8},
        "axes": {"llm": ["llama3-8b", "llama3-70b"]},
        "reduce": {"m": {"op": "max", "of": "t_step"}},
    }
    fast, plain = jl.sweep(grid, fast=True), jl.sweep(grid)
    xr.testing.assert_allclose(fast, plain, rtol=1e-6)
    chunks.loop_of.cache_clear()
    monkeypatch.setattr(split, "_STRANGE", 0)  # as if there were too many points for that
    told = r"compiled loop has no bitcast_convert_type of float32.*on which an output rests"
    with pytest.raises(jl.InputError, match=told):
        jl.sweep(grid, fast=True)


def test_other_devices_are_refused(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(jl.InputError, match="for CPUs, and the device is a gpu; set JAX_PLATFORMS"):
        jl.sweep(GRID, fast=True)


def test_without_its_compiler_the_remedy_is_named(monkeypatch, file, tmp_path):
    monkeypatch.setitem(sys.modules, "numba", None)
    done = run("sweep", file, "-o", tmp_path / "out.nc", "--fast")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "needs Numba; pip install 'jaxlimits[fast]', or sweep without --fast" in done.err


def test_workers_are_refused(file, tmp_path):
    done = run("sweep", file, "-o", tmp_path / "out.nc", "--fast", "--workers", 1)
    assert done.code == 2
    assert "the compiled loop computes in one process" in done.err


def test_a_plan_shows_the_chunks_of_a_loop(ragged, file, tmp_path):
    spec = dataclasses.replace(load_grid(file), fast=True)
    facts = describe_plan(spec, tmp_path / "out.nc")
    assert facts["chunks"] > 1
    assert facts["chunk_bytes"] == 4 * facts["points_per_chunk"]
    kept = dataclasses.replace(spec, outputs=("utps", "limit"))
    facts = describe_plan(kept, tmp_path / "out.nc")
    assert facts["chunk_bytes"] == (4 + 4 + 1) * facts["points_per_chunk"]
    assert np.isfinite(facts["expected_seconds"])
