"""The README's own examples, run as they stand."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import jaxlimits as jl

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def command_lines():
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("jaxlimits ")]


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


def test_every_command_line_runs_in_order(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for line in command_lines():
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(line)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert {"smoke.nc", "h200.nc", "h200-again.nc", "h100.csv"} <= {
        p.name for p in tmp_path.iterdir()
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
