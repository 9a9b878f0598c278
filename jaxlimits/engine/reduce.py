"""Reductions: what is kept of a chunk, on the device, and how chunks are merged, on the host.

Each reduction has a local half, traced into the kernel's program so that dense outputs are never
stored, and a merging half in NumPy. Chunks are merged in their order, whatever order they were
computed in, so that a result is the same bit for bit for any number of devices and workers.
Points that do not fit in memory never enter.
"""

import abc
import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits.engine.counted import USABLE, Counted, Traced, number, over_usable
from jaxlimits.grid.plan import Key, Plan

Arrays = dict[str, np.ndarray]

_LARGE = np.iinfo(np.int32).max

_LANES = 256
"""Rows from which on they are worth comparing side by side."""

_STEPS = 16
"""Columns that are compared in one loop of the program."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reduction(abc.ABC):
    """One reduction of one metric over some axes.

    Parameters
    ----------
    name
        Name of its main variable in the result.
    of
        Metrics it rests on.
    over
        Positions of the axes that it reduces; the others are kept.
    """

    name: str
    of: tuple[str, ...]
    over: tuple[int, ...]

    grows: ClassVar[bool] = False
    """Whether :meth:`enlarged` may ask for more room."""

    @abc.abstractmethod
    def local(self, chunk: Counted) -> Traced:
        """Reduce one chunk on the device."""

    @abc.abstractmethod
    def start(self, shape: tuple[int, ...]) -> Arrays:
        """Return the state of no chunk, for a grid of a shape."""

    @abc.abstractmethod
    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        """Add one chunk to the state, in place."""

    def enlarged(self, part: Arrays) -> "Reduction | None":
        """Return the reduction with more room, where a chunk had more to say than there was."""
        del part

    def kept(self, rank: int) -> tuple[int, ...]:
        """Return the positions of the axes that remain."""
        return tuple(position for position in range(rank) if position not in self.over)

    def kept_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the lengths of the axes that remain."""
        return tuple(shape[position] for position in self.kept(len(shape)))

    def rows(self, array: jax.Array) -> jax.Array:
        """Arrange a chunk as kept points by reduced points."""
        kept = self.kept(array.ndim)
        shape = self.kept_shape(array.shape)
        return array.transpose(*kept, *self.over).reshape(math.prod(shape), -1)

    def place(self, plan: Plan, key: Key) -> tuple[slice, ...]:
        """Return where a chunk's kept axes lie in the state."""
        slices = plan.slices(key)
        return tuple(slices[position] for position in self.kept(len(slices)))

    def inside(self, array: np.ndarray, plan: Plan, key: Key) -> np.ndarray:
        """Give a chunk's rows the shape of its kept axes, without what is padded."""
        block = self.kept_shape(plan.block)
        whole = array.reshape((*block, *array.shape[1:]))
        lengths = [part.stop - part.start for part in self.place(plan, key)]
        return whole[(*(slice(length) for length in lengths), ...)]

    def global_index(self, index: np.ndarray, plan: Plan, key: Key) -> np.ndarray:
        """Turn flat positions among a chunk's reduced axes into those of the whole grid."""
        local = np.unravel_index(index, [plan.block[position] for position in self.over])
        slices = plan.slices(key)
        starts = [slices[position].start for position in self.over]
        shape = [plan.shape[position] for position in self.over]
        shifted = [part.astype(np.int64) + start for part, start in zip(local, starts, strict=True)]
        inside = [np.minimum(part, length - 1) for part, length in zip(shifted, shape, strict=True)]
        return (
            np.asarray(np.ravel_multi_index(inside, shape))
            if shape
            else np.zeros_like(index, np.int64)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extreme(Reduction):
    """Largest or smallest value.

    A metric is ``complete`` that has a value wherever a point is usable, as the model's own have;
    the gain from doubling a batch, which then may no longer fit, is not.
    """

    largest: bool
    complete: bool = False

    def local(self, chunk: Counted) -> Traced:
        (name,), nothing = self.of, -math.inf if self.largest else math.inf
        operation = jnp.max if self.largest else jnp.min
        if self.complete:
            value = over_usable(chunk, name, self.over, operation=operation, nothing=nothing)
        else:
            metric = chunk.thin(name, self.over)
            filled = jnp.where(jnp.isnan(metric), nothing, metric)
            value = operation(filled, axis=self.over)
        return {"value": value.ravel()}

    def start(self, shape: tuple[int, ...]) -> Arrays:
        nothing = -np.inf if self.largest else np.inf
        return {"value": np.full(self.kept_shape(shape), nothing)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        place = self.place(plan, key)
        better = np.maximum if self.largest else np.minimum
        state["value"][place] = better(state["value"][place], self.inside(part["value"], plan, key))

    def values(self, state: Arrays) -> np.ndarray:
        """Return the extreme values, NaN where no point counts."""
        nothing = -np.inf if self.largest else np.inf
        return np.where(state["value"] == nothing, np.nan, state["value"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Best(Reduction):
    """Largest or smallest value, and where it is: the lowest position among equals."""

    largest: bool

    def local(self, chunk: Counted) -> Traced:
        metric = self._signed(chunk.thin(self.of[0], self.over))
        rows = self.rows(metric)
        value, index = _first_of_many(rows) if rows.shape[0] < _LANES else _running_best(rows)
        return {"value": value, "index": self._spread(index, metric.shape, chunk.block)}

    def _spread(self, index: jax.Array, shape: tuple[int, ...], block: tuple[int, ...]):
        """Position among all reduced points of the chunk of the first with a value."""
        if shape == block:
            return index
        places = jnp.unravel_index(index, [shape[axis] for axis in self.over])
        return jnp.ravel_multi_index(places, [block[axis] for axis in self.over], mode="clip")

    def start(self, shape: tuple[int, ...]) -> Arrays:
        kept = self.kept_shape(shape)
        return {"value": np.full(kept, -np.inf), "index": np.full(kept, -1, dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        place = self.place(plan, key)
        value = self.inside(part["value"], plan, key)
        index = self.global_index(self.inside(part["index"], plan, key), plan, key)
        old, where = state["value"][place], state["index"][place]
        better = (value > old) | ((value == old) & (value > -np.inf) & (index < where))
        state["value"][place] = np.where(better, value, old)
        state["index"][place] = np.where(better, index, where)

    def _signed(self, values):
        return values if self.largest else -values

    def values(self, state: Arrays) -> np.ndarray:
        """Return the extreme values, NaN where no point counts."""
        found = state["index"] >= 0
        return np.where(found, self._signed(state["value"]), np.nan)


def _running_best(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Largest value of every row and the first place where it is: one pass over the columns.

    A step compares all rows with the best so far, and several steps are one loop of the program, so
    that the best stays where it is fastest to reach.
    """

    def step(best: tuple, column: tuple) -> tuple[tuple, None]:
        (value, index), (candidate, place) = best, column
        larger = candidate > value  # never where the candidate is NaN
        return (jnp.where(larger, candidate, value), jnp.where(larger, place, index)), None

    number, length = rows.shape
    none = jnp.full(number, -jnp.inf, rows.dtype), jnp.zeros(number, jnp.int32)
    places = jnp.arange(length, dtype=jnp.int32)
    best, _ = jax.lax.scan(step, none, (rows.T, places), unroll=min(length, _STEPS))
    return best


def _first_of_many(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """As :func:`_running_best`, for few long rows: the maximum, and a search for it.

    One reduction over pairs of value and place is several times slower on a CPU.
    """
    filled = jnp.where(jnp.isnan(rows), -jnp.inf, rows)
    value = jnp.max(filled, axis=1, keepdims=True)
    places = jnp.arange(rows.shape[1], dtype=jnp.int32)[None, :]
    return value[:, 0], jnp.min(jnp.where(filled == value, places, _LARGE), axis=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mean(Reduction):
    """Arithmetic mean: sums of chunks in the kernel's precision, their sum in float64.

    ``complete`` is as for :class:`Extreme`: only a small mask need then be counted.
    """

    complete: bool = False

    def local(self, chunk: Counted) -> Traced:
        (name,) = self.of
        if self.complete:
            total = over_usable(chunk, name, self.over, operation=jnp.sum, nothing=0.0)
            times = chunk.times(self.over, name, USABLE)
            counts = number(chunk.thin(USABLE, self.over), self.over)
            count = chunk.times(self.over, USABLE) * counts
        else:
            values = chunk.thin(name, self.over)
            counts = ~jnp.isnan(values)
            total = jnp.sum(jnp.where(counts, values, 0.0), axis=self.over)
            times = chunk.times(self.over, name)
            count = times * number(counts, self.over)
        return {"total": (times.astype(total.dtype) * total).ravel(), "count": count.ravel()}

    def start(self, shape: tuple[int, ...]) -> Arrays:
        kept = self.kept_shape(shape)
        return {"total": np.zeros(kept), "count": np.zeros(kept, dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        place = self.place(plan, key)
        for name, array in part.items():
            state[name][place] += self.inside(array, plan, key)

    def values(self, state: Arrays) -> np.ndarray:
        """Return the means, NaN where no point counts."""
        return np.where(state["count"] > 0, state["total"] / np.maximum(state["count"], 1), np.nan)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Histogram(Reduction):
    r"""Counts in bins equally wide in the logarithm, with one bin below and one above.

    Quantiles come from the same counts: with edges a factor :math:`\gamma` apart the middle of a
    bin is within :math:`(\gamma - 1)/(\gamma + 1)` of every value in it, relatively.
    """

    first: float
    last: float
    bins: int

    @property
    def edges(self) -> np.ndarray:
        """The ``bins + 1`` edges between the outer bins."""
        return np.geomspace(self.first, self.last, self.bins + 1)

    def local(self, chunk: Counted) -> Traced:
        rows = self.rows(chunk.thin(self.of[0], self.over))
        inverse = self.bins / math.log(self.last / self.first)
        floor = jnp.finfo(rows.dtype).tiny
        scaled = (jnp.log(jnp.maximum(rows, floor)) - math.log(self.first)) * inverse
        bin_ = jnp.clip(jnp.floor(scaled) + 1.0, 0.0, self.bins + 1.0)
        slot = jnp.where(jnp.isnan(rows), self.bins + 2.0, bin_).astype(jnp.int32)
        width = self.bins + 3  # the last slot takes the points that do not count
        flat = slot + width * jnp.arange(rows.shape[0], dtype=jnp.int32)[:, None]
        # The slots are computed on all cores only if they are not fused into the scatter.
        flat = jax.lax.optimization_barrier(flat)
        times = chunk.times(self.over, self.of[0])
        counts = jnp.zeros(rows.shape[0] * width, jnp.int32).at[flat.ravel()].add(1) * times
        return {"count": counts.reshape(rows.shape[0], width)[:, :-1]}

    def start(self, shape: tuple[int, ...]) -> Arrays:
        return {"count": np.zeros((*self.kept_shape(shape), self.bins + 2), dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        state["count"][self.place(plan, key)] += self.inside(part["count"], plan, key)

    def quantiles(self, state: Arrays, shares: np.ndarray) -> np.ndarray:
        """Return quantiles along a last axis, NaN where no point counts."""
        running = np.cumsum(state["count"], axis=-1)
        total = running[..., -1:]
        middles = np.sqrt(self.edges[:-1] * self.edges[1:])
        centres = np.concatenate([[self.first], middles, [self.last]])
        ranks = np.ceil(shares * total).clip(1)
        slots = (running[..., None, :] < ranks[..., None]).sum(axis=-1).clip(max=self.bins + 1)
        return np.where(total > 0, centres[slots], np.nan)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts(Reduction):
    """Points by code; the only reduction into which infeasible points enter, as their own code."""

    codes: tuple[int, ...]

    def local(self, chunk: Counted) -> Traced:
        values = chunk.thin(self.of[0], self.over)
        counts = [number(values == code, self.over).ravel() for code in self.codes]
        return {"count": chunk.times(self.over, self.of[0]) * jnp.stack(counts, axis=-1)}

    def start(self, shape: tuple[int, ...]) -> Arrays:
        return {"count": np.zeros((*self.kept_shape(shape), len(self.codes)), dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        state["count"][self.place(plan, key)] += self.inside(part["count"], plan, key)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Top(Reduction):
    """The k largest (or smallest) values over the whole grid, and where they are."""

    k: int
    largest: bool

    def local(self, chunk: Counted) -> Traced:
        rows = self.rows(chunk.whole(self.of[0]))
        filled = jnp.where(jnp.isnan(rows), -jnp.inf, rows if self.largest else -rows)
        value, index = _top_of_groups(filled, k=self.k, length=chunk.block[-1])
        return {"value": value, "index": index}

    def start(self, shape: tuple[int, ...]) -> Arrays:
        kept = (*self.kept_shape(shape), self.k)
        return {"value": np.full(kept, -np.inf), "index": np.full(kept, -1, dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        place = self.place(plan, key)
        value = self.inside(part["value"], plan, key).astype(np.float64)
        index = self.global_index(self.inside(part["index"], plan, key), plan, key)
        index = np.where(value > -np.inf, index, -1)
        values = np.concatenate([state["value"][place], value], axis=-1)
        indices = np.concatenate([state["index"][place], index], axis=-1)
        order = np.lexsort((np.where(indices < 0, np.iinfo(np.int64).max, indices), -values))
        order = order[..., : self.k]
        state["value"][place] = np.take_along_axis(values, order, axis=-1)
        state["index"][place] = np.take_along_axis(indices, order, axis=-1)

    def values(self, state: Arrays) -> np.ndarray:
        """Return the values, best first, NaN where there are fewer."""
        signed = state["value"] if self.largest else -state["value"]
        return np.where(state["index"] >= 0, signed, np.nan)


def _top_of_groups(rows: jax.Array, *, k: int, length: int) -> tuple[jax.Array, jax.Array]:
    """The k largest of each row, and where: the lowest positions among equals.

    They lie in the k groups with the largest maxima, so that only these are sorted.
    """
    number, size = rows.shape
    if size % length or size // length <= k:
        value, index = jax.lax.top_k(rows, min(k, size))
        return value, index
    groups = rows.reshape(number, size // length, length)
    _, best = jax.lax.top_k(jnp.max(groups, axis=2), k)
    best = jnp.sort(best, axis=1)  # equals are found in the order of their positions
    chosen = jnp.take_along_axis(groups, best[:, :, None], axis=1)
    value, place = jax.lax.top_k(chosen.reshape(number, k * length), k)
    group = jnp.take_along_axis(best, place // length, axis=1)
    return value, group * length + place % length


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crossing(Reduction):
    """First position along one axis at which a metric reaches a target."""

    target: float
    upward: bool

    def local(self, chunk: Counted) -> Traced:
        rows = self.rows(chunk.thin(self.of[0], self.over))
        reached = rows >= self.target if self.upward else rows <= self.target
        position = jnp.arange(rows.shape[1], dtype=jnp.int32)[None, :]
        return {"index": jnp.min(jnp.where(reached, position, _LARGE), axis=1)}

    def start(self, shape: tuple[int, ...]) -> Arrays:
        return {"index": np.full(self.kept_shape(shape), -1, dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        place = self.place(plan, key)
        local = self.inside(part["index"], plan, key)
        found = local < _LARGE
        index = self.global_index(np.where(found, local, 0), plan, key)
        old = state["index"][place]
        earlier = found & ((old < 0) | (index < old))
        state["index"][place] = np.where(earlier, index, old)
