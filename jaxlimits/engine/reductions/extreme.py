"""The largest or smallest value of a metric."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np

from jaxlimits import schema
from jaxlimits.engine.by_row import ByRow, State
from jaxlimits.engine.counted import Counted, Traced, over_usable
from jaxlimits.engine.reduction import Arrays, Reduction, Swept
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extreme(Reduction):
    """Largest or smallest value."""

    ops = ("max", "min")
    keeps = "the largest or smallest value"

    @property
    def _largest(self) -> bool:
        return self.op == "max"

    @property
    def _nothing(self) -> float:
        return -math.inf if self._largest else math.inf

    def local(self, chunk: Counted) -> Traced:
        (name,) = self.of
        operation = jnp.max if self._largest else jnp.min
        if name in schema.OF_THE_LIMIT:
            over, nothing = self.over, self._nothing
            value = over_usable(chunk, name, over, operation=operation, nothing=nothing)
        else:
            metric = chunk.thin(name, self.over)
            filled = jnp.where(jnp.isnan(metric), self._nothing, metric)
            value = operation(filled, axis=self.over)
        return {"value": value.ravel()}

    def by_row(self, _dtype: np.dtype, /) -> ByRow:
        best = np.max if self._largest else np.min
        return ByRow(
            step=_larger if self._largest else _smaller,
            one_by_one=True,
            state={"value": State(self._nothing)},
            fold=lambda _, state: {"value": best(state["value"], axis=1)},
        )

    def start(self, shape: tuple[int, ...]) -> Arrays:
        return {"value": np.full(self.kept_shape(shape), self._nothing)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        place = self.place(plan, key)
        better = np.maximum if self._largest else np.minimum
        state["value"][place] = better(state["value"][place], self.inside(part["value"], plan, key))

    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        # No point counts where nothing better than the start was found.
        values = np.where(state["value"] == self._nothing, np.nan, state["value"])
        return [self.summary(self.op, values, swept)]


_ZERO = np.float32(0)  # added to what stays or is replaced: see jaxlimits.engine.by_row


def _larger(value: np.floating, best: np.floating) -> np.floating:
    return (value if value > best else best) + _ZERO


def _smaller(value: np.floating, best: np.floating) -> np.floating:
    return (value if value < best else best) + _ZERO
