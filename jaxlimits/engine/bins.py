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
        flat = slot + width * jnp.arange(rows.shape[0], dtype=jnp.int32)[:, None]
        # The slots are computed on all cores only if they are not fused into the scatter.
        flat = jax.lax.optimization_barrier(flat)
        counts = jnp.zeros(rows.shape[0] * width, jnp.int32).at[flat.ravel()].add(1) * times
        return counts.reshape(rows.shape[0], width)[:, :-1]

    def none(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return counts of nothing, in bins along a last axis."""
        return np.zeros((*shape, self.number + 2), dtype=np.int64)
