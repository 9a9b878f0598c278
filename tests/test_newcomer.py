"""A newcomer's path in an environment of its own: each step works the first time."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import urllib.request
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
    environment["JAXLIMITS_CACHE"] = str(tmp_path / "compiled")
    do(sys.executable, "-m", "venv", "fresh")
    programs = tmp_path / "fresh" / "bin"
    do(str(programs / "pip"), "install", "-q", f"{ROOT}[plot,explore]")
    for line in FIRST:
        command, *rest = shlex.split(line)
        assert do(str(programs / command), *rest).stderr == ""
    assert {"smoke.nc", "smoke.svg"} <= {path.name for path in tmp_path.iterdir()}
    with (
        explorer(
            [str(programs / "jaxlimits"), "explore", "smoke.nc"], tmp_path, environment
        ) as url,
        urllib.request.urlopen(url, timeout=60) as page,
    ):
        assert "jaxlimits explorer" in page.read().decode()


@contextlib.contextmanager
def explorer(command, folder, environment):
    """Start an explorer and give its address; end it as Ctrl-C does."""
    words = [*command, "--no-browser"]
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            said = iter(process.stdout.readline, "")
            yield next(line.split()[2] for line in said if line.startswith("exploring at "))
        finally:
            process.send_signal(signal.SIGINT)
