"""A function of one point mapped over axes: no term is larger than the axes it depends on."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Var, jaxpr_as_fun

from jaxlimits.engine.counted import Traced
from jaxlimits.engine.program import trace
from jaxlimits.engine.sensitivity import Values


def over_axes(
    outputs: Callable[[Values], Traced], base: Values, axes: Sequence[Values]
) -> dict[str, jax.Array]:
    """Map a function of one point over axes; those of switches have length 1 and no values."""
    columns = {
        name: (column, place) for place, axis in enumerate(axes) for name, column in axis.items()
    }
    values = {**base, **{name: column for name, (column, _) in columns.items()}}
    program = trace(outputs, values)
    along = [columns[name][1] if name in columns else None for name in program.inputs]
    depends = _axes_of(program.traced.jaxpr, along)
    function: Callable[..., Any] = jaxpr_as_fun(program.traced)
    for place in reversed(range(len(axes))):
        if axes[place]:
            mapped = [0 if axis == place else None for axis in along]
            function = jax.vmap(
                function,
                in_axes=mapped,
                out_axes=[0 if place in found else None for found in depends],
            )
    arrays = function(*(values[name] for name in program.inputs))
    return {
        name: jnp.expand_dims(array, [place for place in range(len(axes)) if place not in found])
        for name, array, found in zip(program.outputs, arrays, depends, strict=True)
    }


def _axes_of(program: Jaxpr, along: Sequence[int | None]) -> list[set[int]]:
    """Axes on which each output of a program depends, given the axis along which each input varies.

    Whatever an operation returns counts as depending on all that it takes.
    """
    axes: dict[Var, set[int]] = {
        variable: set() if axis is None else {axis}
        for variable, axis in zip(program.invars, along, strict=True)
    }

    def of(inputs: Sequence[Any]) -> set[int]:
        return set().union(*(axes.get(one, set()) for one in inputs if isinstance(one, Var)))

    for operation in program.eqns:
        axes |= dict.fromkeys(operation.outvars, of(operation.invars))
    return [of([output]) for output in program.outvars]
