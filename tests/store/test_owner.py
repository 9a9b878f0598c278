"""One owner an output: who it is, how it ends, and how it is told from one that is gone."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import jaxlimits as jl
from jaxlimits.store import owner
from jaxlimits.store.folders import shards_folders
from jaxlimits.store.owner import owned, owner_file

HOLD = """
import sys, time
from pathlib import Path
from jaxlimits.store.owner import owned

with owned(Path(sys.argv[1])):
    print("owned", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out.nc"


@pytest.fixture
def held(output):
    """A process that owns the output."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, output], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "owned\n"
        yield process
        process.kill()


def forge(output, *, host, age):
    """Leave what an owner on some machine leaves that is killed, its last sign so old [s]."""
    record = {"host": host, "pid": 4711, "since": 1.7e9}
    owner_file(output).write_text(json.dumps(record), encoding="utf-8")
    os.utime(owner_file(output), (time.time() - age,) * 2)


def test_a_second_process_is_told_who_writes_and_since_when(output, held):
    with pytest.raises(jl.ResultError) as refused, owned(output):
        pass
    told = str(refused.value)
    began = time.strftime("%Y-%m-%d %H:", time.gmtime())
    assert told.startswith(f"{output}: process {held.pid} on {socket.gethostname()} has been")
    assert f"since {began}" in told or time.gmtime().tm_min == 0
    assert told.endswith("; wait for it, end it, or name another output")
    assert "\n" not in told


def test_outputs_that_differ_in_the_suffix_share_nothing(output, held):
    others = [output.with_suffix(ending) for ending in ("", ".h5", ".h5.nc", ".nc4")]
    for mine in others:
        with owned(mine):
            for other in {output, *others} - {mine}:
                assert set(shards_folders(mine)).isdisjoint(shards_folders(other))
                assert owner_file(mine) != owner_file(other)


def test_what_a_kill_left_is_taken_over_at_once(output, held):
    held.send_signal(signal.SIGKILL)
    held.wait()
    assert owner_file(output).exists()
    with owned(output):
        assert json.loads(owner_file(output).read_text())["pid"] == os.getpid()
    assert list(output.parent.iterdir()) == []


def test_two_threads_of_a_process_are_two_writers(output):
    with (
        owned(output),
        pytest.raises(jl.ResultError, match=f"process {os.getpid()} on"),
        owned(output),
    ):
        pass
    with owned(output):  # it was given back
        pass


def test_an_owner_on_another_machine_whose_lock_is_not_seen_is_told_by_its_signs(output):
    forge(output, host="node7", age=15.0)
    told = r"process 4711 on node7.* 2023-11-14 22:13:20 UTC, its last sign was 1[56] s ago; .*"
    told += "without a sign for 2 minutes it counts as dead"
    with pytest.raises(jl.ResultError, match=told), owned(output):
        pass
    assert owner_file(output).exists()


@pytest.mark.parametrize(("host", "age"), [("node7", 121.0), (socket.gethostname(), 0.0)])
def test_an_owner_that_is_gone_is_taken_over(output, host, age):
    forge(output, host=host, age=age)
    with owned(output) as ownership:
        ownership.look()
    assert not owner_file(output).exists()


@pytest.mark.parametrize("text", ["", "{", '{"host": "node7"}', "[1]"])
def test_a_record_that_is_none_is_taken_over(output, text):
    owner_file(output).write_text(text, encoding="utf-8")
    with owned(output):
        assert json.loads(owner_file(output).read_text())["pid"] == os.getpid()


def without_locks(monkeypatch, number):
    def refuse(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(owner.fcntl, "flock", refuse)


def test_where_a_file_system_has_no_locks_the_last_sign_tells(output, monkeypatch):
    without_locks(monkeypatch, errno.ENOLCK)
    with (
        owned(output),
        pytest.raises(jl.ResultError, match=f"process {os.getpid()} on"),
        owned(output),
    ):
        pass
    forge(output, host=socket.gethostname(), age=60.0)
    with pytest.raises(jl.ResultError, match="process 4711"), owned(output):
        pass
    forge(output, host=socket.gethostname(), age=121.0)
    with owned(output):
        pass


def test_an_owner_that_another_took_over_from_notices(output, monkeypatch):
    monkeypatch.setattr(owner, "SECONDS_BETWEEN_SIGNS", 0.01)
    with owned(output) as ownership:
        owner_file(output).unlink()
        forge(output, host="node7", age=0.0)
        deadline = time.monotonic() + 10.0
        while not ownership.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(jl.ResultError, match=r"took it over.*process 4711 on node7"):
            ownership.check()
    assert owner_file(output).exists(), "it is the other's"


def test_an_owner_gives_signs_while_it_lives(output, monkeypatch):
    monkeypatch.setattr(owner, "SECONDS_BETWEEN_SIGNS", 0.01)
    with owned(output):
        os.utime(owner_file(output), (0.0, 0.0))
        deadline = time.monotonic() + 10.0
        while not owner_file(output).stat().st_mtime and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.time() - owner_file(output).stat().st_mtime < 20.0


def test_of_many_that_begin_at_once_one_owns(output):
    owning, most, gate = [], [], threading.Barrier(8)

    def begin():
        gate.wait()
        for _ in range(20):
            try:
                with owned(output):
                    owning.append(1)
                    most.append(len(owning))
                    owning.pop()
            except jl.ResultError:
                pass

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert not owner_file(output).exists()


def test_a_file_that_cannot_be_opened_says_what_it_is_for(output):
    owner_file(output).mkdir()
    told = r"\.owner cannot be written, which says who writes"
    with pytest.raises(jl.ResultError, match=told), owned(output):
        pass
