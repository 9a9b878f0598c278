"""Sweeps that go on elsewhere: chunks of one size for every device and every memory budget."""

import dataclasses

import pytest

import jaxlimits as jl
from jaxlimits.engine import chunk_sizes, sweep_job
from jaxlimits.engine.chunk_sizes import Room
from jaxlimits.engine.sweep_job import halved
from jaxlimits.grid.scenario import bind
from jaxlimits.run import streamed
from jaxlimits.run.cluster import workers_room
from jaxlimits.run.job import load_grid, spec_job
from tests.command_line import run
from tests.run.test_streamed import GRID, assert_same_bits, stopped

H200, SMALL = Room(platform="cuda", bytes=140 << 30), Room(platform="cuda", bytes=24 << 30)
BUDGETS = ("400 kB", "60 MB")


@pytest.fixture
def grid(tmp_path, monkeypatch):
    # As if chunks that fit everywhere were small, so that a small grid has a few.
    monkeypatch.setattr(chunk_sizes, "_POINTS_ON_CPU", 2500)
    monkeypatch.setattr(streamed, "LONG_POINTS", 1000)
    path = tmp_path / "grid.toml"
    path.write_text(GRID, encoding="utf-8")
    return path


def planned(grid, room, **changes):

    spec = dataclasses.replace(load_grid(grid), **changes)
    return spec_job(spec, bind(spec), room=room)


def test_a_portable_plan_is_one_for_every_device_and_budget():
    rooms = (H200, SMALL, Room(platform="cpu"), None)
    plans = {
        planned("billion", room, portable=True, memory=memory).plan
        for room in rooms
        for memory in (None, 1e8, 1e9)
    }
    assert len(plans) == 1
    assert len({planned("billion", room).plan for room in rooms}) == 3


def test_a_small_budget_has_one_portable_chunk_under_way():
    assert planned("billion", None, portable=True, memory=1e9).ahead == chunk_sizes.IN_FLIGHT
    assert planned("billion", None, portable=True, memory=6e7).ahead == 0


def test_a_portable_sweep_goes_on_within_another_budget_to_the_same_bits(
    grid, tmp_path, monkeypatch
):
    whole, output = tmp_path / "whole.nc", tmp_path / "out.nc"
    jl.sweep(grid, whole, portable=True).close()
    stopped(grid, output, monkeypatch, after=8, portable=True, memory=BUDGETS[0])
    # On another device, too: its room changes nothing.
    monkeypatch.setattr(sweep_job, "device_room", lambda: H200)
    jl.sweep(grid, output, portable=True, memory=BUDGETS[1], resume=True).close()
    assert_same_bits(output, whole)
    jl.sweep_again(output, tmp_path / "again.nc").close()
    assert_same_bits(tmp_path / "again.nc", whole)


@pytest.mark.parametrize("begun", [True, False])
def test_a_ledger_of_the_other_kind_is_refused(grid, tmp_path, monkeypatch, begun):
    output = tmp_path / "out.nc"
    stopped(grid, output, monkeypatch, after=8, portable=begun)
    told = {
        True: "was begun with --portable; continue it with --portable, name another output",
        False: "was begun without --portable, in chunks of the machine that began it; leave --port",
    }
    asked = [] if begun else ["--portable"]
    done = run("sweep", grid, "-o", output, "--resume", *asked)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"{output.with_suffix('.shards')}: the unfinished sweep {told[begun]}" in done.err


def test_a_budget_below_one_portable_chunk_is_refused_with_what_would_do(grid):
    with pytest.raises(jl.InputError, match=r"too small for one portable chunk.* give at least"):
        jl.sweep(grid, portable=True, memory="10 kB")


def test_a_portable_chunk_is_never_halved(grid):
    with pytest.raises(jl.InputError, match=r"no room for [\d,]+ points.*without `portable=True`"):
        halved(planned(grid, None, portable=True))


class Client:
    """Workers with devices of their own."""

    def __init__(self, *rooms):
        self.rooms = rooms

    def run(self, _function):
        return dict(enumerate(self.rooms))


def test_chunks_are_sized_for_the_smallest_device_of_the_workers():
    assert workers_room(Client(H200, SMALL)) == SMALL
    assert workers_room(Client(H200, Room(platform="cpu", bytes=1 << 40))).platform == "cpu"
    sizes = [planned("billion", room).plan.points_per_chunk for room in (SMALL, H200)]
    assert sizes[0] < sizes[1]
    with pytest.raises(jl.ResultError, match="no worker has joined"):
        workers_room(Client())
