"""Division as a GPU does it: by a reciprocal, off by a unit or two in the last place."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

Divide = Callable[[jax.Array, jax.Array], jax.Array]


def by_reciprocal(number: jax.Array, size: jax.Array) -> jax.Array:
    """A number times a rounded reciprocal."""
    return number * jax.lax.optimization_barrier(jax.lax.div(jnp.ones_like(size), size))


def low(number: jax.Array, size: jax.Array) -> jax.Array:
    """The float below a quotient."""
    return jnp.nextafter(jax.lax.div(number, size), jnp.array(-jnp.inf, number.dtype))


def high(number: jax.Array, size: jax.Array) -> jax.Array:
    """The float above a quotient."""
    return jnp.nextafter(jax.lax.div(number, size), jnp.array(jnp.inf, number.dtype))


def two_high(number: jax.Array, size: jax.Array) -> jax.Array:
    """The float above that."""
    return jnp.nextafter(high(number, size), jnp.array(jnp.inf, number.dtype))


INEXACT: tuple[Divide, ...] = (by_reciprocal, low, high, two_high)


def divided_by(divide: Divide, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose divisions of floats are done in another way."""

    def run(*arguments: Any) -> Any:
        traced, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        leaves = _run(traced, divide, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), leaves)

    return run


def _run(traced: ClosedJaxpr, divide: Divide, arguments: Sequence[Any]) -> list[Any]:
    jaxpr = traced.jaxpr
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, traced.consts, strict=True))
    values |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(one: Any) -> Any:
        return one.val if isinstance(one, Literal) else values[one]

    for operation in jaxpr.eqns:
        inputs = [jnp.asarray(read(one)) for one in operation.invars]
        found = _one(operation, divide, inputs)
        values |= dict(zip(operation.outvars, found, strict=True))
    return [read(one) for one in jaxpr.outvars]


def _one(operation: Any, divide: Divide, inputs: list[Any]) -> Sequence[Any]:
    inner = next((v for v in operation.params.values() if isinstance(v, ClosedJaxpr | Jaxpr)), None)
    if isinstance(inner, ClosedJaxpr):
        return _run(inner, divide, inputs)
    if operation.primitive.name == "div" and jnp.issubdtype(inputs[0].dtype, jnp.floating):
        return [divide(*inputs)]
    found = operation.primitive.bind(*inputs, **operation.params)
    return found if operation.primitive.multiple_results else [found]
