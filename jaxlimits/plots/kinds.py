"""Figures by kind: what each needs of a result, and what it takes where nothing is said."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from jaxlimits.errors import InputError, suggestion, unknown_name
from jaxlimits.plots import scales, style
from jaxlimits.plots.breakdown import breakdown
from jaxlimits.plots.elasticities import BETWEEN, elasticities, fields_of
from jaxlimits.plots.frontier_lines import frontier
from jaxlimits.plots.heat_map import heat_map
from jaxlimits.plots.lines import lines
from jaxlimits.plots.roofs import NEEDED, roofline

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
        Values at which iso-lines are drawn, in the unit in which the metric is shown; round ones
        where there is none.
    rows, columns
        Dimensions of which each value is a row or a column of panels.
    title
        What is shown; the values that are fixed where it is empty.
    """

    x: str | None = None
    y: str | None = None
    of: str | None = None
    by: str | None = None
    levels: tuple[float, ...] = ()
    rows: str | None = None
    columns: str | None = None
    title: str = ""

    @property
    def panels(self) -> dict[str, Any]:
        """What every kind passes on."""
        return {"rows": self.rows, "columns": self.columns, "title": self.title}


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
    left = [dim for dim in dataset.dims if dataset.sizes[dim] == 1]
    for dim in (request.rows, request.columns):
        if dim is not None and dim not in dataset.dims:
            known = map(str, dataset.dims)
            raise unknown_name("dimension", dim, known, where="plot", key="panels")
    fixed = [dim for dim in left if dim not in (request.rows, request.columns)]
    if not request.title:
        title = ", ".join(name for dim in fixed for name in style.names(dataset[dim]))
        request = dataclasses.replace(request, title=title)
    return KINDS[kind](dataset.squeeze(fixed, drop=True), request)


def _heat_map(dataset: xr.Dataset, request: Request) -> "Figure":
    of = _variable(dataset, request.of or "utps")
    x, y = _dims(dataset[of], (request.x, request.y), request)
    is_code = "flag_values" in dataset[of].attrs
    levels = request.levels or (() if is_code else scales.round_levels(style.shown(dataset[of])))
    return heat_map(dataset, x=x, y=y, of=of, levels=levels, **request.panels)


def _capacity(dataset: xr.Dataset, request: Request) -> "Figure":
    """How full the memory is; hatched beyond what there is."""
    of = _variable(dataset, "capacity_utilisation")
    x, y = _dims(dataset[of], (request.x or "seq_len", request.y or "batch_size"), request)
    shown = dataset[[of]].where(dataset[of] <= 1.0)
    levels = request.levels or (0.25, 0.5, 0.75, 0.9)
    return heat_map(shown, x=x, y=y, of=of, levels=levels, **request.panels)


def _elasticities(dataset: xr.Dataset, request: Request) -> "Figure":
    """By every field of which the result has an elasticity, or by the one that is named."""
    metric, named, field = (request.of or "utps").partition(BETWEEN)
    by = [field] if named else fields_of(dataset, metric)
    if not by:
        elsewhere = [str(name) for name in dataset.data_vars if BETWEEN in str(name)]
        problem = f"the result has no elasticity of {metric}"
        remedy = suggestion(f"{metric}{BETWEEN}mem_bw", elsewhere) if elsewhere else _ASK
        raise InputError(problem, where="plot", remedy=remedy)
    of = _variable(dataset, f"{metric}{BETWEEN}{by[0]}")
    x, y = _dims(dataset[of], (request.x, request.y), request)
    return elasticities(dataset, metric=metric, by=by, x=x, y=y, **request.panels)


def _roofline(dataset: xr.Dataset, request: Request) -> "Figure":
    for name in NEEDED:
        _variable(dataset, name)
    _dims(dataset.tensor_flops, ("operator",), request)
    return roofline(dataset, **request.panels)


def _lines(dataset: xr.Dataset, request: Request) -> "Figure":
    of = _variable(dataset, request.of or "utps")
    x, by = _dims(dataset[of], (request.x, request.by), request)
    return lines(dataset, x=x, y=of, by=by, **request.panels)


def _frontier(dataset: xr.Dataset, request: Request) -> "Figure":
    x, y = _variable(dataset, request.x or "utps"), _variable(dataset, request.y or "stps")
    panels = (request.rows, request.columns)
    dims = [str(dim) for dim in dataset[x].dims if dim not in panels]
    by = request.by or ("chip" if "chip" in dims else dims[0] if dims else "")
    if by not in dims:
        raise unknown_name("dimension", by, dims, where="plot", key="by")
    return frontier(dataset, x=x, y=y, by=by, **request.panels)


def _breakdown(dataset: xr.Dataset, request: Request) -> "Figure":
    memory, compute, _ = (
        dataset[_variable(dataset, name)] for name in ("t_mem", "t_compute", "t_sync")
    )
    (along,) = _dims(memory, (request.x,), request)
    beyond = (compute - memory).clip(0.0).assign_attrs(compute.attrs)
    parts = {"memory": "t_mem", "compute beyond memory": "beyond", "synchronisation": "t_sync"}
    whole = dataset.assign(beyond=beyond)
    return breakdown(whole, along=along, parts=parts, **request.panels)


KINDS: Mapping[str, Callable[[xr.Dataset, Request], "Figure"]] = {
    "heat-map": _heat_map,
    "lines": _lines,
    "frontier": _frontier,
    "breakdown": _breakdown,
    "capacity": _capacity,
    "elasticities": _elasticities,
    "roofline": _roofline,
}
"""Kinds of figures by name."""

_ASK = 'sweep its grid again with elasticities = ["mem_bw", "sync_latency"]'


def _variable(dataset: xr.Dataset, name: str) -> str:
    if name not in dataset.data_vars:
        raise unknown_name("variable", name, map(str, dataset.data_vars), where="plot")
    return name


def _dims(variable: xr.DataArray, asked: tuple[str | None, ...], request: Request) -> list[str]:
    """The dimensions of a panel: those that are asked for, else the last that there are."""
    panels = (request.rows, request.columns)
    dims = [str(dim) for dim in variable.dims if dim not in panels]
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
        if None in panels:
            remedy += f"; or draw a panel for each, as --columns {left[0]}"
        raise InputError(
            f"{variable.name} also lies along {', '.join(left)}", where="plot", remedy=remedy
        )
    return found
