"""How many points have each code."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from jaxlimits.engine.by_row import Arrays, ByRow, Row, State
from jaxlimits.engine.counted import Counted, Traced, number
from jaxlimits.engine.reduction import Reduction, Swept
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan
from jaxlimits.grid.requirements import codes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Count(Reduction):
    """Points by code; the only reduction into which infeasible points enter, as their own code."""

    ops = ("count",)
    keeps = 'points by code, as `of = "limit"`'
    of_codes = True
    adds = "code"

    def local(self, chunk: Counted) -> Traced:
        (name,) = self.of
        values = chunk.thin(name, self.over)
        counts = [number(values == code, self.over).ravel() for code in codes(name).values()]
        return {"count": chunk.times(self.over, name) * jnp.stack(counts, axis=-1)}

    def by_row(self, _dtype: np.dtype, /) -> ByRow:
        different = np.array(list(codes(self.of[0]).values()), np.int8)
        state = {f"count{code}": State(0, np.int32) for code in different}
        return ByRow(step=_count_codes, state=state, fold=_in_columns, settings=(different,))

    def start(self, shape: tuple[int, ...]) -> Arrays:
        different = len(codes(self.of[0]))
        return {"count": np.zeros((*self.kept_shape(shape), different), dtype=np.int64)}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        self.add(state, part, plan, key)

    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        (metric,), own = self.of, self.dimension
        counts = Finding(
            name=self.name,
            dims=(*self.kept_names(swept), own),
            values=state["count"],
            quantity=None,
            meaning=f"points by {metric}",
        )
        names, meaning = np.array(list(codes(metric))), f"{metric} by name"
        return [
            counts,
            Finding(name=own, dims=(own,), values=names, quantity=None, meaning=meaning),
        ]


def _count_codes(values: np.ndarray, row: Row, *counts: np.ndarray) -> None:
    for slot in range(len(counts)):
        count, code = counts[slot], row.settings[0][slot]
        for i in range(values.size):
            count[i] += values[i] == code


def _in_columns(_places: np.ndarray, state: Arrays) -> Arrays:
    return {"count": np.stack([count.sum(axis=1) for count in state.values()], axis=-1)}
