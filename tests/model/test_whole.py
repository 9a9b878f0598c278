"""Quotients of whole numbers where division is off in the last place, as on a GPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlimits.model.attention import chunked, windowed
from jaxlimits.model.topology import group_levels, mesh_sides
from jaxlimits.model.whole import ceil_quotient, divides, floor_quotient, quotient
from tests.helpers import named_scenario
from tests.inexact import INEXACT, by_reciprocal, divided_by

inexactly = pytest.mark.parametrize("divide", INEXACT, ids=lambda divide: divide.__name__)
DTYPES = [np.float32, np.float64]


def pairs():
    """Every number up to 4096 by every size up to 300; large numbers by sizes that occur."""
    small = np.meshgrid(np.arange(4097), np.arange(1, 301), indexing="ij")
    drawn = np.random.default_rng(7)
    sizes = np.array([3, 7, 12, 60, 72, 100, 127, 128, 1000, 4096, 8192])
    large = np.meshgrid(drawn.integers(0, 1 << 23, 20_000), sizes, indexing="ij")
    numbers, sizes = (
        np.concatenate([one.ravel(), other.ravel()])
        for one, other in zip(small, large, strict=True)
    )
    multiples = (numbers % (1 << 14)) * sizes  # whole quotients, where an error shows
    fits = multiples < 1 << 23
    return np.concatenate([numbers, multiples[fits]]), np.concatenate([sizes, sizes[fits]])


def at_each(function, divide, dtype):
    numbers, sizes = pairs()
    with jax.enable_x64(dtype is np.float64):
        found = divided_by(divide, jax.vmap(function))(
            jnp.asarray(numbers, dtype), jnp.asarray(sizes, dtype)
        )
    return np.asarray(found), numbers, sizes


def wrongly(number, size):
    return jnp.ceil(number / size)


def test_a_ceiling_of_a_quotient_is_wrong_where_division_is_inexact():
    found, numbers, sizes = at_each(wrongly, by_reciprocal, np.float32)
    assert (found != -(-numbers // sizes)).sum() > 1000


@inexactly
@pytest.mark.parametrize("dtype", DTYPES)
def test_floors_and_ceilings_of_whole_numbers_are_right(divide, dtype):
    for function, expected in (
        (floor_quotient, lambda a, b: a // b),
        (ceil_quotient, lambda a, b: -(-a // b)),
        (lambda a, b: divides(b, a), lambda a, b: a % b == 0),
    ):
        found, numbers, sizes = at_each(function, divide, dtype)
        np.testing.assert_array_equal(found, expected(numbers, sizes))


@inexactly
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_whole_quotient_is_exact_and_another_as_near_as_it_was(divide, dtype):
    found, numbers, sizes = at_each(quotient, divide, dtype)
    whole = (numbers % sizes == 0) & (numbers // sizes < 1 << 21)  # two units there are a half
    np.testing.assert_array_equal(found[whole], numbers[whole] // sizes[whole])
    np.testing.assert_allclose(found, numbers / sizes, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_division_is_exact_no_bit_changes(dtype):
    # Real numbers too: fields may be swept by factors.
    drawn = np.random.default_rng(11)
    numbers = drawn.uniform(0.1, 1e4, 200_000).astype(dtype)
    sizes = (numbers / drawn.integers(1, 400, 200_000)).astype(dtype)  # near whole quotients
    numbers[::2], sizes[::2] = np.round(numbers[::2]), np.round(sizes[::2]).clip(1)
    with jax.enable_x64(dtype is np.float64):
        found = jax.jit(jax.vmap(quotient))(numbers, sizes)
    assert np.asarray(found).tobytes() == (numbers / sizes).tobytes()


def test_a_quotient_has_the_derivatives_of_one():
    at = jax.grad(quotient, argnums=(0, 1))
    np.testing.assert_allclose(at(8.0, 2.0), (0.5, -2.0))
    np.testing.assert_allclose(at(7.0, 2.0), (0.5, -1.75))
    assert jax.grad(floor_quotient)(7.0, 2.0) == 0.0


def test_a_size_of_none_or_without_end_gives_what_a_quotient_gives():
    assert ceil_quotient(jnp.float32(8.0), jnp.float32(0.0)) == np.inf
    assert ceil_quotient(jnp.float32(8.0), jnp.float32(np.inf)) == 0.0
    assert quotient(jnp.float32(8.0), jnp.float32(np.inf)) == 0.0


# In the model: whatever jumps where a quotient is whole.


@inexactly
@pytest.mark.parametrize("topology", ["rail", "mesh-2d", "torus-2d", "torus-3d"])
def test_levels_of_a_network_are_whole_where_chips_fill_them(divide, topology):
    point = named_scenario("llama3-70b", "h100", topology=topology, scale_out_bw=1e9)

    def sizes(size, scale_up, rows):
        chip = point.but(scale_up_size=8.0).chip
        chip = type(chip)(**{**chip.__dict__, "scale_up_size": scale_up})
        deployment = type(point.deployment)(**{**point.deployment.__dict__, "mesh_rows": rows})
        if topology == "rail":
            levels = group_levels(chip, deployment, size=size, chips=size, latency=1e-6)
            return tuple(level.size for level in levels)
        return mesh_sides(deployment, size=size)

    number, up = np.meshgrid(np.arange(1, 513), [1, 3, 5, 6, 7, 12, 60, 72, 100], indexing="ij")
    arguments = [jnp.asarray(one.ravel(), jnp.float32) for one in (number, up, up)]
    exact = jax.vmap(sizes)(*arguments)
    found = divided_by(divide, jax.vmap(sizes))(*arguments)
    for one, other in zip(found, exact, strict=True):
        whole = np.asarray(other) == np.floor(other)
        np.testing.assert_array_equal(np.asarray(one)[whole], np.asarray(other)[whole])
        np.testing.assert_allclose(one, other, rtol=1e-6)


@inexactly
def test_chunks_of_a_prompt_are_counted_right(divide):
    point = named_scenario("llama3-8b", "h100")

    def tokens(length, size):
        llm = type(point.llm)(
            **{**point.llm.__dict__, "attention_chunk_size": size, "sliding_window": length}
        )
        deployment = type(point.deployment)(
            **{**point.deployment.__dict__, "seq_len": 4.0 * length, "query_tokens": size}
        )
        return chunked.causal_pairs(llm, deployment), windowed.prefill_read(llm, deployment)

    multiples, size = np.meshgrid(np.arange(1, 65), [3, 7, 60, 127, 1000], indexing="ij")
    arguments = [jnp.asarray(x.ravel(), jnp.float32) for x in (multiples * size, size)]
    exact = jax.vmap(tokens)(*arguments)
    found = divided_by(divide, jax.vmap(tokens))(*arguments)
    for one, other in zip(found, exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-6)
    np.testing.assert_array_equal(found[0], exact[0])
