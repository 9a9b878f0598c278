"""Values and slopes in logarithms, at many points at once: what an optimiser asks of the model.

In logarithms the limit model is made of sums of products of powers of the chip's numbers, and of
maxima of such sums: convex functions, whose local minima are global (geometric programming).
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits.engine.mappings import make_room
from jaxlimits.engine.program import Numbers, trace
from jaxlimits.engine.sensitivity import Static, Values, assemble, effective_fields, outputs_at
from jaxlimits.grid.rules import Rules
from jaxlimits.model.evaluate import metrics_of
from jaxlimits.model.terms import step_terms

_BLOCK = 512
"""Points of one call: one compiled shape, whatever their number."""

_LEAST = 1e-300
"""Stands for zero, whose logarithm would end the search: no synchronisation on one chip."""

Given = Mapping[str, Numbers]
"""Numbers by name, as a compiled function is given them."""


def log_slopes(
    fields: Mapping[str, np.ndarray],
    logs: np.ndarray,
    *,
    free: tuple[str, ...],
    names: tuple[str, ...],
    static: Mapping[str, Any],
    rules: Rules,
) -> tuple[np.ndarray, np.ndarray]:
    """Return logarithms of quantities at each point, and their slopes by logarithms of fields.

    A point that does not fit in memory has its values all the same; ``capacity_utilisation`` says
    by how much it does not.

    Parameters
    ----------
    fields
        Values of the other fields at each point [SI].
    logs
        Logarithms of the free fields, by point and field.
    free
        Their names.
    names
        Metrics, fields and prices.
    static, rules
        Static fields of the deployment; prices.

    Returns
    -------
    tuple
        Arrays by point and name, and by point, name and field, in float64.
    """
    make_room()
    parts = [
        _block_slopes(
            chunk, log, free=free, names=names, static=tuple(sorted(static.items())), rules=rules
        )
        for chunk, log in _blocks(fields, logs)
    ]
    values, slopes = (np.concatenate([np.asarray(part[i]) for part in parts]) for i in (0, 1))
    return values[: len(logs)], slopes[: len(logs)]


def metrics_at(
    fields: Mapping[str, np.ndarray],
    *,
    names: tuple[str, ...],
    static: Mapping[str, Any],
    rules: Rules,
) -> dict[str, np.ndarray]:
    """Return metrics, fields and prices at a few points, in float64."""
    make_room()
    with jax.enable_x64(True):
        values = {name: jnp.asarray(value, jnp.float64) for name, value in fields.items()}
        chosen = tuple(sorted(static.items()))
        found = _listed_metrics(values, names=names, static=chosen, rules=rules)
        return {name: np.asarray(value) for name, value in found.items()}


@functools.partial(jax.jit, static_argnames=("names", "static", "rules"))
def _listed_metrics(
    values: Given, *, names: tuple[str, ...], static: Static, rules: Rules
) -> Values:
    def point(at: Values) -> Values:
        return trace(lambda at: outputs_at(at, static, names, rules=rules), at)(at)

    return jax.vmap(point)({name: jnp.asarray(value) for name, value in values.items()})


def _blocks(
    fields: Mapping[str, np.ndarray], logs: np.ndarray
) -> Sequence[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Cut points into blocks of one size; the last repeats its last point."""
    last = len(logs) - 1
    rows = [np.minimum(np.arange(at, at + _BLOCK), last) for at in range(0, len(logs), _BLOCK)]
    return [({name: value[row] for name, value in fields.items()}, logs[row]) for row in rows]


def _block_slopes(
    fields: Mapping[str, np.ndarray],
    logs: np.ndarray,
    *,
    free: tuple[str, ...],
    names: tuple[str, ...],
    static: Static,
    rules: Rules,
) -> tuple[jax.Array, jax.Array]:
    # As NumPy's arrays: to put each of a hundred fields on the device by itself takes longer than
    # the program does.
    values = {name: np.asarray(value, np.float64) for name, value in fields.items()}
    with jax.enable_x64(True):
        return _slopes(values, logs, free=free, names=names, static=static, rules=rules)


@functools.partial(jax.jit, static_argnames=("free", "names", "static", "rules"))
def _slopes(
    fields: Given,
    logs: Numbers,
    *,
    free: tuple[str, ...],
    names: tuple[str, ...],
    static: Static,
    rules: Rules,
) -> tuple[jax.Array, jax.Array]:
    def point(fields: Values, log: jax.Array) -> tuple[jax.Array, jax.Array]:
        at = {**fields, **dict(zip(free, log, strict=True))}
        fitting = trace(lambda at: _fitting(at, static, rules), at).only(names)

        def quantities(log: jax.Array) -> tuple[jax.Array, jax.Array]:
            chosen = dict(zip(free, jnp.exp(log), strict=True))
            found = fitting({**fields, **chosen})
            values = jnp.log(jnp.maximum(jnp.stack([found[name] for name in names]), _LEAST))
            return values, values

        slopes, values = jax.jacfwd(quantities, has_aux=True)(log)
        return values, slopes

    return jax.vmap(point)(
        {name: jnp.asarray(given) for name, given in fields.items()}, jnp.asarray(logs)
    )


def _fitting(values: Values, static: Static, rules: Rules) -> dict[str, Any]:
    """Quantities at one point, as if it fitted in memory, and how full the memory would be."""
    fields, static = effective_fields(values, static)
    fields = rules.priced(fields)
    terms = step_terms(*assemble(fields, static))
    endless = jnp.full_like(terms.capacity, jnp.inf)
    metrics = metrics_of(eqx.tree_at(lambda t: t.capacity, terms, endless))
    filled = (terms.weight_bytes + terms.kv_bytes) / terms.capacity
    return {**fields, **vars(metrics), "capacity_utilisation": filled}
