"""Programs of one point run at many points, operation by operation, with nothing traced again.

A program of scalars is one of columns: nearly all its operations work element by element, and take
columns as they take scalars. To map a program by ``jax.vmap`` traces each of its operations again,
which takes as long as tracing the model, for a program that is run once or twice. Here only the few
operations that do not work element by element are mapped.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun

ELEMENTWISE = frozenset(
    {
        *("abs", "add", "and", "ceil", "convert_element_type", "div", "eq", "exp", "exp2"),
        *("expm1", "floor", "ge", "gt", "integer_pow", "is_finite", "le", "log", "log1p", "lt"),
        *("max", "min", "mul", "ne", "neg", "not", "or", "pow", "rem", "select_n", "sign"),
        *("sqrt", "square", "sub"),
    }
)
"""Operations that take arrays of any one shape, as they take scalars."""


def _broadcast(column: Any, params: dict[str, Any]) -> Any:
    shape = column.shape[:1] + params["shape"]
    return lax.broadcast_in_dim(
        column, shape, [0, *(d + 1 for d in params["broadcast_dimensions"])]
    )


def _slice(column: Any, params: dict[str, Any]) -> Any:
    start, limit = (0, *params["start_indices"]), (len(column), *params["limit_indices"])
    return lax.slice(column, start, limit, (1, *(params["strides"] or [1] * (len(start) - 1))))


def _squeeze(column: Any, params: dict[str, Any]) -> Any:
    return lax.squeeze(column, [d + 1 for d in params["dimensions"]])


SHAPED = {"broadcast_in_dim": _broadcast, "slice": _slice, "squeeze": _squeeze}
"""What to do with columns of vectors where a program changes the shape of one vector."""


class Column:
    """A value at every point, as distinct from one that all points share."""

    __slots__ = ("values",)

    def __init__(self, values: Any):
        self.values = values


def at_columns(program: ClosedJaxpr, columns: Sequence[Any]) -> list[Any]:
    """Run a program of scalars on columns of one length; what it gives is columns.

    It may be differentiated: each operation is that of the program.
    """
    (size,) = {column.shape for column in columns}
    results = _run(program, [Column(column) for column in columns], size)
    return [one.values if isinstance(one, Column) else _repeated(one, size) for one in results]


def _run(program: ClosedJaxpr, given: Sequence[Any], size: tuple[int]) -> list[Any]:
    values = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    values |= dict(zip(program.jaxpr.invars, given, strict=True))

    def value(one: Any) -> Any:
        return one.val if isinstance(one, Literal) else values[one]

    for operation in program.jaxpr.eqns:
        found = _do(operation, [value(one) for one in operation.invars], size, program.jaxpr)
        values |= zip(operation.outvars, found, strict=True)
    return [value(one) for one in program.jaxpr.outvars]


def _do(
    operation: JaxprEqn, given: Sequence[Any], size: tuple[int], around: Jaxpr
) -> Sequence[Any]:
    primitive, params = operation.primitive, operation.params
    if primitive.name == "jit":
        return _run(params["jaxpr"], given, size)
    if not any(isinstance(one, Column) for one in given):
        return _alone(operation, around)(*given)
    shapes = {one.aval.shape for one in operation.invars}
    if primitive.name in ELEMENTWISE and len(shapes) == 1:
        shape = size + shapes.pop()
        return [Column(primitive.bind(*(_repeated(one, shape) for one in given), **params))]
    plain = [one.values if isinstance(one, Column) else one for one in given]
    if primitive.name in SHAPED:
        return [Column(SHAPED[primitive.name](*plain, params))]
    axes = [0 if isinstance(one, Column) else None for one in given]
    return [Column(one) for one in jax.vmap(_alone(operation, around), axes)(*plain)]


def _alone(operation: JaxprEqn, around: Jaxpr) -> Callable[..., Sequence[Any]]:
    """The function of one operation: of all that it takes, literals too."""
    names = around.debug_info.with_unknown_names()
    inputs = [Var(one.aval) for one in operation.invars]
    alone = operation.replace(invars=inputs)
    parts = {"constvars": [], "invars": inputs, "outvars": operation.outvars, "eqns": [alone]}
    return jaxpr_as_fun(ClosedJaxpr(around.replace(debug_info=names, **parts), []))


def _repeated(value: Any, size: tuple[int]) -> Any:
    if isinstance(value, Column):
        return value.values
    return jnp.broadcast_to(value, size) if isinstance(value, jax.Array) else np.full(size, value)
