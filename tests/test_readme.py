"""The README's own examples, run as they stand."""

import functools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jaxlimits as jl
from jaxlimits.guide.fences import fences, shown_commands
from tests import shown

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return [fence.body for fence in fences(README) if fence.language == language]


def command_lines():
    in_tables = re.findall(r"^\|.*\| `(jaxlimits .*)` \|$", README, flags=re.MULTILINE)
    return list(dict.fromkeys([*shown_commands(README), *in_tables]))


def test_the_python_example_runs():
    example = blocks("python")[0]  # the next one needs a cluster
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "token/s a user, binds: " in done.stdout
    assert "3350000000000.0" in done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make the file that a line leaves for those after it, once."""
    folder = tmp_path_factory.mktemp("readme")

    @functools.cache
    def make(name):
        line = next(line for line in command_lines() if shown.output_of(line) == name)
        for needed in inputs_of(line):
            make(needed)
        shown.do(line, folder)
        return folder / name

    return make


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_runs_after_those_before_it(line, made, tmp_path):
    for name in inputs_of(line):
        shutil.copy(made(name), tmp_path)
    shown.do(line, tmp_path)
    output = shown.output_of(line)
    if output and "--plan" not in line:
        assert (tmp_path / output).exists()


def inputs_of(line):
    return shown.inputs_of(line, command_lines())


def test_the_lines_leave_files_for_those_after_them():
    assert {name for line in command_lines() for name in inputs_of(line)} == {
        *("smoke.nc", "h200.nc", "sobol.nc", "my_chip.toml")
    }


def test_the_example_grid_sweeps(tmp_path):
    example, reduction, requirements = blocks("toml")
    example += requirements + reduction.replace('"batch_size"', '"mem_bw_scale"')
    grid = tmp_path / "example.toml"
    grid.write_text(example, encoding="utf-8")
    dataset = jl.sweep(grid)
    assert {"best", "best_tp_size", "best_mem_bw_scale", "best_utps"} <= set(dataset.data_vars)
    assert {"utps_elasticity_mem_bw", "least_bandwidth_reason"} <= set(dataset.data_vars)
    assert {"break_even", "break_even_utps_doubling_mem_bw"} <= set(dataset.data_vars)
    assert dict(dataset.sizes) == {
        "chip": 2,
        "tp_size": 2,
        "mem_bw_scale": 4,
        "seq_len": 6,
        "kv_bits": 4,
        "roofline": 2,
    }
    assert (
        (dataset.utps.isel(roofline=1) <= dataset.utps.isel(roofline=0))
        .where(dataset.utps.isel(roofline=0).notnull(), other=True)
        .all()
    )


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
