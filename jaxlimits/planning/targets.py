"""Targets of a plan: bounds on what a request sees, in the mean or for a share of the requests."""

import dataclasses
import re
from collections.abc import Sequence

from jaxlimits import schema, units
from jaxlimits.errors import InputError
from jaxlimits.grid.requirements import read_target
from jaxlimits.questions.solve import parse_target

SEEN = ("ttft", "tpot")
"""Metrics that a request sees."""

OF_THE_FLEET = ("num_chips", "power", "cost_rate", "capital_cost")
"""Metrics of all machines together, which may have a budget."""

_OF = re.compile(
    r"\s*(?:(mean)|every|p(?P<share>[0-9]+(?:\.[0-9]+)?))\s+(?P<rest>.+)", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A bound on a metric.

    Parameters
    ----------
    metric
        ``ttft`` or ``tpot``, or one of the whole fleet.
    limit
        What it may be at most [SI].
    percent
        Percent of the requests that must keep it; none for the mean over all.
    """

    metric: str
    limit: float
    percent: float | None = None

    def __repr__(self) -> str:
        return f"Target({self.words})"

    @property
    def words(self) -> str:
        """The target as a user writes it."""
        unit = schema.output(self.metric).unit
        bound = f"{self.metric} <= {units.show(self.limit, unit)}"
        if self.metric not in SEEN:
            return bound
        if self.percent is None:
            return f"mean {bound}"
        return f"every {bound}" if self.percent == 100.0 else f"p{self.percent:g} {bound}"


FITS = Target(metric="capacity_utilisation", limit=1.0)
"""What every group must keep, whatever is asked."""


def read_targets(texts: str | Sequence[str]) -> tuple[Target, ...]:
    """Return targets as users write them: ``"tpot <= 20 ms/token"``, ``"p99 ttft <= 1 s"``.

    Without a word before it a target is one of the mean.

    Raises
    ------
    InputError
        Another metric, a lower bound, a percentile outside 0 to 100, a metric twice, text that is
        not a target.
    """
    listed = (texts,) if isinstance(texts, str) else tuple(texts)
    found = tuple(_target(text) for text in listed)
    for metric in {target.metric for target in found}:
        if sum(target.metric == metric for target in found) > 1:
            remedy = "keep one: of two bounds the lower one decides"
            raise InputError("has two targets", key=metric, remedy=remedy)
    return found


def _target(text: str) -> Target:
    parts = _OF.fullmatch(text)
    metric, side, value = parse_target(parts["rest"] if parts else text)
    known = (*SEEN, *OF_THE_FLEET)
    if metric not in known:
        remedy = f"choose one of {', '.join(known)}; the workload states the rate"
        raise InputError("is not a target of a plan", key="target", value=metric, remedy=remedy)
    if side != "at_most":
        remedy = f"write '{metric} <= {value}'"
        raise InputError("must be an upper bound", key="target", value=text, remedy=remedy)
    limit = read_target(metric, value, key=metric)
    if limit <= 0.0:
        raise InputError("must be above 0", key="target", value=text)
    if parts is None or parts[1]:
        return Target(metric=metric, limit=limit)
    if metric in OF_THE_FLEET:
        raise InputError("is of all machines, not of requests", key="target", value=text)
    percent = 100.0 if parts["share"] is None else float(parts["share"])
    if not 0.0 < percent <= 100.0:
        problem = "percentiles are above 0 and at most 100"
        raise InputError(problem, key="target", value=text, remedy="write p99, or mean")
    return Target(metric=metric, limit=limit, percent=percent)
