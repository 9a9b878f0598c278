"""What crosses between host and device in a sweep: the grid once, a place and the results a chunk.

A CPU's guard sees what is sent to the device; what comes back is counted.
"""

import dataclasses
from collections import Counter

import jax
import pytest

from jaxlimits.engine.stream import stream
from jaxlimits.grid.scenario import bind
from jaxlimits.run.pipeline import load_grid, spec_job
from tests.run.test_streamed import GRID

OF_GRID = 1
"""The numbers that vary, sent in one call; the others are there since the same sweep before."""


@pytest.fixture(params=["float32", "float64"])
def job(tmp_path, request):
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID, encoding="utf-8")
    spec = dataclasses.replace(load_grid(grid), memory=8e5, precision=request.param)
    return spec_job(spec, bind(spec))


@pytest.fixture
def crossed(monkeypatch):
    """How often something crossed, by the way that it went."""
    counted = Counter()

    def count(name, real):
        def crossing(*arguments, **options):
            counted[name] += 1
            return real(*arguments, **options)

        return crossing

    for name in ("device_put", "device_get"):
        monkeypatch.setattr(jax, name, count(name, getattr(jax, name)))
    return counted


def test_nothing_crosses_but_the_grid_and_a_place_and_the_results_of_each_chunk(job, crossed):
    chunks = list(stream(job))  # compiled: constants of programs are sent when they are made
    crossed.clear()
    with jax.transfer_guard("disallow"):
        chunks = list(stream(job))
    assert len(chunks) == job.plan.num_chunks > 4
    assert crossed["device_put"] == OF_GRID + len(chunks)
    kept = [len(chunk.arrays) + sum(map(len, chunk.parts.values())) for chunk in chunks]
    assert crossed["device_get"] == sum(kept)


def test_of_numbers_that_do_not_vary_those_alone_are_sent_that_changed(job, crossed):
    list(stream(job))
    crossed.clear()
    name, value = next((n, v) for n, v in job.scenario.base.items() if v > 0.0)
    base = {**job.scenario.base, name: value * 1.0009765625}
    changed = dataclasses.replace(job, scenario=dataclasses.replace(job.scenario, base=base))
    list(stream(changed))
    assert crossed["device_put"] == OF_GRID + 1 + job.plan.num_chunks


def test_no_chunk_waits_for_another_before_it_starts(job, crossed):
    list(stream(job))
    crossed.clear()
    places, taken = [], []
    for chunk in stream(job):
        places.append(crossed["device_put"] - OF_GRID)
        taken.append(chunk.key)
    # Two chunks were under way behind the one that came, until there were none left to start.
    assert places[: len(places) - 2] == list(range(3, len(places) + 1))
