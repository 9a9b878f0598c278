"""Quantiles of a metric, from counts in fine bins."""

import dataclasses

import numpy as np
import pydantic

from jaxlimits.engine.asked import Asked, Keys
from jaxlimits.engine.bins import LogBins
from jaxlimits.engine.by_row import ByRow
from jaxlimits.engine.counted import Counted, Traced
from jaxlimits.engine.reduction import Arrays, Reduction, Swept
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan

SKETCH = LogBins(first=1e-15, last=1e21, number=8300)
"""The bins: a factor 1.01 apart, over every value a metric can take."""

SKETCH_ERROR = 0.005
"""Relative error of a quantile: half a bin of the sketch."""


class QuantileKeys(Keys):
    """Keys of ``quantiles``."""

    at: list[float] = pydantic.Field(
        default_factory=lambda: [0.05, 0.5, 0.95],
        description="The shares of the points below each quantile.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantiles(Reduction):
    """Values below which some shares of the points lie, to the width of a bin."""

    # Chosen from the counts on the host: a program serves any.
    at: tuple[float, ...] = dataclasses.field(compare=False)

    ops = ("quantiles",)
    keeps = "quantiles, within 0.5 % relative (a histogram sketch)"
    keys = QuantileKeys
    adds = "share"

    @classmethod
    def read(cls, asked: Asked, keys: QuantileKeys) -> "Quantiles":
        if not keys.at:
            remedy = "name at least one share, as at = [0.05, 0.5, 0.95]"
            raise asked.error("is empty", key="at", value=keys.at, remedy=remedy)
        for share in keys.at:
            if not 0.0 <= share <= 1.0:
                raise asked.error("must lie in [0, 1]", key="at", value=share)
        return cls(**asked.common, at=tuple(keys.at))

    def local(self, chunk: Counted) -> Traced:
        (name,) = self.of
        rows = self.rows(chunk.thin(name, self.over))
        return {"count": SKETCH.count(rows, chunk.times(self.over, name))}

    def by_row(self, dtype: np.dtype, /) -> ByRow | None:
        return SKETCH.by_row(dtype)

    def start(self, shape: tuple[int, ...]) -> Arrays:
        return {"count": SKETCH.none(self.kept_shape(shape))}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        self.add(state, part, plan, key)

    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        (metric,), own = self.of, self.dimension
        shares = np.array(self.at)
        values = Finding(
            name=self.name,
            dims=(*self.kept_names(swept), own),
            values=_quantiles(state["count"], shares),
            quantity=metric,
            meaning=f"quantiles of {metric}, within {SKETCH_ERROR:.1%} relative",
        )
        meaning = "share of the points below"
        return [
            values,
            Finding(name=own, dims=(own,), values=shares, quantity=None, meaning=meaning),
        ]


def _quantiles(counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles along a last axis from counts along a last axis, NaN where no point counts."""
    running = np.cumsum(counts, axis=-1)
    total = running[..., -1:]
    middles = np.sqrt(SKETCH.edges[:-1] * SKETCH.edges[1:])
    centres = np.concatenate([[SKETCH.first], middles, [SKETCH.last]])
    ranks = np.ceil(shares * total).clip(1)
    slots = (running[..., None, :] < ranks[..., None]).sum(axis=-1).clip(max=SKETCH.number + 1)
    return np.where(total > 0, centres[slots], np.nan)
