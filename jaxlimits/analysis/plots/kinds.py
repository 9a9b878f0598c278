"""Figures by kind: what each needs of a result, and what it takes where nothing is said."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import xarray as xr

from jaxlimits.analysis.plots.breakdown import breakdown
from jaxlimits.analysis.plots.frontier import frontier
from jaxlimits.analysis.plots.heat_map import heat_map
from jaxlimits.analysis.plots.lines import lines
from jaxlimits.errors import InputError, unknown_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to draw.

    Parameters
    ----------
    x, y
        Axes of the figure: dimensions of the result, or metrics for a frontier.
    of
        The metric that is drawn.
    by
        Dimension of which each value is a line.
    levels
        Values at which iso-lines are drawn, in the unit in which the metric is shown.
    title
        What is shown.
    """

    x: str | None = None
    y: str | None = None
    of: str | None = None
    by: str | None = None
    levels: tuple[float, ...] = ()
    title: str = ""


def draw(dataset: xr.Dataset, kind: str, request: Request) -> "Figure":
    """Draw a result.

    Parameters
    ----------
    dataset
        A result, reduced by selection to the dimensions of the figure; those of one value are
        dropped.
    kind
        One of :data:`KINDS`.
    request
        What to draw; the rest is found: metrics by their usual names, axes in their order.

    Raises
    ------
    InputError
        An unknown kind, dimension or variable; a dimension that is left over; no figure backend.
    """
    if kind not in KINDS:
        raise unknown_name("kind of figure", kind, KINDS, where="plot")
    return KINDS[kind](dataset.squeeze(drop=True), request)


def _heat_map(dataset: xr.Dataset, request: Request) -> "Figure":
    of = _variable(dataset, request.of or "utps")
    x, y = _dims(dataset[of], (request.x, request.y))
    return heat_map(dataset, x=x, y=y, of=of, levels=request.levels, title=request.title)


def _capacity(dataset: xr.Dataset, request: Request) -> "Figure":
    """How full the memory is; hatched beyond what there is."""
    of = _variable(dataset, "capacity_utilisation")
    x, y = _dims(dataset[of], (request.x or "seq_len", request.y or "batch_size"))
    shown = dataset[[of]].where(dataset[of] <= 1.0)
    levels = request.levels or (0.25, 0.5, 0.75)
    return heat_map(shown, x=x, y=y, of=of, levels=levels, title=request.title)


def _lines(dataset: xr.Dataset, request: Request) -> "Figure":
    of = _variable(dataset, request.of or "utps")
    x, by = _dims(dataset[of], (request.x, request.by))
    return lines(dataset, x=x, y=of, by=by, title=request.title)


def _frontier(dataset: xr.Dataset, request: Request) -> "Figure":
    x, y = _variable(dataset, request.x or "utps"), _variable(dataset, request.y or "stps")
    dims = [str(dim) for dim in dataset[x].dims]
    by = request.by or ("chip" if "chip" in dims else dims[0] if dims else "")
    if by not in dims:
        raise unknown_name("dimension", by, dims, where="plot", key="by")
    return frontier(dataset, x=x, y=y, by=by, title=request.title)


def _breakdown(dataset: xr.Dataset, request: Request) -> "Figure":
    memory, compute, _ = (
        dataset[_variable(dataset, name)] for name in ("t_mem", "t_compute", "t_sync")
    )
    (along,) = _dims(memory, (request.x,))
    beyond = (compute - memory).clip(0.0).assign_attrs(compute.attrs)
    parts = {"memory": "t_mem", "compute beyond memory": "beyond", "synchronisation": "t_sync"}
    whole = dataset.assign(beyond=beyond)
    return breakdown(whole, along=along, parts=parts, title=request.title)


KINDS: Mapping[str, Callable[[xr.Dataset, Request], "Figure"]] = {
    "heat-map": _heat_map,
    "lines": _lines,
    "frontier": _frontier,
    "breakdown": _breakdown,
    "capacity": _capacity,
}
"""Kinds of figures by name."""


def _variable(dataset: xr.Dataset, name: str) -> str:
    if name not in dataset.data_vars:
        raise unknown_name("variable", name, map(str, dataset.data_vars), where="plot")
    return name


def _dims(variable: xr.DataArray, asked: tuple[str | None, ...]) -> list[str]:
    """The dimensions of a figure: those that are asked for, else the last that there are."""
    dims = [str(dim) for dim in variable.dims]
    for name in asked:
        if name is not None and name not in dims:
            raise unknown_name("dimension", name, dims, where="plot")
    free = [name for name in reversed(dims) if name not in asked]
    found = [name if name is not None else (free.pop(0) if free else "") for name in asked]
    if "" in found:
        problem = f"{variable.name} has {len(dims)} dimensions of more than one value"
        remedy = f"this figure needs {len(asked)}"
        raise InputError(problem, where="plot", remedy=remedy)
    left = [name for name in dims if name not in found]
    if left:
        values = ", ".join(str(value) for value in variable[left[0]].values[:6])
        remedy = f"keep one value, as --select {left[0]}=…; there are {values}"
        raise InputError(
            f"{variable.name} also lies along {', '.join(left)}", where="plot", remedy=remedy
        )
    return found
