"""``--help`` and ``catalog`` answer before anything heavy is imported."""

import json
import subprocess
import sys

import pytest

HEAVY = ("jax", "xarray", "pint", "pydantic", "numpy", "equinox", "netCDF4", "h5py", "pandas")

SCRIPT = """
import contextlib, io, json, sys
from jaxlimits.cli import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
print(json.dumps([code, len(out.getvalue()), sorted(sys.modules)]))
"""


def modules_after(*args):
    command = [sys.executable, "-c", SCRIPT, *args]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, length, modules = json.loads(done.stdout)
    assert code == 0
    assert length > 100
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    "args",
    [
        *(["--help"], ["sweep", "--help"], ["point", "--help"], ["validate", "--help"]),
        *(["uncertainty", "--help"], ["optimise", "--help"], ["solve", "--help"]),
        *(
            ["calibrate", "--help"],
            ["plot", "--help"],
            ["compare", "--help"],
            ["init", "--help"],
            ["diff", "--help"],
        ),
        *(["catalog"], ["catalog", "--json"], ["catalog", "llms"], ["catalog", "chips", "h100"]),
    ],
    ids=" ".join,
)
def test_a_light_command_imports_nothing_heavy(args):
    assert not modules_after(*args) & set(HEAVY)


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, json, jaxlimits; dir(jaxlimits); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in json.loads(done.stdout)} & set(HEAVY)


@pytest.mark.parametrize("args", [["info", "--help"], ["export", "--help"]], ids=" ".join)
def test_help_of_the_commands_that_read_a_result_imports_nothing_heavy(args):
    assert not modules_after(*args) & set(HEAVY)
