"""Divisions by one number, as products with its reciprocal: a division takes as long as ten others.

A derivative by the model's program divides several times by the same time of a step, and so do
metrics. What is kept whole may then differ from what XLA computes in the last bits. What decides
something, as a comparison of times does, and what is reduced keep the divisions that they have.
"""

import collections
from collections.abc import Collection, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn, Literal, Var

from jaxlimits.engine.loop.expressions import dtype_of
from jaxlimits.engine.loop.split import Split
from jaxlimits.engine.program import Values, trace

_DECIDING = {"gt", "ge", "lt", "le", "eq", "ne", "floor", "ceil", "is_finite"}
"""Operations of which the result may be another where an operand differs in its last bit."""


def with_reciprocals(parts: Split, *, inner: Collection[int], exact: Collection[str]) -> Split:
    """Return a split program that divides less.

    Parameters
    ----------
    parts
        The program.
    inner
        Axes of a row: what differs along none of them is computed once a row.
    exact
        Results that are to have every bit.
    """
    kept = [one for name, one in parts.results.items() if name in exact]
    names = [f"{n:04}" for n in range(len(parts.given))]

    def function(values: Values) -> dict[str, Any]:
        known = dict(zip(parts.given, (values[name] for name in names), strict=True))
        run = _Run(parts.rest, known, parts.alike(inner), _decisive(parts.rest, kept))
        return {name: run.value(one) for name, one in parts.results.items()}

    types = [jax.ShapeDtypeStruct((), dtype_of(one)) for one in parts.given]
    program = trace(function, dict(zip(names, types, strict=True)))
    jaxpr = program.traced.jaxpr
    results = dict(zip(program.outputs, jaxpr.outvars, strict=True))
    return parts._replace(given=tuple(jaxpr.invars), rest=tuple(jaxpr.eqns), results=results)


def _decisive(operations: Sequence[JaxprEqn], exact: Collection[Any]) -> set[Var]:
    """What must keep its bits: whatever is compared or made whole, and what that rests on."""
    made = {operation.outvars[0]: operation for operation in operations}
    found = {one for one in exact if isinstance(one, Var)}
    for operation in reversed(operations):
        if _decides(operation):
            found |= {one for each in operation.invars for one in _deciding(each, operation, made)}
        elif operation.outvars[0] in found:
            found |= {one for one in operation.invars if isinstance(one, Var)}
    return found


def _decides(operation: JaxprEqn) -> bool:
    name = operation.primitive.name
    whole = name == "convert_element_type" and operation.params["new_dtype"] != np.bool_
    return name in _DECIDING or (whole and dtype_of(operation.outvars[0]).kind != "f")


def _deciding(one: Any, operation: JaxprEqn, made: dict[Var, JaxprEqn]) -> list[Var]:
    """Where a quotient is compared with zero its operands decide, and no bit of it."""
    if not isinstance(one, Var):
        return []
    source = made.get(one)
    with_zero = any(isinstance(each, Literal) and each.val == 0.0 for each in operation.invars)
    if with_zero and source is not None and source.primitive.name == "div":
        return [each for each in source.invars if isinstance(each, Var)]
    return [one]


class _Run:
    """Operations carried out on traced values."""

    def __init__(
        self,
        operations: Sequence[JaxprEqn],
        known: dict[Var, Any],
        constant: set[Var],
        decisive: set[Var],
    ):
        self.known = known
        self.constant = constant
        self.decisive = decisive
        self.made = {operation.outvars[0]: operation for operation in operations}
        divisors = [operation.invars[-1] for operation in operations if _divides(operation)]
        self.shared = {
            one
            for one, times in collections.Counter(filter(_is_variable, divisors)).items()
            if times > 1
        }
        for operation in operations:
            self.known[operation.outvars[0]] = self._result(operation)

    def value(self, one: Any) -> Any:
        """Return a value of the program."""
        return one.val if isinstance(one, Literal) else self.known[one]

    def _result(self, operation: JaxprEqn) -> Any:
        inputs = [self.value(one) for one in operation.invars]
        made = operation.outvars[0]
        divides = _divides(operation) and made not in self.decisive and made not in self.constant
        if divides and self._is_cheap(operation.invars[-1]):
            reciprocal = self._reciprocal(operation.invars[-1])
            if operation.primitive.name == "integer_pow":
                return lax.integer_pow(reciprocal, -operation.params["y"])
            return reciprocal if _is_one(operation.invars[0]) else lax.mul(inputs[0], reciprocal)
        parameters = operation.primitive.get_bind_params(operation.params)
        return operation.primitive.bind(*inputs, **parameters)

    def _is_cheap(self, one: Any) -> bool:
        """Whether the reciprocal of a value is known, or found without a division at a point."""
        if isinstance(one, Literal) or one in self.constant or one in self.shared:
            return True
        factors = self._factors(one)
        return bool(factors) and all(map(self._is_cheap, factors))

    def _factors(self, one: Var) -> list[Any]:
        """Return of what the reciprocal of a value is made, if it is made of others."""
        operation = self.made.get(one)
        name = "" if operation is None else operation.primitive.name
        if operation is not None and name in {"mul", "select_n"}:
            return list(operation.invars[name == "select_n" :])
        return [operation.invars[0]] if operation is not None and name == "div" else []

    def _reciprocal(self, one: Any) -> Any:
        if isinstance(one, Literal):
            return np.asarray(1.0 / np.asarray(one.val), dtype_of(one))
        if one in self.constant or one in self.shared:
            return lax.div(np.ones((), dtype_of(one)), self.value(one))
        operation = self.made[one]
        factors = [self._reciprocal(factor) for factor in self._factors(one)]
        if operation.primitive.name == "select_n":
            return lax.select_n(self.value(operation.invars[0]), *factors)
        if operation.primitive.name == "mul":
            return lax.mul(*factors)
        divisor = self.value(operation.invars[1])
        return divisor if _is_one(operation.invars[0]) else lax.mul(divisor, factors[0])


def _divides(operation: JaxprEqn) -> bool:
    power = operation.primitive.name == "integer_pow" and operation.params["y"] < 0
    return power or (
        operation.primitive.name == "div" and dtype_of(operation.invars[0]).kind == "f"
    )


def _is_variable(one: Any) -> bool:
    return isinstance(one, Var)


def _is_one(one: Any) -> bool:
    return isinstance(one, Literal) and bool(one.val == 1.0)
