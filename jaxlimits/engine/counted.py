"""The metrics of a chunk as reductions count them."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlimits.grid.plan import Plan
from jaxlimits.grid.rules import Rules

Traced = dict[str, jax.Array]

NO_CODE = -128
"""Stands for the code of a point that does not count."""

USABLE = "usable"
"""Name among the metrics of a mask: where points count, in memory and within budgets."""


class Counted(NamedTuple):
    """Metrics of a chunk, no larger than they need be.

    Parameters
    ----------
    metrics
        Arrays by name: NaN, or :data:`NO_CODE`, where a point does not count; of length 1 along the
        axes on which a metric does not depend.
    lengths
        How many points of the chunk lie in the grid along each axis; the others are padding.
    block
        Shape of the chunk.
    """

    metrics: Mapping[str, jax.Array]
    lengths: jax.Array
    block: tuple[int, ...]

    def whole(self, name: str) -> jax.Array:
        """Return a metric with a value for each point of the chunk."""
        metric = self.metrics[name]
        missing = self._missing(name)
        if not missing:
            return metric
        counts = inside(self.lengths, self.block, missing)
        nothing = jnp.nan if jnp.issubdtype(metric.dtype, jnp.floating) else NO_CODE
        return jnp.broadcast_to(jnp.where(counts, metric, nothing), self.block)

    def thin(self, name: str, over: Sequence[int]) -> jax.Array:
        """Return a metric with all its values, each as often as the axes that are kept ask for."""
        metric = self.metrics[name]
        shape = [
            metric.shape[axis] if axis in over else size for axis, size in enumerate(self.block)
        ]
        return jnp.broadcast_to(metric, shape)

    def times(self, over: Sequence[int], *names: str) -> jax.Array:
        """Return for how many points each value of a thin metric, or of several, stands."""
        thin = set.intersection(*(self._missing(name) for name in names))
        missing = [axis for axis in over if axis in thin]
        return math.prod((self.lengths[axis] for axis in missing), start=jnp.ones((), jnp.int32))

    def _missing(self, name: str) -> set[int]:
        shape = self.metrics[name].shape
        return {axis for axis, size in enumerate(self.block) if shape[axis] < size}


def over_usable(
    chunk: Counted,
    name: str,
    over: Sequence[int],
    *,
    operation: Callable[..., jax.Array],
    nothing: float,
) -> jax.Array:
    """Reduce a metric that has a value wherever a point is usable.

    Along the axes on which that does not depend all points count or none, so that the values there
    are taken as they come: looking at each costs a CPU three times as much as adding it.

    Parameters
    ----------
    chunk, name, over
        The metric, and the axes to reduce.
    operation
        ``jnp.sum`` or ``jnp.max``.
    nothing
        What it gives of no values.
    """
    values, usable = chunk.thin(name, over), chunk.metrics[USABLE]
    alike = tuple(axis for axis in over if usable.shape[axis] == 1)
    part = operation(values, axis=alike, keepdims=True)
    return operation(jnp.where(usable, part, nothing), axis=tuple(over))


def inside(lengths: jax.Array, block: tuple[int, ...], axes: Collection[int]) -> jax.Array:
    """Return where the points of a chunk lie in the grid along some axes, of length 1 elsewhere."""
    mask = jnp.ones((1,) * len(block), bool)
    for axis in axes:
        shape = [size if place == axis else 1 for place, size in enumerate(block)]
        mask &= jax.lax.broadcasted_iota(lengths.dtype, shape, axis) < lengths[axis]
    return mask


def number(mask: jax.Array, over: Sequence[int]) -> jax.Array:
    """Return how many values are true along some axes.

    Bytes are added many at a time on a CPU, and hold the sum along a short axis.
    """
    axis, length = _short(mask.shape, over)
    if length > 1:
        shape = (*mask.shape[:axis], mask.shape[axis] // length, length, *mask.shape[axis + 1 :])
        mask = jnp.sum(mask.reshape(shape), axis=axis + 1, dtype=jnp.int8)
    return jnp.sum(mask, axis=tuple(over), dtype=jnp.int32)


def _short(shape: Sequence[int], over: Sequence[int]) -> tuple[int, int]:
    """The axis to sum first, never the last, and so many of its points that a byte can hold it."""
    most = jnp.iinfo(jnp.int8).max
    parts = {
        axis: next(part for part in range(min(most, shape[axis]), 0, -1) if shape[axis] % part == 0)
        for axis in over
        if axis < len(shape) - 1
    }
    axis = max(parts, key=lambda axis: parts[axis], default=0)
    return axis, parts.get(axis, 1)


def as_counted(
    metrics: Traced,
    names: tuple[str, ...],
    lengths: jax.Array,
    plan: Plan,
    *,
    rules: Rules,
    regardless: Collection[str],
) -> Traced:
    """Outputs with NaN, or an impossible code, where a point is padding or does not fit.

    A point outside a budget counts as one that does not fit. What counts regardless of whether the
    point fits says itself where it has no value. Padding matters along the axes only on which an
    output depends.
    """
    if not names:
        return {}
    usable = metrics["feasible"]
    for budget in rules.budgets:
        usable = usable & budget.keeps(metrics[budget.of])
    padded = {axis for axis, size in enumerate(plan.block) if plan.shape[axis] % size}

    def counts(value: jax.Array, mask: jax.Array) -> jax.Array:
        shape = jnp.broadcast_shapes(value.shape, mask.shape)
        along = {axis for axis in padded if shape[axis] > 1}
        return mask & inside(lengths, plan.block, along)

    everywhere = jnp.ones((1,) * len(plan.block), bool)
    reduced = {
        name: jnp.where(
            counts(metrics[name], everywhere if name in regardless else usable),
            metrics[name],
            jnp.nan,
        )
        if jnp.issubdtype(metrics[name].dtype, jnp.floating)
        else jnp.where(counts(metrics[name], everywhere), metrics[name].astype(jnp.int8), NO_CODE)
        for name in names
    }
    padding = inside(lengths, plan.block, padded)
    return {**reduced, USABLE: usable & padding}
