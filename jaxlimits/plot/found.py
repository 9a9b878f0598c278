"""What a figure finds in a result: the variables that it needs, the axes that are not named."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from jaxlimits.errors import InputError, unknown_name
from jaxlimits.plot import style
from jaxlimits.plot.options import Layout
from jaxlimits.results.records import RECORDS


def needed(dataset: xr.Dataset, name: str) -> str:
    """Return the name of a variable that a figure needs.

    Raises
    ------
    InputError
        The result lacks it.
    """
    if name not in dataset.data_vars:
        raise unknown_name("variable", name, map(str, dataset.data_vars), where="plot")
    return name


def lacking(dataset: xr.Dataset, *names: str, axes: int, asked: Mapping[str, Any]) -> str:
    """Return what a result lacks for a figure, in words; nothing where it can be drawn.

    Parameters
    ----------
    dataset
        A result.
    *names
        Variables that the figure needs, along the same axes.
    axes
        How many axes of more than one value it needs, beside those of panels. One of a single value
        counts where an option names it.
    asked
        The options.
    """
    missing = [name for name in names if name not in dataset.data_vars]
    if missing:
        return f"the result has no {' and no '.join(missing)}"
    first = dataset[names[0]]
    panels = (asked.get("rows"), asked.get("columns"))
    named = {each for each in asked.values() if isinstance(each, str)}
    free = [
        d for d in first.dims if d not in (*panels, *RECORDS) and (first.sizes[d] > 1 or d in named)
    ]
    if axes == 0 and {*first.dims} & {*RECORDS}:
        return f"{first.name} is of a list of points, which `points` draws"
    if len(free) >= axes:
        return ""
    return f"{first.name} has {len(free)} dimensions of more than one value; it needs {axes}"


def lacking_of(dataset: xr.Dataset, *, axes: int, asked: Mapping[str, Any]) -> str:
    """Return what a result lacks for a figure of the metric ``of``, as :func:`lacking` does.

    A metric that is named and is not there is for the figure itself to refuse, with near names.
    """
    of = asked.get("of", "utps")
    if of in dataset.data_vars or "of" not in asked:
        return lacking(dataset, of, axes=axes, asked=asked)
    return ""


def free_dims(variable: xr.DataArray, layout: Layout) -> list[str]:
    """Return the dimensions of a variable that are not those of panels."""
    panels = (layout.get("rows"), layout.get("columns"))
    return [str(dim) for dim in variable.dims if dim not in panels]


def along_coordinates(dataset: xr.Dataset, *names: str | None) -> xr.Dataset:
    """Return a result whose dimensions are those coordinates that are named and lie along one.

    A coordinate such as ``mean_context`` stands for the axis along which it lies.
    """
    for name in names:
        beside = name in dataset.coords and name not in dataset.dims
        if beside and dataset[name].ndim == 1:
            dataset = dataset.swap_dims({dataset[name].dims[0]: name})
    return dataset


def panel_dims(variable: xr.DataArray, layout: Layout, **asked: str | None) -> list[str]:
    """Return the dimensions of a panel: those that are asked for, else the last that there are.

    Parameters
    ----------
    variable
        What is drawn.
    layout
        The options of the figure.
    **asked
        Dimension by the option that names it; ``None`` takes the last that nothing else takes.

    Raises
    ------
    InputError
        An unknown dimension; too few of them, or one that is left over.
    """
    dims = free_dims(variable, layout)
    for option, name in asked.items():
        if name is not None and name not in dims:
            raise unknown_name("dimension", name, dims, where="plot", key=option)
    free = [name for name in reversed(dims) if name not in asked.values()]
    found = [name or (free.pop(0) if free else "") for name in asked.values()]
    if "" in found:
        problem = f"{variable.name} has {len(dims)} dimensions of more than one value"
        remedy = f"this figure needs {len(asked)}"
        raise InputError(problem, where="plot", remedy=remedy)
    left = [name for name in dims if name not in found]
    if left:
        raise _left_over(variable, left, layout)
    return found


def _left_over(variable: xr.DataArray, left: list[str], layout: Layout) -> InputError:
    values = style.some_values(variable[left[0]])
    remedy = f"keep one value, as `.sel({left[0]}=…)`; there are {values}"
    if layout.get("ax") is None and None in (layout.get("rows"), layout.get("columns")):
        remedy += f"; or draw a panel for each, as `columns='{left[0]}'`"
    problem = f"{variable.name} also lies along {', '.join(left)}"
    return InputError(problem, where="plot", remedy=remedy)
