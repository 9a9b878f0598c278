"""The benchmark of a device: a case that hangs, dies or fails costs itself alone."""

import argparse
import json
from pathlib import Path

import pytest

from benchmarks.gpu import command, prediction
from benchmarks.gpu.names import CASES

WORKER = """
import json, os, sys, time
names = sys.argv[sys.argv.index("--out") + 2:]
for name in [n for n in names if not n.startswith("--") and not n[0].isdigit()]:
    if name == "reduce_top":
        time.sleep(60)
    if name == "reduce_max":
        os._exit(3)
    status = "failed: ValueError: no" if name == "x64" else "ok"
    print(json.dumps({"case": name, "status": status, "ms_per_billion": 30.0,
                      "device": "NVIDIA H200", "scale": 0.5}), flush=True)
"""


@pytest.fixture
def options(tmp_path, monkeypatch):
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    real = command.subprocess.Popen

    def start(arguments, **rest):
        return real([arguments[0], str(script), *arguments[3:]], **rest)

    monkeypatch.setattr(command.subprocess, "Popen", start)
    monkeypatch.setattr(command, "SECONDS_A_CASE", 1.0)
    monkeypatch.setattr(command, "SECONDS_TO_START", 1.0)
    return argparse.Namespace(out=tmp_path, scale=None, seconds=60.0, only=list(CASES))


def test_every_case_has_a_record_whatever_becomes_of_one(options):
    found = {record["case"]: record["status"] for record in command.measured(options)}
    assert list(found) == list(CASES)
    assert found.pop("reduce_top") == "over its limit of 1 s"
    assert found.pop("reduce_max") == "failed: exit code 3"
    assert found.pop("x64") == "failed: ValueError: no"
    assert set(found.values()) == {"ok"}


def test_cases_for_which_no_time_is_left_are_said(options):
    options.seconds = 0.0
    statuses = {record["status"] for record in command.measured(options)}
    assert statuses == {"left out: no time left"}


def test_records_are_kept_as_they_come(options, capsys):
    code = command.main(["--out", str(options.out / "new"), "--only", "probe", "billion"])
    lines = (options.out / "new" / "gpu.jsonl").read_text().splitlines()
    assert (code, [json.loads(line)["case"] for line in lines]) == (0, ["probe", "billion"])
    assert "billion  " in capsys.readouterr().out


def test_a_prediction_stands_beside_what_was_measured(options, monkeypatch, tmp_path):
    monkeypatch.setattr(prediction, "FOLDER", tmp_path)
    known = {"jax": "0", "cases": {"billion": {"predicted_ms": 12.0}}}
    Path(tmp_path, "h200.json").write_text(json.dumps(known), encoding="utf-8")
    options.only = ["probe", "billion", "x64"]
    _, billion, other = command.measured(options)
    assert (billion["predicted_ms"], billion["over_predicted"]) == (12.0, 2.5)
    assert "predicted_ms" not in other
