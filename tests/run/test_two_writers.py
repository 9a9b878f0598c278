"""Two sweeps into one output: one writes, the other is told, and a result is there throughout."""

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import jaxlimits as jl
from jaxlimits.run import computing, streamed
from jaxlimits.store.folders import kept_folder, shards_folders
from jaxlimits.store.index import missing_shards
from jaxlimits.store.ledger import Ledger
from jaxlimits.store.owner import owner_file
from tests.command_line import run
from tests.helpers import slow_but
from tests.run.test_streamed import DENSE, StopError, assert_same_bits

HELD_SWEEP = """
import itertools, os, sys, time
from jaxlimits.cli import main
from jaxlimits.run import computing, streamed

number, gate, largest, *sys.argv[1:] = sys.argv[1:]
real, streamed.SINGLE_FILE_BYTES = computing.stream, int(largest)

def stream(job, keys):
    for place, chunk in enumerate(real(job, keys)):
        while place >= int(number) and os.path.exists(gate):
            time.sleep(0.01)
        yield chunk

computing.stream = stream
main()
"""
"""A sweep that holds on after so many chunks as long as a file is there."""

MEMORY = 5e4  # two dozen chunks
HELD_AT = 8


@dataclasses.dataclass
class Writers:
    """Sweeps of one grid into one output, each a process of its own."""

    folder: Path
    largest: int

    def __post_init__(self):
        self.grid.write_text(DENSE, encoding="utf-8")

    @property
    def grid(self):
        return self.folder / "grid.toml"

    @property
    def output(self):
        return self.folder / "out.nc"

    @property
    def gate(self):
        return self.folder.with_name("gate")

    def command(self, *options):
        return ["sweep", self.grid, "-o", self.output, "--memory", f"{MEMORY:.0f} B", *options]

    def start(self, *options, held=False):
        """Start a sweep, which may be held in the midst."""
        command = self.command(*options)
        own = [str(HELD_AT if held else 1 << 30), self.gate, str(self.largest)]
        return subprocess.Popen(
            [sys.executable, "-c", HELD_SWEEP, *own, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_and_hold(self, *options):
        """Start a sweep and return when it has finished some chunks and holds on."""
        self.gate.touch()
        before, process = self.finished(), self.start(*options, held=True)
        while process.poll() is None and self.finished() <= before:
            time.sleep(0.01)
        assert process.poll() is None, ended(process)
        return process

    def finished(self):
        """How many chunks the sweep under way has finished."""
        return max(len(Ledger(folder=f).shards()) for f in self.under_way())

    def under_way(self):
        kept = kept_folder(self.output)
        return [folder for folder in shards_folders(self.output) if folder != kept]


def ended(process):
    out, err = process.communicate()
    return process.returncode, out, err


SHARDS, FILE = 0, 1 << 30
"""Sizes above which a dense result stays in shards."""

in_processes = pytest.mark.parametrize(
    "writers", slow_but([SHARDS, FILE], SHARDS), ids=["shards", "file"], indirect=True
)


@pytest.fixture(params=[SHARDS, FILE], ids=["shards", "file"])
def writers(tmp_path, request, monkeypatch, earlier):
    """An output with the result of an earlier sweep, in shards or in one file."""
    largest = request.param
    monkeypatch.setattr(streamed, "SINGLE_FILE_BYTES", largest)
    shutil.copytree(earlier[largest], tmp_path / "work")
    return Writers(tmp_path / "work", largest)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """Folders with the result of a smaller grid, by the size above which it stays in shards."""
    found = {}
    for largest in (SHARDS, FILE):
        folder = found[largest] = tmp_path_factory.mktemp("earlier")
        (folder / "grid.toml").write_text(DENSE.replace("num = 40", "num = 20"), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(streamed, "SINGLE_FILE_BYTES", largest)
            jl.sweep(folder / "grid.toml", folder / "out.nc", memory=MEMORY).close()
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    (folder / "grid.toml").write_text(DENSE, encoding="utf-8")
    jl.sweep(folder / "grid.toml", folder / "alone.nc", memory=MEMORY).close()
    return folder / "alone.nc"


def assert_the_earlier_result_is_whole(writers):
    with jl.open(writers.output) as dataset:
        assert dataset.sizes["sync_latency"] == 20
        assert missing_shards(dataset, verify=True) == []
        assert dataset.utps.notnull().any()


def assert_only_the_new_result_is_there(writers, alone):
    assert_same_bits(writers.output, alone)
    assert missing_shards(writers.output, verify=True) == []
    kept = kept_folder(writers.output)
    left = ["grid.toml", "out.nc"] + ([kept.name] if writers.largest == 0 else [])
    assert sorted(path.name for path in writers.folder.iterdir()) == left


@in_processes
def test_of_two_sweeps_one_writes_and_the_other_is_told(writers, alone):
    first = writers.start_and_hold("--force")
    for option in ("--force", "--resume"):
        told = run(*writers.command(option))
        assert (told.code, told.out, told.err.count("\n")) == (1, "", 1)
        who = f"process {first.pid} on {socket.gethostname()} has been writing it since 20"
        assert told.err.startswith(f"jaxlimits: {writers.output}: {who}")
    assert first.poll() is None, "it was still under way"
    assert_the_earlier_result_is_whole(writers)
    writers.gate.unlink()
    code, _, err = ended(first)
    assert (code, err) == (0, "")
    assert_only_the_new_result_is_there(writers, alone)


@in_processes
def test_of_two_that_begin_together_one_writes(writers, alone):
    writers.gate.touch()  # whoever owns it waits until the other has been told
    both = [writers.start("--force", held=True) for _ in "ab"]
    while all(process.poll() is None for process in both):
        time.sleep(0.01)
    writers.gate.unlink()
    done = sorted(map(ended, both))
    assert [code for code, _, _ in done] == [0, 1], done
    assert "has been writing it since" in done[1][2]
    assert_only_the_new_result_is_there(writers, alone)


@in_processes
def test_a_killed_owner_leaves_the_earlier_result_and_is_taken_over(writers, alone):
    first = writers.start_and_hold("--force")
    first.send_signal(signal.SIGKILL)
    ended(first)
    kept = writers.finished()
    assert owner_file(writers.output).exists()
    assert_the_earlier_result_is_whole(writers)
    # What was kept of it goes on, also while the earlier result is there.
    second = writers.start_and_hold("--force", "--resume")
    second.send_signal(signal.SIGKILL)
    ended(second)
    assert writers.finished() > kept
    done = run(*writers.command("--force"))
    assert (done.code, done.err) == (0, "")
    assert_only_the_new_result_is_there(writers, alone)


@pytest.mark.parametrize("age", [10.0, 121.0])
def test_an_owner_of_another_machine_is_told_from_one_that_is_gone(writers, age):
    record = {"host": "node7", "pid": 4711, "since": 1.7e9}
    owner_file(writers.output).write_text(json.dumps(record), encoding="utf-8")
    os.utime(owner_file(writers.output), (time.time() - age,) * 2)
    done = run("sweep", writers.grid, "-o", writers.output, "--force", "--memory", "50 kB")
    lives = age < 120.0
    assert done.code == lives
    assert done.err.count("\n") == lives
    assert ("process 4711 on node7" in done.err) == lives


def test_an_unfinished_replacement_is_neither_lost_nor_taken_for_the_result(writers, monkeypatch):
    real = computing.stream

    def stream(job, keys):
        yield from list(real(job, list(keys)[:6]))
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(computing, "stream", stream)
        with pytest.raises(StopError):
            jl.sweep(writers.grid, writers.output, memory=MEMORY, force=True)
    assert_the_earlier_result_is_whole(writers)
    with pytest.raises(jl.ResultError, match="exists; choose another name"):
        jl.sweep(writers.grid, writers.output, memory=MEMORY)
    with pytest.raises(jl.ResultError, match="is the result of another sweep"):
        jl.sweep(writers.grid, writers.output, memory=MEMORY, resume=True)
    assert writers.finished() > 0


def test_a_small_result_in_the_place_of_one_in_shards_leaves_none(writers):
    jl.sweep("smoke", writers.output, force=True).close()
    assert sorted(path.name for path in writers.folder.iterdir()) == ["grid.toml", "out.nc"]


def test_what_a_user_put_beside_the_shards_stays(writers):
    if writers.largest:
        pytest.skip("a single file has no folder")
    note = kept_folder(writers.output) / "note.txt"
    note.write_text("mine", encoding="utf-8")
    jl.sweep(writers.grid, writers.output, memory=MEMORY, force=True).close()
    assert note.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_goes_while_it_is_written_is_no_want_of_room(writers, monkeypatch, tmp_path):
    real = computing.stream

    def stream(job, keys):
        for place, chunk in enumerate(real(job, keys)):
            if place == 5:
                for folder in filter(Path.exists, writers.under_way()):
                    folder.rename(tmp_path / "gone")
            yield chunk

    monkeypatch.setattr(computing, "stream", stream)
    with pytest.raises(jl.ResultError, match=r"folder \S+ was removed.*; start again$") as told:
        jl.sweep(writers.grid, writers.output, memory=MEMORY, force=True)
    assert "room" not in str(told.value)
    assert_the_earlier_result_is_whole(writers)
