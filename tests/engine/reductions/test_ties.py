"""Equal values: the lowest position in the grid wins, in whatever order chunks come."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlimits.engine.counted import Counted
from jaxlimits.engine.reductions.argmax import Best
from jaxlimits.engine.reductions.top import Top
from jaxlimits.grid.plan import Plan

SHAPE, BLOCK = (3, 5, 4), (2, 2, 4)
PLAN = Plan(shape=SHAPE, block=BLOCK)


def merged(reduction, array, keys):
    """The state after these chunks, each padded to a whole block."""
    padded = np.full((4, 6, 4), np.nan, np.float32)
    padded[:3, :5] = array
    state = reduction.start(SHAPE)
    for key in keys:
        start = [index * size for index, size in zip(key, BLOCK, strict=True)]
        block = padded[tuple(slice(a, a + n) for a, n in zip(start, BLOCK, strict=True))]
        lengths = [part.stop - part.start for part in PLAN.slices(key)]
        chunk = Counted(metrics={"a": jnp.asarray(block)}, lengths=jnp.array(lengths), block=BLOCK)
        part = {name: np.asarray(array) for name, array in reduction.local(chunk).items()}
        reduction.merge(state, part, PLAN, key)
    return state


def values(seed):
    random = np.random.default_rng(seed)
    array = random.integers(0, 4, size=SHAPE).astype(np.float32)
    array[random.random(SHAPE) < 0.3] = np.nan
    array[1, :, 2] = np.nan
    return array


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("op", ["argmax", "argmin"])
def test_the_first_of_the_best_wins(op, backwards):
    keys = list(PLAN.chunks())[:: -1 if backwards else 1]
    for seed, over in itertools.product(range(3), [(0, 1, 2), (1,), (0, 2)]):
        array = values(seed)
        state = merged(Best(name="f", op=op, of=("a",), over=over), array, keys)
        sign = 1.0 if op == "argmax" else -1.0
        kept = [axis for axis in range(3) if axis not in over]
        rows = np.nan_to_num(sign * array, nan=-np.inf).transpose(*kept, *over)
        rows = rows.reshape(*state["value"].shape, -1)
        best = rows.max(axis=-1)
        np.testing.assert_array_equal(state["value"], best)
        first = np.where(best > -np.inf, rows.argmax(axis=-1), -1)
        np.testing.assert_array_equal(state["index"], first)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("op", "k"), [("top", 1), ("top", 9), ("bottom", 9), ("top", 60)])
def test_the_first_of_equals_stand_first(op, k, backwards):
    keys = list(PLAN.chunks())[:: -1 if backwards else 1]
    for seed in range(3):
        array = values(seed)
        state = merged(Top(name="f", op=op, of=("a",), over=(0, 1, 2), k=k), array, keys)
        signed = np.nan_to_num((1.0 if op == "top" else -1.0) * array.ravel(), nan=-np.inf)
        order = np.argsort(-signed, kind="stable")[:k]
        np.testing.assert_array_equal(state["value"], signed[order])
        found = np.where(signed[order] > -np.inf, order, -1)
        np.testing.assert_array_equal(state["index"], found)
