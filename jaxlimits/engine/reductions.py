"""From a reduction as a grid states it to what computes it."""

from collections.abc import Sequence

from jaxlimits import schema
from jaxlimits.engine.frontier import Frontier
from jaxlimits.engine.reduce import (
    Best,
    Counts,
    Crossing,
    Extreme,
    Histogram,
    Mean,
    Reduction,
    Top,
)
from jaxlimits.grid.reduction_specs import ReductionSpec
from jaxlimits.grid.requirements import codes

SKETCH = {"first": 1e-15, "last": 1e21, "bins": 8300}
"""Bins of the sketch behind quantiles: a factor 1.01 apart, over every value a metric can take."""

SKETCH_ERROR = 0.005
"""Relative error of a quantile: half a bin of the sketch."""


def build_reduction(  # noqa: PLR0911  (one return an operation)
    spec: ReductionSpec, axes: Sequence[str]
) -> Reduction:
    """Return what computes a reduction of a grid with the named axes."""
    over = tuple(axes.index(name) for name in spec.over)
    common = {"name": spec.name, "of": spec.of, "over": over}
    if spec.op in ("argmax", "argmin"):
        return Best(**common, largest=spec.op == "argmax")
    if spec.op in ("top", "bottom"):
        return Top(**common, k=spec.options["k"], largest=spec.op == "top")
    if spec.op == "frontier":
        signs = tuple(-1.0 if name in spec.minimise else 1.0 for name in spec.of)
        return Frontier(**common, signs=signs)
    if spec.op == "quantiles":
        return Histogram(**common, **SKETCH)
    if spec.op == "count":
        return Counts(**common, codes=tuple(codes(spec.of[0]).values()))
    if spec.op == "mean":
        return Mean(**common, complete=_is_complete(spec))
    if spec.op in ("max", "min"):
        return Extreme(**common, largest=spec.op == "max", complete=_is_complete(spec))
    return {"histogram": Histogram, "crossing": Crossing}[spec.op](**common, **spec.options)


def _is_complete(spec: ReductionSpec) -> bool:
    """Whether a metric has a value wherever a point is usable.

    The limit's have; a request may not fit in memory where a step does.
    """
    return spec.of[0] in schema.OF_THE_LIMIT
