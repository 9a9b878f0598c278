"""Parts of a grid or a result: the values of axes that count, each of some on its own."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.spec import GridSpec
from jaxlimits.questions.question import Question, Within


def parts_of_grid(spec: GridSpec, question: Question) -> list[GridSpec]:
    """Return a grid with the values that count, one for each value of the axes that stand apart.

    Raises
    ------
    InputError
        A condition on what is not an axis of the grid, or that none of its values keeps.
    """
    columns = {
        name: (axis.name, values)
        for axis in spec.axes
        for name, values in {axis.name: axis.values, **axis.linked}.items()
    }
    kept = _kept(columns, question)
    return [
        dataclasses.replace(spec, axes=tuple(_at(axis, places[axis.name]) for axis in spec.axes))
        for places in _apart(kept, [axis.name for axis in spec.axes], question.per)
    ]


def parts_of_result(dataset: xr.Dataset, question: Question) -> list[xr.Dataset]:
    """Return a result with the values that count, one for each value of the axes that stand apart.

    Raises
    ------
    InputError
        As :func:`parts_of_grid`.
    """
    columns = {
        str(name): (str(variable.dims[0]), tuple(variable.to_numpy().tolist()))
        for name, variable in dataset.coords.items()
        if variable.ndim == 1
    }
    dims = [str(name) for name in dataset[question.objective].dims]
    kept = _kept(columns, question)
    if not (question.within or question.per):
        return [dataset]
    return [
        dataset.isel({d: places[d] for d in dims}) for places in _apart(kept, dims, question.per)
    ]


Columns = Mapping[str, tuple[str, Sequence[Any]]]
"""The axis and the values of each name that varies."""

Places = dict[str, list[int]]
"""Positions along each axis."""


def _kept(columns: Columns, question: Question) -> Places:
    kept = {
        name: list(range(len(values))) for name, (axis, values) in columns.items() if name == axis
    }
    for condition in question.within:
        axis, values = _named(condition, columns)
        kept[axis] = [place for place in kept[axis] if condition.holds(values[place])]
        if not kept[axis]:
            known = ", ".join(str(value) for value in list(values)[:8])
            problem = f"no value of {condition.name} keeps {condition.words}"
            raise InputError(problem, key="where", remedy=f"it has {known}")
    return kept


def _named(condition: Within, columns: Columns) -> tuple[str, Sequence[Any]]:
    if condition.name not in columns:
        raise unknown_name("axis", condition.name, columns, key="where")
    return columns[condition.name]


def _apart(kept: Places, axes: Iterable[str], per: Sequence[str]) -> list[Places]:
    """Positions of each part: all that are kept, or one of the axes that stand apart."""
    order = list(axes)
    for name in per:
        if name not in order:
            raise unknown_name("axis", name, order, key="per")
    choices = itertools.product(*(kept[name] for name in per))
    return [{**kept, **{n: [p] for n, p in zip(per, choice, strict=True)}} for choice in choices]


def _at(axis: Axis, places: list[int]) -> Axis:
    if len(places) == len(axis):
        return axis
    chosen = np.array(places)
    return Axis(
        name=axis.name,
        values=tuple(axis.values[place] for place in chosen),
        linked={n: tuple(column[place] for place in chosen) for n, column in axis.linked.items()},
    )
