"""Programs of one point: traced once, without what no output needs, and with nothing twice.

A question asks for few of the metrics, and the derivatives of one metric by several fields share
most of their operations. What JAX traces it keeps, though: each operation is traced again for every
axis over which a program is mapped, and handed to the compiler, which then removes it. Here it is
removed first. No operation changes, and none moves.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun

Numbers = jax.Array | np.ndarray
"""What a compiled function is given: NumPy arrays outside ``jit``, tracers inside it."""

Values = Mapping[str, jax.Array]

Types = Mapping[str, jax.Array | jax.ShapeDtypeStruct]
"""Scalars by name of which only the types count."""

FEW = 1024
"""Points up to which a program takes longer to compile than to run, fused or not."""

UNFUSED = {"xla_disable_hlo_passes": "fusion"}
"""Options of the compiler for a program of few points on a CPU.

Fused, an operation is compiled again in each kernel that reads its result. That pays over the many
points of a grid; here it makes a program two to five times as slow to compile.
"""


class Program(NamedTuple):
    """A function from named scalars to named scalars, as a list of operations.

    Parameters
    ----------
    traced
        The operations.
    inputs, outputs
        Names of what it takes and gives, in order.
    """

    traced: ClosedJaxpr
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __call__(self, values: Values) -> dict[str, jax.Array]:
        """Run the operations on values, or trace them again."""
        found = jaxpr_as_fun(self.traced)(*(values[name] for name in self.inputs))
        # A result that does not depend on any input is no array yet where no operation gives it.
        return dict(zip(self.outputs, map(jnp.asarray, found), strict=True))

    def only(self, names: Iterable[str]) -> "Program":
        """The program of some of its outputs."""
        outputs = tuple(sorted(set(names)))
        places = [self.outputs.index(name) for name in outputs]
        jaxpr = self.traced.jaxpr
        wanted = [jaxpr.outvars[place] for place in places]
        return Program(_closed(self.traced, jaxpr.eqns, wanted), self.inputs, outputs)


def trace(function: Callable[[Values], Mapping[str, Any]], values: Types) -> Program:
    """Trace a function once.

    Parameters
    ----------
    function
        From named scalars to named scalars.
    values
        Scalars, or their shapes and types.
    """
    shapes = {name: jax.ShapeDtypeStruct((), value.dtype) for name, value in values.items()}
    traced, result = jax.make_jaxpr(function, return_shape=True)(shapes)
    jaxpr = traced.jaxpr
    operations, outputs = _merged(jaxpr)
    program = _closed(traced, operations, outputs)
    return Program(program, tuple(sorted(values)), tuple(sorted(result)))


def _closed(
    traced: ClosedJaxpr, operations: Iterable[JaxprEqn], outputs: Iterable[Any]
) -> ClosedJaxpr:
    """The program of so many operations without those that its outputs do not need."""
    outputs = list(outputs)
    needed = _needed(list(operations), outputs)
    names = traced.jaxpr.debug_info.with_unknown_names()
    jaxpr = traced.jaxpr.replace(eqns=needed, outvars=outputs, debug_info=names)
    return ClosedJaxpr(jaxpr, traced.consts)


def _needed(operations: list[JaxprEqn], outputs: list[Any]) -> list[JaxprEqn]:
    """Operations of which an output needs a result, in their order."""
    wanted = {one for one in outputs if isinstance(one, Var)}
    kept = []
    for operation in reversed(operations):
        if operation.effects or not wanted.isdisjoint(operation.outvars):
            wanted |= {one for one in operation.invars if isinstance(one, Var)}
            kept.append(operation)
    return kept[::-1]


def _merged(jaxpr: Jaxpr) -> tuple[list[JaxprEqn], list[Any]]:
    """The operations without those that do again what an earlier one did; and the outputs."""
    first: dict[Any, JaxprEqn] = {}
    same: dict[Var, Var] = {}
    kept = []

    def original(one: Any) -> Any:
        return one if isinstance(one, Literal) else same.get(one, one)

    for equation in jaxpr.eqns:
        operation = equation.replace(invars=[original(one) for one in equation.invars])
        key = _key(operation)
        earlier = first.setdefault(key, operation)
        if earlier is operation:
            kept.append(operation)
        else:
            same |= dict(zip(operation.outvars, earlier.outvars, strict=True))
    return kept, [original(one) for one in jaxpr.outvars]


def _key(operation: JaxprEqn) -> Any:
    """What two operations share that give the same results; the operation itself where in doubt."""
    inputs = tuple(
        # By its bytes, which tell 0 from -0 and a NaN from none.
        (one.aval, np.asarray(one.val).tobytes()) if isinstance(one, Literal) else one
        for one in operation.invars
    )
    key = (operation.primitive, inputs, tuple(sorted(operation.params.items(), key=_by_name)))
    try:
        hash(key)
    except TypeError:
        return id(operation)
    return id(operation) if operation.effects else key


def _by_name(parameter: tuple[str, Any]) -> str:
    return parameter[0]
