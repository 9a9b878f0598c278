"""``jaxlimits calibrate``: fits that any command can name, and tables that cannot be used."""

import json
import tomllib

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.guide.pages import FOLDER
from tests.command_line import run

HEADER = "system,precision,model,tp,batch,ctx_in,ctx_out,utps,stps"
BATCHES = (1, 2, 4, 8, 12, 16, 24, 32, 64, 128)
RATES = (100.0, 99.0, 97.0, 94.0, 91.0, 88.0, 84.0, 80.0, 66.0, 48.0)
MACHINES = (("8xH100-SXM", "Llama-3.1-70B", 1.0), ("4xh200", "Llama-3.3-70B", 0.75))


def lines():
    """Two machines; rates near those of a calibrated 70B model in FP8."""
    return [
        f"{system},FP8,{model},{system[0]},{batch},1024,1024,{rate * share:g},"
        for system, model, share in MACHINES
        for batch, rate in zip(BATCHES, RATES, strict=True)
    ]


def written(folder, *rows, header=HEADER):
    path = folder / "rates.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_a_fit_is_an_entry_that_catalogs_take(folder):
    table = written(folder, *lines())
    done = run("calibrate", table, "--name", "mine", "-o", "mine.toml", "--source", "a test")
    assert (done.code, done.err) == (0, "")
    assert "wrote mine.toml" in done.out
    assert "calibrated, each series left out" in done.out
    entry = tomllib.loads((folder / "mine.toml").read_text())["calibrations"]["mine"]
    assert entry["source"] == "a test"
    assert entry["fit"]["rows"] == 20
    assert entry["fit"]["fabrics"] == ["h100 = vllm-h100", "h200 = vllm-h200"]
    assert len(entry["fit"]["covariance"]) == len(entry["fit"]["fields"]) == 8
    catalog = load_catalog(folder / "mine.toml")
    assert 0.3 <= catalog.calibration("mine").mem_efficiency <= 1.0
    shown = run("catalog", "calibrations", "mine", "--catalog", "mine.toml")
    assert "kernel_latency" in shown.out


def test_json_says_the_same_and_is_strict(folder):
    answer = run("calibrate", written(folder, *lines()), "--json").json
    assert len(answer["rows"]) == 20
    row = answer["rows"][0]
    assert row["line"] == 2
    assert row["lower_utps"] < row["calibrated_utps"] < row["upper_utps"]
    assert {"measured_utps", "calibrated_utps", "limit_utps"} <= set(row)
    assert set(answer["errors"]) >= {"calibrated", "calibrated_unseen", "limit", "paper"}
    assert set(answer["group_errors"]) == {"8xH100-SXM Llama-3.1-70B", "4xh200 Llama-3.3-70B"}


def test_a_calibration_is_put_beside_rows_that_it_has_not_seen(folder):
    table = written(folder, *lines()[:10])
    done = run("calibrate", table, "--against", "vllm")
    assert (done.code, done.err) == (0, "")
    assert "nothing fitted to these rows" in done.out
    answer = run("calibrate", table, "--against", "vllm", "--json").json
    assert answer["errors"]["calibrated_unseen"] is None
    assert answer["rows"][0]["error_unseen"] is None


def test_fabrics_are_written_as_entries(folder):
    done = run(
        "calibrate", "all_reduce", "--all-reduce", "--without", "gpu=a100_sxm", "-o", "f.toml"
    )
    assert (done.code, done.err) == (0, "")
    entries = tomllib.loads((folder / "f.toml").read_text())["fabrics"]
    assert len(entries) == 9
    assert entries["vllm-b200"]["library_bytes"] == "2 MiB"
    listed = run("calibrate", "all_reduce", "--all-reduce", "--json").json["fabrics"]
    assert [each["name"] for each in listed][:2] == ["sglang-a100", "trtllm-a100"]


def changed(column, value, *, line=3):
    """The good rows, with one cell of one of them replaced."""
    rows = [row.split(",") for row in lines()]
    rows[line - 2][HEADER.split(",").index(column)] = value
    return [",".join(row) for row in rows]


BAD = {
    "a missing column": (
        lambda: [row.rpartition(",")[0].rpartition(",")[0] for row in lines()],
        ["line 1", "lacks the column utps", "needed are"],
        {"header": HEADER.removesuffix(",utps,stps")},
    ),
    "a unit in the header": (
        lines,
        ["line 1: utps [1/s]", "states a unit", "write utps"],
        {"header": HEADER.replace("utps", "utps [1/s]")},
    ),
    "a column twice": (
        lines,
        ["line 1: utps", "stands twice"],
        {"header": HEADER.replace("stps", "utps")},
    ),
    "a unit in a cell": (
        lambda: changed("utps", "10 ms"),
        ["line 3", "utps = '10 ms'", "a plain number in token/s"],
    ),
    "a time for a rate": (
        lambda: changed("stps", "99000"),
        ["line 3", "utps = 99.0", "stps = 99000", "tokens a second"],
    ),
    "a rate of zero": (lambda: changed("utps", "0"), ["line 3", "utps = '0'", "above 0"]),
    "a negative rate": (lambda: changed("utps", "-5"), ["line 3", "utps", "above 0"]),
    "no number at all": (lambda: changed("utps", "nan"), ["line 3", "utps = 'nan'"]),
    "an empty cell": (lambda: changed("batch", ""), ["line 3", "batch", "is empty"]),
    "half a sequence": (lambda: changed("batch", "1.5"), ["line 3", "batch", "whole number"]),
    "an unknown chip": (
        lambda: changed("system", "8xH101-SXM"),
        ["line 3", "system", "unknown chip 'H101-SXM'", "h100"],
    ),
    "no count of chips": (
        lambda: changed("system", "H100-SXM"),
        ["line 3", "system = 'H100-SXM'", "8xB200-SXM"],
    ),
    "more TP than chips": (lambda: changed("tp", "16"), ["line 3", "tp = 16", "8 chips"]),
    "an unknown model": (
        lambda: changed("model", "Llama-3-71B"),
        ["line 3", "model", "unknown llm 'Llama-3-71B'", "llama3-70b"],
    ),
    "an unknown precision": (
        lambda: changed("precision", "E4M3"),
        ["line 3", "precision = 'E4M3'", "BF16"],
    ),
    "a duplicate row": (
        lambda: [*lines(), lines()[2]],
        ["line 22", "measures the same point as line 4"],
    ),
    "a rate beyond the limit": (
        lambda: changed("utps", "5000"),
        ["line 3", "utps = 5000", "times the limit of h100"],
    ),
    "one machine and model": (lambda: lines()[:10], ["rates.csv", "one machine and model"]),
    "too few rows": (
        lambda: [*lines()[:3], *lines()[10:13]],
        ["rates.csv", "6 rows, 3 without 8xH100-SXM", "too few for 8 constants", "at least 10"],
    ),
    "neither size": (
        lines,
        ["line 1", "lacks the column batch", "concurrency"],
        {"header": HEADER.replace("batch", "sequences")},
    ),
    "both sizes": (
        lambda: [f"{row}4" for row in lines()],
        ["line 1", "has both columns batch and concurrency", "do not always fill"],
        {"header": HEADER.replace("stps", "concurrency")},
    ),
    "one row of a model": (
        lambda: [*lines(), "8xH100-SXM,FP8,Llama-3.1-8B,8,4,1024,1024,200,"],
        ["line 22", "model", "the one row of model llama3-8b", "second one"],
    ),
    "a chip that no fabric names": (
        lambda: [*lines(), *(f"8xmi355x,FP8,Llama-3.1-70B,8,{b},1024,1024,50," for b in (1, 2))],
        ["line 22", "system = '8xmi355x'", "no fabric names mi355x", "--fabric mi355x=NAME"],
    ),
    "a cell too many": (lambda: [lines()[0] + ",1"], ["line 2", "10 cells", "9 columns"]),
    "no rows": (list, ["rates.csv", "has no rows"]),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_a_table_that_cannot_be_used_is_told_by_line_and_column(case, folder):
    rows, says, *rest = case
    header = rest[0]["header"] if rest else HEADER
    table = written(folder, *rows(), header=header)
    done = run("calibrate", table, "-o", "mine.toml")
    assert done.code == 2
    assert done.out == ""
    assert str(table) in done.err
    for phrase in says:
        assert phrase in done.err, done.err
    assert not (folder / "mine.toml").exists()
    assert [path.name for path in folder.iterdir()] == ["rates.csv"]


ASKED = {
    "an unknown constant": (["--fit", "mem_eficiency"], ["--fit", "did you mean mem_efficiency"]),
    "a name that is taken": (["--name", "vllm"], ["--name", "'vllm'", "taken"]),
    "a name with a space": (["--name", "my fit"], ["--name", "'my fit'", "letters"]),
    "an unknown fabric": (["--fabric", "h100=vllm-h10"], ["--fabric", "h100", "vllm-h100"]),
    "an assignment without =": (["--without", "model"], ["--without", "'model'"]),
    "an unknown column": (["--without", "modl=x"], ["--without", "'modl'", "model"]),
    "a value that no row has": (["--without", "tp=3"], ["--without", "tp = '3'"]),
    "a calibration that is not there": (["--against", "vlm"], ["'vlm'", "vllm"]),
    "nothing to write": (["--against", "vllm", "-o", "x.toml"], ["--against", "nothing"]),
}


@pytest.mark.parametrize("case", ASKED.values(), ids=ASKED)
def test_what_cannot_be_asked_is_told(case, folder):
    options, says = case
    done = run("calibrate", written(folder, *lines()), *options)
    assert done.code == 2
    for phrase in says:
        assert phrase in done.err, done.err


def test_all_reduces_that_cannot_be_used_are_told(folder):
    path = folder / "times.csv"
    path.write_text("gpu,stack,num_gpus,bytes,us\nb200_sxm,vllm/1,8,4096,0\n")
    done = run("calibrate", path, "--all-reduce")
    assert done.code == 2
    assert "line 2: us = '0': must be" in done.err
    path.write_text("gpu,stack,num_gpus,bytes,us\nb200_sxm,vllm/1,8,4096,7\n")
    done = run("calibrate", path, "--all-reduce")
    assert done.code == 2
    assert "1 rows of b200 in vllm/1 are too few" in done.err


def test_an_existing_file_is_kept_without_force(folder):
    table = written(folder, *lines())
    (folder / "mine.toml").write_text("mine")
    done = run("calibrate", table, "-o", "mine.toml")
    assert done.code == 1
    assert "--force" in done.err
    assert (folder / "mine.toml").read_text() == "mine"
    assert run("calibrate", table, "-o", "mine.toml", "--force").code == 0
    assert "[calibrations.fitted]" in (folder / "mine.toml").read_text()


def test_duplicates_over_two_tables_are_told_by_both_files(folder):
    table, other = written(folder, *lines()), folder / "more.csv"
    other.write_text("\n".join([HEADER, lines()[4]]) + "\n")
    done = run("calibrate", table, other)
    assert done.code == 2
    assert f"{other}: line 2: utps" in done.err
    assert f"measures the same point as line 6 of {table}" in done.err


def test_a_table_of_concurrencies_holds_prompts_in_its_steps(folder):
    header = HEADER.replace("batch", "concurrency").replace("stps", "engine")
    rows = [row + "trtllm" for row in lines()]
    table = written(folder, *rows, header=header)
    done = run("calibrate", table)
    assert done.code == 2
    assert "has no row of plain decode" in done.err  # as many prompt tokens as are decoded
    long = [row.replace("1024,1024", "1024,8192") for row in rows]
    answer = run("calibrate", written(folder, *long, header=header), "--json").json
    assert {row["input_len"] for row in answer["rows"]} == {1024.0}
    assert answer["rows"][0]["engine"] == "trtllm"


@pytest.mark.slow
def test_the_report_card_says_how_a_fit_predicts_what_it_has_not_seen():
    card = json.loads(run("calibrate", "--report", "--json").out)
    assert card["in_sample"] <= 0.075
    splits = {one["split"]: one for one in card["splits"]}
    page = (FOLDER / "how-to" / "calibrate.md").read_text(encoding="utf-8")
    assert f"| nothing (in sample) | {card['in_sample']:.1%}".replace("%", " %") in page
    assert f"The bare limit is off by {card['limit']:.1%}".replace("%", " %") in page
    for one in card["splits"]:
        held = [
            f"{100 * share:.1f} ± {100 * one['coverage_errors'][level]:.0f} %"
            for level, share in one["coverage"].items()
        ]
        error, paper = (f"{100 * one[name]:.1f} %" for name in ("error", "paper"))
        assert f" | {' | '.join([error, *held, paper])} |\n" in page, one["split"]
    for name in ("chip", "engine", "model"):
        assert splits[name]["error"] <= 0.10
        assert splits[name]["paper"] > splits[name]["error"]
        assert 0.92 <= splits[name]["coverage"]["0.95"] <= 0.98
    assert len(card["worst"]) == 10
    assert all(one["cause"] for one in card["worst"])
    assert set(card["published"]) == {"SynPerf", "BLIS", "KernelSight-LM"}
    assert sum(card["left_out"].values()) == 1562 - card["rows"]
    words = run("calibrate", "static_batch", "--report").out
    assert "the worst systems, each predicted from the others" in words


REDUCED = '[reduce.best]\nop = "max"\nof = "calibrated_utps"'
GRID = """
outputs = ["utps", "calibrated_utps", "calibrated_utps_lower", "calibrated_utps_upper"]
[base]
llm = "llama3-70b"
calibration = "vllm"
tp_size = 8
[axes]
chip = { values = ["h100", "b200"], with = { fabric = ["vllm-h100", "vllm-b200"] } }
batch_size = [1, 64]
"""


def test_a_calibration_is_usable_on_any_grid(folder):
    (folder / "grid.toml").write_text(GRID)
    assert run("sweep", "grid.toml", "-o", "grid.nc").code == 0
    with jl.open("grid.nc") as result:
        assert np.all(result.calibrated_utps < result.utps)
        assert np.all(result.calibrated_utps_lower < result.calibrated_utps)
        assert np.all(result.calibrated_utps < result.calibrated_utps_upper)
        here = result.calibrated_utps.sel(chip="b200", batch_size=64).item()
    names = {"calibration": "vllm", "fabric": "vllm-b200"}
    point = jl.evaluate("llama3-70b", "b200", tp_size=8, batch_size=64, **names)
    assert point.calibrated_utps == pytest.approx(here, rel=1e-6)
    again = run("sweep", "--again", "grid.nc", "-o", "again.nc")
    assert again.code == 0, again.err


def test_a_calibration_of_ones_own_enters_a_grid_from_its_file(folder):
    table = written(folder, *lines())
    assert run("calibrate", table, "--name", "mine", "-o", "mine.toml").code == 0
    text = GRID.replace('"vllm"', '"mine"')
    (folder / "grid.toml").write_text(f'catalog = ["mine.toml"]{text}')
    assert run("sweep", "grid.toml", "-o", "grid.nc").code == 0


@pytest.mark.parametrize("ask", ['outputs = ["calibrated_utps"]', REDUCED])
def test_calibrated_metrics_need_a_calibration(ask, folder):
    base = '[base]\nllm = "llama3-8b"\nchip = "h100"\n[axes]\nbatch_size = [1, 2]\n'
    text = f"{ask}\n{base}" if ask.startswith("outputs") else f"{base}{ask}\n"
    (folder / "grid.toml").write_text(text)
    done = run("sweep", "grid.toml", "-o", "grid.nc")
    assert done.code == 2
    assert "calibrated_utps" in done.err
    assert "needs a calibration" in done.err
    assert not (folder / "grid.nc").exists()


def test_a_point_shows_what_is_a_prediction(folder):
    asked = ("point", "--llm", "llama3-70b", "--chip", "b200", "--tp-size", "8")
    assert "calibrated" not in run(*asked).out
    shown = run(*asked, "--set", "calibration=vllm", "--set", "fabric=vllm-b200").out
    assert "a prediction of an engine, not the limit" in shown
    unknown = run(*asked, "--set", "calibration=vlm")
    assert unknown.code == 2
    assert "did you mean vllm" in unknown.err
