"""Workers of one machine: each computes on a device that no other has."""

import json
import os
import subprocess
import sys
import uuid

import jax
import pytest

from jaxlimits.run import devices
from tests.run.test_streamed import GRID, MEMORY, assert_same_bits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere JAX has one device")

ON_WORKERS = """
import dataclasses, json, os, signal, sys
from jaxlimits.run.cluster import connected
from jaxlimits.run.devices import own_devices
from jaxlimits.run.pipeline import load_grid, run_spec

def report():
    import jax
    (own,) = own_devices()
    return own.id, len(jax.local_devices())

def computed_on():
    # What a sweep leaves in a worker: the devices that its one compiled program ran on.
    from jaxlimits.engine import stream
    return sorted(stream.used)

def watch():
    from jaxlimits.engine import stream
    real, stream.used = stream.run_chunks, set()
    def run_chunks(*arguments, mesh, **options):
        stream.used |= {device.id for device in mesh.devices.flat}
        return real(*arguments, mesh=mesh, **options)
    stream.run_chunks = run_chunks

if __name__ == "__main__":
    grid, output, memory = sys.argv[1:]
    spec = dataclasses.replace(load_grid(grid), memory=float(memory))
    with connected(workers=3) as client:
        client.run(watch)
        run_spec(spec, output, client=client).close()
        reported, used = client.run(report), client.run(computed_on)
        pids = client.run(os.getpid)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        again = pids
        while len(again) < 3 or again.keys() == pids.keys():
            again = client.run(report, on_error="ignore")
    print(json.dumps([list(reported.values()), list(used.values()), list(again.values())]))
"""


@pytest.fixture
def names(monkeypatch):
    """Three devices that no other test knows of, given back at the end."""
    monkeypatch.setattr(devices, "_held", held := [])
    yield [f"{uuid.uuid4().hex}-{number}" for number in range(3)]
    for taken in held:
        taken.close()


def in_a_process(code, *, names, **environment):
    """Run a statement that ends with what it answers, beside this process."""
    done = subprocess.run(
        [sys.executable, "-c", f"from jaxlimits.run.devices import *; import sys\n{code}", *names],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_each_claim_takes_the_next_device(names):
    assert [devices.claim(names) for _ in range(3)] == [0, 1, 2]


def test_more_workers_than_devices_share_them_evenly(names):
    assert [devices.claim(names) for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_lists_in_a_workers_own_order_start_with_its_own(names):
    rotated = [[*names[i:], *names[:i]] for i in (1, 0, 2)]
    assert [devices.claim(order) for order in rotated] == [0, 0, 0]


def test_a_device_that_another_process_holds_is_left_to_it(names):
    claims = "print(claim(sys.argv[1:]))"
    assert devices.claim(names) == 0
    assert in_a_process(claims, names=names) == "1"
    assert in_a_process(claims, names=names) == "1", "what it held was free when it ended"


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("{0},{1},{2}", "{0}"), ("{2},{0},{1}", "{2}"), ("{1}", "{1}")],
)
def test_a_worker_leaves_itself_one_gpu(names, visible, expected):
    code = "own_devices(); own_devices(); print(os.environ['CUDA_VISIBLE_DEVICES'])"
    visible, expected = visible.format(*names), expected.format(*names)
    found = in_a_process(code, names=names, CUDA_VISIBLE_DEVICES=visible, JAX_PLATFORMS="cpu")
    assert found == expected


def test_gpus_are_counted_where_nothing_restricts_them(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "_GPUS", tmp_path)
    assert devices._visible_gpus() == []
    for bus in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / bus).mkdir()
    assert devices._visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices._visible_gpus() == []


def test_what_the_user_says_of_memory_stays(monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    devices.share_devices()
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    devices.share_devices()
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"


@pytest.mark.slow
def test_workers_of_one_machine_compute_on_devices_of_their_own(tmp_path):
    import jaxlimits as jl

    grid, script = tmp_path / "grid.toml", tmp_path / "workers.py"
    grid.write_text(GRID, encoding="utf-8")
    script.write_text(ON_WORKERS, encoding="utf-8")
    flags = "--xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, script, grid, tmp_path / "out.nc", str(MEMORY)],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reported, used, again = json.loads(done.stdout)
    assert [seen for _, seen in reported] == [8, 8, 8]
    own = [device for device, _ in reported]
    assert len(set(own)) == 3
    assert used == [[device] for device in own]
    assert len({device for device, _ in again}) == 3, "the one that was started anew too"
    jl.sweep(grid, tmp_path / "alone.nc", memory=MEMORY).close()
    assert_same_bits(tmp_path / "out.nc", tmp_path / "alone.nc")


def test_one_device_is_nothing_to_choose_from():
    if len(jax.local_devices()) != 1:
        pytest.skip("this machine has several devices")
    assert devices.own_devices() == tuple(jax.local_devices())
