r"""Quotients of whole numbers that are right on every device.

A GPU divides in single precision by multiplying with a reciprocal, which may be off by a unit or
two in the last place: 180/60 comes out as a hair more than 3 and its ceiling as 4. A product of
whole numbers has no such error up to :math:`2^{24}`, so that a product tells whether a quotient is
right. Where division rounds correctly, as on a CPU, nothing changes, not a bit.
"""

import jax
import jax.numpy as jnp

from jaxlimits._types import Flag, Scalar


def quotient(number: Scalar, size: Scalar) -> Scalar:
    """A quotient that is exact where both numbers and it are whole.

    Its derivatives are those of a quotient.
    """
    divided = number / size
    nearest = jnp.round(divided)
    # Not of real numbers: a product of theirs that rounds to the number proves nothing.
    exact = (nearest * size == number) & _is_whole(number) & _is_whole(size)
    return divided + jax.lax.stop_gradient(jnp.where(exact, nearest - divided, 0.0))


def floor_quotient(number: Scalar, size: Scalar) -> Scalar:
    r"""How often a size is contained in a number: :math:`\lfloor a/b \rfloor` [1]."""
    divided = jnp.floor(number / size)
    more = jnp.where((divided + 1.0) * size <= number, 1.0, 0.0)
    return divided + more - jnp.where(divided * size > number, 1.0, 0.0)


def ceil_quotient(number: Scalar, size: Scalar) -> Scalar:
    r"""The fewest sizes that hold a number: :math:`\lceil a/b \rceil` [1]."""
    divided = jnp.ceil(number / size)
    more = jnp.where(divided * size < number, 1.0, 0.0)
    return divided + more - jnp.where((divided - 1.0) * size >= number, 1.0, 0.0)


def divides(size: Scalar, number: Scalar) -> Flag:
    """Whether a number is a whole multiple of a size."""
    return floor_quotient(number, size) * size == number


def _is_whole(number: Scalar) -> Flag:
    return jnp.floor(number) == number
