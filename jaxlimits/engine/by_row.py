"""How a loop reduces a row of points at once, or keeps it: what each reduction says of it.

A row is the points along the innermost axes, which the loop computes into a small array. A
reduction gives a plain function that takes the values of a row in; the loop compiles it, so that it
keeps to what a compiler of numbers knows. See :mod:`jaxlimits.engine.loop`.

Where a value of an array is replaced or stays, the compiler stores under a mask those alone that
are replaced, which takes five to eight times as long as to store all. With a zero added to each, of
integers one that the compiler does not see, all are stored.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Arrays = dict[str, np.ndarray]


class Row(NamedTuple):
    """Where a row lies, for one reduction.

    Parameters
    ----------
    place
        Position of the row's first point among the reduced points of the chunk.
    places
        For each point of the row, how far its position lies behind that.
    kept
        For each point of the row, its position among the kept points of the row.
    settings
        Arrays that the reduction gave.
    """

    place: int | np.integer
    places: np.ndarray
    kept: np.ndarray
    settings: tuple[np.ndarray, ...]


class State(NamedTuple):
    """An array in which a reduction keeps what it has so far.

    Parameters
    ----------
    start
        What it is filled with; nothing where every value is written anyway.
    dtype
        Its type; that of the metrics where it is ``None``.
    """

    start: float | int | None
    dtype: type | None = None


def _as_it_is(_places: np.ndarray, state: Arrays) -> Arrays:
    return state


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ByRow:
    """A reduction as a loop over rows.

    Parameters
    ----------
    step
        Takes the values of a row, its :class:`Row`, and the arrays of the state, which it changes.
        Values are NaN where a point does not count.
    one_by_one
        Whether the step takes one value instead, and those of its lane, which it returns as they
        are then: it rests on nothing else.
    state
        The arrays by name.
    lanes
        Whether the arrays have a value for each point of a row, over all rows of the same kept
        points; points that are reduced within the row are left to ``fold``. Else they have
        ``width`` values for each kept point, or for the whole chunk where none is kept.
    width
        See ``lanes``.
    fold
        From the positions of a row's reduced points, and arrays of kept points by these, what
        :meth:`jaxlimits.engine.reduction.Reduction.local` would return.
    settings
        Arrays that the step reads.
    """

    step: Callable[..., Any]
    state: Mapping[str, State]
    one_by_one: bool = False
    lanes: bool = True
    width: int = 1
    fold: Callable[[np.ndarray, Arrays], Arrays] = _as_it_is
    settings: tuple[np.ndarray, ...] = ()


def kept_whole(dtype: np.dtype, bits: int | None) -> ByRow:
    """Say how a loop keeps every value of an output; the values are those of its state.

    Parameters
    ----------
    dtype
        The type of the output.
    bits
        Bits of the mantissa that are kept, of numbers; all where it is ``None``.
    """
    state = {"value": State(None, dtype.type)}
    if bits is None or dtype.kind != "f" or bits == np.finfo(dtype).nmant:
        return ByRow(step=_as_written, state=state)
    whole, shift = np.dtype(f"u{dtype.itemsize}"), np.finfo(dtype).nmant - bits
    below_half, mask = (1 << shift - 1) - 1, np.iinfo(whole).max >> shift << shift
    numbers = np.array([shift, below_half, mask, 1], whole)
    return ByRow(step=_round, state=state, settings=(numbers,))


def _as_written(_values: np.ndarray, _row: Row, _value: np.ndarray) -> None:
    pass


def _round(values: np.ndarray, row: Row, value: np.ndarray) -> None:
    """Round to nearest, ties to even, as XLA reduces a precision."""
    (numbers,) = row.settings
    shift, below_half, mask, one = numbers[0], numbers[1], numbers[2], numbers[3]
    bits, rounded = values.view(numbers.dtype), value.view(numbers.dtype)
    for i in range(values.size):
        nearest = (bits[i] + below_half + ((bits[i] >> shift) & one)) & mask
        rounded[i] = bits[i] if np.isnan(values[i]) else nearest


def first_place(places: np.ndarray, index: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the lowest position along the last axis where something was found, else 0."""
    nowhere = np.iinfo(np.int32).max
    first = np.where(found, index + places, nowhere).min(axis=-1)
    return np.where(first < nowhere, first, 0)
