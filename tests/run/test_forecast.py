"""What a plan expects of a sweep, beside what the sweep then does."""

import collections
import dataclasses
import re

import pytest

import jaxlimits as jl
from jaxlimits.grid.scenario import bind
from jaxlimits.run import forecast, pipeline, streamed
from jaxlimits.run.pipeline import load_grid, spec_job
from tests.command_line import run, run_anew
from tests.helpers import slow_but

BASE = """
[base]
chip = "xpu-hbm3"
tp_size = 128
[axes]
llm = ["llama3-70b", "deepseek-v3", "qwen3-235b"]
seq_len = [4096, 131072]
batch_size = { linear = [8, 64], num = 8 }
mem_bw = { geometric = ["0.5 TiB/s", "64 TiB/s"], num = 300 }
sync_latency = { geometric = ["0.02 us", "20 us"], num = 400 }
"""
BEST = """
[reduce.best]
op = "argmax"
of = "stps"
over = ["batch_size"]
[reduce.speeds]
op = "histogram"
of = "utps"
first = "1 token/s"
last = "100000 token/s"
bins = 50
"""
GRIDS = {
    "dense": 'outputs = ["utps", "limit"]\n' + BASE,
    "reduced": BASE + BEST,
    "both": 'outputs = ["utps"]\n' + BASE + BEST,
}
MEMORY = "30 MB"
SECONDS_WITHIN = 3.0
"""Factor of the expected time; the machine that runs the tests may have others to serve."""
BYTES_WITHIN = 1.15

Usage = collections.namedtuple("Usage", "free")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def grid(name, text=None):
    with open("grid.toml", "w", encoding="utf-8") as file:
        file.write(text or GRIDS[name])
    return ["sweep", "grid.toml", "-o", "out.nc", "--memory", MEMORY]


def planned(budget=30e6):
    spec = dataclasses.replace(load_grid("grid.toml"), memory=budget)
    return spec, spec_job(spec, bind(spec))


def assert_within(expected, found, factor):
    assert found / factor <= expected <= found * factor


@pytest.mark.parametrize("name", slow_but(GRIDS, "both"))
def test_a_plan_expects_what_a_sweep_then_takes(name):
    command = grid(name)
    plan = run_anew(*command, "--plan", "--json").json
    done = run_anew(*command, "--json").json
    assert plan["chunks"] > 10
    assert_within(plan["expected_bytes"], done["bytes"], BYTES_WITHIN)
    assert_within(plan["expected_seconds"], done["seconds"], SECONDS_WITHIN)


def test_a_plan_expects_the_size_of_shards_and_index_together(monkeypatch, folder):
    monkeypatch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
    command = grid("both")
    expected = run(*command, "--plan", "--json").json["expected_bytes"]
    done = run(*command, "--json").json
    found = [folder / "out.nc", *(folder / "out.shards").glob("*.nc")]
    assert done["bytes"] == sum(path.stat().st_size for path in found)
    assert done["shards"] == len(found) - 1
    assert_within(expected, done["bytes"], BYTES_WITHIN)


def test_every_choice_of_a_switch_is_a_program_to_compile():
    axes = 'roofline = ["step", "operator"]\nkv_sharding = ["split", "heads"]\n'
    grid("dense", GRIDS["dense"].replace("num = 400", "num = 4") + axes)
    _, job = planned()
    sample = forecast._sample(job, 7)
    assert forecast._switched(job) == {5: 2, 6: 2}
    assert {key[5:] for key in sample} == {(0, 0)}


@pytest.mark.parametrize("number", [1, 3, 16, 10**6])
def test_a_sample_is_of_different_chunks_in_their_order(number):
    grid("both")
    _, job = planned()
    sample = forecast._sample(job, number)
    assert len(set(sample)) == len(sample) == min(number, 16, job.plan.num_chunks)
    assert sample == sorted(sample)
    assert set(sample) <= set(job.plan.chunks())


def test_nothing_is_measured_where_everything_fits(monkeypatch):
    grid("dense")
    monkeypatch.setattr(forecast, "foresee", None)
    forecast.refuse_without_space(*planned(), output=streamed.Path("out.nc"))


@pytest.mark.parametrize("options", [["--plan"], [], ["--resume"]])
def test_what_does_not_fit_on_the_disk_is_refused_before_it_starts(options, folder, monkeypatch):
    command = grid("dense")
    monkeypatch.setattr(forecast.shutil, "disk_usage", lambda _: Usage(free=3_000_000))
    monkeypatch.setattr(streamed, "open_ledger", None)
    done = run(*command, *options)
    assert (done.code, done.out) == (1, "")
    words = r"jaxlimits: out\.nc: 5,760,000 points take about [\d.]+ MB while they are written.*"
    assert re.match(words + r"room for 3 MB; keep fewer outputs", done.err)
    assert done.err.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["grid.toml"]


def test_what_fits_only_compressed_is_not_refused(monkeypatch):
    command = grid("dense")
    spec, job = planned()
    expected = forecast.foresee(spec, job)
    assert expected.disk_bytes < 2 * streamed.dense_bytes(spec)
    room = round(1.01 * expected.disk_bytes)
    monkeypatch.setattr(forecast.shutil, "disk_usage", lambda _: Usage(free=room))
    assert run(*command).code == 0
    monkeypatch.setattr(forecast.shutil, "disk_usage", lambda _: Usage(free=round(0.9 * room)))
    assert run(*command, "--force").code == 1


def test_what_is_done_already_needs_no_room(monkeypatch, folder):
    command = grid("dense")
    monkeypatch.setattr(streamed, "pack", stop)
    with pytest.raises(KeyboardInterrupt):
        pipeline.sweep("grid.toml", "out.nc", memory=30e6)
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    spec, job = planned()
    left = forecast.foresee(spec, job).result_bytes
    monkeypatch.setattr(forecast.shutil, "disk_usage", lambda _: Usage(free=round(1.1 * left)))
    assert run(*command, "--resume").code == 0


def stop(*_arguments, **_options):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        ("1 B", ["memory = '1 B'", "too small for one chunk", "a single point takes 42 B"]),
        ("41 B", ["too small for one chunk"]),
        ("60 B", ["5,760,000 chunks, more than 1,000,000"]),
        ("10 PB", ["more than this machine has"]),
    ],
)
@pytest.mark.parametrize("options", [["--plan"], []])
def test_a_budget_that_cannot_be_is_refused_in_a_line(budget, says, options, folder):
    done = run(*grid("dense")[:-1], budget, *options)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("jaxlimits: grid.toml: memory = ")
    assert done.err.count("\n") == 1
    for part in says:
        assert part in done.err
    assert [path.name for path in folder.iterdir()] == ["grid.toml"]


def test_the_budget_that_is_advised_is_enough():
    command = grid("dense")[:-1]
    advised = re.search(r"give at least ([\d.]+ \w+),", run(*command, "60 B", "--plan").err)
    spec, job = planned(float(advised.group(1).split()[0]))
    assert advised.group(1).endswith(" B")
    pipeline._check_budget(spec, job)


def test_memory_too_small_is_an_input_error_from_python():
    grid("dense")
    with pytest.raises(jl.InputError, match="too small for one chunk"):
        jl.sweep("grid.toml", "out.nc", memory=1.0)
