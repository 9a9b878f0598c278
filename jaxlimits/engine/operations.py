"""A traced program as one flat list of operations on numbers, for translation to other languages.

Calls within calls are laid open, what is computed twice is computed once, and what no output needs
is left out. A value is a scalar or a vector: an array of one element counts as a scalar, and a
scalar that is repeated along an axis stays a scalar, since each operation repeats it by itself.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from jaxlimits.engine.program import Program

Place = int
"""Where a value stands in the list."""


class Operation(NamedTuple):
    """One operation.

    Parameters
    ----------
    name
        What it does: the name of a primitive of JAX, or ``input``, ``constant``, ``element`` (of a
        vector), ``number`` (of a truth value), ``same`` and ``differ`` (of two truth values),
        ``mantissa`` and ``exponent`` (of ``frexp``).
    operands
        Places of what it works on.
    lanes
        Elements of its result; 0 for a scalar.
    setting
        The name of an input, the value of a constant, the power of ``integer_pow``, the place of an
        ``element``, the terms of a ``dot``.
    """

    name: str
    operands: tuple[Place, ...] = ()
    lanes: int = 0
    setting: Any = None


class Flat(NamedTuple):
    """A program as a list of operations, each after its operands.

    Parameters
    ----------
    operations
        The operations.
    outputs
        Places of the results, by name.
    """

    operations: tuple[Operation, ...]
    outputs: Mapping[str, Place]


ELEMENTWISE = frozenset(
    {"add", "sub", "mul", "div", "max", "min", "rem", "pow", "neg", "abs", "floor", "sqrt", "exp"}
    | {"log", "log1p", "expm1", "gt", "ge", "lt", "le", "eq", "ne", "and", "or", "not"}
)
"""Primitives that treat each element alike and have no settings."""

CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call")
_OF_TRUTHS = {"eq": "same", "ne": "differ"}
_SAME = ("squeeze", "stop_gradient", "copy", "copy_p")
"""Primitives that change no number."""


def called(equation: JaxprEqn) -> ClosedJaxpr | Jaxpr:
    """Return what a call of one of :data:`CALLS` runs."""
    parameters = equation.params
    return parameters["jaxpr"] if "jaxpr" in parameters else parameters["call_jaxpr"]


def flatten(program: Program) -> Flat:
    """Lay a program open.

    Parameters
    ----------
    program
        From named scalars to named scalars.

    Raises
    ------
    NotImplementedError
        A primitive, or a shape, that has no translation; the message names it.
    """
    listed = _List()
    inputs = [listed.add(Operation("input", setting=name)) for name in program.inputs]
    results = _run(program.traced, inputs, listed)
    return _needed(listed.operations, dict(zip(program.outputs, results, strict=True)))


class _List:
    """The operations so far; one that is there already is not added again."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._places: dict[tuple[Any, ...], Place] = {}

    def add(self, operation: Operation) -> Place:
        """Return the place of an operation."""
        # By representation: 0 is not -0, 1 is not True, and a NaN is itself.
        key = (*operation[:3], repr(operation.setting))
        if key not in self._places:
            self._places[key] = len(self.operations)
            self.operations.append(operation)
        return self._places[key]

    def constant(self, value: Any) -> Place:
        """Return the place of a constant, which is one number."""
        numbers = np.unique(np.asarray(value))
        if numbers.size != 1:
            raise NotImplementedError(f"a constant of shape {np.shape(value)} has no translation")
        return self.add(Operation("constant", setting=numbers[0].item()))

    def widest(self, operands: Sequence[Place]) -> int:
        """Return the elements of what is computed of some operands."""
        return max((self.operations[place].lanes for place in operands), default=0)


def _run(closed: ClosedJaxpr | Jaxpr, inputs: Sequence[Place], listed: _List) -> list[Place]:
    """Add the operations of a program; return the places of its results."""
    is_closed = isinstance(closed, ClosedJaxpr)
    jaxpr, consts = (closed.jaxpr, closed.consts) if is_closed else (closed, ())
    places: dict[Any, Place] = dict(zip(jaxpr.invars, inputs, strict=True))
    places |= zip(jaxpr.constvars, map(listed.constant, consts), strict=True)

    def place(one: Any) -> Place:
        return listed.constant(one.val) if isinstance(one, Literal) else places[one]

    for equation in jaxpr.eqns:
        operands = tuple(place(one) for one in equation.invars)
        results = _translated(equation, operands, listed)
        places |= zip(equation.outvars, results, strict=True)
    return [place(one) for one in jaxpr.outvars]


def _translated(equation: JaxprEqn, operands: tuple[Place, ...], listed: _List) -> list[Place]:
    name, parameters = equation.primitive.name, equation.params
    if name in CALLS:
        if parameters.get("name") == "frexp":  # its bits would need whole numbers of 64 bits
            return [listed.add(Operation(part, operands)) for part in ("mantissa", "exponent")]
        return _run(called(equation), operands, listed)
    if name in _SAME:
        return [operands[0]]
    kinds = {_kind(one) for one in equation.invars}
    if name in _OF_TRUTHS and kinds == {"b"}:
        return [listed.add(Operation(_OF_TRUTHS[name], operands, listed.widest(operands)))]
    if name in ELEMENTWISE and not (name in ("and", "or", "not") and kinds != {"b"}):
        return [listed.add(Operation(name, operands, listed.widest(operands)))]
    if name in _OTHERS:
        return [_OTHERS[name](equation, operands, listed)]
    types = ", ".join(str(one.aval) for one in equation.invars)
    raise NotImplementedError(f"the primitive {name} of {types} has no translation")


def _shape(one: Any) -> tuple[int, ...]:
    return one.aval.shape


def _kind(one: Any) -> str:
    """The kind of a value by NumPy's letter: b, i, u, f."""
    return np.dtype(one.aval.dtype).kind


def _select(_: JaxprEqn, operands: tuple[Place, ...], listed: _List) -> Place:
    if len(operands) != 3:
        raise NotImplementedError(f"select_n of {len(operands) - 1} cases has no translation")
    return listed.add(Operation("select_n", operands, listed.widest(operands)))


def _convert(equation: JaxprEqn, operands: tuple[Place, ...], listed: _List) -> Place:
    old, new = (_kind(one) for one in (*equation.invars, *equation.outvars))
    if old == new or (old in "iu" and new in "iuf"):
        return operands[0]
    if old == "b":
        return listed.add(Operation("number", operands, listed.widest(operands)))
    raise NotImplementedError(f"convert_element_type from {old!r} to {new!r} has no translation")


def _power(equation: JaxprEqn, operands: tuple[Place, ...], listed: _List) -> Place:
    power = equation.params["y"]
    return listed.add(Operation("integer_pow", operands, listed.widest(operands), power))


def _repeat(equation: JaxprEqn, operands: tuple[Place, ...], listed: _List) -> Place:
    if listed.widest(operands) and _shape(equation.outvars[0]) != _shape(equation.invars[0]):
        raise NotImplementedError("broadcast_in_dim of a vector has no translation")
    return operands[0]


def _count(equation: JaxprEqn, _: tuple[Place, ...], listed: _List) -> Place:
    (lanes,) = equation.params["shape"]
    return listed.add(Operation("iota", (), lanes))


def _element(equation: JaxprEqn, operands: tuple[Place, ...], listed: _List) -> Place:
    if math.prod(_shape(equation.outvars[0])) != 1:
        raise NotImplementedError("slice of several elements has no translation")
    if not listed.widest(operands):
        return operands[0]
    (start,) = equation.params["start_indices"]
    return listed.add(Operation("element", operands, 0, start))


def _dot(equation: JaxprEqn, operands: tuple[Place, ...], listed: _List) -> Place:
    if _shape(equation.outvars[0]) or any(len(_shape(one)) > 1 for one in equation.invars):
        raise NotImplementedError("dot_general of matrices has no translation")
    (terms,) = _shape(equation.invars[0])
    return listed.add(Operation("dot", operands, 0, terms))


_OTHERS: Mapping[str, Callable[[JaxprEqn, tuple[Place, ...], _List], Place]] = {
    "select_n": _select,
    "convert_element_type": _convert,
    "integer_pow": _power,
    "broadcast_in_dim": _repeat,
    "iota": _count,
    "slice": _element,
    "dot_general": _dot,
}


def _needed(operations: Sequence[Operation], outputs: Mapping[str, Place]) -> Flat:
    """The operations on which an output rests, numbered anew."""
    wanted = set(outputs.values())
    for place in reversed(range(len(operations))):
        if place in wanted:
            wanted |= set(operations[place].operands)
    kept = sorted(wanted)
    new = {old: place for place, old in enumerate(kept)}
    moved = (
        operations[old]._replace(operands=tuple(new[one] for one in operations[old].operands))
        for old in kept
    )
    return Flat(tuple(moved), {name: new[place] for name, place in outputs.items()})
