"""Machines that a plan builds, and how near they come where none will do."""

import dataclasses
from collections.abc import Mapping

from jaxlimits.grid.layouts import Layout
from jaxlimits.planning.targets import Target


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Equal groups of chips that do the same.

    Parameters
    ----------
    role
        ``serve`` (prefill and decode), ``prefill`` or ``decode``.
    chip, layout, batch_size
        What one group is; the batch is that of a replica.
    count
        How many groups there are.
    rate
        Requests that one group completes, prefills or decodes in a second [1/s].
    limit
        What binds its steps.
    """

    role: str
    chip: str
    layout: Layout
    batch_size: float
    count: int
    rate: float
    limit: str

    @property
    def num_chips(self) -> int:
        """Chips of all these groups."""
        return self.count * self.layout.num_chips


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Machines that serve the workload within its targets.

    Parameters
    ----------
    groups
        What is built.
    cost
        Chips, watts or dollars by time, as the plan minimises [SI].
    totals
        Chips, power and cost of all of it, by metric [SI]; NaN where they are not stated.
    tpot, ttft
        Time of a token and to the first one, as the targets take them [s].
    """

    groups: tuple[Group, ...]
    cost: float
    totals: Mapping[str, float]
    tpot: float
    ttft: float

    def __repr__(self) -> str:
        parts = [
            f"{group.count} x {group.chip} {group.layout.name} ({group.role})"
            for group in self.groups
        ]
        return f"Choice({self.num_chips} chips: {', '.join(parts)})"

    @property
    def kind(self) -> str:
        """``aggregated``, or ``disaggregated`` where machines prefill or decode alone."""
        return "aggregated" if len(self.groups) == 1 else "disaggregated"

    @property
    def num_chips(self) -> int:
        """Chips of all groups."""
        return sum(group.num_chips for group in self.groups)

    @property
    def rate(self) -> float:
        """Requests that all of it can serve in a second [1/s]."""
        return min(group.count * group.rate for group in self.groups)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Miss:
    """A target that no machine keeps, and the machine that comes nearest.

    Parameters
    ----------
    target
        The target.
    chip, layout
        The machine.
    value
        What it comes to [s].
    limit
        What binds it.
    """

    target: Target
    chip: str
    layout: Layout
    value: float
    limit: str

    @property
    def factor(self) -> float:
        """By which it misses."""
        return self.value / self.target.limit
