"""What differs between two results: settings, axes, variables, and where they differ most.

Attributes, axes and variables are compared by the modules beside this one.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from jaxlimits.questions.differing_attributes import differing_attributes
from jaxlimits.questions.differing_axes import AxisDifference, common_places, differing_axis
from jaxlimits.questions.differing_variables import VariableDifference, differing_variable
from jaxlimits.store.results import open_result


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
        """Whether nothing differs except when they were made."""
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
    places = {
        dim: common_places(one, other, dim) for dim in map(str, one.sizes) if dim in other.sizes
    }
    axes = {dim: differing_axis(one, other, dim, place) for dim, place in places.items()}
    names = [str(name) for name in one.variables if name not in one.sizes]
    common = [name for name in names if name in other.variables and name not in other.sizes]
    return Difference(
        attributes=differing_attributes(one, other),
        axes={dim: axis for dim, axis in axes.items() if axis.only_first or axis.only_second},
        only_first=_only(one, other),
        only_second=_only(other, one),
        variables={name: differing_variable(one, other, name, places, within) for name in common},
    )


def _only(one: xr.Dataset, other: xr.Dataset) -> tuple[str, ...]:
    names = dict.fromkeys(map(str, [*one.sizes, *one.variables]))
    return tuple(name for name in names if name not in other.variables and name not in other.sizes)


# Attributes.


# Axes.


# Variables.
