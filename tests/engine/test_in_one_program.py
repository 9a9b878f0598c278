"""The arrangement of accelerators, run on a CPU: the same answers as the CPU's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlimits.engine import kernel
from jaxlimits.engine.bins import _counted_apart, _counted_at_once
from jaxlimits.engine.chunk_sizes import points_on_accelerator
from jaxlimits.engine.reductions.argmax import _best_along, _best_of_rows
from jaxlimits.engine.reductions.frontier import _beaten_by_any, _beaten_by_each, _Points
from jaxlimits.engine.reductions.top import _top_of_groups
from jaxlimits.run.pipeline import sweep

GRID = {
    "base": {"chip": "h200", "llm": "llama3-70b"},
    "axes": {
        "tp_size": [2, 4, 8],
        "batch_size": [1, 8, 64, 512],
        "mem_bw": {"geometric": ["1 TB/s", "30 TB/s"], "num": 17},
        "sync_latency": {"geometric": ["0.1 us", "20 us"], "num": 9},
    },
    "outputs": ["stps"],
    "reduce": {
        "best": {"op": "argmax", "of": "stps", "over": ["tp_size", "batch_size"]},
        "speeds": {
            "op": "histogram",
            "of": "utps",
            "first": "1 token/s",
            "last": "100000 token/s",
            "bins": 50,
        },
        "fastest": {"op": "top", "of": "utps", "k": 20},
        "mean": {"op": "mean", "of": "utps", "over": ["batch_size"]},
        "codes": {"op": "count", "of": "limit"},
        "frontier": {"op": "frontier", "of": ["utps", "stps"]},
        "spread": {"op": "std", "of": "utps"},
    },
}


def numbers(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Few different values, so that there are equals, and some NaN."""
    generator = np.random.default_rng(seed)
    values = generator.integers(-3, 4, shape).astype(np.float32)
    return np.where(generator.random(shape) < 0.1, np.float32(np.nan), values)


def test_a_sweep_in_one_program_gives_what_two_give(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = sweep(GRID)
    monkeypatch.setattr(kernel, "in_one_program", lambda _mesh: True)
    together = sweep(GRID)
    assert set(together.variables) == set(apart.variables)
    for name, variable in apart.variables.items():
        if variable.dtype.kind == "f":
            np.testing.assert_allclose(together[name], variable, rtol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(together[name], variable, err_msg=name)


@given(seed=st.integers(0, 10_000), over=st.sampled_from([(0,), (1, 2), (0, 2), (2, 0), (1,)]))
def test_pairs_are_reduced_to_the_first_largest(seed: int, over: tuple[int, ...]) -> None:
    metric = jnp.asarray(numbers(seed, (3, 5, 7)))
    kept = tuple(axis for axis in range(3) if axis not in over)
    rows = metric.transpose(*kept, *over).reshape(int(np.prod([metric.shape[k] for k in kept])), -1)
    value, index = _best_along(metric, over)
    expected, place = _best_of_rows(rows)
    np.testing.assert_array_equal(value, expected)
    found = np.isfinite(expected)
    np.testing.assert_array_equal(np.asarray(index)[found], np.asarray(place)[found])


@given(seed=st.integers(0, 10_000), rows=st.sampled_from([1, 2, 7]))
def test_counters_in_copies_count_alike(seed: int, rows: int) -> None:
    slots = jnp.asarray(np.random.default_rng(seed).integers(0, 9, (rows, 501)), jnp.int32)
    np.testing.assert_array_equal(_counted_apart(slots, 9), _counted_at_once(slots, 9))


@given(seed=st.integers(0, 10_000), k=st.sampled_from([1, 3, 20]))
def test_groups_of_any_length_hold_the_largest(seed: int, k: int) -> None:
    rows = jnp.nan_to_num(jnp.asarray(numbers(seed, (1, 1200))), nan=-jnp.inf)
    expected, place = jax.lax.top_k(rows, k)
    for lengths in ([4, 20, 100], [5], [1200], [7]):
        value, index = _top_of_groups(rows, k=k, lengths=lengths)
        np.testing.assert_array_equal(value, expected)
        np.testing.assert_array_equal(index, place)


@given(seed=st.integers(0, 10_000))
def test_leaders_beat_at_once_what_they_beat_in_turn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    metrics = jnp.asarray(generator.integers(0, 5, (2, 40)), jnp.float32)
    points = _Points(metrics, jnp.arange(40, dtype=jnp.int32))
    leaders = points.at(jnp.asarray(generator.integers(0, 40, 6), jnp.int32))
    np.testing.assert_array_equal(_beaten_by_any(points, leaders), _beaten_by_each(points, leaders))


def test_a_chunk_on_an_accelerator_has_an_index_of_32_bits() -> None:
    assert points_on_accelerator(12, stored=0, limit=1e15) == 1 << 30
    assert points_on_accelerator(16, stored=4, limit=141e9) == (512 << 20) // 4
    assert points_on_accelerator(12, stored=0, limit=1e9) == int(0.2 * 1e9 / 12)
