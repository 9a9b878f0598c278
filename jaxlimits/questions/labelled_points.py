"""Points that answer a question, as a dataset: what makes it, and what lists it again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.grid.derived import MEAN_CONTEXT, derived_coordinates
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import GridSpec
from jaxlimits.questions.joining import with_scenario
from jaxlimits.questions.question import Question
from jaxlimits.store.answers import single_coordinates
from jaxlimits.store.template import (
    absence_attributes,
    axis_coordinates,
    coordinate_array,
    field_attributes,
    finding_attributes,
    fixed_values,
    global_attributes,
    output_attributes,
)

Row = dict[str, float | int | str]  # a whole-number axis has integers
"""Coordinates and metrics of a point by their names, in SI units; codes by their meanings."""

Attributes = Mapping[str, Mapping[str, object]]
"""Attributes of each variable by its name."""


def label(
    rows: Sequence[Row], axes: Sequence[str], metrics: Sequence[str], attributes: Attributes
) -> xr.Dataset:
    """Return points along ``point``, their axes as coordinates.

    Parameters
    ----------
    rows
        The points; with none, every variable is there and empty.
    axes, metrics
        Names of the coordinates and of the variables.
    attributes
        Of both; a metric that is a code, and here a word, takes none.
    """
    return xr.Dataset(
        {name: ("point", _column(name, rows), _kept(name, attributes)) for name in metrics},
        {name: ("point", _coordinate(name, rows), dict(attributes[name])) for name in axes},
    )


def label_of_grid(
    rows: Sequence[Row], spec: GridSpec, question: Question, *, against: str = ""
) -> xr.Dataset:
    """Return points of a grid, with the attributes that its result would have.

    Parameters
    ----------
    rows, spec, question
        The points, where they are from, and what was asked.
    against
        The other metric of a frontier.
    """
    axes = [axis.name for axis in spec.axes]
    scenario = bind(spec)
    attributes = {name: field_attributes(name) for name in axes}
    attributes |= {
        name: {**output_attributes(name), **absence_attributes(name, scenario)}
        for name in question.metrics
    }
    points = label(rows, axes, question.metrics, attributes)
    for derived in derived_coordinates(scenario, spec.requirements):
        if derived.name == MEAN_CONTEXT:
            grid = [axis_coordinates(axis)[axis.name] for axis in spec.axes]
            context = xr.DataArray(
                derived.values, dims=derived.dims, attrs=finding_attributes(derived, spec)
            ).assign_coords(
                {name: e for name, e in zip(axes, grid, strict=True) if name in derived.dims}
            )
            points = _with_context(points, context)
    fixed = {
        name: value for name, value in fixed_values(spec, scenario).items() if name not in points
    }
    made = {**global_attributes(spec, scenario), **_asked(question, against)}
    return points.assign_coords(single_coordinates(fixed)).assign_attrs(made)


def label_of_result(
    rows: Sequence[Row], dataset: xr.Dataset, question: Question, *, against: str = ""
) -> xr.Dataset:
    """Return points of a result, with its attributes and what is fixed in it; else as of a grid."""
    axes = [str(name) for name in dataset[question.objective].dims]
    attributes = {name: dataset[name].attrs for name in (*axes, *question.metrics)}
    points = label(rows, axes, question.metrics, attributes)
    if MEAN_CONTEXT in dataset.coords:
        points = _with_context(points, dataset[MEAN_CONTEXT])
    whole = with_scenario(dataset)
    fixed = {n: value for n, value in whole.coords.items() if not value.ndim and n not in points}
    return points.assign_coords(fixed).assign_attrs({**whole.attrs, **_asked(question, against)})


def _with_context(points: xr.Dataset, context: xr.DataArray) -> xr.Dataset:
    """Points with the mean context of their requests, which lies along axes of theirs."""
    places = {
        dim: xr.DataArray(_places(context[dim].to_numpy(), points[dim].to_numpy()), dims="point")
        for dim in context.dims
    }
    chosen = context.isel(places)
    return points.assign_coords({MEAN_CONTEXT: (chosen.dims, chosen.to_numpy(), context.attrs)})


def _places(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Indices of values of an axis; of numbers the nearest, which may have been rounded."""
    numbers = values.dtype.kind in "fiu"
    found = [
        np.argmin(np.abs(values - each)) if numbers else np.argmax(values == each)
        for each in wanted
    ]
    return np.array(found, dtype=int)


def _asked(question: Question, against: str) -> dict[str, Any]:
    """What was asked, for who reads the points and who draws them."""
    side = "maximised" if question.maximise else "minimised"
    other = {"against": against} if against else {}
    return {"question": question.words, side: question.objective, **other}


def in_order(rows: Sequence[Row], metric: str) -> list[Row]:
    """Return points, the least of a metric first."""
    return sorted(rows, key=lambda row: float(row[metric]))


def rows_of(columns: Mapping[str, np.ndarray]) -> Iterator[Row]:
    """Yield the points of columns, codes by their names."""
    listed = [_named(name, values.tolist()) for name, values in columns.items()]
    return (dict(zip(columns, row, strict=True)) for row in zip(*listed, strict=True))


def _named(name: str, values: list) -> list:
    """Codes by their names."""
    names = {code: word for word, code in schema.FLAGS.get(name, {}).items()}
    return [names.get(value, value) for value in values] if names else values


def list_points(points: xr.Dataset) -> list[Row]:
    """Return the rows of a dataset of points: what lies along ``point``, axes first."""
    columns = {
        str(name): variable.to_numpy().tolist()
        for name, variable in {**points.coords, **points.data_vars}.items()
        if variable.dims == ("point",)
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(name: str, rows: Sequence[Row]) -> np.ndarray:
    words = name in (*schema.NAMED, schema.LAYOUT, *schema.SWITCHES, *schema.FLAGS)
    return np.array([row[name] for row in rows], dtype=None if rows else "U1" if words else float)


def _coordinate(name: str, rows: Sequence[Row]) -> np.ndarray:
    """Values of an axis, as a sweep stores them."""
    values = _column(name, rows)
    return values if values.dtype.kind == "U" else coordinate_array(name, tuple(values.tolist()))


def _kept(name: str, attributes: Attributes) -> dict[str, object]:
    return {} if schema.is_code(name) else dict(attributes[name])
