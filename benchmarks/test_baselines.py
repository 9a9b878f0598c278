"""Every baseline gives what the model gives; a benchmark beside one that does not is worth nothing."""

import numpy as np
import pytest

from benchmarks.baselines.loop import make_loop
from benchmarks.grids import BILLION, Axes, grid_text, job_of, spec_of
from jaxlimits.engine.stream import collect
from jaxlimits.grid.scenario import bind

SMALL = Axes(batch_size=5, mem_bw=7, sync_latency=9)
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def ours():
    """The model's own outputs on the small grid, by rows."""
    job = job_of(grid_text(SMALL, outputs=("utps", "stps", "limit")))
    arrays, _ = collect(job)
    return arrays


@pytest.fixture(scope="module")
def loop():
    return make_loop(bind(spec_of(grid_text(SMALL, outputs=("utps",)))))


def gathered(loop, function, *rooms, inner=None):
    """Dense results of the loop, chunk by chunk, as flat arrays."""
    parts = [[] for _ in rooms]
    for rows in loop.dense(function, *rooms if inner is None else inner):
        size = (rows.stop - rows.start) * loop.row_points
        for part, room in zip(parts, rooms, strict=True):
            part.append(room[:size].copy())
    return [np.concatenate(part) for part in parts]


def assert_same(found, expected):
    np.testing.assert_allclose(found, expected.ravel(), rtol=TOLERANCE, equal_nan=True)


def test_the_grid_has_points_of_every_limit(ours):
    assert set(np.unique(ours["limit"])) == {0, 1, 2, 3}


def test_the_loop_gives_the_models_speeds(loop, ours):
    (utps,) = gathered(loop, "dense_utps", loop.room())
    assert_same(utps, ours["utps"])


def test_the_loop_gives_the_models_three_outputs(loop, ours):
    rooms = loop.room(), loop.room(), loop.room(np.int8)
    utps, stps, limit = gathered(loop, "dense_three", *rooms)
    assert_same(utps, ours["utps"])
    assert_same(stps, ours["stps"])
    np.testing.assert_array_equal(limit, ours["limit"].ravel())


def test_the_loop_finds_the_best_of_every_kept_point(loop, ours):
    best, where = loop.kept(np.float32), loop.kept(np.int32)
    loop.reduce("reduce_best", best, where)
    rows = ours["stps"].transpose(0, 1, 4, 5, 2, 3).reshape(*best.shape, -1)
    filled = np.where(np.isnan(rows), -np.inf, rows)
    found = np.isfinite(filled).any(axis=-1)
    np.testing.assert_array_equal(where >= 0, found)
    np.testing.assert_allclose(best[found], filled.max(axis=-1)[found], rtol=TOLERANCE)
    there = np.take_along_axis(filled, np.maximum(where, 0)[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(there[found], best[found], rtol=TOLERANCE)


def test_the_loop_counts_the_bins_of_the_histogram(loop):
    counts = np.zeros(52, np.int64)
    loop.reduce("reduce_histogram", 1.0, 1e5, 50, counts)
    _, states = collect(job_of(grid_text(SMALL, reductions={"speeds": BILLION["speeds"]})))
    expected = states["speeds"]["count"].ravel()
    assert counts.sum() == expected.sum()
    moved = np.abs(np.cumsum(counts) - np.cumsum(expected)).max()
    assert moved <= 1e-3 * counts.sum()  # speeds within a rounding of an edge


def test_the_loop_finds_the_ten_fastest(loop, ours):
    value, place = np.zeros(10, np.float32), np.zeros(10, np.int64)
    loop.reduce("reduce_top", 10, value, place)
    utps = ours["utps"].ravel()
    np.testing.assert_allclose(value, np.sort(utps[~np.isnan(utps)])[::-1][:10], rtol=TOLERANCE)
    np.testing.assert_allclose(utps[place], value, rtol=TOLERANCE)


def test_the_loop_finds_the_largest(loop, ours):
    assert loop.reduce("reduce_max") == pytest.approx(np.nanmax(ours["utps"]), rel=TOLERANCE)
