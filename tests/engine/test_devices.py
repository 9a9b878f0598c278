"""Many devices: whole chunks on each, and the same bits as on one."""

import json
import os
import subprocess
import sys

import pytest

from tests.test_streamed import GRID, MEMORY, assert_same_bits

SWEEP = """
import collections, json, sys
import jax
import jaxlimits as jl
from jaxlimits.engine import stream

computed = collections.Counter()
real = stream.run_chunk

def run_chunk(*arguments, device, **options):
    outputs, parts = real(*arguments, device=device, **options)
    for array in [*outputs.values(), *(a for part in parts.values() for a in part.values())]:
        assert array.devices() == {device}
    computed[device.id] += 1
    return outputs, parts

stream.run_chunk = run_chunk
grid, output, memory = sys.argv[1:]
jl.sweep(grid, output, memory=float(memory)).close()
print(json.dumps([computed[device.id] for device in jax.local_devices()]))
"""


def chunks_by_device(grid, output, devices):
    """Sweep in a process that has a number of devices; return how many chunks each computed."""
    flags = f"--xla_force_host_platform_device_count={devices}"
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
    """A sweep on one device: its file, and the chunks that the device computed."""
    return folder / "one.nc", chunks_by_device(folder / "grid.toml", folder / "one.nc", 1)


def test_eight_devices_give_the_bits_of_one(folder, one):
    alone, chunks = one
    output = folder / "eight.nc"
    by_device = chunks_by_device(folder / "grid.toml", output, 8)
    assert_same_bits(output, alone)
    assert sum(by_device) == sum(chunks)
    assert max(by_device) - min(by_device) <= 1
