r"""Bins equally wide in the logarithm, counted on the device.

With edges a factor :math:`\gamma` apart the middle of a bin is within
:math:`(\gamma - 1)/(\gamma + 1)` of every value in it, relatively.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits.engine.by_row import Arrays, ByRow, Row, State


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
        slot = self.slots(rows)
        width = self.number + 3  # the last slot takes the points that do not count
        counts = jax.lax.platform_dependent(
            slot,
            cpu=lambda slot: _counted_at_once(slot, width),
            default=lambda slot: _counted_apart(slot, width),
        )
        return (counts * times)[:, :-1]

    def slots(self, rows: jax.Array) -> jax.Array:
        """Return the bin of each value; one behind the last bin for NaN."""
        inverse = self.number / math.log(self.last / self.first)
        floor = jnp.finfo(rows.dtype).tiny
        scaled = (jnp.log(jnp.maximum(rows, floor)) - math.log(self.first)) * inverse
        bin_ = jnp.clip(jnp.floor(scaled) + 1.0, 0.0, self.number + 1.0)
        return jnp.where(jnp.isnan(rows), self.number + 2.0, bin_).astype(jnp.int32)

    def by_row(self, dtype: np.dtype) -> ByRow | None:
        """Say how a loop counts a row; ``None`` where bins are too narrow for a table."""
        table = _table(self, dtype)
        if table is None:
            return None
        layout = {"lanes": False, "width": self.number + 3, "fold": _without_last}
        return ByRow(
            step=_count_slots, state={"count": State(0, np.int32)}, settings=table, **layout
        )

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


_CELLS = 1 << 21
"""Cells of a table of bins, at most."""


@functools.lru_cache(maxsize=16)
def _table(bins: LogBins, dtype: np.dtype) -> tuple[np.ndarray, ...] | None:
    """Bins by the leading bits of a value, so that a loop needs no logarithm.

    The bits of positive numbers are in the order of the numbers. Where each bin begins is found by
    bisection of the very function that counts elsewhere. A cell, the numbers of the same leading
    bits, has no more than one such place in it.

    Returns
    -------
    tuple or None
        For each cell the place in it and the bin below that; then by how many bits to shift, the
        bits of 0, and the largest of no negative number, which is NaN. ``None`` where that takes
        too many cells, as bins that hold hardly a number.
    """
    whole = np.dtype(f"u{dtype.itemsize}")
    begins = _begins(bins, dtype)
    shift = 8 * dtype.itemsize - 10
    while len(np.unique(begins >> shift)) < len(begins):
        shift -= 1
        if np.iinfo(whole).max >> (shift + 1) >= _CELLS:
            return None
    cells = np.arange((np.iinfo(whole).max >> (shift + 1)) + 1, dtype=whole)
    below = np.searchsorted(begins, cells << shift, side="right").astype(np.int32)
    limit = np.append(begins, np.iinfo(whole).max)[below]
    return limit.astype(whole), below, np.array([shift, 0, np.iinfo(whole).max >> 1], whole)


def _begins(bins: LogBins, dtype: np.dtype) -> np.ndarray:
    """The bits of the smallest value of each bin but the first, and of those that are NaN."""
    whole = np.dtype(f"u{dtype.itemsize}")
    wanted = np.arange(1, bins.number + 2)
    infinite = np.array(np.inf, dtype).view(whole)
    low, high = np.zeros(len(wanted), whole), np.full(len(wanted), infinite)
    with jax.enable_x64(dtype == np.float64):
        slots = jax.jit(bins.slots)
        while np.any(low < high):
            middle = low + (high - low) // 2
            reached = np.asarray(slots(middle.view(dtype))) >= wanted
            low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return np.append(low, infinite + whole.type(1)).astype(whole)


_ALIKE = 64
"""Neighbours in a row of which the smallest and the largest are looked up first."""


def _count_slots(values: np.ndarray, row: Row, count: np.ndarray) -> None:
    limit, below, numbers = row.settings
    shift, zero, nan = numbers[0], numbers[1], numbers[2]
    bits = values.view(limit.dtype)
    patterns = np.empty_like(bits)
    for i in range(values.size):
        pattern = bits[i] if bits[i] <= nan else zero
        patterns[i] = nan if np.isnan(values[i]) else pattern
    for start in range(0, values.size, _ALIKE):
        some = patterns[start : start + _ALIKE]
        if count.shape[0] == 1:
            low, high = nan, zero
            for i in range(some.size):
                low, high = min(low, some[i]), max(high, some[i])
            slot = below[low >> shift] + (low >= limit[low >> shift])
            if slot == below[high >> shift] + (high >= limit[high >> shift]):
                count[0, slot] += some.size  # one after another would wait for each other
                continue
        for i in range(some.size):
            cell = some[i] >> shift
            count[row.kept[start + i], below[cell] + (some[i] >= limit[cell])] += 1


def _without_last(_places: np.ndarray, state: Arrays) -> Arrays:
    return {"count": state["count"][:, :-1]}
