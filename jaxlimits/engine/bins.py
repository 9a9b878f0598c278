r"""Bins equally wide in the logarithm, counted on the device.

With edges a factor :math:`\gamma` apart the middle of a bin is within
:math:`(\gamma - 1)/(\gamma + 1)` of every value in it, relatively.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LogBins:
    """Bins between two values, with one bin below and one above.

    Parameters
    ----------
    first, last
        Lower edge of the first and upper edge of the last bin between the outer ones [SI].
    number
        How many bins lie between the outer ones.
    """

    first: float
    last: float
    number: int

    @property
    def edges(self) -> np.ndarray:
        """The ``number + 1`` edges between the outer bins."""
        return np.geomspace(self.first, self.last, self.number + 1)

    def count(self, rows: jax.Array, times: jax.Array) -> jax.Array:
        """Count the values of each row in each bin, each so many times; NaN are left out."""
        inverse = self.number / math.log(self.last / self.first)
        floor = jnp.finfo(rows.dtype).tiny
        scaled = (jnp.log(jnp.maximum(rows, floor)) - math.log(self.first)) * inverse
        bin_ = jnp.clip(jnp.floor(scaled) + 1.0, 0.0, self.number + 1.0)
        slot = jnp.where(jnp.isnan(rows), self.number + 2.0, bin_).astype(jnp.int32)
        width = self.number + 3  # the last slot takes the points that do not count
        counts = jax.lax.platform_dependent(
            slot,
            cpu=lambda slot: _counted_at_once(slot, width),
            default=lambda slot: _counted_apart(slot, width),
        )
        return (counts * times)[:, :-1]

    def none(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return counts of nothing, in bins along a last axis."""
        return np.zeros((*shape, self.number + 2), dtype=np.int64)


_COPIES = 4096
"""Copies of the counters on an accelerator, over which neighbouring points are spread."""

_COUNTERS = 1 << 22
"""Counters in all copies together, at most, unless one copy has more."""


def _counted_at_once(slot: jax.Array, width: int) -> jax.Array:
    """Count the slots of each row, with one set of counters a row."""
    rows = slot.shape[0]
    flat = slot + width * jnp.arange(rows, dtype=jnp.int32)[:, None]
    # The slots are computed on all cores only if they are not fused into the scatter.
    flat = jax.lax.optimization_barrier(flat)
    return jnp.zeros(rows * width, jnp.int32).at[flat.ravel()].add(1).reshape(rows, width)


def _counted_apart(slot: jax.Array, width: int) -> jax.Array:
    """Count the slots of each row in many copies of its counters, and add these up.

    The threads of an accelerator add one by one to a counter that they share. Counts are whole
    numbers, so that no order of the additions changes them.
    """
    rows, length = slot.shape
    copies = max(1, min(_COPIES // rows, _COUNTERS // (rows * width), length))
    copy = jnp.arange(length, dtype=jnp.int32)[None, :] % copies
    row = jnp.arange(rows, dtype=jnp.int32)[:, None]
    # Unsigned, they need no look at whether they count from the end: a scatter then computes them
    # itself, and the metric in them, instead of reading both from memory.
    flat = (slot + width * (copy + copies * row)).astype(jnp.uint32)
    counts = jnp.zeros(rows * copies * width, jnp.int32).at[flat.ravel()].add(1)
    return jnp.sum(counts.reshape(rows, copies, width), axis=1, dtype=jnp.int32)
