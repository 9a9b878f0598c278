"""Grids over machines: chips, layouts and further axes, evaluated a block of layouts at a time.

What is dear in a model with experts rests on how they are shared: on data and expert parallelism
and the batch, not on the stages or the chips that split an operator. Layouts are then two axes, of
the former two sizes and of the latter two, and those pairs alone are evaluated that some layout
has: each such term is computed once for all layouts that share it.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxlimits import schema
from jaxlimits.engine.reduction import Arrays
from jaxlimits.engine.stream import Chunk, stream
from jaxlimits.engine.sweep_job import Job, make_job
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.layouts import Layout, columns_of
from jaxlimits.grid.plan import Key, Plan
from jaxlimits.grid.scenario import Scenario

_SHARING = ("dp_size", "ep_size")
"""Sizes on which experts depend."""

_TOGETHER = 64
"""Layouts of one chunk, where they are two axes: more save calls, and evaluate more of no use."""

_WORTH_TWO = 64
"""Points of one layout from which two axes are worth their calls."""

_CHUNK = 1 << 20
_BLOCK = 1 << 17
"""Points of a chunk at most, and of what is handed on at least, where there are so many."""


class Block(NamedTuple):
    """A part of a grid over machines.

    Parameters
    ----------
    chips, layouts
        Places of the chips and of the layouts.
    rest
        Where it lies along the further axes.
    arrays
        Outputs by name, of chips, layouts and the further axes.
    """

    chips: np.ndarray
    layouts: np.ndarray
    rest: tuple[slice, ...]
    arrays: Arrays

    @property
    def places(self) -> tuple[np.ndarray, ...]:
        """Places along every axis of the grid, to be broadcast against each other."""
        along = [
            self.chips,
            self.layouts,
            *(np.arange(part.start, part.stop) for part in self.rest),
        ]
        return np.ix_(*along)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MachineGrid:
    """A grid over chips, layouts and further axes.

    Parameters
    ----------
    job
        What is evaluated; the layouts are one of its axes or two, after that of the chips.
    index
        Places of the layouts along these, -1 where no layout is.
    shape
        Chips, layouts, and the further axes.
    """

    job: Job
    index: np.ndarray
    shape: tuple[int, ...]

    @property
    def points(self) -> int:
        """Points of the grid."""
        return math.prod(self.shape)

    def blocks(self) -> Iterator[Block]:
        """Yield the grid block by block; grids that differ in a switch yield the same blocks."""
        waiting: list[Block] = []
        for block in map(self._block, stream(self.job, self._keys())):
            if waiting and not _continues(waiting[0], block):
                yield _joined(waiting)
                waiting = []
            waiting.append(block)
            if sum(each.layouts.size * _others(each) for each in waiting) >= _BLOCK:
                yield _joined(waiting)
                waiting = []
        if waiting:
            yield _joined(waiting)

    def collect(self) -> Arrays:
        """Evaluate the whole grid in memory: outputs of its shape by name."""
        found: Arrays = {}
        for block in self.blocks():
            for name, part in block.arrays.items():
                whole = found.setdefault(name, np.empty(self.shape, part.dtype))
                whole[block.places] = part
        return found

    def _keys(self) -> list[Key]:
        """Chunks that hold a layout, those of the same place along the further axes together."""
        own = slice(1, 1 + self.index.ndim)
        keys = [
            key
            for key in self.job.plan.chunks()
            if (self.index[self.job.plan.slices(key)[own]] >= 0).any()
        ]
        return sorted(keys, key=lambda key: (key[1 + self.index.ndim :], key))

    def _block(self, chunk: Chunk) -> Block:
        chips, *parts = self.job.plan.slices(chunk.key)
        own, rest = tuple(parts[: self.index.ndim]), tuple(parts[self.index.ndim :])
        here = self.index[own]
        there = here >= 0
        arrays = {name: array[:, there] for name, array in chunk.arrays.items()}
        return Block(np.arange(chips.start, chips.stop), here[there], rest, arrays)


def machine_grid(
    scenario: Scenario, layouts: Sequence[Layout], outputs: Sequence[str]
) -> MachineGrid:
    """Plan the evaluation of machines.

    Parameters
    ----------
    scenario
        A grid whose first axis is over chips, without layouts; none of its axes is of a switch.
    layouts
        The layouts.
    outputs
        What is evaluated.
    """
    rest = scenario.shape[1:]
    sharing = dict.fromkeys(_pair(layout, _SHARING) for layout in layouts)
    is_parted = len(sharing) > 1 and math.prod(rest) >= _WORTH_TWO
    axes, index = _two_axes(layouts) if is_parted else _one_axis(layouts)
    chips, *others = zip(scenario.axes, scenario.columns, strict=True)
    pairs = [chips, *((axis, _columns(axis)) for axis in axes), *others]
    sizes = {name for axis in axes for name in axis.linked}
    whole = dataclasses.replace(
        scenario,
        base={name: value for name, value in scenario.base.items() if name not in sizes},
        axes=tuple(axis for axis, _ in pairs),
        columns=tuple(columns for _, columns in pairs),
    )
    job = make_job(whole, outputs=tuple(outputs), precision="float64")
    if is_parted:
        job = dataclasses.replace(job, plan=_plan(whole.shape))
    return MachineGrid(job=job, index=index, shape=(len(chips[0]), len(layouts), *rest))


def _pair(layout: Layout, names: Sequence[str]) -> tuple[int, ...]:
    return tuple(getattr(layout, name) for name in names)


def _one_axis(layouts: Sequence[Layout]) -> tuple[list[Axis], np.ndarray]:
    return [_axis(layouts, schema.LAYOUT_SIZES)], np.arange(len(layouts))


def _two_axes(layouts: Sequence[Layout]) -> tuple[list[Axis], np.ndarray]:
    """The pairs of sizes along each axis, and the place of each layout in them; -1 elsewhere.

    Pairs of few chips come first in the second, so that what one of the first has is together.
    """
    others = tuple(name for name in schema.LAYOUT_SIZES if name not in _SHARING)
    by_chips = sorted(layouts, key=lambda layout: (layout.tp_size * layout.pp_size, layout))
    columns = [
        list({_pair(each, names): each for each in listed})
        for names, listed in ((_SHARING, layouts), (others, by_chips))
    ]
    index = np.full([len(column) for column in columns], -1)
    for place, layout in enumerate(layouts):
        first, second = (
            column.index(_pair(layout, names))
            for names, column in zip((_SHARING, others), columns, strict=True)
        )
        index[first, second] = place
    made = [
        [Layout(**dict(zip(names, pair, strict=True))) for pair in column]
        for names, column in zip((_SHARING, others), columns, strict=True)
    ]
    return [_axis(made[0], _SHARING), _axis(made[1], others)], index


def _axis(layouts: Sequence[Layout], sizes: Sequence[str]) -> Axis:
    linked = {name: column for name, column in columns_of(layouts).items() if name in sizes}
    return Axis(name=schema.LAYOUT, values=tuple(each.name for each in layouts), linked=linked)


def _columns(axis: Axis) -> Mapping[str, np.ndarray]:
    return {name: np.array(values, np.float64) for name, values in axis.linked.items()}


def _plan(shape: tuple[int, ...]) -> Plan:
    """Chunks of one sharing of the experts and some of the other sizes, the last axis cut."""
    chips, _, second, *rest = shape
    *others, last = rest
    layouts = min(_TOGETHER, second)
    pieces = math.ceil(last / max(1, _CHUNK // (chips * layouts * math.prod(others))))
    return Plan(shape=shape, block=(chips, 1, layouts, *others, math.ceil(last / pieces)))


def _continues(first: Block, block: Block) -> bool:
    """Whether a block lies beside another along the layouts alone."""
    return block.rest == first.rest and np.array_equal(block.chips, first.chips)


def _others(block: Block) -> int:
    """Points of one layout."""
    return block.chips.size * math.prod(part.stop - part.start for part in block.rest)


def _joined(blocks: Sequence[Block]) -> Block:
    """Blocks beside each other along the layouts, as one, the layouts in their order."""
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]
    layouts = np.concatenate([block.layouts for block in blocks])
    order = np.argsort(layouts, kind="stable")
    arrays = {
        name: np.concatenate([block.arrays[name] for block in blocks], axis=1)[:, order]
        for name in first.arrays
    }
    return Block(first.chips, layouts[order], first.rest, arrays)


def together(*grids: MachineGrid) -> Iterator[tuple[Block, ...]]:
    """Yield the same blocks of several grids over the same machines."""
    yield from zip(*(grid.blocks() for grid in grids), strict=True)
