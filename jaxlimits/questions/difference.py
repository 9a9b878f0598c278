"""What differs between two results: settings, axes, variables, and where they differ most.

Values are read a block at a time, so that results need not fit in memory.
"""

import dataclasses
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits.store.results import open_result

MOST_VALUES = 1_000_000
"""Values of one variable that are in memory at once, of each result."""

_ALIKE = 1e-9
"""Relative difference up to which two numbers on an axis are one."""

_TAKEN_APART = ("scenario", "overrides", "uncertain", "options")
"""Attributes that hold JSON, of which each value is told alone."""

_CATALOG = "catalog"
"""The attribute that holds catalog entries by kind and name, as JSON."""

_NEVER_ALIKE = ("history",)
"""Attributes that say when and by what command: they differ where nothing else does."""

Place = dict[str, Any]
"""Coordinates of a point by the names of the axes; a number where an axis has no values."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AxisDifference:
    """Values of an axis, or of what lies along it, that only one of two results has."""

    only_first: tuple[Any, ...]
    only_second: tuple[Any, ...]
    common: int


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


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """What differs between two results.

    Parameters
    ----------
    attributes
        What each says of how it was made, by name, where that differs; ``None`` where one says
        nothing. When they were made does not count.
    axes
        Axes of which the values differ.
    only_first, only_second
        Axes and variables that only one has.
    variables
        Every variable that both have.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("smoke")
    >>> jl.diff(ds, ds).is_equal
    True
    """

    attributes: Mapping[str, tuple[Any, Any]]
    axes: Mapping[str, AxisDifference]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    variables: Mapping[str, VariableDifference]

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs but when they were made."""
        beside = (self.attributes, self.axes, self.only_first, self.only_second)
        return not any(beside) and all(each.is_equal for each in self.variables.values())


def diff(
    first: str | Path | xr.Dataset, second: str | Path | xr.Dataset, *, within: float = 0.0
) -> Difference:
    """Say what differs between two results.

    Parameters
    ----------
    first, second
        Datasets, or files, which are read a block at a time.
    within
        Relative difference up to which two numbers count as equal.

    Returns
    -------
    Difference
        Settings that differ; values of axes, and variables, that only one has; for variables that
        both have the number of points that differ, and where they differ most.

    Raises
    ------
    ResultError
        A file cannot be read.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> slow = jl.sweep(llm="llama3-8b", chip="h100", batch_size=[1, 8], outputs=["utps"])
    >>> fast = jl.sweep(llm="llama3-8b", chip="h200", batch_size=[1, 8], outputs=["utps"])
    >>> found = jl.diff(slow, fast)
    >>> found.attributes["scenario.chip"], found.variables["utps"].differing
    (('h100', 'h200'), 2)
    """
    one = first if isinstance(first, xr.Dataset) else open_result(first)
    other = second if isinstance(second, xr.Dataset) else open_result(second)
    try:
        return _difference(one, other, within=within)
    finally:
        for given, opened in ((first, one), (second, other)):
            if opened is not given:
                opened.close()


def _difference(one: xr.Dataset, other: xr.Dataset, *, within: float) -> Difference:
    places = {dim: _places(one, other, dim) for dim in map(str, one.sizes) if dim in other.sizes}
    axes = {dim: _axis(one, other, dim, place) for dim, place in places.items()}
    names = [str(name) for name in one.variables if name not in one.sizes]
    common = [name for name in names if name in other.variables and name not in other.sizes]
    return Difference(
        attributes=_attributes(one, other),
        axes={dim: axis for dim, axis in axes.items() if axis.only_first or axis.only_second},
        only_first=_only(one, other),
        only_second=_only(other, one),
        variables={name: _variable(one, other, name, places, within) for name in common},
    )


def _only(one: xr.Dataset, other: xr.Dataset) -> tuple[str, ...]:
    names = dict.fromkeys(map(str, [*one.sizes, *one.variables]))
    return tuple(name for name in names if name not in other.variables and name not in other.sizes)


# Attributes.


def _attributes(one: xr.Dataset, other: xr.Dataset) -> dict[str, tuple[Any, Any]]:
    catalogs = [json.loads(str(each.attrs.get(_CATALOG, "{}"))) for each in (one, other)]
    says = {**_said(one.attrs), **_entries(*catalogs)}
    says_too = {**_said(other.attrs), **_entries(*reversed(catalogs))}
    pairs = {n: (says.get(n), says_too.get(n)) for n in dict.fromkeys([*says, *says_too])}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _said(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What attributes say, values within JSON by names as ``scenario.mem_bw``."""
    said: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in (*_NEVER_ALIKE, _CATALOG):
            continue
        if name in _TAKEN_APART:
            said |= dict(_leaves(name, json.loads(str(value))))
        else:
            said[name] = np.asarray(value).tolist()
    return said


def _entries(catalog: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The names of catalog entries, and what those say that another result has too."""
    said: dict[str, Any] = {}
    for kind, entries in catalog.items():
        said[f"{_CATALOG}.{kind}"] = ", ".join(sorted(entries))
        for name in entries.keys() & other.get(kind, {}).keys():
            said |= dict(_leaves(f"{_CATALOG}.{kind}.{name}", entries[name]))
    return said


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(f"{name}.{key}", each)
    else:
        yield name, value


# Axes.


def _places(one: xr.Dataset, other: xr.Dataset, dim: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the values that both have along a dimension, in the order of the first."""
    if dim not in one.coords or dim not in other.coords:
        both = np.arange(min(one.sizes[dim], other.sizes[dim]))
        return both, both
    values, others = one[dim].to_numpy(), other[dim].to_numpy()
    if values.dtype.kind not in "biuf" or others.dtype.kind not in "biuf":
        found = {str(value): place for place, value in enumerate(others)}
        at = np.array([found.get(str(value), -1) for value in values], dtype=np.intp)
    else:
        at = _nearest_places(values.astype(float), others.astype(float))
    kept = np.flatnonzero(at >= 0)
    return kept, at[kept]


def _nearest_places(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Position of each value among others; -1 where none is as large."""
    if not len(others):
        return np.full(len(values), -1, dtype=np.intp)
    order = np.argsort(others, kind="stable")
    right = np.clip(np.searchsorted(others, values, sorter=order), 0, len(others) - 1)
    found = np.full(len(values), -1, dtype=np.intp)
    for place in (np.maximum(right - 1, 0), right):
        alike = np.isclose(others[order[place]], values, rtol=_ALIKE, atol=0.0)
        found = np.where(alike, order[place], found)
    return found


def _axis(
    one: xr.Dataset, other: xr.Dataset, dim: str, places: tuple[np.ndarray, np.ndarray]
) -> AxisDifference:
    left, right = (
        np.setdiff1d(np.arange(each.sizes[dim]), kept)
        for each, kept in zip((one, other), places, strict=True)
    )
    return AxisDifference(
        only_first=tuple(_value(one, dim, int(place)) for place in left),
        only_second=tuple(_value(other, dim, int(place)) for place in right),
        common=len(places[0]),
    )


def _value(dataset: xr.Dataset, dim: str, place: int) -> Any:
    return dataset[dim][place].item() if dim in dataset.coords else place


# Variables.


def _variable(
    one: xr.Dataset,
    other: xr.Dataset,
    name: str,
    places: Mapping[str, tuple[np.ndarray, np.ndarray]],
    within: float,
) -> VariableDifference:
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
        dim: _value(one, dim, int(places[dim][0][at])) for dim, at in zip(dims, place, strict=True)
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
