"""``--help`` and ``catalog`` answer before anything heavy is imported."""

import json
import subprocess
import sys

HEAVY = ("jax", "xarray", "pint", "pydantic", "numpy", "equinox", "netCDF4", "h5py", "pandas")

SCRIPT = """
import contextlib, io, json, sys
from jaxlimits.cli import main
for line in sys.argv[1:]:
    sys.argv = ["jaxlimits", *line.split()]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    print(json.dumps([line, code, len(out.getvalue()), sorted(sys.modules)]))
"""

LIGHT = (
    *("--help", "sweep --help", "point --help", "validate --help", "uncertainty --help"),
    *("optimise --help", "solve --help", "calibrate --help", "plot --help", "compare --help"),
    *("init --help", "diff --help", "info --help", "export --help"),
    *("guide", "guide tutorial", "guide --help"),
    *("catalog", "catalog --json", "catalog llms", "catalog chips h100"),
)


def test_a_light_command_imports_nothing_heavy():
    # One after another: what one of them imported would be there after it.
    command = [sys.executable, "-c", SCRIPT, *LIGHT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = [json.loads(answer) for answer in done.stdout.splitlines()]
    assert [line for line, *_ in answers] == list(LIGHT)
    for line, code, length, modules in answers:
        assert code == 0, line
        assert length > 100, line
        assert not {name.partition(".")[0] for name in modules} & set(HEAVY), line


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, json, jaxlimits; dir(jaxlimits); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in json.loads(done.stdout)} & set(HEAVY)
