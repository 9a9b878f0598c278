"""The Pareto frontier: the points that no other beats in every metric."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits.engine.reduce import Arrays, Reduction, Traced
from jaxlimits.grid.plan import Key, Plan

_POINTS_IN_A_ROW = 8
"""Survivors that a row of a chunk is expected to have; sets how many rows are searched."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frontier(Reduction):
    """Exact Pareto frontier of two or three metrics over the whole grid.

    On the device a chunk's points are binned by all metrics but the last; a point is dropped when
    some point in strictly better bins is at least as good in the last metric. What survives is few,
    is sent whole, and is filtered exactly on the host. Where more survive than there is room for,
    the chunk is reduced again with more.
    """

    signs: tuple[float, ...]
    room: int = 4096
    bins: int = 1024

    def local(self, metrics: Traced) -> Traced:
        columns = [
            sign * metrics[name].ravel() for name, sign in zip(self.of, self.signs, strict=True)
        ]
        counts = ~jnp.isnan(sum(columns[1:], start=columns[0]))
        # What scatters and gathers read is computed on all cores only if it is not fused into them.
        columns = jax.lax.optimization_barrier(
            [jnp.where(counts, column, -jnp.inf) for column in columns]
        )
        better = self._best_beyond(columns, counts)
        alive = counts & (columns[-1] > better)
        index, number = self._survivors(alive.reshape(-1, metrics[self.of[0]].shape[-1]))
        kept = {f"metric{i}": column[index] for i, column in enumerate(columns)}
        return {**kept, "index": index, "count": number}

    def _survivors(self, alive: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Positions of the points that are alive, and their number, more than room if they spread.

        First the rows that have any, then the points in these: searching all points at once takes
        longer than all the rest.
        """
        rows, length = alive.shape
        some = jnp.any(alive, axis=1)
        room = min(rows, max(1, self.room // _POINTS_IN_A_ROW))
        (chosen,) = jnp.nonzero(some, size=room, fill_value=rows)
        inside = jnp.where((chosen < rows)[:, None], alive[jnp.minimum(chosen, rows - 1)], False)
        (place,) = jnp.nonzero(inside.ravel(), size=min(self.room, room * length), fill_value=-1)
        index = jnp.where(place >= 0, chosen[place // length] * length + place % length, -1)
        number = jnp.sum(alive, dtype=jnp.int32)
        crowded = jnp.sum(some, dtype=jnp.int32) > room
        return index, jnp.where(crowded, alive.size + 1, number)

    def _best_beyond(self, columns: list[jax.Array], counts: jax.Array) -> jax.Array:
        """Best last metric among the points of strictly better bins, for each point."""
        bins = self.bins if len(columns) == 2 else int(math.sqrt(self.bins) * 2)
        slots = [self._slots(column, counts, bins) for column in columns[:-1]]
        flat, width = slots[0], bins + 1
        for slot in slots[1:]:
            flat = flat * width + slot
        flat, size = jax.lax.optimization_barrier(flat), width ** len(slots)
        best = jnp.full(size, -jnp.inf, columns[-1].dtype).at[flat].max(columns[-1])
        table = best.reshape([width] * len(slots))
        for axis in range(table.ndim):
            table = jax.lax.cummax(table, axis=axis, reverse=True)
        shifted = jnp.pad(table, [(0, 1)] * table.ndim, constant_values=-jnp.inf)
        return shifted[tuple(slice(1, None) for _ in slots)].ravel()[flat]

    def _slots(self, column: jax.Array, counts: jax.Array, bins: int) -> jax.Array:
        """Bins in the logarithm, since metrics range over decades."""
        low = _signed_log(jnp.min(jnp.where(counts, column, jnp.inf)))
        high = _signed_log(jnp.max(jnp.where(counts, column, -jnp.inf)))
        scale = bins / jnp.maximum(high - low, jnp.finfo(column.dtype).tiny)
        position = jnp.where(counts, (_signed_log(column) - low) * scale, 0.0)
        return jnp.clip(position, 0.0, float(bins)).astype(jnp.int32)

    def enlarged(self, part: Arrays) -> "Frontier | None":
        if part["count"] <= part["index"].size:
            return None
        return dataclasses.replace(self, room=4 * self.room)

    def start(self, shape: tuple[int, ...]) -> Arrays:
        del shape  # the frontier is of the whole grid
        empty = {f"metric{i}": np.empty(0) for i in range(len(self.of))}
        return {**empty, "index": np.empty(0, dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        valid = part["index"] >= 0
        index = self.global_index(part["index"][valid], plan, key)
        points = [part[f"metric{i}"][valid].astype(np.float64) for i in range(len(self.of))]
        for i, column in enumerate(points):
            state[f"metric{i}"] = np.concatenate([state[f"metric{i}"], column])
        state["index"] = np.concatenate([state["index"], index])
        kept = undominated(
            np.stack([state[f"metric{i}"] for i in range(len(self.of))]), state["index"]
        )
        for name in state:
            state[name] = state[name][kept]


def undominated(points: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the positions of the points that no other point dominates, all metrics maximised.

    Of points that are equal in all metrics the one with the lowest ``order`` stays.

    Parameters
    ----------
    points
        Metrics by points.
    order
        Position of each point in the grid.
    """
    sequence = np.lexsort((order, *(-points[::-1])))
    if len(points) == 2:
        second = points[1, sequence]
        before = np.concatenate([[-np.inf], np.maximum.accumulate(second)[:-1]])
        return sequence[second > before]
    kept: list[int] = []
    front = np.empty((len(points) - 1, 0))
    for candidate in sequence:
        rest = points[1:, candidate][:, None]
        if not np.any(np.all(front >= rest, axis=0)):
            kept.append(candidate)
            front = np.concatenate([front[:, ~np.all(front <= rest, axis=0)], rest], axis=1)
    return np.asarray(kept, dtype=np.int64)


def _signed_log(x: jax.Array) -> jax.Array:
    """A logarithm that keeps the order of negative numbers too, which metrics to minimise are."""
    size = jnp.log(jnp.maximum(jnp.abs(x), jnp.finfo(x.dtype).tiny))
    return jnp.where(x < 0.0, -size, size)
