"""Long sweeps: the same bits however they are cut short, and nothing computed twice."""

import errno
import os
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.errors import UnfinishedSweepError
from jaxlimits.run import computing, streamed
from jaxlimits.store import ledger
from jaxlimits.store.folders import shards_folders
from jaxlimits.store.index import missing_shards
from tests.helpers import one_in

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


def shards_folder(output):
    """Where a first sweep into an output has its shards and its ledger."""
    return shards_folders(output)[0]


class StopError(Exception):
    """Stands for whatever ends a sweep from outside."""


def stopped(grid, output, monkeypatch, *, after, **options):
    """Sweep until so many chunks have been handed on, and no further."""
    real = computing.stream

    def stream(job, keys):
        for place, chunk in enumerate(real(job, keys)):
            if place == after:
                raise StopError
            yield chunk

    with monkeypatch.context() as patch:
        patch.setattr(computing, "stream", stream)
        with pytest.raises(StopError):
            jl.sweep(grid, output, **options)


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

    real = computing.stream

    def stream(job, keys):
        for chunk in real(job, keys):
            if Counted.stop_after is not None and Counted.computed >= Counted.stop_after:
                raise StopError
            Counted.computed += 1
            yield chunk

    monkeypatch.setattr(computing, "stream", stream)
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


REDUCED = GRID.replace('outputs = ["utps", "limit"]', "")
DENSE = GRID.partition("[reduce.best]")[0]


@pytest.mark.parametrize("text", [GRID, REDUCED, DENSE], ids=["both", "reduced", "dense"])
def test_resuming_computes_only_what_was_under_way(tmp_path, counted, text):
    grid, output = tmp_path / "grid.toml", tmp_path / "out.nc"
    grid.write_text(text, encoding="utf-8")
    memory = MEMORY / 3
    jl.sweep(grid, tmp_path / "first.nc", memory=memory).close()
    every, counted.computed = counted.computed, 0
    done = counted.stop_after = every // 2
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=memory)
    assert counted.computed == done > computing._SHARDS_IN_FLIGHT
    counted.stop_after, counted.computed = None, 0
    jl.sweep(grid, output, memory=memory, resume=True).close()
    under_way = 0 if text is REDUCED else computing._SHARDS_IN_FLIGHT + 1
    assert every - done <= counted.computed <= every - done + under_way
    assert_same_bits(output, tmp_path / "first.nc")


def test_a_journal_that_grows_long_becomes_a_state(grid, tmp_path, whole, counted, monkeypatch):
    monkeypatch.setattr(ledger, "_JOURNAL_BYTES", 0)
    output = tmp_path / "out.nc"
    counted.stop_after = 12
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    assert (shards_folder(output) / "state.npz").exists()
    counted.stop_after = None
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


@pytest.mark.parametrize("share", [0.0, 0.31, 0.62, 0.999])
@pytest.mark.parametrize("name", ["shards.jsonl", "parts.bin"])
def test_a_ledger_that_was_cut_short_goes_on_twice(grid, tmp_path, whole, counted, name, share):
    output = tmp_path / "out.nc"
    for stop_after in (12, 8):
        counted.computed, counted.stop_after = 0, stop_after
        with pytest.raises(StopError):
            jl.sweep(grid, output, memory=MEMORY, resume=True)
        cut(shards_folder(output) / name, share)
    counted.stop_after = None
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)


def test_what_follows_a_ledger_that_was_cut_short_is_not_lost(grid, tmp_path, counted):
    output = tmp_path / "out.nc"
    folder = shards_folder(output)
    counted.stop_after = 12
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    cut(folder / "shards.jsonl", 0.9)
    kept = len(ledger.Ledger(folder=folder).shards())
    counted.computed, counted.stop_after = 0, 10
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY, resume=True)
    lines = (folder / "shards.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(ledger.Ledger(folder=folder).shards()) > kept


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", bytes(1000)])
def test_a_damaged_state_is_said_and_computed_again(
    grid, tmp_path, whole, counted, monkeypatch, damage
):
    monkeypatch.setattr(ledger, "_JOURNAL_BYTES", 0)
    output = tmp_path / "out.nc"
    counted.stop_after = 12
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    (shards_folder(output) / "state.npz").write_bytes(damage)
    counted.stop_after = None
    with pytest.warns(jl.DamagedResultWarning, match=r"state\.npz: is damaged.*again"):
        jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)


def test_a_damaged_identity_is_said(grid, tmp_path, counted):
    output = tmp_path / "out.nc"
    counted.stop_after = 5
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    (shards_folder(output) / "sweep.json").write_text("{", encoding="utf-8")
    with pytest.raises(jl.ResultError, match=r"sweep\.json is damaged.*`force=True`"):
        jl.sweep(grid, output, memory=MEMORY, resume=True)


def test_an_unfinished_sweep_is_neither_lost_nor_overwritten(grid, tmp_path, counted):
    output = tmp_path / "out.nc"
    counted.stop_after = 5
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    with pytest.raises(jl.ResultError, match=r"unfinished sweep.*`resume=True`"):
        jl.sweep(grid, output, memory=MEMORY)


def test_a_changed_grid_is_refused_with_the_difference(grid, tmp_path, counted):
    output = tmp_path / "out.nc"
    counted.stop_after = 5
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    grid.write_text(GRID.replace("num = 40", "num = 41"), encoding="utf-8")
    with pytest.raises(
        jl.InputError, match=r"(?s)another one: grid differ.*-.*num = 40.*\+.*num = 41"
    ):
        jl.sweep(grid, output, memory=MEMORY, resume=True)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"memory": 2 * MEMORY}, r"-memory: 200000\.0\s+\+memory: 400000\.0"),
        ({"x64": True}, r"-precision: float32\s+\+precision: float64"),
        ({"overrides": {"tp_size": 8}}, r'\+overrides: "tp_size": "8"'),
        (
            {"catalog": "own.toml"},
            r'-catalog: "mem_bw": "2 TB/s"\S*\s+\+catalog: "mem_bw": "3 TB/s"',
        ),
    ],
)
def test_another_budget_precision_or_catalog_is_refused_with_the_difference(
    tmp_path, counted, changed, says
):
    grid, own, output = tmp_path / "grid.toml", tmp_path / "own.toml", tmp_path / "out.nc"
    grid.write_text(GRID.replace("b200", "mine"), encoding="utf-8")
    own.write_text('[chips.mine]\nlike = "h100"\nmem_bw = "2 TB/s"\n', encoding="utf-8")
    counted.stop_after = 5
    with pytest.raises(StopError):
        jl.sweep(grid, output, catalog=(own,), memory=MEMORY)
    own.write_text(
        own.read_text().replace("2 TB/s", "3 TB/s" if "catalog" in changed else "2 TB/s")
    )
    options = {
        "memory": MEMORY,
        "catalog": (own,),
        **{n: v for n, v in changed.items() if n != "catalog"},
    }
    with pytest.raises(jl.InputError, match=r"(?s)another one.*" + says) as refused:
        jl.sweep(grid, output, resume=True, **options)
    assert "sha256" not in str(refused.value)


def test_resume_starts_afresh_where_there_is_nothing(grid, tmp_path, whole):
    output = tmp_path / "out.nc"
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("cut", "is truncated"),
        ("changed", "is corrupt"),
        ("gone", "is missing"),
        ("foreign", "is the block"),
    ],
)
def test_a_damaged_shard_is_said_and_computed_again(grid, tmp_path, whole, counted, damage, says):
    output = tmp_path / "out.nc"
    counted.stop_after = 12
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    first, second = sorted(shards_folder(output).glob("0*.nc"))[:2]
    content = first.read_bytes()
    match damage:
        case "cut":
            first.write_bytes(content[: len(content) // 2])
        case "changed":
            first.write_bytes(content[:-100] + bytes(byte ^ 255 for byte in content[-100:]))
        case "gone":
            first.unlink()
        case "foreign":
            first.write_bytes(second.read_bytes())
    counted.stop_after = None
    with pytest.warns(jl.DamagedResultWarning, match=rf"1 finished shards.*{first.name} {says}"):
        jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)


def test_a_large_result_stays_in_shards_behind_an_index(grid, tmp_path, whole, monkeypatch):
    monkeypatch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
    output = tmp_path / "out.nc"
    jl.sweep(grid, output, memory=MEMORY).close()
    assert shards_folder(output).is_dir()
    assert_same_bits(output, whole)


def test_a_finished_sweep_is_left_as_it_is(grid, tmp_path, whole, counted):
    output = tmp_path / "out.nc"
    shutil.copy(whole, output)
    before = output.stat().st_mtime_ns
    found = jl.sweep(grid, output, memory=MEMORY, resume=True)
    assert (counted.computed, output.stat().st_mtime_ns) == (0, before)
    assert "best" in found
    with pytest.raises(jl.ResultError, match=r"another sweep; choose another name.*`force=True`"):
        jl.sweep(grid, output, memory=2 * MEMORY, resume=True)
    with pytest.raises(jl.ResultError, match="exists"):
        jl.sweep(grid, output, memory=MEMORY)


def test_a_ledger_that_outlived_its_result_is_cleared_away(grid, tmp_path, whole, monkeypatch):
    output = tmp_path / "out.nc"
    monkeypatch.setattr(streamed, "close_ledger", stop)
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    assert output.exists()
    assert shards_folder(output).is_dir()
    jl.sweep(grid, output, memory=MEMORY, resume=True)
    assert_same_bits(output, whole)
    assert not shards_folder(output).exists()


def stop(*_arguments, **_options):
    raise StopError


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_shard_lost_from_a_finished_result_is_computed_again_alone(
    grid, tmp_path, whole, counted, monkeypatch, damage
):
    monkeypatch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
    output = tmp_path / "out.nc"
    jl.sweep(grid, output, memory=MEMORY).close()
    shard = shards_folder(output) / "000004.nc"
    if damage == "gone":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    counted.computed = 0
    with pytest.warns(jl.DamagedResultWarning, match=r"000004\.nc is"):
        jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert counted.computed == 1
    assert_same_bits(output, whole)
    assert missing_shards(output, verify=True) == []


def test_an_index_without_its_shards_is_made_again(grid, tmp_path, whole, monkeypatch):
    monkeypatch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
    output = tmp_path / "out.nc"
    jl.sweep(grid, output, memory=MEMORY).close()
    shutil.rmtree(shards_folder(output))
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)


def test_shards_without_their_index_get_one_and_nothing_is_computed(
    grid, tmp_path, whole, counted, monkeypatch
):
    monkeypatch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
    output = tmp_path / "out.nc"
    jl.sweep(grid, output, memory=MEMORY).close()
    output.unlink()
    counted.computed = 0
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert counted.computed == 0
    assert_same_bits(output, whole)


def test_what_was_half_written_is_swept_out(grid, tmp_path, whole, counted):
    output = tmp_path / "out.nc"
    counted.stop_after = 8
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY)
    folder = shards_folder(output)
    for name in (".000009.nc.1a2b.partial", ".state.npz.3c4d.partial"):
        (folder / name).write_bytes(b"half")
    counted.computed = 0
    with pytest.raises(StopError):
        jl.sweep(grid, output, memory=MEMORY, resume=True)
    assert not list(folder.glob(".*.partial"))


def test_a_beginning_that_was_cut_short_is_no_obstacle(grid, tmp_path, whole):
    output = tmp_path / "out.nc"
    folder = shards_folder(output)
    folder.mkdir()
    (folder / ".sweep.json.1a2b.partial").write_text("{", encoding="utf-8")
    jl.sweep(grid, output, memory=MEMORY).close()
    assert_same_bits(output, whole)


def test_a_folder_of_someone_else_is_not_touched(grid, tmp_path):
    output = tmp_path / "out.nc"
    folder = shards_folder(output)
    folder.mkdir()
    (folder / "thesis.nc").write_text("do not delete", encoding="utf-8")
    with pytest.raises(jl.ResultError, match="is not a sweep folder"):
        jl.sweep(grid, output, memory=MEMORY, force=True)
    assert (folder / "thesis.nc").read_text(encoding="utf-8") == "do not delete"


@pytest.mark.parametrize("place", ["shards", "ledger", "result"])
def test_a_full_disk_keeps_what_is_done(grid, tmp_path, whole, monkeypatch, place):
    output = tmp_path / "out.nc"
    written = []

    def full_after(real, count):
        def write(*arguments, **options):
            if len(written) >= count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written.append(arguments)
            return real(*arguments, **options)

        return write

    with monkeypatch.context() as patch:
        match place:
            case "shards":
                patch.setattr(Path, "write_bytes", full_after(Path.write_bytes, 6))
            case "ledger":
                real = ledger.Ledger.record_parts
                patch.setattr(ledger.Ledger, "record_parts", full_after(real, 6))
            case "result":
                patch.setattr(streamed, "pack", full_after(streamed.pack, 0))
        with pytest.raises(UnfinishedSweepError, match=r"No space left.*`resume=True`"):
            jl.sweep(grid, output, memory=MEMORY)
    jl.sweep(grid, output, memory=MEMORY, resume=True).close()
    assert_same_bits(output, whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid.toml", "out.nc"]


# Rounding.


@pytest.mark.parametrize(
    ("digits", "precision"),
    one_in(2, zip((1, 1, 3, 3, 4, 4), ("float32", "float64", "float64") * 2, strict=True)),
)
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
