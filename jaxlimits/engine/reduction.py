"""The form of every reduction, and how its chunks lie in the grid.

A reduction is one file in :mod:`jaxlimits.engine.reductions`: a class with its names and keys in a
grid file, its words in the documentation, and its four steps. The local half is traced into a
program of the kernel, so that dense outputs are never stored; the merging half is NumPy on the
host. Chunks are merged in their order, whatever order they were computed in, so that a result is
the same bit for bit for any number of devices and workers. Points that do not fit in memory never
enter.
"""

import abc
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal

import jax
import numpy as np

from jaxlimits.engine.asked import Asked, Keys
from jaxlimits.engine.by_row import Arrays, ByRow
from jaxlimits.engine.counted import Counted, Traced
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.plan import Key, Plan


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """The sweep to which a reduction belongs, as its findings see it.

    Parameters
    ----------
    axes
        Axes of the grid.
    evaluate
        Evaluates metrics at points, given by their positions on each axis.
    """

    axes: tuple[Axis, ...]
    evaluate: Callable[[Mapping[str, np.ndarray], tuple[str, ...]], Arrays]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values on each axis."""
        return tuple(len(axis) for axis in self.axes)

    def names(self, positions: Iterable[int]) -> tuple[str, ...]:
        """Return the names of some axes."""
        return tuple(self.axes[position].name for position in positions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reduction(abc.ABC):
    """One reduction of metrics over some axes.

    Parameters
    ----------
    name
        Name of its main variable in the result.
    op
        Which of its names the grid file gives.
    of
        Metrics it rests on.
    over
        Positions of the axes that it reduces; the others are kept.
    also
        Further metrics at the points that it finds.
    """

    name: str
    op: str
    of: tuple[str, ...]
    over: tuple[int, ...]
    # Evaluated on the host: a program for it serves any.
    also: tuple[str, ...] = dataclasses.field(default=(), compare=False)

    ops: ClassVar[tuple[str, ...]]
    """Its names in a grid file."""

    keeps: ClassVar[str]
    """What it keeps, in the words of the documentation."""

    keys: ClassVar[type[Keys]] = Keys
    """Keys that it takes in a grid file."""

    reduces: ClassVar[Literal["some axes", "one axis", "the whole grid"]] = "some axes"
    """Which axes it may be given. What finds points of the grid reduces all axes."""

    num_metrics: ClassVar[tuple[int, ...]] = (1,)
    """How many metrics it may be given."""

    of_codes: ClassVar[bool] = False
    """Whether it reduces codes, which have no order, rather than numbers."""

    adds: ClassVar[str] = ""
    """Ending of the name of the dimension that it adds, if it adds one."""

    grows: ClassVar[bool] = False
    """Whether :meth:`enlarged` may ask for more room."""

    not_by_row: ClassVar[str] = "it looks at points of many rows"
    """Why :meth:`by_row` has nothing to say, where it has not."""

    @classmethod
    def read(cls, asked: Asked, keys: Any) -> "Reduction":
        """Make the reduction that a grid file asks for.

        Parameters
        ----------
        asked
            What all reductions are asked.
        keys
            Its own keys, in the form of ``cls.keys``.

        Raises
        ------
        InputError
            A value of a key cannot be used.
        """
        del keys
        return cls(**asked.common)

    @abc.abstractmethod
    def local(self, chunk: Counted) -> Traced:
        """Reduce one chunk on the device."""

    @abc.abstractmethod
    def start(self, shape: tuple[int, ...]) -> Arrays:
        """Return the state of no chunk, for a grid of a shape."""

    @abc.abstractmethod
    def merge(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        """Add one chunk to the state, in place."""

    @abc.abstractmethod
    def findings(self, state: Arrays, swept: Swept) -> list[Finding]:
        """Say what was found, as variables with names and dimensions."""

    def by_row(self, dtype: np.dtype, /) -> ByRow | None:
        """Say how a loop reduces a row at once, for metrics of a type; ``None`` if none does."""
        del dtype

    def enlarged(self, part: Arrays) -> "Reduction | None":
        """Return the reduction with more room, where a chunk had more to say than there was."""
        del part

    def summary(self, what: str, values: np.ndarray, swept: Swept) -> Finding:
        """Return its main variable where that is a value of its metric for each kept point.

        Parameters
        ----------
        what
            What the values are, in words: "mean".
        values
            Of the shape of the kept axes.
        swept
            The sweep.
        """
        (metric,) = self.of
        meaning = f"{what} of {metric} over {', '.join(swept.names(self.over))}"
        dims = self.kept_names(swept)
        return Finding(name=self.name, dims=dims, values=values, quantity=metric, meaning=meaning)

    def variables(self, axes: Iterable[str]) -> set[str]:
        """Return the names of all that it may write, for a grid with the named axes."""
        del axes
        return {self.name, *([self.dimension] if self.adds else [])}

    @property
    def dimension(self) -> str:
        """Name of the dimension that it adds."""
        return f"{self.name}_{self.adds}"

    def kept(self, rank: int) -> tuple[int, ...]:
        """Return the positions of the axes that remain."""
        return tuple(position for position in range(rank) if position not in self.over)

    def kept_names(self, swept: Swept) -> tuple[str, ...]:
        """Return the names of the axes that remain."""
        return swept.names(self.kept(len(swept.axes)))

    def kept_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the lengths of the axes that remain."""
        return tuple(shape[position] for position in self.kept(len(shape)))

    def rows(self, array: jax.Array) -> jax.Array:
        """Arrange a chunk as kept points by reduced points."""
        kept = self.kept(array.ndim)
        shape = self.kept_shape(array.shape)
        return array.transpose(*kept, *self.over).reshape(math.prod(shape), -1)

    def place(self, plan: Plan, key: Key) -> tuple[slice, ...]:
        """Return where a chunk's kept axes lie in the state."""
        slices = plan.slices(key)
        return tuple(slices[position] for position in self.kept(len(slices)))

    def inside(self, array: np.ndarray, plan: Plan, key: Key) -> np.ndarray:
        """Give a chunk's rows the shape of its kept axes, without what is padded."""
        block = self.kept_shape(plan.block)
        whole = array.reshape((*block, *array.shape[1:]))
        lengths = [part.stop - part.start for part in self.place(plan, key)]
        return whole[(*(slice(length) for length in lengths), ...)]

    def add(self, state: Arrays, part: Arrays, plan: Plan, key: Key) -> None:
        """Merge a chunk by adding each of its arrays to that of the state."""
        place = self.place(plan, key)
        for name, array in part.items():
            state[name][place] += self.inside(array, plan, key)

    def global_index(self, index: np.ndarray, plan: Plan, key: Key) -> np.ndarray:
        """Turn flat positions among a chunk's reduced axes into those of the whole grid."""
        block, shape = ([of[position] for position in self.over] for of in (plan.block, plan.shape))
        if math.prod(block) < index.size:  # each of them is turned once
            each = np.arange(math.prod(block))
            return self.global_index(each, plan, key)[index]
        slices = plan.slices(key)
        starts = [slices[position].start for position in self.over]
        local = np.unravel_index(index, block)
        shifted = [part.astype(np.int64) + start for part, start in zip(local, starts, strict=True)]
        inside = [np.minimum(part, length - 1) for part, length in zip(shifted, shape, strict=True)]
        return (
            np.asarray(np.ravel_multi_index(inside, shape))
            if shape
            else np.zeros_like(index, np.int64)
        )
