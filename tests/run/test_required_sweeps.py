"""Requirements in a sweep of many chunks: written, described and exported as outputs are."""

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.grid.requirements import REASONS
from tests.command_line import run

GRID = """
precision = "float64"
[base]
llm = "llama3-405b"
tp_size = 128
[axes]
chip = ["xpu-hbm3", "xpu-hbm4", "xpu-sram"]
seq_len = { pow2 = [1024, 131072] }
mem_bw_scale = { linear = [0.5, 8], num = 100 }
[require.slowest]
for = "sync_latency"
at_least = "1000 token/s"
[reduce.why]
op = "count"
of = "slowest_reason"
[reduce.best]
op = "argmax"
of = "slowest"
over = ["mem_bw_scale"]
also = ["slowest_utps"]
"""
VARIABLES = ("slowest", "slowest_utps", "slowest_reason")


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "required.toml").write_text(GRID)
    return tmp_path / "required.toml"


def test_a_sweep_in_chunks_writes_what_one_in_memory_gives(grid):
    done = run("sweep", grid, "-o", "long.nc", "--memory", "64 kB", "--json")
    assert done.code == 0, done.err
    whole = jl.sweep(grid)
    plan = run("sweep", grid, "-o", "plan.nc", "--memory", "64 kB", "--plan", "--json").json
    assert plan["chunks"] > 3
    with jl.open("long.nc") as written:
        for name in VARIABLES:
            np.testing.assert_allclose(written[name].values, whole[name].values, rtol=1e-12)
        counts = written["why"].sel(why_code=written["why_code"])
        assert counts.sum().item() == whole["slowest"].size
        # The winner's further metrics are evaluated again; they are its own.
        assert np.nanmax(np.abs(written["best_slowest_utps"] / 1000.0 - 1.0)) < 1e-6


def test_variables_have_units_meanings_and_flags(grid):
    assert run("sweep", grid, "-o", "short.nc").code == 0
    with jl.open("short.nc") as result:
        assert result["slowest"].attrs["si_unit"] == "s"
        assert "utps at least 1000 token/s" in result["slowest"].attrs["long_name"]
        assert result["slowest_utps"].attrs["si_unit"] == "token/s"
        reason = result["slowest_reason"]
        assert reason.dtype == np.int8
        assert reason.attrs["flag_meanings"].split() == list(REASONS)
        assert reason.attrs["flag_values"].tolist() == list(REASONS.values())
        unmet = np.isnan(result["slowest"])
        assert (unmet == (reason < REASONS["met"])).all()
    info = run("info", "short.nc").out
    assert "unreachable_memory" in info
    assert "exposed latency" in info
    table = run("export", "short.nc", "--csv", "-o", "-", "--var", "slowest").out
    assert "slowest [s]" in table.splitlines()[0].split(",")


def test_a_result_with_requirements_is_made_again_bit_for_bit(grid):
    command = ("sweep", grid, "-o", "long.nc", "--memory", "64 kB")
    assert run(*command).code == 0
    again = run("sweep", "--again", "long.nc", "-o", "again.nc", "--json")
    assert again.code == 0
    assert set(VARIABLES).isdisjoint(again.json["differs"])
