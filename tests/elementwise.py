"""Traced programs run by NumPy, operation by operation: at one point, or at columns of points.

Tests run hundreds of programs a few times each. To compile one takes as long as thousands of its
runs, and to map it by ``jax.vmap`` traces each of its operations again. NumPy gives the bits that
XLA gives operation by operation; functions of which that is not so, as ``exp``, and operations that
stand in few programs are left to JAX. ``.ci/run --slow`` compiles as users do.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun

from jaxlimits.engine.operations import CALLS, called

NUMPY: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "add": np.add,
    "add_any": np.add,
    "and": np.bitwise_and,
    "ceil": np.ceil,
    "div": np.divide,
    "eq": np.equal,
    "floor": np.floor,
    "ge": np.greater_equal,
    "gt": np.greater,
    "is_finite": np.isfinite,
    "le": np.less_equal,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.invert,
    "or": np.bitwise_or,
    "rem": np.fmod,
    "select_n": lambda condition, if_not, if_so: np.where(condition, if_so, if_not),
    "sqrt": np.sqrt,
    "square": np.square,
    "sub": np.subtract,
}
"""Operations that work element by element, of which NumPy gives every bit."""

ELEMENTWISE = {*NUMPY, "convert_element_type", "exp", "exp2", "expm1", "integer_pow", "log"} | {
    *("log1p", "pow", "sign", "stop_gradient")
}
"""Operations that take arrays of any one shape, as they take scalars."""


class Column:
    """A value at every point, as distinct from one that all points share."""

    __slots__ = ("values",)

    def __init__(self, values: Any):
        self.values = values


def run(program: ClosedJaxpr, given: Sequence[Any]) -> list[Any]:
    """Run a program on arrays."""
    with np.errstate(all="ignore"):
        return _run(program.jaxpr, program.consts, [np.asarray(one) for one in given], ())


def at_columns(program: ClosedJaxpr, columns: Sequence[Any]) -> list[Any]:
    """Run a program of scalars on columns of one length; what it gives is columns.

    Nearly all of its operations take columns as they take scalars; only the few that do not are
    mapped over the points.
    """
    (size,) = {column.shape for column in columns}
    with np.errstate(all="ignore"):
        given = [Column(np.asarray(column)) for column in columns]
        found = _run(program.jaxpr, program.consts, given, size)
    return [
        one.values if isinstance(one, Column) else np.broadcast_to(one, size + np.shape(one))
        for one in found
    ]


def _run(program: Jaxpr, constants: Sequence[Any], given: Sequence[Any], size: Any) -> list[Any]:
    values: dict[Var, Any] = {}
    values |= zip(program.constvars, map(np.asarray, constants), strict=True)
    values |= zip(program.invars, given, strict=True)

    def value(one: Any) -> Any:
        return np.asarray(one.val, one.aval.dtype) if isinstance(one, Literal) else values[one]

    for operation in program.eqns:
        found = _do(operation, [value(one) for one in operation.invars], size, program)
        values |= zip(operation.outvars, found, strict=True)
    return [value(one) for one in program.outvars]


def _do(operation: JaxprEqn, given: Sequence[Any], size: Any, around: Jaxpr) -> Sequence[Any]:
    name, params = operation.primitive.name, operation.params
    if name in CALLS or (name == "shard_map" and math.prod(params["mesh"].shape.values()) == 1):
        inner = called(operation)
        if isinstance(inner, ClosedJaxpr):
            return _run(inner.jaxpr, inner.consts, given, size)
        return _run(inner, (), given, size)
    has_columns = any(isinstance(one, Column) for one in given)
    plain = [one.values if isinstance(one, Column) else one for one in given]
    lead = len(size) if has_columns else 0
    if name in ELEMENTWISE:
        rank = max(len(one.aval.shape) for one in operation.invars)
        found = _elements(operation, [_of_rank(one, lead + rank, lead) for one in given])
    elif name in SHAPED:
        found = SHAPED[name](params, lead, *(_repeated(one, size[:lead]) for one in given))
    else:
        axes = [0 if isinstance(one, Column) else None for one in given]
        alone = _alone(operation, around)
        several = (jax.vmap(alone, axes) if has_columns else alone)(*plain)
        return [Column(np.asarray(one)) if has_columns else np.asarray(one) for one in several]
    return [Column(found) if has_columns else found]


def _elements(operation: JaxprEqn, operands: Sequence[Any]) -> Any:
    name, params = operation.primitive.name, operation.params
    (result,) = operation.outvars
    if name == "convert_element_type":
        return operands[0].astype(params["new_dtype"])
    if name == "stop_gradient":
        return operands[0]
    if name == "integer_pow":
        return _power(operands[0], params["y"])
    whole = name in {"div", "rem"} and result.aval.dtype.kind != "f"
    if name in NUMPY and not whole:
        return NUMPY[name](*operands)
    shape = np.broadcast_shapes(*(one.shape for one in operands))
    alike = [np.broadcast_to(one, shape) for one in operands]
    return np.asarray(operation.primitive.bind(*map(jnp.asarray, alike), **params))


def _power(x: Any, exponent: int) -> Any:
    """By multiplications, in the order of JAX."""
    if exponent < 0:
        return 1.0 / _power(x, -exponent)
    found = np.ones_like(x)
    while exponent:
        found = found * x if exponent % 2 else found
        exponent, x = exponent // 2, x * x
    return found


def _of_rank(value: Any, rank: int, lead: int) -> Any:
    """An operand with as many axes as the others; those of the points come first."""
    if not isinstance(value, Column):
        return value
    array = value.values
    return array.reshape(array.shape[:lead] + (1,) * (rank - array.ndim) + array.shape[lead:])


def _repeated(value: Any, size: tuple[int, ...]) -> Any:
    if isinstance(value, Column):
        return value.values
    return np.broadcast_to(value, size + np.shape(value)) if size else value


def _broadcast(params: Any, lead: int, array: Any) -> Any:
    shape = [1] * len(params["shape"])
    for place, length in zip(params["broadcast_dimensions"], array.shape[lead:], strict=True):
        shape[place] = length
    before = array.shape[:lead]
    return np.broadcast_to(array.reshape(*before, *shape), (*before, *params["shape"]))


def _slice(params: Any, lead: int, array: Any) -> Any:
    strides = params["strides"] or [1] * len(params["start_indices"])
    each = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return array[(slice(None),) * lead + tuple(slice(*one) for one in each)]


def _sum(params: Any, lead: int, array: Any) -> Any:
    """Element after element, as XLA adds."""
    axes = [lead + axis for axis in params["axes"]]
    array = np.moveaxis(array, axes, range(len(axes)))
    rows = array.reshape(-1, *array.shape[len(axes) :])
    total = np.zeros(rows.shape[1:], array.dtype)
    for row in rows:
        total = total + row
    return total


def _over(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda params, lead, array: ufunc.reduce(
        array, axis=tuple(lead + axis for axis in params["axes"])
    )


def _joined(params: Any, lead: int, *arrays: Any) -> Any:
    return np.concatenate(arrays, lead + params["dimension"])


SHAPED: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": _joined,
    "reduce_and": _over(np.logical_and),
    "reduce_max": _over(np.maximum),
    "reduce_min": _over(np.minimum),
    "reduce_or": _over(np.logical_or),
    "reduce_sum": _sum,
    "reshape": lambda params, lead, array: array.reshape(
        array.shape[:lead] + tuple(params["new_sizes"])
    ),
    "slice": _slice,
    "squeeze": lambda params, lead, array: np.squeeze(
        array, tuple(lead + axis for axis in params["dimensions"])
    ),
    "transpose": lambda params, lead, array: np.transpose(
        array, [*range(lead), *(lead + axis for axis in params["permutation"])]
    ),
}
"""Operations that change the shape of arrays."""


def _alone(operation: JaxprEqn, around: Jaxpr) -> Callable[..., Sequence[Any]]:
    """The function of one operation: of all that it takes, literals too."""
    names = around.debug_info.with_unknown_names()
    inputs = [Var(one.aval) for one in operation.invars]
    alone = operation.replace(invars=inputs)
    parts = {"constvars": [], "invars": inputs, "outvars": operation.outvars, "eqns": [alone]}
    return jaxpr_as_fun(ClosedJaxpr(around.replace(debug_info=names, **parts), []))
