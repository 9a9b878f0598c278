"""The plan: a grid cut into chunks of one shape.

A plan depends on the grid, the outputs and the memory given to a chunk; never on how many devices
or workers run it. Chunks are numbered in C order, and every later step — merging, writing,
resuming — goes by these numbers.
"""

import dataclasses
import functools
import math
from collections.abc import Collection, Iterator

import numpy as np

from jaxlimits import schema
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.scenario import Scenario
from jaxlimits.model.chip import Chip
from jaxlimits.model.fields import quantities
from jaxlimits.model.site import Site

Key = tuple[int, ...]
"""Position of a chunk: its number along each axis."""

_HARDWARE = {*quantities(Chip), *quantities(Site), "chip"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Chunks of a grid.

    Parameters
    ----------
    shape
        Values on each axis.
    block
        Values of each axis in one chunk; the last chunk of an axis may have fewer.
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Chunks along each axis."""
        return tuple(
            math.ceil(length / size) for length, size in zip(self.shape, self.block, strict=True)
        )

    @property
    def num_chunks(self) -> int:
        """Chunks in all."""
        return math.prod(self.counts)

    @property
    def points_per_chunk(self) -> int:
        """Points of a whole chunk."""
        return math.prod(self.block)

    def chunks(self) -> Iterator[Key]:
        """Yield the chunks in their order."""
        yield from np.ndindex(*self.counts)

    def number(self, key: Key) -> int:
        """Return the place of a chunk in the order of :meth:`chunks`."""
        return int(np.ravel_multi_index(key, self.counts)) if key else 0

    @functools.lru_cache(maxsize=64)  # noqa: B019  (a plan is a few numbers; every reduction asks)
    def slices(self, key: Key) -> tuple[slice, ...]:
        """Return where a chunk lies in the grid."""
        return tuple(
            slice(index * size, min((index + 1) * size, length))
            for index, size, length in zip(key, self.block, self.shape, strict=True)
        )


def make_plan(scenario: Scenario, *, points: int, kept: Collection[int] = ()) -> Plan:
    """Cut a grid into chunks of at most a number of points.

    Axes of the application (model, context, batch, widths) are cut before those of the hardware:
    their terms are then computed once in all, and only the cheap terms of the hardware axes are
    computed again for each chunk. Before all of them go the axes that reductions keep: a chunk then
    has whole what is reduced, and little is left to merge. Among equals the outermost axis is cut
    first. A switch is always cut, since each choice is a program of its own.

    Parameters
    ----------
    scenario
        The grid.
    points
        Points that fit in one chunk; at least 1.
    kept
        Positions of axes that reductions keep.
    """
    block = [1 if axis.name in schema.SWITCHES else len(axis) for axis in scenario.axes]
    order = sorted(_cutting_order(scenario.axes), key=lambda position: position not in kept)
    for position in order:
        others = math.prod(block) // block[position]
        if others * block[position] <= points:
            break
        fits = max(1, points // others)
        pieces = math.ceil(block[position] / fits)
        block[position] = math.ceil(block[position] / pieces)
    return Plan(shape=scenario.shape, block=tuple(block))


def _cutting_order(axes: tuple[Axis, ...]) -> list[int]:
    """Axes of the application first, then the rest, each from the outside in."""

    def is_hardware(position: int) -> bool:
        names = (axes[position].name, *axes[position].linked)
        return any((schema.scaled_field(name) or name) in _HARDWARE for name in names)

    return sorted(range(len(axes)), key=is_hardware)
