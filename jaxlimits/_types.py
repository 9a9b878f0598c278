"""Types of the traced code, and numbers of any kind made numbers of one.

Everything in :mod:`jaxlimits.model` is written for one point: scalars in, a scalar out. Grids come
from :mod:`jaxlimits.engine`, which maps these functions over axes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int8

Scalar = Float[Array, ""] | float
"""One real number: a traced 0-d float array, or a Python float for callers who work by hand."""

Flag = Bool[Array, ""] | bool | np.bool_
"""One truth value."""

Code = Int8[Array, ""] | int
"""One entry of an enumeration, stored as int8."""


def as_number(value: Any) -> Any:
    """Return a number that a transformation of JAX traces, whatever kind of number it was.

    Python numbers and NumPy's become NumPy's ``float64``: a Python number would be a constant of
    each program under ``equinox.filter_jit``, which would compile again for every new one. JAX
    arrays stay, whole numbers as floats (int32 ends at 2.1e9). All else passes: what stands for a
    number, as in a tree of shapes, is not for a record to judge.
    """
    if isinstance(value, jax.Array):
        return value.astype(float) if jnp.issubdtype(value.dtype, jnp.integer) else value
    is_scalar = isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0
    if isinstance(value, int | float) or (is_scalar and value.dtype.kind in "fiu"):
        return np.float64(value)
    return value


def as_flag(value: Any) -> Any:
    """Return a Python truth value for one of NumPy's, as a comparison of numbers gives it."""
    return bool(value) if isinstance(value, np.bool_) else value


def may_exceed(number: Any, least: float) -> bool:
    """Whether a number exceeds a value, or may do so since it is traced."""
    return isinstance(number, Tracer) or not np.all(np.asarray(number) <= least)


def may_be_at_most(number: Any, most: float) -> bool:
    """Whether a number is at most a value, or may be since it is traced."""
    return isinstance(number, Tracer) or not np.all(np.asarray(number) > most)


def chosen(condition: Flag, yes: Scalar, no: Scalar) -> Scalar:
    """One of two numbers; a condition on plain numbers is decided here and is not an operation."""
    if isinstance(condition, bool | np.bool_):
        return yes if condition else no
    return jnp.where(condition, yes, no)
