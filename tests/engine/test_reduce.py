"""Reductions against brute force on the dense result, for many ways to cut the grid."""

import dataclasses
import functools
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlimits.engine import frontier
from jaxlimits.engine.counted import Counted
from jaxlimits.engine.findings import find, findings_of
from jaxlimits.engine.frontier import Frontier, undominated
from jaxlimits.engine.reductions import SKETCH_ERROR
from jaxlimits.engine.stream import collect, stream
from jaxlimits.grid.file import parse_grid
from jaxlimits.grid.plan import Plan
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.run.pipeline import spec_job

GRID = """
[base]
accounting = "layers"
[axes]
llm = ["llama3-70b", "deepseek-v3", "gpt-oss-20b"]
chip = ["h100", "xpu-sram"]
roofline = ["step", "operator"]
tp_size = {{ values = [1, 8, 32], with = {{ sync_latency = ["0 us", "3 us", "4 us"] }} }}
batch_size = {{ pow2 = [1, 64] }}
mem_bw_scale = {{ geometric = [0.5, 4], num = 5 }}
[reduce.{name}]
{body}
"""
MEMORIES = (None, 4e3)  # one chunk a switch, many ragged ones
SHAPE = (3, 2, 2, 3, 7, 5)
AXES = ("llm", "chip", "roofline", "tp_size", "batch_size", "mem_bw_scale")


def job_of(body, *, memory, outputs=None):
    text = GRID.format(name="found", body=body)
    file = parse_grid(text, where="test", stem="test", folder=Path())
    spec = dataclasses.replace(build_spec(file, grid_catalog(file)), memory=memory)
    return spec, spec_job(spec, bind(spec))


def reduce(body, *, memory):
    spec, job = job_of(body, memory=memory)
    _, states = collect(job)
    (written,), (reduction,) = spec.reductions, job.reductions
    return {f.name: f for f in find(job, written, reduction, states["found"])}


@functools.cache
def dense():
    text = GRID[: GRID.index("[reduce")].format()
    file = parse_grid(text, where="test", stem="test", folder=Path())
    spec = build_spec(file, grid_catalog(file))
    arrays, _ = collect(spec_job(spec, bind(spec)))
    labels = dict(zip(AXES, (np.array(axis.values) for axis in spec.axes), strict=True))
    return arrays, labels


def positions(flat):
    return dict(zip(AXES, np.unravel_index(flat, SHAPE), strict=True))


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize(("op", "pick"), [("max", np.nanmax), ("min", np.nanmin)])
def test_an_extreme_is_that_of_the_dense_result(op, pick, memory):
    over = ("chip", "tp_size", "batch_size")
    found = reduce(f"op = '{op}'\nof = 'utps'\nover = {list(over)}", memory=memory)["found"]
    utps = dense()[0]["utps"]
    assert found.dims == ("llm", "roofline", "mem_bw_scale")
    np.testing.assert_allclose(found.values, pick(utps, axis=(1, 3, 4)), rtol=1e-6)


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_best_point_has_its_coordinates_and_other_metrics(memory):
    body = "op = 'argmax'\nof = 'stps'\nover = ['tp_size', 'batch_size']\nalso = ['utps', 'limit']"
    found = reduce(body, memory=memory)
    arrays, labels = dense()
    rows = np.moveaxis(arrays["stps"], (3, 4), (-2, -1)).reshape(3, 2, 2, 5, 21)
    some = ~np.isnan(rows).all(axis=-1)
    winner = np.argmax(np.where(np.isnan(rows), -np.inf, rows), axis=-1)
    tp, batch = np.unravel_index(winner, (3, 7))
    np.testing.assert_array_equal(found["found_tp_size"].values[some], labels["tp_size"][tp][some])
    expected = labels["batch_size"][batch]
    np.testing.assert_array_equal(found["found_batch_size"].values[some], expected[some])
    assert np.isnan(found["found_batch_size"].values[~some]).all()
    assert (found["found_limit"].values[~some] == -1).all()
    for metric in ("utps", "limit"):
        flat = np.moveaxis(arrays[metric], (3, 4), (-2, -1)).reshape(3, 2, 2, 5, 21)
        picked = np.take_along_axis(flat, winner[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(found[f"found_{metric}"].values[some], picked[some], rtol=1e-6)


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_mean_leaves_out_what_does_not_fit(memory):
    found = reduce("op = 'mean'\nof = 'utps'\nover = ['chip', 'batch_size']", memory=memory)
    utps = dense()[0]["utps"].astype(np.float64)
    counts = np.sum(~np.isnan(utps), axis=(1, 4))
    expected = np.nansum(utps, axis=(1, 4)) / np.where(counts, counts, np.nan)
    np.testing.assert_allclose(found["found"].values, expected, rtol=2e-6)


@pytest.mark.parametrize("memory", MEMORIES)
def test_counts_by_limit_add_up_to_the_grid(memory):
    found = reduce("op = 'count'\nof = 'limit'\nover = ['llm', 'batch_size']", memory=memory)
    limit = dense()[0]["limit"]
    expected = np.stack([np.sum(limit == code, axis=(0, 4)) for code in (-1, 0, 1, 2, 3)], axis=-1)
    np.testing.assert_array_equal(found["found"].values, expected)


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_histogram_counts_every_point_that_fits_once(memory):
    body = "op = 'histogram'\nof = 'utps'\nfirst = '20 token/s'\nlast = '2000 token/s'\nbins = 12"
    found = reduce(body, memory=memory)
    utps = dense()[0]["utps"]
    fits = utps[~np.isnan(utps)].astype(np.float64)
    edges = found["found_bin"].values
    expected = [
        np.sum((fits >= low) & (fits < high))
        for low, high in zip(edges, [*edges[1:], np.inf], strict=True)
    ]
    assert np.abs(found["found"].values - expected).sum() <= 2  # a value may lie on an edge
    assert found["found"].values.sum() == fits.size


@pytest.mark.parametrize("memory", MEMORIES)
def test_quantiles_are_within_the_stated_error(memory):
    over = ["chip", "batch_size", "tp_size"]
    body = f"op = 'quantiles'\nof = 'utps'\nat = [0.1, 0.5, 0.99]\nover = {over}"
    found = reduce(body, memory=memory)["found"].values
    exact = np.nanquantile(
        dense()[0]["utps"], [0.1, 0.5, 0.99], axis=(1, 3, 4), method="inverted_cdf"
    )
    np.testing.assert_allclose(found, np.moveaxis(exact, 0, -1), rtol=1.01 * SKETCH_ERROR)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("op", ["top", "bottom"])
def test_the_top_points_are_the_best_of_all(op, memory):
    found = reduce(f"op = '{op}'\nof = 'utps'\nk = 9", memory=memory)
    utps = dense()[0]["utps"].ravel()
    ordered = np.sort(utps[~np.isnan(utps)])
    expected = ordered[::-1][:9] if op == "top" else ordered[:9]
    np.testing.assert_allclose(found["found"].values, expected, rtol=1e-6)
    arrays, labels = dense()
    at = [
        np.flatnonzero(labels[n] == v)
        for n, v in ((n, found[f"found_{n}"].values[0]) for n in AXES)
    ]
    assert arrays["utps"][tuple(int(i[0]) for i in at)] == pytest.approx(expected[0], rel=1e-6)


THIN = {"t_step": "s", "t_mem": "s", "t_sync": "s", "kv_bytes": "B", "weight_bytes": "B"}
"""Metrics, all but the first of which do not depend on every axis, with their units."""

THIN_TABLES = """
[reduce.mean_{name}]
op = "mean"
of = "{name}"
[reduce.most_{name}]
op = "max"
of = "{name}"
over = ["llm", "tp_size", "mem_bw_scale"]
[reduce.best_{name}]
op = "argmin"
of = "{name}"
over = ["batch_size", "mem_bw_scale"]
[reduce.top_{name}]
op = "top"
of = "{name}"
k = 40
[reduce.bins_{name}]
op = "histogram"
of = "{name}"
first = "1e-9 {unit}"
last = "1e15 {unit}"
bins = 24
"""


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_metric_counts_as_often_as_there_are_points_with_its_value(memory):
    tables = (THIN_TABLES.format(name=name, unit=unit) for name, unit in THIN.items())
    fitting = "op = 'count'\nof = 'feasible'\nover = ['llm', 'batch_size', 'mem_bw_scale']\n"
    spec, job = job_of(fitting + "".join(tables), memory=memory)
    _, states = collect(job)
    found = {f.name: f.values for f in findings_of(spec.reductions, job, states)}

    arrays, labels = dense()
    fits = arrays["feasible"] == 1
    codes = [np.sum(arrays["feasible"] == code, axis=(0, 4, 5)) for code in (-1, 0, 1)]
    np.testing.assert_array_equal(found["found"], np.stack(codes, axis=-1))
    for name in THIN:
        values = arrays[name][fits].astype(np.float64)
        assert found[f"mean_{name}"] == pytest.approx(values.mean(), rel=2e-6)
        most = np.where(fits, arrays[name], -np.inf).max(axis=(0, 3, 5))
        most = np.where(most > -np.inf, most, np.nan)
        np.testing.assert_allclose(found[f"most_{name}"], most, rtol=1e-6)
        largest = np.sort(values)[::-1][:40]
        np.testing.assert_allclose(found[f"top_{name}"], largest, rtol=1e-6)
        assert found[f"bins_{name}"].sum() == values.size
        slots = np.digitize(np.unique(values), found[f"bins_{name}_bin"]) - 1
        assert set(np.flatnonzero(found[f"bins_{name}"])) == set(slots)
        rows = np.where(fits, arrays[name], np.inf).reshape(3, 2, 2, 3, 35)
        some = np.isfinite(rows).any(axis=-1)
        batch, mem_bw = np.unravel_index(np.argmin(rows, axis=-1), (7, 5))
        for axis, place in (("batch_size", batch), ("mem_bw_scale", mem_bw)):
            winner = found[f"best_{name}_{axis}"]
            np.testing.assert_array_equal(winner[some], labels[axis][place][some])
            assert np.isnan(winner[~some]).all()


REQUESTS = """
outputs = ["ttft", "feasible"]
[base]
llm = "llama3-70b"
chip = "h100"
tp_size = 1
seq_len = 64
[axes]
input_len = [1024, 65536]
batch_size = [1, 8, 32]
[reduce.average]
op = "mean"
of = "ttft"
[reduce.longest]
op = "max"
of = "ttft"
"""


def test_a_request_that_does_not_fit_where_its_step_does_is_left_out():
    file = parse_grid(REQUESTS, where="test", stem="test", folder=Path())
    spec = build_spec(file, grid_catalog(file))
    job = spec_job(spec, bind(spec))
    arrays, states = collect(job)
    found = {f.name: f.values for f in findings_of(spec.reductions, job, states)}
    ttft = arrays["ttft"].astype(np.float64)
    assert (np.isnan(ttft) & (arrays["feasible"] == 1)).any()
    assert found["average"] == pytest.approx(np.nanmean(ttft), rel=2e-6)
    assert found["longest"] == pytest.approx(np.nanmax(ttft), rel=1e-6)


def brute_force_frontier(points):
    kept = []
    for i, point in enumerate(points):
        better = np.all(points >= point, axis=1) & np.any(points > point, axis=1)
        same = np.all(points == point, axis=1) & (np.arange(len(points)) < i)
        if not (better | same).any():
            kept.append(i)
    return kept


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize(
    ("metrics", "minimise"),
    [
        (("utps", "stps"), ()),
        (("stps", "utps", "power"), ("power",)),
        (("t_step", "stps"), ("t_step",)),
    ],
)
def test_the_frontier_is_exact(metrics, minimise, memory):
    body = f"op = 'frontier'\nof = {list(metrics)}\nminimise = {list(minimise)}"
    found = reduce(body, memory=memory)
    arrays, _ = dense()
    signs = [-1.0 if name in minimise else 1.0 for name in metrics]
    columns = [sign * arrays[name].ravel() for sign, name in zip(signs, metrics, strict=True)]
    points = np.stack(columns, axis=1).astype(np.float64)
    points = points[~np.isnan(arrays["utps"].ravel())]
    expected = points[brute_force_frontier(points)]
    got = np.stack([s * found[f"found_{n}"].values for s, n in zip(signs, metrics, strict=True)], 1)
    assert len(got) == len(expected)
    order, wanted = np.lexsort(got.T), np.lexsort(expected.T)
    np.testing.assert_allclose(got[order], expected[wanted], rtol=1e-6)


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_crossing_is_the_first_value_that_reaches_the_target(memory):
    body = "op = 'crossing'\nof = 'utps'\nover = ['mem_bw_scale']\ntarget = '150 token/s'"
    found = reduce(body, memory=memory)["found"].values
    arrays, labels = dense()
    reached = arrays["utps"] >= 150.0
    first = labels["mem_bw_scale"][np.argmax(reached, axis=-1)]
    np.testing.assert_array_equal(found, np.where(reached.any(axis=-1), first, np.nan))


@pytest.mark.parametrize("seed", range(5))
def test_undominated_equals_brute_force(seed):
    random = np.random.default_rng(seed)
    for metrics in (2, 3):
        points = random.integers(0, 8, size=(metrics, 60)).astype(float)
        kept = sorted(undominated(points, np.arange(60)))
        assert kept == brute_force_frontier(points.T)


@pytest.mark.parametrize(("limit", "found"), [("room", "points"), ("groups", "groups")])
def test_a_frontier_without_room_is_computed_again_with_more(monkeypatch, limit, found):
    monkeypatch.setattr(frontier, "_GROUP", 8)
    _, job = job_of("op = 'frontier'\nof = ['utps', 'stps']", memory=3e4)
    (enough,) = job.reductions
    little = dataclasses.replace(job, reductions=(dataclasses.replace(enough, **{limit: 1}),))
    assert max(chunk.parts["found"][found] for chunk in stream(job)) > 1
    (_, expected), (_, got) = collect(job), collect(little)
    for name, array in expected["found"].items():
        np.testing.assert_array_equal(got["found"][name], array)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("metrics", [2, 3])
def test_a_frontier_of_any_points_is_that_of_brute_force(monkeypatch, seed, metrics):
    monkeypatch.setattr(frontier, "_GROUP", 16)
    random = np.random.default_rng(seed)
    shape = (4, 6, 10)
    plan = Plan(shape=shape, block=shape)
    names = tuple("abc"[:metrics])
    arrays = {n: random.integers(0, 9, size=shape).astype(np.float32) for n in names}
    arrays["a"][random.random(shape) < 0.2] = np.nan
    on_device = {name: jnp.asarray(array) for name, array in arrays.items()}
    chunk = Counted(metrics=on_device, lengths=jnp.array(shape), block=shape)
    reduction = Frontier(name="f", of=names, over=(0, 1, 2), signs=(1.0, -1.0, 1.0)[:metrics])
    part = {name: np.asarray(array) for name, array in reduction.local(chunk).items()}
    assert reduction.enlarged(part) is None
    state = reduction.start(shape)
    reduction.merge(state, part, plan, (0, 0, 0))
    signed = [sign * arrays[n].ravel() for n, sign in zip(names, reduction.signs, strict=True)]
    points = np.nan_to_num(np.stack(signed, axis=1), nan=-np.inf)
    counted = np.flatnonzero(~np.isnan(arrays["a"].ravel()))
    assert sorted(state["index"]) == counted[brute_force_frontier(points[counted])].tolist()
