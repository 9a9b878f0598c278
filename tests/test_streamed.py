"""Long sweeps: the same bits however they are cut short, and nothing computed twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import netCDF4
import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits import schema, streamed

GRID = """
outputs = ["utps", "limit"]
[base]
llm = "llama3-70b"
[axes]
chip = ["h100", "xpu-sram", "b200"]
batch_size = { pow2 = [1, 64] }
mem_bw_scale = { geometric = [0.5, 4], num = 30 }
sync_latency = { geometric = ["0.1 us", "10 us"], num = 40 }
[reduce.best]
op = "argmax"
of = "stps"
over = ["batch_size"]
[reduce.average]
op = "mean"
of = "utps"
[reduce.frontier]
op = "frontier"
of = ["utps", "stps"]
"""
MEMORY = 2e5  # a few dozen chunks


class StopError(Exception):
    """Stands for whatever ends a sweep from outside."""


@pytest.fixture
def grid(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(GRID, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The result of a sweep that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "grid.toml").write_text(GRID, encoding="utf-8")
    path = folder / "whole.nc"
    jl.sweep(folder / "grid.toml", path, memory=MEMORY).close()
    return path


def raw(path):
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        return {name: variable[...] for name, variable in file.variables.items()}


def assert_same_bits(path, other):
    left, right = raw(path), raw(other)
    assert left.keys() == right.keys()
    for name in left:
        assert np.asarray(left[name]).tobytes() == np.asarray(right[name]).tobytes(), name


@pytest.fixture
def counted(monkeypatch):
    """Count the chunks that are computed, and stop where a test says so."""

    class Counted:
        computed, stop_after = 0, None

    real = streamed.stream

    def stream(job, keys):
        for chunk in real(job, keys):
            if Counted.stop_after is not None and Counted.computed >= Counted.stop_after:
                raise StopError
            Counted.computed += 1
            yield chunk

    monkeypatch.setattr(streamed, "stream", stream)
    return Counted


def test_a_sweep_in_chunks_equals_one_in_memory(grid, whole):
    in_memory = jl.sweep(grid)
    with jl.open(whole) as stored:
        for name in ("utps", "best"):
            np.testing.assert_allclose(stored[name].values, in_memory[name].values, rtol=1e-6)
        assert float(stored.average) == pytest.approx(float(in_memory.average), rel=1e-6)
        assert stored.sizes["frontier_point"] == in_memory.sizes["frontier_point"]


def test_a_sweep_in_chunks_can_be_made_again_bit_for_bit(whole, tmp_path):
    jl.sweep_again(whole, tmp_path / "again.nc")
    assert_same_bits(tmp_path / "again.nc", whole)


def test_nothing_is_left_beside_a_finished_result(whole):
    assert sorted(path.name for path in whole.parent.iterdir()) == ["grid.toml", "whole.nc"]


@pytest.mark.parametrize("stop_after", [0, 1, 4, 9])
def test_a_resumed_sweep_has_the_same_bits(grid, tmp_path, whole, counted, stop_after):
    output = tmp_path / "out.nc"
    counted.stop_after = stop_after
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    assert not output.exists()
    counted.stop_after = None
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)


def test_resuming_computes_only_what_is_missing(grid, tmp_path, counted, monkeypatch):
    monkeypatch.setattr(streamed, "_SECONDS_BETWEEN_SAVES", 0.0)
    output = tmp_path / "out.nc"
    jl.sweep(grid, tmp_path / "first.nc", memory=MEMORY).close()
    every, counted.computed, counted.stop_after = counted.computed, 0, 10
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    counted.stop_after, before = None, counted.computed
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    in_flight = streamed._SHARDS_IN_FLIGHT + 1
    assert counted.computed - before <= every - 10 + in_flight


def test_an_unfinished_sweep_is_neither_lost_nor_overwritten(grid, tmp_path, counted):
    output = tmp_path / "out.nc"
    counted.stop_after = 5
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    with pytest.raises(jl.ResultError, match=r"unfinished sweep.*--resume"):
        jl.sweep(grid, output, memory=MEMORY)


def test_a_changed_grid_is_refused_with_the_difference(grid, tmp_path, counted):
    output = tmp_path / "out.nc"
    counted.stop_after = 5
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    grid.write_text(GRID.replace("num = 40", "num = 41"), encoding="utf-8")
    with pytest.raises(jl.InputError, match=r"(?s)another one.*num = 40.*num = 41"):
        jl.sweep(grid, output, memory=MEMORY, resume=True)


def test_resume_starts_afresh_where_there_is_nothing(grid, tmp_path, whole):
    output = tmp_path / "out.nc"
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "foreign"])
def test_a_damaged_shard_is_found_and_computed_again(grid, tmp_path, whole, counted, damage):
    output = tmp_path / "out.nc"
    counted.stop_after = 12
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    first, second = sorted(streamed.shards_folder(output).glob("0*.nc"))[:2]
    content = first.read_bytes()
    match damage:
        case "cut":
            first.write_bytes(content[: len(content) // 2])
        case "changed":
            first.write_bytes(content[:-100] + bytes(100))
        case "gone":
            first.unlink()
        case "foreign":
            first.write_bytes(second.read_bytes())
    counted.stop_after = None
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)


def test_a_large_result_stays_in_shards_behind_an_index(grid, tmp_path, whole, monkeypatch):
    monkeypatch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
    output = tmp_path / "out.nc"
    jl.sweep(grid, output, memory=MEMORY).close()
    assert streamed.shards_folder(output).is_dir()
    assert_same_bits(output, whole)


def test_a_folder_of_someone_else_is_not_touched(grid, tmp_path):
    output = tmp_path / "out.nc"
    folder = streamed.shards_folder(output)
    folder.mkdir()
    (folder / "thesis.nc").write_text("do not delete", encoding="utf-8")
    with pytest.raises(jl.ResultError, match="in the way"):
        jl.sweep(grid, output, memory=MEMORY, force=True)
    assert (folder / "thesis.nc").read_text(encoding="utf-8") == "do not delete"


def test_a_full_disk_keeps_what_is_done(grid, tmp_path, whole, monkeypatch):
    output = tmp_path / "out.nc"
    real, written = streamed.write_shard, []

    def full(*arguments, **options):
        if len(written) >= 6:
            raise OSError(28, "No space left on device")
        written.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(streamed, "write_shard", full)
    with pytest.raises(jl.ResultError, match=r"No space left.*--resume"):
        jl.sweep(grid, output, memory=MEMORY)
    monkeypatch.setattr(streamed, "write_shard", real)
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)


@pytest.mark.parametrize("seconds", [2.5, 3.5])
def test_a_killed_sweep_resumes_to_the_same_bits(grid, tmp_path, whole, seconds):
    output = tmp_path / "out.nc"
    command = [sys.executable, "-m", "jaxlimits", "sweep", str(grid), "-o", str(output)]
    memory = ["--memory", f"{MEMORY:.0f} B"]
    environment = {**os.environ, "PYTHONPATH": str(Path(jl.__file__).parents[1])}
    process = subprocess.Popen([*command, *memory], env=environment)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not output.exists():
        subprocess.run([*command, *memory, "--resume"], env=environment, check=True)
    assert_same_bits(output, whole)


# Rounding.


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("digits", [1, 3, 4])
def test_rounded_outputs_keep_their_digits_and_say_so(tmp_path, digits, precision):
    text = f'precision = "{precision}"\n{GRID}'
    (tmp_path / "grid.toml").write_text(text, encoding="utf-8")
    whole = jl.sweep(tmp_path / "grid.toml", memory=MEMORY)
    rounded = jl.sweep(tmp_path / "grid.toml", tmp_path / "out.nc", memory=MEMORY, digits=digits)
    kept = schema.mantissa_bits(digits, precision)
    values = rounded.utps.values
    np.testing.assert_allclose(values, whole.utps, rtol=0.5 * 10.0**-digits)
    word, bits = {"float32": (np.uint32, 23), "float64": (np.uint64, 52)}[precision]
    assert not (values.view(word) & word((1 << (bits - kept)) - 1))[np.isfinite(values)].any()
    assert rounded.utps.attrs["significant_digits"] == digits
    assert rounded.utps.attrs["quantization_nsb"] == kept
    assert np.array_equal(rounded.limit, whole.limit)
    assert "significant_digits" not in rounded.limit.attrs
    assert (
        rounded.average.item() == whole.average.item()
    )  # reductions are of the values as they are
    again = jl.sweep_again(tmp_path / "out.nc")
    assert np.array_equal(again.utps, values, equal_nan=True)
