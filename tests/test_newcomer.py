"""A newcomer's path in an environment of its own: each step works the first time."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jaxlimits.cli.examples import FIRST

ROOT = Path(__file__).parents[1]
HIDDEN = ("PYTHONPATH", "VIRTUAL_ENV", "JAX_COMPILATION_CACHE_DIR")


@pytest.mark.slow
def test_what_help_proposes_works_in_a_fresh_environment(tmp_path):
    def do(*words):
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        return done

    environment = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    do(sys.executable, "-m", "venv", "fresh")
    programs = tmp_path / "fresh" / "bin"
    do(str(programs / "pip"), "install", "-q", f"{ROOT}[plot]")
    for line in FIRST:
        command, *rest = shlex.split(line)
        assert do(str(programs / command), *rest).stderr == ""
    assert {"smoke.nc", "smoke.svg"} <= {path.name for path in tmp_path.iterdir()}
