"""Points that answer a question, as a dataset: what makes it, and what lists it again."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from jaxlimits import schema

Row = dict[str, float | str]
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
        {name: ("point", _column(name, rows), dict(attributes[name])) for name in axes},
    )


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


def _kept(name: str, attributes: Attributes) -> dict[str, object]:
    return {} if schema.is_code(name) else dict(attributes[name])
