"""Many devices: whole chunks on each, and the same bits as on one."""

import json
import os
import subprocess
import sys

import pytest

from tests.run.test_streamed import GRID, MEMORY, assert_same_bits

SWEEP = """
import collections, json, sys
import jax
import jaxlimits as jl
from jaxlimits.engine import kernel, stream

computed = collections.Counter()
real = stream.run_chunks

def run_chunks(*arguments, **options):
    results = real(*arguments, **options)
    for chunk in results:
        (device,) = {device for array in jax.tree.leaves(chunk) for device in array.devices()}
        computed[device.id] += 1
    return results

stream.run_chunks = run_chunks
grid, output, memory = sys.argv[1:]
jl.sweep(grid, output, memory=float(memory)).close()
chunks = [computed[device.id] for device in jax.local_devices()]
print(json.dumps({"chunks": chunks, "programs": kernel._chunks._cache_size()}))
"""


def sweep_on(devices, grid, output):
    """Sweep in a process that has a number of devices: chunks that each computed, programs made."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SWEEP, str(grid), str(output), str(MEMORY)],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    (folder / "grid.toml").write_text(GRID, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def one(folder):
    """A sweep on one device: its file, and what the device did."""
    return folder / "one.nc", sweep_on(1, folder / "grid.toml", folder / "one.nc")


@pytest.fixture(scope="module")
def eight(folder):
    """The same sweep on eight devices."""
    return folder / "eight.nc", sweep_on(8, folder / "grid.toml", folder / "eight.nc")


def test_eight_devices_give_the_bits_of_one(one, eight):
    assert_same_bits(eight[0], one[0])


def test_eight_devices_share_the_chunks(one, eight):
    (alone,), shares = one[1]["chunks"], eight[1]["chunks"]
    assert sum(shares) == alone
    assert max(shares) - min(shares) <= 1


def test_eight_devices_run_the_programs_of_one(one, eight):
    assert eight[1]["programs"] == one[1]["programs"]
