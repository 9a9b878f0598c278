"""Sweeps on a cluster: the bits of one machine, and a worker that dies loses nothing."""

import dataclasses
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError

import distributed
import pytest

import jaxlimits as jl
from jaxlimits.grid.scenario import bind
from jaxlimits.run import cluster
from jaxlimits.run.cluster import connected
from jaxlimits.run.pipeline import load_grid, run_spec, spec_job
from jaxlimits.store.layout import make_layout
from jaxlimits.store.shards import lay_out_shards
from tests.command_line import run
from tests.run.test_streamed import GRID, MEMORY, StopError, assert_same_bits


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    path = tmp_path_factory.mktemp("grid") / "grid.toml"
    path.write_text(GRID, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def alone(grid):
    """The result of a sweep without workers."""
    path = grid.with_name("alone.nc")
    jl.sweep(grid, path, memory=MEMORY).close()
    return path


@pytest.fixture(scope="module")
def two_workers():
    with connected(workers=2) as client:
        yield client


class Finished(list):
    """The shares of the work that was done, as a sweep tells them."""

    def __init__(self, *, when=None, then=None):
        super().__init__()
        self.when, self.then = when, then

    def __call__(self, stage, share):
        if stage != "computing":
            return
        self.append(share)
        if len(self) == self.when:
            self.then()


def planned(grid):
    return dataclasses.replace(load_grid(grid), memory=MEMORY)


def num_chunks(grid):
    spec = planned(grid)
    return spec_job(spec, bind(spec)).plan.num_chunks


def pids(client):
    return list(client.run(os.getpid).values())


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def unused_port():
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        return once.getsockname()[1]


def test_a_sweep_on_two_workers_has_the_bits_of_one_without(grid, alone, two_workers, tmp_path):
    output = tmp_path / "out.nc"
    finished = Finished()
    run_spec(planned(grid), output, client=two_workers, progress=finished).close()
    assert len(finished) == num_chunks(grid)
    assert finished == sorted(finished)
    assert_same_bits(output, alone)
    assert [path.name for path in tmp_path.iterdir()] == ["out.nc"]


def test_reductions_alone_have_the_same_bits_on_two_workers(tmp_path, two_workers):
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID.replace('outputs = ["utps", "limit"]', ""), encoding="utf-8")
    here, there = tmp_path / "here.nc", tmp_path / "there.nc"
    jl.sweep(grid, here, memory=MEMORY).close()
    run_spec(planned(grid), there, client=two_workers).close()
    assert_same_bits(there, here)


def test_both_workers_compute(two_workers, grid, tmp_path):
    computed = {}

    def count():
        for address, tasks in two_workers.has_what().items():
            computed[address] = len(tasks)

    finished = Finished(when=3, then=count)
    run_spec(planned(grid), tmp_path / "out.nc", client=two_workers, progress=finished).close()
    assert len(computed) == 2
    assert all(computed.values())


@pytest.mark.slow  # the gate kills the only one, whose work no other can take over
def test_a_worker_killed_in_mid_sweep_loses_nothing(grid, alone, tmp_path):
    output = tmp_path / "out.nc"
    with connected(workers=2) as client:
        victim, survivor = pids(client)
        finished = Finished(when=5, then=lambda: os.kill(victim, signal.SIGKILL))
        run_spec(planned(grid), output, client=client, progress=finished).close()
        assert len(finished) == num_chunks(grid)
        assert survivor in pids(client)
        assert victim not in pids(client)
    assert_same_bits(output, alone)
    assert [path.name for path in tmp_path.iterdir()] == ["out.nc"]


def test_the_only_worker_killed_loses_nothing(grid, alone, tmp_path):
    output = tmp_path / "out.nc"
    with connected(workers=1) as client:
        (victim,) = pids(client)
        finished = Finished(when=5, then=lambda: os.kill(victim, signal.SIGKILL))
        run_spec(planned(grid), output, client=client, progress=finished).close()
    assert_same_bits(output, alone)


def test_a_running_cluster_is_joined_by_its_address(grid, alone, tmp_path, two_workers):
    output = tmp_path / "out.nc"
    address = two_workers.scheduler.address
    done = run("sweep", grid, "-o", output, "--memory", f"{MEMORY:.0f} B", "--scheduler", address)
    assert (done.code, done.err) == (0, "")
    assert "25,200 points" in done.out
    assert_same_bits(output, alone)


def test_workers_of_another_folder_write_to_the_one_that_was_named(
    grid, alone, tmp_path, monkeypatch, two_workers
):
    monkeypatch.chdir(tmp_path)
    run_spec(planned(grid), "out.nc", client=two_workers).close()
    assert_same_bits(tmp_path / "out.nc", alone)


def test_a_sweep_that_was_cut_short_goes_on_with_workers(
    grid, alone, tmp_path, monkeypatch, two_workers
):
    output = tmp_path / "out.nc"

    def stop():
        raise StopError

    with pytest.raises(StopError):
        run_spec(planned(grid), output, progress=Finished(when=9, then=stop))
    finished = Finished()
    spec = planned(grid)
    run_spec(spec, output, resume=True, client=two_workers, progress=finished).close()
    assert_same_bits(output, alone)


def assert_no_answer(grid, tmp_path, address):
    done = run("sweep", grid, "-o", tmp_path / "out.nc", "--scheduler", address)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"jaxlimits: {address}: the scheduler does not answer")
    assert "--workers" in done.err
    assert done.err.count("\n") == 1
    assert not any(tmp_path.iterdir())


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(cluster, "_SECONDS_TO_ANSWER", 1)


def test_a_scheduler_that_is_not_there_is_said(grid, tmp_path, impatient):
    assert_no_answer(grid, tmp_path, f"tcp://127.0.0.1:{unused_port()}")


def test_a_scheduler_that_never_speaks_is_said(grid, tmp_path, impatient):
    with silent_port() as port:
        assert_no_answer(grid, tmp_path, f"tcp://127.0.0.1:{port}")


def test_an_address_that_is_none_is_said(grid, tmp_path, impatient):
    assert_no_answer(grid, tmp_path, "tcp://127.0.0.1:not-a-port")


def test_a_scheduler_without_workers_is_said(impatient):
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(jl.ResultError, match=r"no worker.*dask worker"),
        connected(scheduler=empty.scheduler_address),
    ):
        pass


def test_workers_with_another_version_are_refused(two_workers, monkeypatch):
    here, real = os.getpid(), cluster.version
    monkeypatch.setattr(cluster, "version", lambda name: real(name) if os.getpid() == here else "9")
    with (
        pytest.raises(jl.InputError, match=r"workers run jaxlimits 9, this is .*one version"),
        connected(scheduler=two_workers.scheduler.address),
    ):
        pass


def test_a_worker_that_joins_late_with_another_version_is_refused(grid, tmp_path):
    spec = planned(grid)
    job = spec_job(spec, bind(spec))
    with pytest.raises(jl.InputError, match=r"workers run jaxlimits \S+, this is 9"):
        cluster._compute(job, next(iter(job.plan.chunks())), str(tmp_path), None, "9")


def test_a_worker_without_this_package_is_refused(two_workers, monkeypatch):
    def version(name):
        if os.getpid() != here:
            raise PackageNotFoundError(name)
        return real(name)

    here, real = os.getpid(), cluster.version
    monkeypatch.setattr(cluster, "version", version)
    with (
        pytest.raises(jl.InputError, match=r"\(not installed\), this is .*one version everywhere"),
        connected(scheduler=two_workers.scheduler.address),
    ):
        pass


def test_a_worker_that_does_not_share_the_folder_says_so(grid, tmp_path):
    spec = planned(grid)
    job = spec_job(spec, bind(spec))
    blanks = lay_out_shards(make_layout(spec, job.scenario, job.plan))
    arguments = (job, next(iter(job.plan.chunks())), str(tmp_path / "elsewhere"), blanks)
    with pytest.raises(jl.ResultError, match=r"elsewhere: is not there on .*share the folder"):
        cluster._compute(*arguments, cluster.version("jaxlimits"))


def test_workers_and_a_scheduler_together_are_refused(grid, tmp_path):
    output = tmp_path / "out.nc"
    done = run("sweep", grid, "-o", output, "--workers", 2, "--scheduler", "tcp://127.0.0.1:8786")
    assert (done.code, done.out) == (2, "")
    assert "--workers or --scheduler, not both" in done.err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("workers", ["0", "-1", "two"])
def test_a_number_of_workers_that_cannot_be_is_refused(grid, tmp_path, workers):
    done = run("sweep", grid, "-o", tmp_path / "out.nc", "--workers", workers)
    assert done.code == 2
    assert "--workers" in done.err
    assert not any(tmp_path.iterdir())


def test_without_dask_workers_are_refused_with_what_to_install(grid, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = run("sweep", grid, "-o", tmp_path / "out.nc", "--workers", 2)
    assert (done.code, done.out) == (2, "")
    assert "pip install 'jaxlimits[cluster]'" in done.err
