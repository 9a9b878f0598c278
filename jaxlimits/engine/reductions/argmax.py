"""The largest or smallest value of a metric, and where in the grid it is."""

import dataclasses
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits.engine.asked import Asked
from jaxlimits.engine.by_row import Arrays, ByRow, Row, State, first_place
from jaxlimits.engine.counted import Counted, Traced
from jaxlimits.engine.reduction import Reduction, Swept
from jaxlimits.engine.winners import WinnerKeys, winner_names, winners
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan

_NOWHERE = np.iinfo(np.int32).max

_LANES = 256
"""Rows from which on they are worth comparing side by side."""

_STEPS = 16
"""Columns that are compared in one loop of the program."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Best(Reduction):
    """Largest or smallest value, and where it is: the lowest position among equals."""

    ops = ("argmax", "argmin")
    keeps = "the value and the winner's coordinates"
    keys = WinnerKeys

    @classmethod
    def read(cls, asked: Asked, keys: WinnerKeys) -> "Best":
        return cls(**asked.common, also=asked.metrics(keys.also))

    def local(self, chunk: Counted) -> Traced:
        metric = self._signed(chunk.thin(self.of[0], self.over))
        value, index = jax.lax.platform_dependent(
            metric,
            cpu=lambda metric: _best_of_rows(self.rows(metric)),
            default=lambda metric: _best_along(metric, self.over),
        )
        return {"value": value, "index": self._spread(index, metric.shape, chunk.block)}

    def _spread(self, index: jax.Array, shape: tuple[int, ...], block: tuple[int, ...]):
        """Position among all reduced points of the chunk of the first with a value."""
        if shape == block:
            return index
        places = jnp.unravel_index(index, [shape[axis] for axis in self.over])
        return jnp.ravel_multi_index(places, [block[axis] for axis in self.over], mode="clip")

    def by_row(self, _dtype: np.dtype, /) -> ByRow:
        state = {"value": State(-np.inf), "index": State(0, np.int32)}
        return ByRow(step=_STEPS_BY_ROW[self.op], state=state, fold=_first_of_lanes)

    def start(self, shape: tuple[int, ...]) -> Arrays:
        kept = self.kept_shape(shape)
        return {"value": np.full(kept, -np.inf), "index": np.full(kept, -1, dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        place = self.place(plan, key)
        value = self.inside(part["value"], plan, key)
        index = self.global_index(self.inside(part["index"], plan, key), plan, key)
        old, where = (state[name][(*place, ...)] for name in ("value", "index"))
        better = (value > old) | ((value == old) & (value > -np.inf) & (index < where))
        np.copyto(old, value, where=better)
        np.copyto(where, index, where=better)

    def _signed(self, values):
        return values if self.op == "argmax" else -values

    def variables(self, axes: Iterable[str]) -> set[str]:
        return super().variables(axes) | winner_names(self, axes)

    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        values = np.where(state["index"] >= 0, self._signed(state["value"]), np.nan)
        value = self.summary(self.op.removeprefix("arg"), values, swept)
        return [value, *winners(self, state["index"], swept, value.dims)]


def _best_along(metric: jax.Array, over: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Largest value along some axes and the first place where it is, as one reduction over pairs.

    An accelerator computes the metric inside it, so that no point is ever written.
    """
    strides = np.cumprod([1, *(metric.shape[axis] for axis in reversed(over[1:]))])[::-1]
    places = sum(
        int(stride) * jax.lax.broadcasted_iota(jnp.int32, metric.shape, axis)
        for axis, stride in zip(over, strides, strict=True)
    )

    def better(one: tuple, other: tuple) -> tuple:
        (value, place), (candidate, its) = one, other
        wins = (candidate > value) | ((candidate == value) & (its < place))
        return jnp.where(wins, candidate, value), jnp.where(wins, its, place)

    filled = jnp.where(jnp.isnan(metric), -jnp.inf, metric)
    nothing = (np.array(-np.inf, metric.dtype), np.int32(_NOWHERE))
    value, index = jax.lax.reduce((filled, places), nothing, better, over)
    return value.ravel(), index.ravel()


def _best_of_rows(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Largest value of every row and the first place where it is, as a CPU finds them soonest."""
    return _first_of_many(rows) if rows.shape[0] < _LANES else _running_best(rows)


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
    return value[:, 0], jnp.min(jnp.where(filled == value, places, _NOWHERE), axis=1)


def _keep_larger(values: np.ndarray, row: Row, value: np.ndarray, index: np.ndarray) -> None:
    # Two loops, and zeros: see jaxlimits.engine.by_row.
    place, zero, nothing = np.int32(row.place), values.dtype.type(0), np.int32(row.places[0] < 0)
    for i in range(values.size):
        index[i] = (place if values[i] > value[i] else index[i]) | nothing
    for i in range(values.size):
        value[i] = (values[i] if values[i] > value[i] else value[i]) + zero


def _keep_smaller(values: np.ndarray, row: Row, value: np.ndarray, index: np.ndarray) -> None:
    place, zero, nothing = np.int32(row.place), values.dtype.type(0), np.int32(row.places[0] < 0)
    for i in range(values.size):
        index[i] = (place if -values[i] > value[i] else index[i]) | nothing
    for i in range(values.size):
        value[i] = (-values[i] if -values[i] > value[i] else value[i]) + zero


_STEPS_BY_ROW = {"argmax": _keep_larger, "argmin": _keep_smaller}


def _first_of_lanes(places: np.ndarray, state: Arrays) -> Arrays:
    value = state["value"].max(axis=1)
    found = (state["value"] == value[:, None]) & (value > -np.inf)[:, None]
    return {"value": value, "index": first_place(places, state["index"], found)}
