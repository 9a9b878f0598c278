"""Every baseline gives what the model gives; a benchmark beside one that does not says nothing."""

import jax
import numpy as np
import pytest
import xarray as xr

from benchmarks.baselines.broadcast import everything, three, utps_only, volumes_of
from benchmarks.baselines.engines import sweep_in_memory, sweep_to_disk
from benchmarks.baselines.loop import ELASTICITIES, make_loop
from benchmarks.baselines.machine import compress_alone, copy_memory, write_synced
from benchmarks.bench_reductions import CASES, every_metric
from benchmarks.grids import BILLION, CODES, METRICS, Axes, grid_text, job_of, spec_of
from jaxlimits.engine.sensitivity import assemble, effective_fields
from jaxlimits.engine.stream import collect
from jaxlimits.grid.scenario import bind
from jaxlimits.model.evaluate import evaluate

SMALL = Axes(batch_size=5, mem_bw=7, sync_latency=9)
TINY = Axes(llm=3, tp_size=3, batch_size=2, mem_bw=3, sync_latency=2)
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def ours():
    """The model's own outputs on the small grid."""
    arrays, _ = collect(job_of(grid_text(SMALL, outputs=tuple(METRICS))))
    return arrays


@pytest.fixture(scope="module")
def scenario():
    return bind(spec_of(grid_text(SMALL, outputs=("utps",))))


@pytest.fixture(scope="module")
def loop(scenario):
    return make_loop(scenario)


def gathered(loop, function, *rooms, arguments=None):
    """Dense results of the loop, chunk by chunk, as flat arrays."""
    parts = [[] for _ in rooms]
    for rows in loop.dense(function, *(rooms if arguments is None else arguments)):
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


def test_the_loop_gives_every_output_of_the_model(loop, ours):
    reals = {name: loop.room() for name in METRICS if name not in CODES}
    codes = {name: loop.room(np.int8) for name in CODES}
    arguments = (list(reals.values()), codes["feasible"], codes["limit"])
    rooms = {**reals, **codes}
    found = gathered(loop, "dense_all", *rooms.values(), arguments=arguments)
    for name, values in zip(rooms, found, strict=True):
        # A batch is rounded down to a whole number: float32 may land on the other side.
        slack = 1.0 if name == "max_batch_size" else 0.0
        np.testing.assert_allclose(
            values, ours[name].ravel(), rtol=TOLERANCE, atol=slack, equal_nan=True, err_msg=name
        )


def elasticities_of(scenario, fields):
    """Elasticities of the speed by automatic differentiation, point by point, in float64."""
    columns = [name for along in scenario.columns for name in along]
    static = tuple(sorted(scenario.fixed_static().items()))
    with jax.enable_x64(True):
        shape = scenario.shape
        varying = {
            name: np.broadcast_to(scenario.effective(name), shape).ravel() for name in columns
        }

        def log_speed(logs, values):
            changed = {**values, **{name: jax.numpy.exp(log) for name, log in logs.items()}}
            return jax.numpy.log(evaluate(*assemble(*effective_fields(changed, static))).utps)

        def at(base, values):
            whole = {**base, **values}
            logs = {name: jax.numpy.log(jax.numpy.asarray(whole[name])) for name in fields}
            return jax.grad(log_speed)(logs, whole)

        # Traced, the base too: a draft that is not there has fields that no draft could have.
        base = {name: np.float64(value) for name, value in scenario.base.items()}
        found = jax.jit(jax.vmap(at, in_axes=(None, 0)))(base, varying)
    return {name: np.asarray(values) for name, values in found.items()}


def test_the_loop_gives_the_derivatives_of_the_model(loop, scenario, ours):
    expected = elasticities_of(scenario, ELASTICITIES)
    fits = ours["feasible"].ravel() == 1
    one = gathered(loop, "dense_one_elasticity", loop.room(), loop.room())
    rooms = [loop.room() for _ in ELASTICITIES]
    utps = loop.room()
    five = gathered(loop, "dense_five_elasticities", utps, *rooms, arguments=(utps, rooms))
    assert_same(one[0], ours["utps"])
    assert_same(five[0], ours["utps"])
    np.testing.assert_allclose(one[1][fits], expected["mem_bw"][fits], rtol=TOLERANCE, atol=1e-6)
    for name, values in zip(ELASTICITIES, five[1:], strict=True):
        np.testing.assert_allclose(
            values[fits], expected[name][fits], rtol=TOLERANCE, atol=1e-6, err_msg=name
        )
        assert np.isnan(values[~fits]).all()


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


def test_the_loop_does_the_billions_reductions_as_it_does_each(loop):
    together, alone = CASES["billion"][2](loop), []
    loop.reduce("reduce_billion", *together)
    for case in ("argmax", "histogram", "top"):
        _, function, room = CASES[case]
        arguments = room(loop)
        loop.reduce(function, *arguments)
        alone += arguments
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_loop_finds_the_largest_and_the_mean(loop, ours):
    assert loop.reduce("reduce_max") == pytest.approx(np.nanmax(ours["utps"]), rel=TOLERANCE)
    mean = np.nanmean(ours["utps"].astype(np.float64))
    assert loop.reduce("reduce_mean") == pytest.approx(mean, rel=TOLERANCE)


def test_the_loop_counts_limits(loop, ours):
    (counts,) = CASES["count"][2](loop)
    loop.reduce("reduce_count", counts)
    np.testing.assert_array_equal(counts, np.bincount(ours["limit"].ravel(), minlength=4))


def test_the_loop_finds_crossings(loop):
    target, where = CASES["crossing"][2](loop)
    loop.reduce("reduce_crossing", target, where)
    _, states = collect(job_of(grid_text(SMALL, reductions=CASES["crossing"][0])))
    expected = states["reached"]["index"].ravel()
    assert {-1, 0} < set(np.unique(expected))
    np.testing.assert_array_equal(where, expected)


def test_the_loop_finds_the_frontier():
    grid = Axes(mem_bw=3, sync_latency=3)
    loop = make_loop(bind(spec_of(grid_text(grid, outputs=("utps",)))))
    room, utps, stps, place = CASES["frontier"][2](loop)
    size = int(loop.reduce("reduce_frontier", room, utps, stps, place) or 0)
    assert 10 < size < room
    _, states = collect(job_of(grid_text(grid, reductions=CASES["frontier"][0])))
    expected = np.stack([states["frontier"]["metric0"], states["frontier"]["metric1"]])
    found = np.stack([utps[:size], stps[:size]])
    for front, other in ((found, expected), (expected, found)):
        # Points within a rounding of each other may be on one and not on the other.
        near = np.all(other[:, None, :] >= front[:, :, None] * (1 - TOLERANCE), axis=0)
        assert np.all(near.sum(axis=1) > 0)
    assert abs(size - expected.shape[1]) <= 0.05 * size


@pytest.mark.parametrize("function", [utps_only, three, everything])
def test_numpy_gives_what_the_model_gives(scenario, ours, function):
    volumes = volumes_of(scenario)
    found = function(volumes, slice(None))
    for name, values in found.items():
        slack = 1.0 if name == "max_batch_size" else 0.0
        np.testing.assert_allclose(
            values.ravel(),
            ours[name].ravel(),
            rtol=TOLERANCE,
            atol=slack,
            equal_nan=True,
            err_msg=name,
        )
        assert values.dtype == (np.int8 if name in CODES else np.float32)
    assert set(found) == set(
        {utps_only: ["utps"], three: ["utps", "stps", "limit"]}.get(function, METRICS)
    )


@pytest.mark.filterwarnings("ignore")
def test_xyzpy_sweeps_to_what_the_model_gives(tmp_path):
    spec = spec_of(grid_text(TINY, outputs=("utps", "stps", "limit")))
    scenario = bind(spec)
    expected, _ = collect(job_of(grid_text(TINY, outputs=spec.outputs)))
    volumes = volumes_of(scenario)
    found = sweep_in_memory(volumes, scenario.shape)
    sweep_to_disk(volumes, scenario.shape, tmp_path / "swept.h5")
    for dataset in (found, xr.open_dataset(tmp_path / "swept.h5", engine="h5netcdf")):
        for name in spec.outputs:
            np.testing.assert_allclose(
                dataset[name].to_numpy(), expected[name], rtol=TOLERANCE, equal_nan=True
            )


def test_every_metric_is_reduced():
    assert {reduction["of"] for reduction in every_metric().values()} == set(METRICS)


def test_the_machines_own_runs_do_what_they_say(tmp_path):
    source = np.arange(5_000_000, dtype=np.float32)
    target = np.zeros_like(source)
    copy_memory(source, target)
    np.testing.assert_array_equal(target, source)
    write_synced(tmp_path / "written", [b"ab", b"c"])
    assert (tmp_path / "written").read_bytes() == b"abc"
    assert 1_000 < compress_alone([source]) < source.nbytes
