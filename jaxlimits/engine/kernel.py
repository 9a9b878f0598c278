"""The kernel: the model mapped over the axes of a grid, in one compiled program.

One nested ``vmap`` an axis keeps every term as small as the axes it depends on: the weights of an
LLM are computed once a model, not once a point. Axes arrive as arrays, so that a grid of the same
shape compiles once.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxlimits.engine.reduce import Reduction, Traced
from jaxlimits.model.evaluate import evaluate
from jaxlimits.model.fields import quantities
from jaxlimits.schema import RECORDS, SCALE_SUFFIX

Values = Mapping[str, ArrayLike]
Static = tuple[tuple[str, str | bool], ...]

_NO_CODE = -128


def assemble(values: Values, static: Static) -> tuple:
    """Build the records of one point from the values of their fields.

    A value named ``<field>_scale`` multiplies its field.
    """

    def effective(name: str) -> ArrayLike:
        scale = values.get(f"{name}{SCALE_SUFFIX}")
        return values[name] if scale is None else values[name] * scale

    fields: dict[str, dict[str, Any]] = {
        record: {name: effective(name) for name in quantities(kind)}
        for record, kind in RECORDS.items()
    }
    fields["deployment"] |= dict(static)
    return tuple(kind(**fields[record]) for record, kind in RECORDS.items())


@functools.partial(jax.jit, static_argnames=("static", "outputs", "reductions", "mapped"))
def _chunk(
    base: Values,
    axes: tuple[Values, ...],
    lengths: jax.Array,
    *,
    static: Static,
    outputs: tuple[str, ...],
    reductions: tuple[Reduction, ...],
    mapped: tuple[bool, ...],
) -> tuple[dict[str, jax.Array], dict[str, Traced]]:
    needed = tuple(dict.fromkeys([*outputs, *_reduced_metrics(reductions)]))

    def point(*along: Values) -> dict[str, Any]:
        values = functools.reduce(lambda merged, axis: {**merged, **axis}, along, dict(base))
        metrics = evaluate(*assemble(values, static))
        return {name: getattr(metrics, name) for name in needed}

    function = point
    varying = [axis for axis, is_mapped in zip(axes, mapped, strict=True) if is_mapped]
    for position in reversed(range(len(varying))):
        places = [0 if place == position else None for place in range(len(varying))]
        function = jax.vmap(function, in_axes=places)
    switched = tuple(position for position, is_mapped in enumerate(mapped) if not is_mapped)
    metrics = {n: jnp.expand_dims(array, switched) for n, array in function(*varying).items()}
    counted = _counted(metrics, lengths) if reductions else {}
    parts = {reduction.name: reduction.local(counted) for reduction in reductions}
    return {name: metrics[name] for name in outputs}, parts


def _reduced_metrics(reductions: tuple[Reduction, ...]) -> list[str]:
    """Metrics that reductions need: their own, and whether a point fits."""
    metrics = [name for reduction in reductions for name in reduction.of]
    return [*metrics, "feasible"] if metrics else []


def _counted(metrics: dict[str, jax.Array], lengths: jax.Array) -> dict[str, jax.Array]:
    """Metrics with NaN, or an impossible code, where a point is padding or does not fit."""
    shape = metrics["feasible"].shape
    inside = jnp.ones(shape, bool)
    for axis in range(len(shape)):
        inside &= jax.lax.broadcasted_iota(jnp.int32, shape, axis) < lengths[axis]
    usable = inside & metrics["feasible"]
    return {
        name: jnp.where(usable, array, jnp.nan)
        if jnp.issubdtype(array.dtype, jnp.floating)
        else jnp.where(inside, array.astype(jnp.int8), _NO_CODE)
        for name, array in metrics.items()
    }


def run_chunk(
    base: Mapping[str, float],
    axes: tuple[Mapping[str, np.ndarray], ...],
    lengths: tuple[int, ...],
    *,
    static: Mapping[str, str | bool],
    outputs: tuple[str, ...],
    reductions: tuple[Reduction, ...] = (),
    precision: str = "float32",
    device: Any = None,
) -> tuple[dict[str, jax.Array], dict[str, Traced]]:
    """Start the evaluation of one chunk on a device; the results arrive later.

    Parameters
    ----------
    base
        Fields and scale factors that do not vary [SI].
    axes
        For each dimension, in order, the fields that vary along it, as arrays of the chunk's length
        [SI]; none for a switch, whose length is 1.
    lengths
        Values of each axis that are the grid's own; the rest is padding.
    static
        Every static field of the deployment.
    outputs
        Names of the metrics to return whole.
    reductions
        What to reduce.
    precision
        ``"float32"`` or ``"float64"``.
    device
        Where to compute; JAX's default where left out.

    Returns
    -------
    tuple
        Arrays of the chunk's shape by output, and the parts of each reduction by its name.
    """
    with jax.enable_x64(precision == "float64"):
        dtype = np.dtype(precision)
        arguments = (
            {name: dtype.type(value) for name, value in base.items()},
            tuple({n: column.astype(dtype) for n, column in axis.items()} for axis in axes),
            np.asarray(lengths, dtype=np.int32),
        )
        if device is not None:
            arguments = jax.device_put(arguments, device)
        return _chunk(
            *arguments,
            static=tuple(sorted(static.items())),
            outputs=outputs,
            reductions=reductions,
            mapped=tuple(bool(axis) for axis in axes),
        )
