"""The program of a point in two: what rests on few axes, and what differs at nearly every point."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

from jaxlimits.engine.counted import USABLE
from jaxlimits.engine.loop.expressions import has_expression
from jaxlimits.engine.operations import CALLS, called
from jaxlimits.engine.program import Program, Types, Values, trace
from jaxlimits.engine.sensitivity import Static, outputs_at
from jaxlimits.grid.rules import Rules

_SHARE = 16
"""What has fewer points than this part of a chunk, or of its rows, is left to XLA."""

_STRANGE = 1 << 16
"""Points up to which XLA does as well what a loop cannot have, and what that rests on."""


class Split(NamedTuple):
    """A program in two parts.

    Parameters
    ----------
    few
        Computes what the rest needs, from the numbers of a point.
    along
        On which axes each of its outputs depends, in their order.
    given
        Its outputs as the rest knows them.
    rest
        The remaining operations.
    results
        What both parts give together, by name.
    """

    few: Program
    along: tuple[frozenset[int], ...]
    given: tuple[Var, ...]
    rest: tuple[JaxprEqn, ...]
    results: Mapping[str, Var | Literal]

    def alike(self, inner: Collection[int]) -> set[Any]:
        """Return what differs along none of some axes, the axes of a row."""
        pairs = zip(self.given, self.along, strict=True)
        found: set[Any] = {one for one, along in pairs if along.isdisjoint(inner)}
        for operation in self.rest:
            if all(isinstance(one, Literal) or one in found for one in operation.invars):
                found |= {*operation.outvars}
        return found


def split(
    types: Types,
    along: Mapping[str, int],
    lengths: Sequence[int],
    *,
    inner: Collection[int],
    names: Sequence[str],
    static: Static,
    rules: Rules,
) -> Split:
    """Split the program of a point, which gives metrics and where they are usable.

    Parameters
    ----------
    types, static, rules
        Of the point.
    along
        The axis of each number that varies.
    lengths
        Of the axes, in a chunk.
    inner
        Axes of a row; what differs along none of them is left to the loop. None, and that is left
        to XLA as well.
    names
        The metrics.
    """

    def point(values: Values) -> dict[str, Any]:
        wanted = {*names, "feasible", *(budget.of for budget in rules.budgets)}
        found = outputs_at(values, static, wanted, rules=rules)
        usable = found["feasible"]
        for budget in rules.budgets:
            usable = usable & budget.keeps(found[budget.of])
        return {**{name: found[name] for name in names}, USABLE: usable}

    program = trace(opened(trace(point, types)), types)
    jaxpr = program.traced.jaxpr
    axes: dict[Any, frozenset[int]] = {
        one: frozenset({along[name]} if name in along else ())
        for one, name in zip(jaxpr.invars, program.inputs, strict=True)
    }
    rows = math.prod(size for axis, size in enumerate(lengths) if axis not in inner)
    for operation in jaxpr.eqns:
        found = (axes.get(one, frozenset()) for one in operation.invars if isinstance(one, Var))
        axes |= dict.fromkeys(operation.outvars, frozenset().union(*found))
    few: list[JaxprEqn] = []
    rest: list[JaxprEqn] = []
    left: set[Any] = set()  # what XLA needs for what it computes
    for operation in reversed(jaxpr.eqns):
        on = axes[operation.outvars[0]]
        points = math.prod(lengths[axis] for axis in on)
        once_a_row = on.isdisjoint(inner) and has_expression(operation)
        strange = points <= _STRANGE and not has_expression(operation)
        whole = rows if once_a_row else math.prod(lengths)
        if _SHARE * points <= whole or strange or not left.isdisjoint(operation.outvars):
            left |= {one for one in operation.invars if isinstance(one, Var)}
            few.insert(0, operation)
        else:
            rest.insert(0, operation)
    needed = [*(one for operation in rest for one in operation.invars), *jaxpr.outvars]
    own = {one for operation in rest for one in operation.outvars}
    given = dict.fromkeys(one for one in needed if isinstance(one, Var) and one not in own)
    return Split(
        few=_program(program, few, tuple(given)),
        along=tuple(axes.get(one, frozenset()) for one in given),
        given=tuple(given),
        rest=tuple(rest),
        results=dict(zip(program.outputs, jaxpr.outvars, strict=True)),
    )


def _program(program: Program, operations: list[JaxprEqn], outputs: tuple[Var, ...]) -> Program:
    """Some of the operations, with the inputs alone that they take: passing each takes time."""
    jaxpr = program.traced.jaxpr
    operands = (one for operation in operations for one in operation.invars)
    taken = {*outputs, *(one for one in operands if isinstance(one, Var))}
    inputs = {
        name: one for name, one in zip(program.inputs, jaxpr.invars, strict=True) if one in taken
    }
    names = jaxpr.debug_info.with_unknown_names()
    ends = {"invars": list(inputs.values()), "outvars": list(outputs), "debug_info": names}
    closed = ClosedJaxpr(jaxpr.replace(eqns=operations, **ends), program.traced.consts)
    return Program(closed, tuple(inputs), tuple(f"{n:04}" for n in range(len(outputs))))


def opened(program: Program) -> Any:
    """Return the same function, without calls of functions in it."""

    def function(values: Values) -> dict[str, Any]:
        found = _run(program.traced, [values[name] for name in program.inputs])
        return dict(zip(program.outputs, found, strict=True))

    return function


def _run(closed: ClosedJaxpr | Jaxpr, values: Sequence[Any]) -> list[Any]:
    is_closed = isinstance(closed, ClosedJaxpr)
    jaxpr, consts = (closed.jaxpr, closed.consts) if is_closed else (closed, ())
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *values), strict=True))

    def value(one: Any) -> Any:
        return one.val if isinstance(one, Literal) else known[one]

    for operation in jaxpr.eqns:
        inputs = [value(one) for one in operation.invars]
        if operation.primitive.name in CALLS:
            found = _run(called(operation), inputs)
        else:
            parameters = operation.primitive.get_bind_params(operation.params)
            found = operation.primitive.bind(*inputs, **parameters)
            found = found if operation.primitive.multiple_results else [found]
        known |= zip(operation.outvars, found, strict=True)
    return [value(one) for one in jaxpr.outvars]
