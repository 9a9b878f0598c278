"""Long sweeps on devices that are full or fail: what is done is kept, and the bits are the same."""

import dataclasses

import pytest

import jaxlimits as jl
from jaxlimits.engine import chunk_sizes, sweep_job
from jaxlimits.engine.sweep_job import halved
from jaxlimits.errors import UnfinishedSweepError
from jaxlimits.grid.scenario import bind
from jaxlimits.run.pipeline import load_grid, run_spec, spec_job
from jaxlimits.store.folders import shards_folders
from jaxlimits.store.owner import owner_file
from tests.failing_device import GONE, Device
from tests.run.test_streamed import GRID, assert_same_bits

MEMORY = 8e5  # half a dozen chunks


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_job, "_FEWEST_POINTS", 64)
    path = tmp_path / "grid.toml"
    path.write_text(GRID, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    """Results that nothing interrupted, by their memory budget."""
    found = {}
    folder = tmp_path_factory.mktemp("whole")
    (folder / "grid.toml").write_text(GRID, encoding="utf-8")

    def whole(memory):
        if memory not in found:
            found[memory] = folder / f"{memory}.nc"
            jl.sweep(folder / "grid.toml", found[memory], memory=memory).close()
        return found[memory]

    return whole


def test_a_device_that_vanishes_leaves_a_sweep_that_goes_on(grid, tmp_path, monkeypatch, wholes):
    output = tmp_path / "out.nc"
    with monkeypatch.context() as patch:
        Device(patch, fails_at={5}, error=GONE)
        with pytest.raises(UnfinishedSweepError) as told:
            jl.sweep(grid, output, memory=MEMORY)
    said = "cpu: the device failed (INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access"
    assert str(told.value).startswith(said)
    assert str(told.value).endswith("what is done is kept, continue with `resume=True`")
    assert "\n" not in str(told.value)
    assert not owner_file(output).exists()
    device = Device(monkeypatch)
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert 0 < device.starts < 6
    assert_same_bits(output, wholes(MEMORY))


def test_a_device_that_is_full_for_a_while_changes_no_bit(grid, tmp_path, monkeypatch, wholes):
    output = tmp_path / "out.nc"
    Device(monkeypatch, fails_at={3, 4})
    jl.sweep(grid, output, memory=MEMORY).close()
    assert_same_bits(output, wholes(MEMORY))


def test_chunks_that_do_not_fit_are_halved_and_gone_on_with(grid, tmp_path, monkeypatch, wholes):
    output, spec = tmp_path / "out.nc", dataclasses.replace(load_grid(grid), memory=MEMORY)

    def stop(stage, share):
        if share > 0.5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        Device(patch, largest=3000, arrives=False)
        with pytest.raises(KeyboardInterrupt):
            run_spec(spec, output, progress=stop)
        device = Device(patch, largest=3000, arrives=False)
        jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert 0 < device.starts < 13
    job = spec_job(spec, bind(spec))
    fits = halved(job).plan.points_per_chunk
    point = chunk_sizes.point_bytes(job.outputs, job.reductions, job.precision)
    assert_same_bits(output, wholes(chunk_sizes.IN_FLIGHT * point * fits))
    assert not any(folder.exists() for folder in shards_folders(output))


def test_a_device_that_fills_up_in_mid_sweep_keeps_what_is_done(
    grid, tmp_path, monkeypatch, wholes
):
    output = tmp_path / "out.nc"
    with monkeypatch.context() as patch:
        Device(patch, fails_at=range(7, 100), arrives=False)
        told = r"no room for [\d,]+ points at once; another process.* `resume=True`$"
        with pytest.raises(UnfinishedSweepError, match=told):
            jl.sweep(grid, output, memory=MEMORY / 2)
    jl.sweep(grid, output, memory=MEMORY / 2, resume=True).close()
    assert_same_bits(output, wholes(MEMORY / 2))


def test_a_device_without_memory_ends_in_a_line_and_leaves_nothing(grid, tmp_path, monkeypatch):
    output = tmp_path / "out.nc"
    Device(monkeypatch, largest=0, arrives=False)
    with pytest.raises(jl.InputError, match=r"no room for \d+ points at once.*nvidia-smi"):
        jl.sweep(grid, output, memory=MEMORY)
    assert [path.name for path in tmp_path.iterdir()] == ["grid.toml"]
