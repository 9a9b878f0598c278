"""What ``--select`` and ``--var`` keep of a result."""

from collections.abc import Iterable

import numpy as np
import typer
import xarray as xr

from jaxlimits import units
from jaxlimits.cli.pairs import pair
from jaxlimits.errors import InputError, suggestion, unknown_name

_ALIKE = 1e-9
"""Relative difference up to which a number is that of an axis."""

_MOST_LISTED = 64


def selection(
    dataset: xr.Dataset, assignments: Iterable[str], variables: Iterable[str]
) -> xr.Dataset:
    """Keep one value of some axes, and some variables.

    Parameters
    ----------
    dataset
        A result.
    assignments
        ``name=value``: names as they stand, numbers in SI units or with a unit of their own, of
        which the nearest on the axis is taken. An axis that is named several times keeps each of
        its values.
    variables
        Names of variables; all where there is none.

    Raises
    ------
    InputError
        An unknown axis, variable or value, a number beyond the ends of its axis, an axis without a
        value; the last three list the values of the axis.
    """
    kept: dict[str, np.ndarray] = {}
    for assignment in assignments:
        name, matches = _selected(dataset, assignment)
        kept[name] = kept.get(name, False) | matches
    dataset = dataset.isel(kept)
    names = list(variables)
    for name in names:
        if name not in dataset.data_vars:
            raise unknown_name("variable", name, map(str, dataset.data_vars), where="--var")
    return dataset[names] if names else dataset


def _selected(dataset: xr.Dataset, assignment: str) -> tuple[str, np.ndarray]:
    """The axis that an assignment names, and where its values are the one that it gives."""
    axis = assignment.strip().removesuffix("=").strip()
    if axis in dataset.dims:
        problem = "names an axis without a value; write name=value"
        remedy = f"it has {_listed(dataset[axis])}"
        raise InputError(problem, where="--select", key=axis, remedy=remedy)
    name, text = pair(assignment, "--select", example="seq_len=4096")
    if name not in dataset.dims:
        raise unknown_name("axis", name, map(str, dataset.dims), where="--select")
    coordinate = dataset[name]
    if coordinate.dtype.kind in "iuf":
        return name, _nearest(coordinate, text)
    matches = coordinate.to_numpy().astype(str) == text
    if not matches.any():
        known = [str(value) for value in coordinate.to_numpy()]
        near = suggestion(text, known)
        every = "" if near.startswith("known") else f" it has {_listed(coordinate)}"
        raise _absent(name, text, f"{near}{every}")
    return name, matches


def _nearest(coordinate: xr.DataArray, text: str) -> np.ndarray:
    """Where an axis has the value that is nearest to one in words; says so where that is another.

    Nearness is one of ratios on an axis of positive values.
    """
    name, unit = str(coordinate.name), coordinate.attrs.get("si_unit", "1")
    values, asked = coordinate.to_numpy().astype(float), _number(text, unit, name)
    matches = np.isclose(values, asked, rtol=_ALIKE, atol=0.0)
    if matches.any():
        return matches
    if not values.min() < asked < values.max():
        raise _absent(name, text, f"it has {_listed(coordinate)}")
    by_ratio = values.min() > 0.0
    place = int(np.argmin(abs(np.log(values / asked)) if by_ratio else abs(values - asked)))
    taken = units.show(values[place], unit, digits=4)
    words = f"{name} = {text}: {taken} is the nearest value and is taken"
    typer.echo(f"jaxlimits: --select: {words}", err=True)
    return np.arange(len(values)) == place


def _absent(name: str, text: str, remedy: str) -> InputError:
    problem = "is not on this axis"
    return InputError(problem, where="--select", key=name, value=text, remedy=remedy)


def _listed(coordinate: xr.DataArray) -> str:
    """The values of an axis, each as people write it; of very many the ends."""
    unit = coordinate.attrs.get("si_unit", "1")
    is_numeric = coordinate.dtype.kind in "iuf"
    texts = [
        units.show(value, unit, digits=4) if is_numeric else str(value)
        for value in coordinate.to_numpy()
    ]
    if len(texts) > _MOST_LISTED:
        half = _MOST_LISTED // 2
        texts = [*texts[:half], "…", *texts[-half:]]
    return f"{coordinate.size} values: {', '.join(texts)}" if coordinate.size > 1 else texts[0]


def _number(text: str, unit: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return units.parse(text, unit)
    except units.UnitError as error:
        raise InputError(str(error), where="--select", key=name) from None
