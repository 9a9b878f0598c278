"""Frontiers against brute force, for many ways to cut the grid."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlimits.engine.counted import Counted
from jaxlimits.engine.reductions import frontier
from jaxlimits.engine.reductions.frontier import Frontier, undominated
from jaxlimits.engine.stream import collect, stream
from jaxlimits.grid.plan import Plan
from tests.engine.reductions.brute_force import MEMORIES, dense, job_of, reduce
from tests.helpers import one_in


def brute_force_frontier(points):
    kept = []
    for i, point in enumerate(points):
        better = np.all(points >= point, axis=1) & np.any(points > point, axis=1)
        same = np.all(points == point, axis=1) & (np.arange(len(points)) < i)
        if not (better | same).any():
            kept.append(i)
    return kept


@pytest.mark.parametrize("memory", one_in(2, MEMORIES))
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


@pytest.mark.parametrize("seed", range(5))
def test_undominated_equals_brute_force(seed):
    random = np.random.default_rng(seed)
    for metrics in (2, 3):
        points = random.integers(0, 8, size=(metrics, 60)).astype(float)
        kept = sorted(undominated(points, np.arange(60)))
        assert kept == brute_force_frontier(points.T)


@pytest.mark.parametrize(
    ("limit", "found"),
    [pytest.param("room", "points", marks=pytest.mark.slow), ("groups", "groups")],
)
def test_a_frontier_without_room_is_computed_again_with_more(monkeypatch, limit, found):
    monkeypatch.setattr(frontier, "_GROUP", 8)
    job = job_of("op = 'frontier'\nof = ['utps', 'stps']", memory=3e4)
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
    everywhere = {"name": "f", "op": "frontier", "over": (0, 1, 2)}
    reduction = Frontier(of=names, minimise=("b",), **everywhere)
    part = {name: np.asarray(array) for name, array in reduction.local(chunk).items()}
    assert reduction.enlarged(part) is None
    state = reduction.start(shape)
    reduction.merge(state, part, plan, (0, 0, 0))
    signed = [sign * arrays[n].ravel() for n, sign in zip(names, reduction.signs, strict=True)]
    points = np.nan_to_num(np.stack(signed, axis=1), nan=-np.inf)
    counted = np.flatnonzero(~np.isnan(arrays["a"].ravel()))
    assert sorted(state["index"]) == counted[brute_force_frontier(points[counted])].tolist()
