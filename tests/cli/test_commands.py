"""Each command: what it prints, what a script reads from it, and its exit code."""

import contextlib
import math
import sys

import numpy as np
import pandas as pd
import pytest

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.model.metrics import REQUESTED
from tests.command_line import run, run_anew

COMMANDS = ("sweep", "point", "catalog", "info", "export", "validate")
POINT = ("point", "--llm", "llama3-405b", "--chip", "h200", "--tp-size", "8")


# Help.


def test_help_lists_every_command():
    done = run("--help")
    assert done.code == 0
    assert all(command in done.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = run(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"jaxlimits {command}" in done.out.replace("\n", " ")
    assert "--help" in done.out


@pytest.mark.parametrize("args", [["nonsense"], ["sweep", "smoke", "--nonsense"], ["point"]])
def test_a_command_line_that_cannot_be_parsed_ends_with_2_and_no_traceback(args):
    done = run(*args)
    assert done.code == 2
    assert done.out == ""
    assert "Traceback" not in done.err


def test_the_module_runs_like_the_command():
    done = run_anew("catalog", "--json")
    assert (done.code, done.err) == (0, "")
    assert {"llms", "chips", "calibrations", "fabrics"} <= set(done.json)


# sweep


def test_sweep_writes_beside_the_user_under_the_grids_name(folder):
    done = run("sweep", "smoke")
    assert done.code == 0
    assert [path.name for path in folder.iterdir()] == ["smoke.nc"]
    assert "10,000 points" in done.out
    assert "wrote smoke.nc" in done.out


def test_sweep_reports_for_a_script(folder):
    done = run("sweep", "smoke", "-o", "out.nc", "--json", "--set", "tp_size=16")
    facts = done.json
    assert (done.code, facts["output"], facts["points"]) == (0, "out.nc", 10_000)
    assert facts["sizes"] == {"mem_bw": 25, "sync_latency": 10, "seq_len": 5, "batch_size": 8}
    assert set(facts["outputs"]) == {
        *("utps", "stps", "t_step", "capacity_utilisation", "feasible", "limit")
    }
    assert facts["bytes"] == (folder / "out.nc").stat().st_size
    assert facts["seconds"] > 0
    with jl.open("out.nc") as dataset:
        assert dataset.attrs["overrides"] == '{"tp_size": "16"}'


def test_sweep_in_float64_and_with_entries_of_ones_own(folder):
    (folder / "own.toml").write_text('[chips.mine]\nlike = "h100"\nmem_bw = "6 TB/s"\n')
    (folder / "g.toml").write_text('[base]\nllm = "llama3-8b"\n[axes]\nchip = ["h100", "mine"]\n')
    assert run("sweep", "g.toml", "--catalog", "own.toml", "--x64").code == 0
    with jl.open("g.nc") as dataset:
        assert dataset.utps.dtype == np.float64
        assert dataset.utps.sel(chip="mine") > dataset.utps.sel(chip="h100")


def test_an_existing_result_is_replaced_with_force_only(folder):
    (folder / "smoke.nc").write_text("mine")
    assert run("sweep", "smoke").code == 1
    assert (folder / "smoke.nc").read_text() == "mine"
    assert run("sweep", "smoke", "--force").code == 0
    assert (folder / "smoke.nc").stat().st_size > 1000


def test_sweep_again_says_that_the_data_is_the_same(made):
    done = run("sweep", "--again", made, "-o", "again.nc")
    assert done.code == 0
    assert "bit for bit" in done.out
    done = run("sweep", "--again", made, "-o", "second.nc", "--json")
    assert done.json["differs"] == []


def test_sweep_again_says_where_the_data_differs(made, folder):
    import netCDF4

    (folder / "out.nc").write_bytes(made.read_bytes())
    with netCDF4.Dataset("out.nc", "a") as file:
        file["utps"][0, 0, 0] = 1.0
    assert run("sweep", "--again", "out.nc", "-o", "a.nc", "--json").json["differs"] == ["utps"]
    assert "differs in utps" in run("sweep", "--again", "out.nc", "-o", "b.nc").out


def test_sweep_again_does_not_compare_a_result_with_itself(made, folder):
    import netCDF4

    (folder / "out.nc").write_bytes(made.read_bytes())
    with netCDF4.Dataset("out.nc", "a") as file:
        file["utps"][0, 0, 0] = 1.0
    done = run("sweep", "--again", "out.nc", "-o", "out.nc", "--force")
    assert "bit for bit" not in done.out


@pytest.mark.slow  # a pipe as standard error is quiet in test_next_steps.py too
def test_a_pipe_shows_no_progress(folder):
    done = run_anew("sweep", "smoke", cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert "\x1b" not in done.out
    assert "\r" not in done.out


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_progress(folder):
    import os
    import pty
    import subprocess

    parent, child = pty.openpty()
    command = [sys.executable, "-m", "jaxlimits", "sweep", "smoke"]
    environment = {**os.environ, "TERM": "xterm"}
    running = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=child, env=environment
    )
    os.close(child)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal ends whose other side has closed
        while part := os.read(parent, 4096):  # a terminal that nobody reads blocks who writes
            shown += part
    os.close(parent)
    assert running.wait() == 0
    assert b"10,000 points" in shown


# point


def test_point_shows_where_the_time_goes_what_binds_and_how_full_memory_is():
    done = run(*POINT, "--batch-size", "4", "--seq-len", "32768")
    assert (done.code, done.err) == (0, "")
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    for name in ("t_step", "t_mem", "t_compute", "t_sync", "utps", "stps", "tpot"):
        assert name in rows
    for name in ("capacity_utilisation", "bandwidth_utilisation", "flops_utilisation"):
        assert "%" in rows[name]
    assert "binds: memory" in done.out
    assert "max_batch_size" in rows
    assert all(name in rows for name in ("weight_bytes", "kv_bytes", "power"))


def test_point_agrees_with_evaluate():
    facts = run(*POINT, "--batch-size", "4", "--seq-len", "32 Ki", "--json").json
    point = jl.evaluate("llama3-405b", "h200", tp_size=8, batch_size=4, seq_len=32768)
    for name in schema.OF_THE_LIMIT:
        if name not in {"limit", "next_limit"}:
            assert facts[name] == getattr(point, name), name
    assert all(facts[name] is None for name in (*schema.CALIBRATED, *REQUESTED))
    assert facts["limit"] == jl.Limit(point.limit).name.lower() == "memory"
    assert facts["feasible"] is True
    assert facts["point"] == {
        "llm": "llama3-405b",
        "chip": "h200",
        "tp_size": "8",
        "batch_size": "4",
        "seq_len": "32 Ki",
    }


def test_point_takes_every_size_and_setting():
    sizes = [part for name in ("pp", "ep", "dp") for part in (f"--{name}-size", "2")]
    base = ["point", "--llm", "qwen3-30b", "--chip", "h100", "--tp-size", "2", *sizes]
    facts = run(*base, "--set", "mem_bw=5 TB/s", "--set", "accounting=layers", "--x64", "--json")
    point = jl.evaluate(
        "qwen3-30b",
        "h100",
        tp_size=2,
        pp_size=2,
        ep_size=2,
        dp_size=2,
        mem_bw="5 TB/s",
        accounting="layers",
        x64=True,
    )
    assert facts.json["utps"] == point.utps


def test_a_point_that_does_not_fit_is_an_answer():
    done = run("point", "--llm", "llama3-405b", "--chip", "h100")
    assert done.code == 0
    assert "does not fit" in done.out
    assert "nan" not in done.out.partition("speed")[0]
    facts = run("point", "--llm", "llama3-405b", "--chip", "h100", "--json").json
    assert (facts["limit"], facts["feasible"], facts["utps"]) == ("capacity", False, None)
    assert facts["capacity_utilisation"] > 1.0


def test_an_endless_batch_is_strict_json():
    done = run("point", "--llm", "llama3-8b", "--chip", "h200", "--seq-len", "0", "--json")
    assert done.json["max_batch_size"] == "inf"


# catalog


def test_catalog_lists_every_entry():
    done = run("catalog")
    catalog = load_catalog()
    assert done.code == 0
    for name in (*catalog.llms, *catalog.chips):
        assert f"  {name} " in done.out


@pytest.mark.parametrize("kind", ["llms", "chips"])
def test_catalog_lists_one_kind(kind):
    listed = run("catalog", kind, "--json").json
    assert listed == {kind: list(getattr(load_catalog(), kind))}
    other = {"llms": "h100", "chips": "llama3-8b"}[kind]
    assert other not in run("catalog", kind).out


def test_catalog_shows_an_entry_with_its_source():
    done = run("catalog", "chips", "h100")
    assert "NVIDIA H100" in done.out
    assert "\n  source  " in done.out
    assert "3.35 TB/s" in done.out
    facts = run("catalog", "chips", "h100", "--json").json
    assert (facts["name"], facts["mem_bw"]) == ("h100", "3.35 TB/s")
    assert facts["source"]


def test_catalog_shows_entries_of_ones_own(folder):
    (folder / "own.toml").write_text('[chips.mine]\ntitle = "Mine"\nlike = "h100"\n')
    assert "Mine" in run("catalog", "chips", "--catalog", "own.toml").out
    assert "3.35 TB/s" in run("catalog", "chips", "mine", "--catalog", "own.toml").out


def test_catalog_shows_an_entry_that_states_nothing_yet(folder):
    (folder / "own.toml").write_text('[chips.mine]\ntitle = "Mine"\n')
    done = run("catalog", "chips", "mine", "--catalog", "own.toml")
    assert (done.code, done.err) == (0, "")


# info


def test_info_shows_axes_variables_and_what_made_it(made):
    done = run("info", made)
    assert done.code == 0
    for part in ("axes", "variables", "made by"):
        assert part in done.out
    assert "llama3-405b" in done.out
    assert "2 TB/s" in done.out
    assert "sync_latency (along tp_size)" in done.out
    assert all(name in done.out for name in schema.OF_THE_LIMIT)
    assert "sha256:" in done.out
    assert jl.__version__ in done.out


def test_info_reports_for_a_script(made):
    facts = run("info", made, "--json").json
    assert facts["sizes"] == {"llm": 2, "tp_size": 2, "mem_bw": 2}
    assert facts["axes"]["mem_bw"]["values"] == [2e12, 4e12]
    assert facts["axes"]["mem_bw"]["unit"] == "B/s"
    assert facts["axes"]["sync_latency"]["along"] == "tp_size"
    assert facts["axes"]["llm"]["values"] == ["llama3-8b", "llama3-405b"]
    assert set(facts["variables"]) == set(schema.OF_THE_LIMIT)
    assert facts["variables"]["utps"]["unit"] == "token/s"
    assert facts["made_by"]["title"] == "Small"
    assert facts["made_by"]["overrides"] == {}


# export


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_export_writes_a_row_a_point(made, form):
    done = run("export", made, f"--{form}", "-o", f"t.{form}")
    assert done.code == 0
    assert "8 rows" in done.out
    table = pd.read_csv("t.csv") if form == "csv" else pd.read_parquet("t.parquet")
    assert len(table) == 8
    table.columns = [column.partition(" [")[0] for column in table.columns]
    assert {"llm", "tp_size", "mem_bw", "sync_latency", *schema.OF_THE_LIMIT} <= set(table.columns)
    with jl.open(made) as dataset:
        for row in table.to_dict("records"):
            place = {name: row[name] for name in ("llm", "tp_size", "mem_bw")}
            cell = dataset.utps.sel(place).item()
            assert math.isclose(row["utps"], cell, rel_tol=1e-6) or math.isnan(cell)
            assert row["sync_latency"] == (0.0 if row["tp_size"] == 1 else 1e-6)


def test_export_keeps_a_selection(made):
    selection = ["--select", "llm=llama3-8b", "--select", "mem_bw=2 TB/s", "--var", "utps"]
    assert run("export", made, "--csv", "-o", "t.csv", *selection, "--var", "limit").code == 0
    table = pd.read_csv("t.csv")
    assert len(table) == 2
    assert set(table["llm"]) == {"llama3-8b"}
    assert not {"stps", "power"} & set(table.columns)
    own = ["llm", "tp_size", "mem_bw [B/s]", "utps [token/s]", "limit", "sync_latency [s]"]
    assert list(table.columns)[: len(own)] == own
    assert set(table["chip"]) == {"h100"}  # what does not vary stands beside it
    assert set(table["limit"]) == {"memory"}
    assert table["mem_bw [B/s]"].tolist() == [2e12, 2e12]


@pytest.mark.parametrize("value", ["2 TB/s", "2000 GB/s", "2e12"])
def test_export_selects_numbers_in_any_unit(made, value):
    done = run("export", made, "--csv", "-o", "-", "--select", f"mem_bw={value}", "--var", "utps")
    assert len(done.out.strip().splitlines()) == 1 + 4


def test_export_names_the_table_after_the_result(made, folder):
    (folder / "small.nc").write_bytes(made.read_bytes())
    assert run("export", "small.nc", "--csv").code == 0
    assert (folder / "small.csv").is_file()


def test_export_replaces_a_table_with_force_only(made, folder):
    (folder / "t.csv").write_text("mine")
    assert run("export", made, "--csv", "-o", "t.csv").code == 1
    assert (folder / "t.csv").read_text() == "mine"
    assert run("export", made, "--csv", "-o", "t.csv", "--force").code == 0
    assert len(pd.read_csv("t.csv")) == 8


# validate


def test_validate_prints_each_anchor_and_ends_with_0():
    done = run("validate")
    assert done.code == 0, done.out
    for figure in (86, 80, 290, 271, 776, 743, 881, 146):
        assert f" {figure} " in done.out
    assert "published" in done.out
    assert "ours" in done.out
    assert "OFF" not in done.out


def test_validate_ends_with_1_where_a_bandwidth_is_5_percent_off():
    done = run("validate", "--set", "mem_bw_scale=1.05")
    assert done.code == 1
    assert "OFF" in done.out


def test_validate_reports_for_a_script():
    good, bad = run("validate", "--json"), run("validate", "--set", "mem_bw_scale=1.05", "--json")
    assert (good.code, bad.code) == (0, 1)
    assert good.json["off"] == []
    anchors = {anchor["name"]: anchor for anchor in good.json["anchors"]}
    utps = [anchor for name, anchor in anchors.items() if name.startswith("utps ")]
    assert [round(anchor["value"]) for anchor in utps] == [86, 80, 290, 271, 776, 743]
    assert {anchor["status"] for anchor in anchors.values()} <= {"published", "inferred", "ours"}
    parameters = [a for name, a in anchors.items() if " parameters " in name]
    exact = [a for a in parameters if round(a["value"]) == a["stated"]]
    assert (len(parameters), len(exact)) == (24, 23)
    assert len([name for name in bad.json["off"] if name.startswith("utps ")]) == 6


# Streams.


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize("args", [["catalog"], ["--help"], ["catalog", "--json"]])
def test_output_that_cannot_be_written_is_an_error_of_one_line(args):
    import subprocess

    command = [sys.executable, "-m", "jaxlimits", *args]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "No space left" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_reader_that_has_gone_is_no_traceback(made):
    import subprocess

    command = [sys.executable, "-m", "jaxlimits", "export", str(made), "--csv", "-o", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        errors = process.stderr.read().decode()
    assert "Traceback" not in errors


# what nobody stated


@pytest.fixture
def bare(folder):
    """A file with a chip that states neither power nor price."""
    text = '[chips.bare]\npeak_flops = "2 PFLOP/s"\nmem_bw = "6 TB/s"\nmem_capacity = "160 GB"\n'
    (folder / "bare.toml").write_text(text)
    return "bare.toml"


def test_point_says_why_watts_and_dollars_are_absent(bare):
    point = ("point", "--llm", "llama3-8b", "--chip", "bare", "--catalog", bare)
    done = run(*point)
    assert done.code == 0
    assert "absent: power, energy_per_token, stps_per_watt: no power stated for chip 'bare'" in (
        done.out
    )
    assert "--assume gpu or another preset" in done.out
    assert "nan" not in done.out
    facts = run(*point, "--json").json
    assert facts["power"] is None
    assert set(facts["absent"]) >= {"power", "capital_cost", "dollars_per_token"}
    assumed = run(*point, "--assume", "gpu")
    assert "absent" not in assumed.out
    assert "assume=gpu" in assumed.out


def test_an_assumption_is_set_once(bare):
    point = ("point", "--llm", "llama3-8b", "--chip", "bare", "--catalog", bare)
    done = run(*point, "--assume", "gpu", "--set", "assume=card")
    assert done.code == 2
    assert "assume" in done.err


def test_sweep_says_what_is_absent_for_which_chip(bare, folder):
    grid = (
        'outputs = ["utps", "power"]\n[base]\nllm = "llama3-8b"\n[axes]\nchip = ["h100", "bare"]\n'
    )
    (folder / "bare_grid.toml").write_text(grid)
    sweep = ("sweep", "bare_grid.toml", "--catalog", bare, "--force")
    done = run(*sweep)
    assert "absent: power: no power stated for chip 'bare'" in done.out
    assert "absent" in run("info", "bare_grid.nc").out
    assert "absent" not in run(*sweep, "--assume", "card").out


# the table of chips


def test_catalog_shows_chips_as_a_table_of_numbers():
    rows = {line.split()[0]: line.split() for line in run("catalog", "chips").out.splitlines()[5:]}
    # bandwidth, capacity, 16, 8 and 4 bits, domain, power, with its share of a rated server
    expected = {
        "b200": "8 180 2250 4500 9000 8 1000 1788 datasheet",
        "mi455x": "23.3 432 5032 20130 40260 72 – – announced",
        "xpu-hbm3": "4.4 103 1125 2250 2250 – 1012 1049 paper",
    }
    assert {name: " ".join(rows[name][1:10]) for name in expected} == expected
    assert set(load_catalog().chips) <= set(rows)


def test_rows_of_chips_but_for_their_titles_keep_to_80_columns():
    lines = run("catalog", "chips").out.splitlines()
    place = next(line.index("title") for line in lines if line.startswith("chip "))
    assert place - 2 <= 80
    assert all(len(line) <= 80 for line in lines[:3])


def test_catalog_lists_a_chip_that_states_nothing_readable(folder):
    (folder / "odd.toml").write_text('[chips.odd]\ntitle = "Odd"\nmem_bw = "fast"\n')
    done = run("catalog", "chips", "--catalog", "odd.toml")
    assert done.code == 0
    (row,) = [line for line in done.out.splitlines() if line.startswith("odd ")]
    assert row.split() == ["odd", *["–"] * 9, "Odd"]


def test_catalog_shows_status_and_aliases_of_an_entry():
    done = run("catalog", "chips", "RTX4090")
    assert done.out.startswith("rtx-4090: NVIDIA GeForce RTX 4090")
    assert "datasheet: a product" in done.out
    assert "GeForce RTX 4090, 4090" in done.out


def test_a_command_warns_of_an_announced_chip_once():
    done = run_anew("point", "--llm", "llama3-8b", "--chip", "Vera Rubin")
    assert done.code == 0
    assert done.err.startswith("jaxlimits: warning: rubin is announced, not delivered:")
    assert len(done.err.splitlines()) == 1
