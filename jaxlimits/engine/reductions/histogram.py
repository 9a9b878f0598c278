"""Counts of a metric in bins equally wide in the logarithm."""

import dataclasses

import numpy as np
import pydantic

from jaxlimits.engine.asked import Asked, Keys
from jaxlimits.engine.bins import LogBins
from jaxlimits.engine.by_row import ByRow
from jaxlimits.engine.counted import Counted, Traced
from jaxlimits.engine.reduction import Arrays, Reduction, Swept
from jaxlimits.grid.file import Raw
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan


class HistogramKeys(Keys):
    """Keys of ``histogram``."""

    first: Raw | None = pydantic.Field(default=None, description="The lower edge of the first bin.")
    last: Raw | None = pydantic.Field(default=None, description="The upper edge of the last bin.")
    bins: int = pydantic.Field(default=64, ge=1, le=65536, description="The number of bins.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Histogram(Reduction):
    """Counts in bins equally wide in the logarithm, with one bin below and one above."""

    bins: LogBins

    ops = ("histogram",)
    keeps = "counts in bins equally wide in the logarithm"
    keys = HistogramKeys
    adds = "bin"
    not_by_row = "its bins are too narrow for a table of them; ask for fewer"

    @classmethod
    def read(cls, asked: Asked, keys: HistogramKeys) -> "Histogram":
        first, last = asked.number("first", keys.first), asked.number("last", keys.last)
        if not 0.0 < first < last:
            raise asked.error("first must lie above 0 and below last")
        return cls(**asked.common, bins=LogBins(first=first, last=last, number=keys.bins))

    def local(self, chunk: Counted) -> Traced:
        (name,) = self.of
        rows = self.rows(chunk.thin(name, self.over))
        return {"count": self.bins.count(rows, chunk.times(self.over, name))}

    def by_row(self, dtype: np.dtype, /) -> ByRow | None:
        return self.bins.by_row(dtype)

    def start(self, shape: tuple[int, ...]) -> Arrays:
        return {"count": self.bins.none(self.kept_shape(shape))}

    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        self.add(state, part, plan, key)

    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        (metric,), own = self.of, self.dimension
        dims = (*self.kept_names(swept), own)
        meaning = f"points by {metric}; the outer bins take what lies below and above"
        edges = np.concatenate([[0.0], self.bins.edges])
        counts = Finding(
            name=self.name, dims=dims, values=state["count"], quantity=None, meaning=meaning
        )
        meaning = "lower edge of a bin"
        return [
            counts,
            Finding(name=own, dims=(own,), values=edges, quantity=metric, meaning=meaning),
        ]
