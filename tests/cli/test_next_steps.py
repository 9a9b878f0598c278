"""After a sweep at a terminal: what computed, how fast, and three commands that work."""

import os
import pty
import shlex
import subprocess
import sys

import pytest

import jaxlimits as jl
from jaxlimits.cli.next_steps import next_steps
from tests.command_line import run

BASE = '[base]\nllm = "llama3-8b"\nchip = "h100"\n'
HEAD = 'outputs = ["utps", "stps"]\n' + BASE
GRIDS = {
    "four axes of numbers": (
        f"{HEAD}[axes]\nmem_bw = ['1 TB/s', '3.35 TB/s']\ntp_size = [1, 8]\nseq_len = [1, 2]\n"
        "batch_size = [1, 2, 4]\n",
        "heat-map",
    ),
    "names": (
        'outputs = ["utps"]\n[base]\nchip = "h100"\n[axes]\nllm = ["llama3-8b", "llama3-70b"]\n'
        'roofline = ["step", "operator"]\nbatch_size = [1, 2]\n',
        "lines",
    ),
    "one axis": (f"{HEAD}[axes]\nbatch_size = [1, 2]\n", ""),
    "names alone": (
        'outputs = ["utps"]\n[base]\nchip = "h100"\n[axes]\nllm = ["llama3-8b", "llama3-70b"]\n',
        "",
    ),
    "another metric": (
        f"outputs = ['stps']\n{BASE}[axes]\nbatch_size = [1, 2]\nseq_len = [1, 2]\n",
        "heat-map --of stps",
    ),
    "one value alone": (
        f"outputs = []\n{BASE}[axes]\nbatch_size = [1, 2]\n"
        "[reduce.most]\nop = 'max'\nof = 'stps'\n",
        "",
    ),
}


@pytest.mark.parametrize("name", GRIDS)
def test_every_step_works_for(name, folder):
    text, picture = GRIDS[name]
    (folder / "grid.toml").write_text(text)
    with jl.sweep("grid.toml", "my result.nc") as dataset:
        steps = next_steps(dataset, folder / "my result.nc")
    assert any(picture in step for step in steps)
    assert len(steps) == (3 if picture else 2)
    for step in steps:
        done = run(*shlex.split(step)[1:])
        assert done.code == 0, f"{step}\n{done.err}"


def test_without_a_backend_no_picture_is_proposed(folder, monkeypatch):
    dataset = jl.sweep("smoke")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert not any("plot" in step for step in next_steps(dataset, folder / "smoke.nc"))


def at_a_terminal(*args, cwd):
    """Run a command whose standard output is a terminal; return what it shows."""
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "jaxlimits", *args]
    with subprocess.Popen(command, cwd=cwd, stdout=child, stderr=subprocess.PIPE) as running:
        os.close(child)
        shown = b""
        try:
            while part := os.read(parent, 4096):
                shown += part
        except OSError:  # how a terminal ends whose other side has closed
            pass
        errors = running.stderr.read()
    os.close(parent)
    assert (running.returncode, errors) == (0, b"")
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_is_told_what_computed_how_fast_and_what_is_next(folder):
    shown = at_a_terminal("sweep", "smoke", cwd=folder)
    assert "wrote smoke.nc" in shown
    assert "points a second on " in shown
    steps = shown.rpartition("next:\n")[2].splitlines()
    assert len(steps) == 3
    for step in steps:
        assert run(*shlex.split(step)[1:]).code == 0
    again = at_a_terminal("sweep", "smoke", "--resume", cwd=folder)
    assert "complete: smoke.nc" in again
    assert "points a second" not in again


def test_a_pipe_and_a_script_are_spared_it(folder):
    assert "next:" not in run("sweep", "smoke").out
    assert "next:" not in run("sweep", "smoke", "--force", "--json").out
