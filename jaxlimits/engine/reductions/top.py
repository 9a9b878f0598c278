"""The k largest or smallest values of a metric, and where in the grid they are."""

import dataclasses
from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pydantic

from jaxlimits.engine.asked import Asked
from jaxlimits.engine.by_row import Arrays, ByRow, Row, State
from jaxlimits.engine.counted import Counted, Traced
from jaxlimits.engine.reduction import Reduction, Swept
from jaxlimits.engine.winners import WinnerKeys, winner_names, winners
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan


class TopKeys(WinnerKeys):
    """Keys of ``top`` and ``bottom``."""

    k: int = pydantic.Field(default=10, ge=1, le=4096, description="The number of points to keep.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Top(Reduction):
    """The k largest (or smallest) values over the whole grid, and where they are."""

    k: int

    ops = ("top", "bottom")
    keeps = "the k best of the whole grid, with coordinates"
    keys = TopKeys
    reduces = "the whole grid"
    adds = "rank"
    not_by_row = "k must be at most 64"

    @classmethod
    def read(cls, asked: Asked, keys: TopKeys) -> "Top":
        return cls(**asked.common, also=asked.metrics(keys.also), k=keys.k)

    def _signed(self, values):
        return values if self.op == "top" else -values

    def local(self, chunk: Counted) -> Traced:
        rows = self.rows(chunk.whole(self.of[0]))
        filled = jnp.where(jnp.isnan(rows), -jnp.inf, self._signed(rows))
        lengths = np.cumprod(chunk.block[::-1]).tolist()
        value, index = _top_of_groups(filled, k=self.k, lengths=lengths)
        return {"value": value, "index": index}

    def by_row(self, dtype: np.dtype, /) -> ByRow | None:
        if self.k > _INSERTED:
            return None
        state = {"value": State(-np.inf), "index": State(_NOWHERE, np.int32)}
        sign = np.array([self._signed(1.0)], dtype)
        layout = {"lanes": False, "width": self.k}
        return ByRow(step=_insert_best, state=state, fold=_found, settings=(sign,), **layout)

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

    def variables(self, axes: Iterable[str]) -> set[str]:
        return super().variables(axes) | winner_names(self, axes)

    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        (metric,), dims = self.of, (*self.kept_names(swept), self.dimension)
        meaning = f"{self.op} {self.k} of {metric}, best first"
        values = np.where(state["index"] >= 0, self._signed(state["value"]), np.nan)
        value = Finding(name=self.name, dims=dims, values=values, quantity=metric, meaning=meaning)
        return [value, *winners(self, state["index"], swept, dims)]


_NOWHERE = np.iinfo(np.int32).max

_INSERTED = 64
"""Points that a loop keeps in their order by inserting each that is better."""


def _insert_best(values: np.ndarray, row: Row, value: np.ndarray, index: np.ndarray) -> None:
    """Insert what beats the last one: larger, or as large and at a lower position."""
    sign, last = row.settings[0][0], value.shape[1] - 1
    worst, number = value[0, last], 0
    for i in range(values.size):
        number += sign * values[i] >= worst
    if number == 0:  # as most rows, which are no more than compared
        return
    for i in range(values.size):
        new, place = sign * values[i], np.int32(row.place + row.places[i])
        slot = last + 1
        while slot > 0 and (
            new > value[0, slot - 1] or (new == value[0, slot - 1] and place < index[0, slot - 1])
        ):
            slot -= 1
            if slot < last:
                value[0, slot + 1], index[0, slot + 1] = value[0, slot], index[0, slot]
        if slot <= last:
            value[0, slot], index[0, slot] = new, place


def _found(_places: np.ndarray, state: Arrays) -> Arrays:
    return {**state, "index": np.where(state["value"] > -np.inf, state["index"], 0)}


_SORTED = 1 << 16
"""Values of a row that are sorted at once, at most: compilers for accelerators split longer rows in
ways of their own, one of which does not end for rows between 2^20 and 2^21."""


def _top_of_groups(
    rows: jax.Array, *, k: int, lengths: Sequence[int]
) -> tuple[jax.Array, jax.Array]:
    """The k largest of each row, and where: the lowest positions among equals.

    They lie in the k groups with the largest maxima, so that only these are looked at more closely.

    Parameters
    ----------
    rows
        Values, minus infinity where a point does not count.
    k
        How many.
    lengths
        Lengths that a group may have, the shortest first; each divides the next one.
    """
    number, size = rows.shape
    useful = [length for length in lengths if size % length == 0 and size // length > k]
    if not useful:
        value, place = jax.lax.top_k(rows, min(k, size))
        return value, place
    length = next((each for each in useful if size // each <= _SORTED), useful[-1])
    groups = rows.reshape(number, size // length, length)
    _, best = jax.lax.top_k(jnp.max(groups, axis=2), k)
    best = jnp.sort(best, axis=1)  # equals are found in the order of their positions
    chosen = jnp.take_along_axis(groups, best[:, :, None], axis=1).reshape(number, k * length)
    shorter = [each for each in lengths if each < length]
    value, place = _top_of_groups(chosen, k=k, lengths=shorter)
    group = jnp.take_along_axis(best, place // length, axis=1)
    return value, group * length + place % length
