"""Where along an axis a metric first reaches a target."""

import dataclasses
from typing import Literal

import jax.numpy as jnp
import numpy as np
import pydantic

from jaxlimits.engine.asked import Asked, Keys
from jaxlimits.engine.by_row import Arrays, ByRow, Row, State
from jaxlimits.engine.counted import Counted, Traced
from jaxlimits.engine.reduction import Reduction, Swept
from jaxlimits.engine.winners import labels
from jaxlimits.grid.file import Raw
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan

_NOWHERE = np.iinfo(np.int32).max


class CrossingKeys(Keys):
    """Keys of ``crossing``."""

    target: Raw | None = pydantic.Field(
        default=None, description="The value that the metric must reach."
    )
    reach: Literal["above", "below"] = pydantic.Field(
        default="above", description="From which side the metric reaches the target."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crossing(Reduction):
    """First position along one axis at which a metric reaches a target."""

    target: float
    upward: bool

    ops = ("crossing",)
    keeps = "the first value of one axis at which a metric reaches a target"
    keys = CrossingKeys
    reduces = "one axis"

    @classmethod
    def read(cls, asked: Asked, keys: CrossingKeys) -> "Crossing":
        target = asked.number("target", keys.target)
        return cls(**asked.common, target=target, upward=keys.reach == "above")

    def local(self, chunk: Counted) -> Traced:
        rows = self.rows(chunk.thin(self.of[0], self.over))
        reached = rows >= self.target if self.upward else rows <= self.target
        position = jnp.arange(rows.shape[1], dtype=jnp.int32)[None, :]
        return {"index": jnp.min(jnp.where(reached, position, _NOWHERE), axis=1)}

    def by_row(self, dtype: np.dtype, /) -> ByRow:
        return ByRow(
            step=_reach_above if self.upward else _reach_below,
            state={"index": State(_NOWHERE, np.int32)},
            fold=_first_reached,
            settings=(np.array([self.target], dtype),),
        )

    def start(self, shape: tuple[int, ...]) -> Arrays:
        return {"index": np.full(self.kept_shape(shape), -1, dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        place = self.place(plan, key)
        local = self.inside(part["index"], plan, key)
        found = local < _NOWHERE
        index = self.global_index(np.where(found, local, 0), plan, key)
        old = state["index"][place]
        earlier = found & ((old < 0) | (index < old))
        state["index"][place] = np.where(earlier, index, old)

    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        axis = swept.axes[self.over[0]]
        relation = "at least" if self.upward else "at most"
        return [
            Finding(
                name=self.name,
                dims=self.kept_names(swept),
                values=labels(axis, state["index"]),
                quantity=axis.name,
                meaning=f"first {axis.name} with {self.of[0]} {relation} {self.target:g}",
                nan_means="target_not_reached",
            )
        ]


def _reach_above(values: np.ndarray, row: Row, index: np.ndarray) -> None:
    target, place = row.settings[0][0], np.int32(row.place)
    nothing = np.int32(row.places[0] < 0)  # see jaxlimits.engine.by_row
    for i in range(values.size):
        reached = (values[i] >= target) & (place < index[i])
        index[i] = (place if reached else index[i]) | nothing


def _reach_below(values: np.ndarray, row: Row, index: np.ndarray) -> None:
    target, place = row.settings[0][0], np.int32(row.place)
    nothing = np.int32(row.places[0] < 0)  # see jaxlimits.engine.by_row
    for i in range(values.size):
        reached = (values[i] <= target) & (place < index[i])
        index[i] = (place if reached else index[i]) | nothing


def _first_reached(places: np.ndarray, state: Arrays) -> Arrays:
    found = state["index"] < _NOWHERE
    return {"index": np.where(found, state["index"] + places, _NOWHERE).min(axis=1)}
