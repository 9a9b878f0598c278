"""How a variable of two results differs, read a block at a time."""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits.questions.differing_axes import coordinate_at

MOST_VALUES = 1_000_000
"""Values of one variable that are in memory at once, of each result."""

Place = dict[str, Any]
"""Coordinates of a point by the names of the axes; a number where an axis has no values."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VariableDifference:
    """How a variable of two results differs, over the points that both have.

    Parameters
    ----------
    points, differing
        Points that both have, and how many of them differ.
    only_first, only_second
        Points at which only one result has a value: a point that does not fit is NaN.
    absolute, absolute_at
        The largest absolute difference, in SI units, and where it is; NaN for words and codes.
    relative, relative_at
        The largest difference over the value of the first result, and where it is.
    changes
        For codes and words: points by what became of what, as ``("memory", "sync")``.
    unlike
        Why the values were not compared, where they were not: other axes.
    """

    points: int = 0
    differing: int = 0
    only_first: int = 0
    only_second: int = 0
    absolute: float = math.nan
    absolute_at: Place = dataclasses.field(default_factory=dict)
    relative: float = math.nan
    relative_at: Place = dataclasses.field(default_factory=dict)
    changes: Mapping[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    unlike: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether no point differs."""
        return not self.differing and not self.unlike


def differing_variable(
    one: xr.Dataset,
    other: xr.Dataset,
    name: str,
    places: Mapping[str, tuple[np.ndarray, np.ndarray]],
    within: float,
) -> VariableDifference:
    """How a variable of two results differs.

    Parameters
    ----------
    one, other
        The results.
    name
        The variable.
    places
        Positions that both have, by dimension.
    within
        Relative difference up to which two numbers count as equal.
    """
    first, second = one[name], other[name]
    if set(first.dims) != set(second.dims):
        words = (" × ".join(map(str, each.dims)) or "no axis" for each in (first, second))
        return VariableDifference(unlike="not compared, along {} and along {}".format(*words))
    dims = [str(dim) for dim in first.dims]
    gathered = _Gathered()
    for block in _blocks([len(places[dim][0]) for dim in dims]):
        chosen = [
            {dim: _index(places[dim][side][part]) for dim, part in zip(dims, block, strict=True)}
            for side in (0, 1)
        ]
        values = first.isel(chosen[0]).to_numpy()
        others = second.isel(chosen[1]).transpose(*dims).to_numpy()
        starts = [part.start for part in block]
        if _is_counted(first) and _is_counted(second):
            gathered.add_numbers(values.astype(float), others.astype(float), starts, within)
        else:
            gathered.add_words(_words(first, values), _words(second, others))
    return gathered.told(lambda place: _place(one, places, dims, place))


def _blocks(shape: list[int]) -> Iterator[tuple[slice, ...]]:
    """Parts of a shape of bounded size, those along the first axes cut first."""
    steps = list(shape)
    for axis in range(len(steps)):
        beside = math.prod(shape[axis + 1 :])
        steps[axis] = max(1, min(shape[axis], MOST_VALUES // max(beside, 1)))
        if steps[axis] > 1 or beside <= MOST_VALUES:
            break
    cuts = [
        [slice(start, min(start + step, length)) for start in range(0, length, max(step, 1))]
        for length, step in zip(shape, steps, strict=True)
    ]
    return itertools.product(*cuts)


def _index(places: np.ndarray) -> slice | np.ndarray:
    """Positions as a slice where they follow each other: a file reads that at once."""
    if len(places) and places[-1] - places[0] == len(places) - 1 and np.all(np.diff(places) == 1):
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def _is_counted(variable: xr.DataArray) -> bool:
    """Whether a variable holds numbers and no codes."""
    coded = "flag_values" in variable.attrs or "flag_masks" in variable.attrs
    return variable.dtype.kind in "biuf" and not coded


def _words(variable: xr.DataArray, values: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The different words of an array, and the position among them of each of its values."""
    found, inverse = np.unique(values, return_inverse=True)
    names: dict[Any, str] = {}
    if "flag_values" in variable.attrs:
        flags = np.atleast_1d(variable.attrs["flag_values"]).tolist()
        names = dict(zip(flags, variable.attrs["flag_meanings"].split(), strict=True))
    words = [names.get(each, str(each)) for each in found.tolist()]
    return words, inverse.reshape(values.shape)


def _place(
    one: xr.Dataset,
    places: Mapping[str, tuple[np.ndarray, np.ndarray]],
    dims: list[str],
    place: tuple[int, ...],
) -> Place:
    return {
        dim: coordinate_at(one, dim, int(places[dim][0][at]))
        for dim, at in zip(dims, place, strict=True)
    }


class _Gathered:
    """What blocks of one variable say, one after the other."""

    def __init__(self) -> None:
        self.points = self.differing = self.only_first = self.only_second = 0
        self.largest: dict[str, tuple[float, tuple[int, ...]]] = {}
        self.changes: Counter[tuple[str, str]] = Counter()

    def add_numbers(
        self, values: np.ndarray, others: np.ndarray, starts: list[int], within: float
    ) -> None:
        """Count the numbers of a block, and remember where they differ most."""
        missing, missing_too = np.isnan(values), np.isnan(others)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            absolute = np.abs(others - values)
            relative = absolute / np.abs(values)
        equal = (values == others) | (missing & missing_too) | (relative <= within)
        self.points += values.size
        self.differing += int((~equal).sum())
        self.only_first += int((missing_too & ~missing).sum())
        self.only_second += int((missing & ~missing_too).sum())
        both = ~equal & ~missing & ~missing_too
        if not both.any():
            return
        for name, sizes in (("absolute", absolute), ("relative", relative)):
            sizes = np.where(both & ~np.isnan(sizes), sizes, -1.0)  # noqa: PLW2901
            at = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
            size = float(sizes[at])
            if name not in self.largest or size > self.largest[name][0]:
                place = tuple(int(i) + start for i, start in zip(at, starts, strict=True))
                self.largest[name] = (size, place)

    def add_words(
        self, first: tuple[list[str], np.ndarray], second: tuple[list[str], np.ndarray]
    ) -> None:
        """Count the words of a block that are not the same, by what became of what."""
        (words, values), (others, places) = first, second
        pairs, counts = np.unique(values * len(others) + places, return_counts=True)
        self.points += values.size
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            change = (words[pair // len(others)], others[pair % len(others)])
            if change[0] != change[1]:
                self.differing += count
                self.changes[change] += count

    def told(self, place_of: Any) -> VariableDifference:
        """What all blocks say together; ``place_of`` turns positions into coordinates."""
        found: dict[str, Any] = {}
        for name, (size, place) in self.largest.items():
            found |= {name: size, f"{name}_at": place_of(place)}
        return VariableDifference(
            points=self.points,
            differing=self.differing,
            only_first=self.only_first,
            only_second=self.only_second,
            changes=dict(self.changes.most_common()),
            **found,
        )
