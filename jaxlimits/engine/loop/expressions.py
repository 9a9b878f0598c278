"""Operations of JAX on single numbers, as Python writes them for a compiler."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jax.extend.core import JaxprEqn, Literal, Var

_TEXTS: Mapping[str, str] = {
    **dict.fromkeys(("add", "add_any"), "({} + {})"),
    "sub": "({} - {})",
    "mul": "({} * {})",
    "div": "({} / {})",
    "gt": "({} > {})",
    "ge": "({} >= {})",
    "lt": "({} < {})",
    "le": "({} <= {})",
    "eq": "({} == {})",
    "ne": "({} != {})",
    "and": "({} & {})",
    "or": "({} | {})",
    "neg": "(-{})",
    "abs": "abs({})",
    "pow": "({} ** {})",
    "square": "({0} * {0})",
    "not": "(not {})",
    "is_finite": "math.isfinite({})",
    "select_n": "where({0}, {2}, {1})",
    "max": "larger({}, {})",
    "min": "smaller({}, {})",
    **{name: f"math.{name}({{}})" for name in ("sqrt", "exp", "log", "log1p", "expm1")},
    **{name: f"np.{name}({{}})" for name in ("floor", "ceil")},
    **dict.fromkeys(("copy", "copy_p", "squeeze", "reshape", "broadcast_in_dim"), "{}"),
}


_KINDS = {"div": "f", "pow": "f", "not": "b"}
"""Of what types some operations must be, to mean the same in Python."""


def where(condition: bool, one: float, other: float) -> float:
    """Choose one of two values."""
    return one if condition else other


def larger(one: float, other: float) -> float:
    """Return the larger value, or NaN where either is, as XLA has it."""
    return one if (one > other) | np.isnan(one) else other


def smaller(one: float, other: float) -> float:
    """Return the smaller value, or NaN where either is, as XLA has it."""
    return one if (one < other) | np.isnan(one) else other


HELPERS = (where, larger, smaller)
"""Functions that expressions call: branches in a loop's own text take long to compile."""


def dtype_of(one: Any) -> np.dtype:
    """Return the type of a value of a program."""
    return np.dtype(one.aval.dtype)


def _shape(one: Any) -> tuple[int, ...]:
    return one.aval.shape


def has_expression(operation: JaxprEqn) -> bool:
    """Whether there is an expression for an operation."""
    name = operation.primitive.name
    is_one = all(np.prod(_shape(one)) == 1 for one in (*operation.invars, *operation.outvars))
    kind = dtype_of(operation.invars[0]).kind if operation.invars else ""
    fits = is_one and kind in _KINDS.get(name, "bif") and len(operation.invars) <= 3
    return fits and name in {*_TEXTS, *_OTHERS}


def expression(operation: JaxprEqn, names: Mapping[Var, str]) -> str:
    """Return an operation as an expression, given the names of its operands.

    Raises
    ------
    NotImplementedError
        There is none; the message names the operation.
    """
    name = operation.primitive.name
    if not has_expression(operation):
        kinds = ", ".join(str(one.aval) for one in operation.invars)
        raise NotImplementedError(f"{name} of {kinds}")
    operands = [atom(one, names) for one in operation.invars]
    if name in _OTHERS:
        return _OTHERS[name](operation, *operands)
    return _TEXTS[name].format(*operands)


def atom(one: Any, names: Mapping[Var, str]) -> str:
    """Return a value by its name, or as a number."""
    if not isinstance(one, Literal):
        return names[one]
    value = np.asarray(one.val).item()
    return f"F({float(value)!r})" if dtype_of(one).kind == "f" else repr(value)


def _converted(operation: JaxprEqn, operand: str) -> str:
    new = np.dtype(operation.params["new_dtype"])
    return f"({operand} != 0)" if new.kind == "b" else f"np.{new}({operand})"


def _power(operation: JaxprEqn, operand: str) -> str:
    """A whole power of the products of which JAX makes it."""
    power, square, product = operation.params["y"], operand, ""
    left = abs(power)
    while left:
        if left & 1:
            product = f"({product} * {square})" if product else square
        left >>= 1
        square = f"({square} * {square})"
    return f"(F(1.0) / {product})" if power < 0 else product or "F(1.0)"


_OTHERS: Mapping[str, Callable[..., str]] = {
    "convert_element_type": _converted,
    "integer_pow": _power,
}
