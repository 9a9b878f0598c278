"""The arithmetic mean of a metric."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from jaxlimits import schema
from jaxlimits.engine.by_row import Arrays, ByRow, State
from jaxlimits.engine.counted import USABLE, Counted, Traced, number, over_usable
from jaxlimits.engine.reduction import Reduction, Swept
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mean(Reduction):
    """Arithmetic mean: sums of chunks in the kernel's precision, their sum in float64."""

    ops = ("mean",)
    keeps = "the arithmetic mean"

    def local(self, chunk: Counted) -> Traced:
        (name,) = self.of
        if name in schema.OF_THE_LIMIT:  # only a small mask need be counted
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

    def by_row(self, _dtype: np.dtype, /) -> ByRow:
        state = {"total": State(0.0, np.float64), "count": State(0, np.int32)}
        return ByRow(step=_add, one_by_one=True, state=state, fold=_added)

    def start(self, shape: tuple[int, ...]) -> Arrays:
        kept = self.kept_shape(shape)
        return {"total": np.zeros(kept), "count": np.zeros(kept, dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        self.add(state, part, plan, key)

    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        mean = state["total"] / np.maximum(state["count"], 1)
        values = np.where(state["count"] > 0, mean, np.nan)
        return [self.summary("mean", values, swept)]


def _add(
    value: np.floating, total: np.float64, count: np.int32
) -> tuple[np.float64, np.int32 | np.int64]:
    counts = ~np.isnan(value)
    return total + (np.float64(value) if counts else 0.0), count + counts


def _added(_places: np.ndarray, state: Arrays) -> Arrays:
    return {name: array.sum(axis=1) for name, array in state.items()}
