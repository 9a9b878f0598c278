"""The IOOS compliance checker, whose suite for CF-1.11 every result passes, warnings included."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import jaxlimits as jl
from tests.helpers import slow_but

EVERYTHING = """
title = "Names, switches, linked fields, elasticities, reductions and requirements in float64"
precision = "float64"
outputs = ["utps", "stps", "dollars_per_token", "limit"]
elasticities = ["mem_bw"]
[llms."modèle"]
like = "llama3-8b"
[base]
chip = "h100"
[axes]
llm = ["llama3-8b", "modèle", "llama3-405b"]
accounting = ["full", "layers"]
tp_size = { values = [8, 1], with = { sync_latency = ["1 us", "0 us"] } }
batch_size = [1, 8, 64]
[reduce.best]
op = "argmax"
of = "stps"
over = ["tp_size", "batch_size"]
also = ["utps"]
[reduce.best_five]
op = "top"
of = "utps"
k = 5
[reduce.speeds]
op = "histogram"
of = "utps"
first = "1 token/s"
last = "1000 token/s"
bins = 10
[reduce.limits]
op = "count"
of = "limit"
[require.least_bandwidth]
for = "mem_bw"
of = "utps"
at_least = "100 token/s"
keep = true
"""
CHECK = """
import json, sys, warnings
warnings.simplefilter("ignore")
from compliance_checker.runner import CheckSuite
suite = CheckSuite()
suite.load_all_available_checkers()
found = suite.run_all(suite.load_dataset(sys.argv[1]), ["cf:1.11"])["cf:1.11"]
groups, errors = found
lost = [group for group in groups if isinstance(group.value, tuple) and len(set(group.value)) > 1]
lost += [group for group in groups if group.value is False]
print(json.dumps({
    "checks": len(groups),
    "broken": [str(error) for error in errors.values()],
    "messages": [message for group in lost for message in group.msgs or [group.name]],
}))
"""


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp("everything")
    (folder / "grid.toml").write_text(EVERYTHING, encoding="utf-8")
    jl.sweep(folder / "grid.toml", folder / "out.nc")
    return folder / "out.nc"


def checked(path: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", CHECK, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


MADE = ["smoke", "smoke_sharded", "named", "everything"]


@pytest.mark.parametrize("made", slow_but(MADE, "smoke_sharded", "everything"))
def test_a_result_keeps_cf_1_11(made, request):
    found = checked(request.getfixturevalue(made))
    assert found["checks"] > 20
    assert (found["broken"], found["messages"]) == ([], [])


def test_the_checker_finds_a_unit_that_is_none(smoke, tmp_path):
    import netCDF4

    (tmp_path / "bad.nc").write_bytes(smoke.read_bytes())
    with netCDF4.Dataset(tmp_path / "bad.nc", "a") as file:
        file["utps"].units = "token per second"
    assert any(
        "token per second" in message for message in checked(tmp_path / "bad.nc")["messages"]
    )
