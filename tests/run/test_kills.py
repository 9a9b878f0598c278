"""Sweeps that are killed at any moment: the same bits, and only what was under way computed again.

The ordinary suite kills a few; ``pytest -m slow`` kills each kind of sweep twenty times.
"""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import jaxlimits as jl
from jaxlimits.engine.chunk_sizes import IN_FLIGHT
from jaxlimits.grid.scenario import bind
from jaxlimits.run import computing
from jaxlimits.run.pipeline import load_grid, spec_job
from jaxlimits.store.index import missing_shards
from jaxlimits.store.ledger import Ledger
from tests.run.test_streamed import DENSE, GRID, REDUCED, assert_same_bits, shards_folder

# What is killed while it writes to the cache of compiled programs leaves half an entry, which only
# the cache of the package removes.
_COMPILING = {
    name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"
} | {"JAXLIMITS_CACHE": os.path.join(os.environ["JAX_COMPILATION_CACHE_DIR"], "killed")}
MEMORY = 5e4
UNDER_WAY = (IN_FLIGHT + 1) + (computing._SHARDS_IN_FLIGHT + 1) + 1
"""Chunks that may be started and not recorded: in the stream, being written, being recorded."""

KINDS = {
    "file": (GRID, 1 << 30),
    "shards": (GRID, 0),
    "dense": (DENSE, 0),
    "reduced": (REDUCED, 1 << 30),
}
"""Grids by kind, each with the size [B] above which its dense result stays in shards."""

SWEEP = """
import signal, sys
import jax
from jaxlimits.run import computing, streamed
from jaxlimits.cli import main

log, largest, *sys.argv[1:] = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's "&" has it ignored
real = computing.stream

def stream(job, keys):
    def started():
        for key in keys:
            with open(log, "a") as file:
                file.write(f"{job.plan.number(key)}\\n")
            yield key

    yield from real(job, started(), devices=jax.local_devices()[:1])

computing.stream, streamed.SINGLE_FILE_BYTES = stream, int(largest)
main()
"""


KILLED_AT_THE_INDEX = """
import os, signal
from jaxlimits.store import index

index.replace_variable = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""
"""Ends the process when all shards are there and the index is half written."""


@dataclasses.dataclass
class Killable:
    """A sweep in processes of its own, that can be killed at a share of its chunks."""

    folder: Path
    text: str
    largest: int

    def __post_init__(self):
        self.grid.write_text(self.text, encoding="utf-8")
        spec = dataclasses.replace(load_grid(self.grid), memory=MEMORY)
        self.job = spec_job(spec, bind(spec))

    @property
    def grid(self):
        return self.folder / "grid.toml"

    @property
    def output(self):
        return self.folder / "out.nc"

    @property
    def log(self):
        return self.folder / "started.log"

    def started(self):
        """Numbers of the chunks that were started, in every run so far."""
        return [int(n) for n in self.log.read_text().split()] if self.log.exists() else []

    def finished(self):
        """Numbers of the chunks that the ledger has as finished."""
        ledger = Ledger(folder=shards_folder(self.output))
        merged, _ = ledger.load_state({})
        merged += sum(1 for _ in ledger.parts_after(merged))
        shards = ledger.shards()
        return {
            number
            for number, key in enumerate(self.job.plan.chunks())
            if (not self.job.reductions or number < merged)
            and (not self.job.outputs or key in shards)
        }

    def start(self, *options, first=""):
        command = ["sweep", self.grid, "-o", self.output, "--memory", f"{MEMORY:.0f} B", *options]
        return subprocess.Popen(
            [sys.executable, "-c", first + SWEEP, self.log, str(self.largest), *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_COMPILING,
        )

    def end(self, share, delay, how=signal.SIGKILL):
        """Run until a share of what is left is started and a delay has passed; end it there."""
        left = self.job.plan.num_chunks - len(self.finished())
        begin = len(self.started())
        with self.start("--resume") as process:
            while process.poll() is None and len(self.started()) - begin < share * left:
                time.sleep(0.005)
            time.sleep(delay)
            process.send_signal(how)
            out, err = process.communicate()
        return process.returncode, out, err

    def finish(self):
        with self.start("--resume") as process:
            out, err = process.communicate()
        assert (process.returncode, err) == (0, ""), err
        return out


def assert_nothing_is_lost(folder, kind, moments):
    """Kill a sweep at each of some moments, finish it, and compare with one left alone."""
    sweep = Killable(folder, *KINDS[kind])
    for share, delay in moments:
        before, begin = sweep.finished(), len(sweep.started())
        sweep.end(share, delay)
        started = sweep.started()[begin:]
        assert not before & set(started), "what was finished is not computed again"
        assert len(started) == len(set(started))
        if not sweep.output.exists():
            assert len(set(started) - sweep.finished()) <= UNDER_WAY
    before, begin = sweep.finished(), len(sweep.started())
    done = sweep.output.exists()
    sweep.finish()
    rest = set() if done else set(range(sweep.job.plan.num_chunks)) - before
    assert sweep.started()[begin:] == sorted(rest)
    assert_same_bits(sweep.output, alone(folder, sweep))
    assert missing_shards(sweep.output, verify=True) == []
    kept = [] if sweep.largest else ["out.shards"]
    assert sorted(path.name for path in folder.iterdir()) == [
        *("alone.nc", "grid.toml", "out.nc", *kept, "started.log")
    ]
    assert not list(folder.rglob("*.partial"))


def alone(folder, sweep):
    path = folder / "alone.nc"
    jl.sweep(sweep.grid, path, memory=MEMORY).close()
    return path


@pytest.mark.slow
def test_a_sweep_that_is_killed_twice_has_the_same_bits(tmp_path):
    drawn = random.Random(20240)
    moments = [(share, drawn.uniform(0.0, 0.02)) for share in (0.3, 0.8)]
    assert_nothing_is_lost(tmp_path, "file", moments)


def test_a_kill_while_the_index_is_written_leaves_nothing_half_written(tmp_path):
    sweep = Killable(tmp_path, *KINDS["dense"])
    with sweep.start(first=KILLED_AT_THE_INDEX) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    begin = len(sweep.started())
    assert begin == sweep.job.plan.num_chunks
    sweep.finish()
    assert len(sweep.started()) == begin
    assert not list(tmp_path.rglob("*.partial"))
    assert missing_shards(sweep.output, verify=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep_that_is_killed_at_a_random_moment_has_the_same_bits(tmp_path, kind, number):
    # One in ten before the first chunk, one in ten after the last was started.
    drawn = random.Random(f"{kind} {number}")
    share = drawn.uniform(-0.1, 1.1)
    delay = drawn.uniform(0.0, 2.0 if share < 0 else 0.2 if share > 1 else 0.02)
    assert_nothing_is_lost(tmp_path, kind, [(min(share, 1.0), delay)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep_that_is_killed_twenty_times_over_has_the_same_bits(tmp_path, kind):
    drawn = random.Random(kind)
    moments = [(drawn.uniform(0.0, 0.2), drawn.uniform(0.0, 0.02)) for _ in range(20)]
    assert_nothing_is_lost(tmp_path, kind, moments)


def test_a_sweep_that_is_ended_says_how_to_go_on_and_leaves_nothing_half_written(tmp_path):
    sweep = Killable(tmp_path, *KINDS["file"])
    for how, code, word in (
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
    ):
        before, begin = sweep.finished(), len(sweep.started())
        returned, out, err = sweep.end(0.4, 0.005, how)
        assert (returned, out) == (code, "")
        folder = shards_folder(sweep.output)
        assert err.startswith(f"jaxlimits: {word}; ")
        assert err.endswith(f" kept in {folder}; the same command with --resume goes on\n")
        assert err.count("\n") == 1
        share = len(sweep.finished()) / sweep.job.plan.num_chunks
        assert 0.0 < float(err.split()[2].rstrip("%")) / 100.0 <= share + 0.01
        assert not list(tmp_path.rglob("*.partial"))
        assert not before & set(sweep.started()[begin:])
    sweep.finish()
    assert_same_bits(sweep.output, alone(tmp_path, sweep))
