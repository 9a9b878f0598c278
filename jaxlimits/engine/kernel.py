"""The kernel: the model mapped over the axes of a grid, in one compiled program.

One nested ``vmap`` an axis keeps every term as small as the axes it depends on: the weights of an
LLM are computed once a model, not once a point. Axes arrive as arrays, so that a grid of the same
shape compiles once.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxlimits.model.evaluate import evaluate
from jaxlimits.model.fields import quantities
from jaxlimits.schema import RECORDS, SCALE_SUFFIX

Values = Mapping[str, ArrayLike]
Static = tuple[tuple[str, str | bool], ...]


def assemble(values: Values, static: Static) -> tuple:
    """Build chip, LLM and deployment at one point from the values of their fields.

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
    return tuple(RECORDS[record](**fields[record]) for record in ("chip", "llm", "deployment"))


@functools.partial(jax.jit, static_argnames=("static", "outputs"))
def _mapped(
    base: Values, axes: tuple[Values, ...], *, static: Static, outputs: tuple[str, ...]
) -> dict[str, jax.Array]:
    def point(*along: Values) -> dict[str, Any]:
        values = functools.reduce(lambda merged, axis: {**merged, **axis}, along, dict(base))
        metrics = evaluate(*assemble(values, static))
        return {name: getattr(metrics, name) for name in outputs}

    function = point
    for position in reversed(range(len(axes))):
        mapped = [0 if place == position else None for place in range(len(axes))]
        function = jax.vmap(function, in_axes=mapped)
    return function(*axes)


def evaluate_grid(
    base: Mapping[str, float],
    axes: tuple[Mapping[str, np.ndarray], ...],
    *,
    static: Mapping[str, str | bool],
    outputs: tuple[str, ...],
    precision: str = "float32",
) -> dict[str, np.ndarray]:
    """Evaluate the model on the product of axes.

    Parameters
    ----------
    base
        Fields and scale factors that do not vary [SI].
    axes
        For each dimension, in order, the fields that vary along it, as arrays of its length [SI].
    static
        Every static field of the deployment.
    outputs
        Names of the metrics to return.
    precision
        ``"float32"`` or ``"float64"``.

    Returns
    -------
    dict
        One array of the grid's shape for each output, on the host; codes as int8.
    """
    with jax.enable_x64(precision == "float64"):
        dtype = np.dtype(precision)
        fixed = {name: dtype.type(value) for name, value in base.items()}
        along = tuple(
            {name: column.astype(dtype) for name, column in axis.items()} for axis in axes
        )
        choices = tuple(sorted(static.items()))
        results = _mapped(fixed, along, static=choices, outputs=outputs)
        return {name: _on_host(array) for name, array in results.items()}


def _on_host(array: jax.Array) -> np.ndarray:
    host = np.asarray(array)
    return host.astype(np.int8) if host.dtype == np.bool_ else host
