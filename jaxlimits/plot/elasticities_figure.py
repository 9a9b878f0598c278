"""How a metric answers to fields, over two axes, with the knee between bandwidth and latency."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.errors import InputError, suggestion
from jaxlimits.plot import style
from jaxlimits.plot.found import lacking, needed, panel_dims
from jaxlimits.plot.kind import kind
from jaxlimits.plot.maps import HEIGHT, draw_levels, name_all, paint
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels
from jaxlimits.plot.regions import cover_what_is_missing
from jaxlimits.results.reasons import reasons

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BETWEEN = "_elasticity_"
"""In the name of an elasticity, between the metric and the field."""

_KNEE = ("mem_bw", "sync_latency")
"""Fields between which the knee lies: what is gained by the one is lost by the other."""

_AT_KNEE = 0.5
"""Size of both elasticities at the knee, wherever no third field has a part in it."""

_LEVELS = (0.1, 0.25, _AT_KNEE, 0.75, 0.9)


_LEAST_FOR_LINES = 8
"""Values along each axis from which iso-lines are drawn in small panels: fewer make mere steps."""


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    found = [str(name) for name in dataset.data_vars if _BETWEEN in str(name)]
    if found:
        return lacking(dataset, found[0], axes=2, asked={**asked, "of": None})
    return 'the result has no elasticities, as a grid asks for by elasticities = ["mem_bw"]'


@kind(lacks=_lacks)
def elasticities(
    dataset: xr.Dataset,
    *,
    of: str = "utps",
    x: str | None = None,
    y: str | None = None,
    **layout: Unpack[Layout],
) -> "Figure":
    r"""Draw by how many percent a metric answers to one percent of a field, over two axes.

    Colours are the sizes, from 0 (no answer) to 1 (in proportion); the signs stand in the titles.
    Where the result has elasticities by ``mem_bw`` and ``sync_latency``, a black line marks the
    knee at which one percent of the one weighs as much as one percent of the other,
    :math:`-e_\mathrm{sync\_latency} = e_\mathrm{mem\_bw}`.

    Parameters
    ----------
    dataset
        A result with elasticities, as ``elasticities = ["mem_bw", "sync_latency"]`` in a grid asks
        for.
    of
        A metric, of which every elasticity is drawn, or the name of one elasticity. Several take
        the columns, or else the rows.
    x, y
        Axes across and up; by default the last two of the grid.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("more_bandwidth").sel(llm="llama3-405b", seq_len=4096, batch_size=1)
    >>> figure = jl.plot.elasticities(ds, x="mem_bw", y="tp_size")
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['by mem_bw (+)', 'by sync_latency (−)']
    """
    metric, by = _asked(dataset, of)
    first = needed(dataset, f"{metric}{_BETWEEN}{by[0]}")
    x, y = panel_dims(dataset[first], layout, x=x, y=y)
    stacked = _stacked(dataset, metric, by)
    if len(by) > 1:
        layout = _with_fields(layout, of=first)
    else:
        stacked = stacked.isel(by=0)
    panels = new_panels(stacked, height=HEIGHT, **layout)
    from matplotlib.colors import Normalize

    norm = Normalize(0.0, max(1.0, float(stacked["size"].max())))
    mesh = None
    for axes, part in panels:
        field = part["size"].transpose(y, x)
        mesh, edges = paint(axes, field, norm=norm, small=panels.are_small)
        codes = part["reason"].transpose(y, x).to_numpy()
        regions = cover_what_is_missing(axes, edges, codes)
        levels = tuple(each for each in _LEVELS if each != _AT_KNEE or "knee" not in part)
        is_coarse = panels.are_small and min(field.shape) < _LEAST_FOR_LINES
        lines = None if is_coarse else draw_levels(axes, field, levels, norm=norm)
        if "knee" in part:
            _draw_knee(axes, part["knee"].transpose(y, x))
        name_all(panels, axes, edges, regions, lines)
    panels.label(stacked[x], stacked[y])
    panels.set_colours(mesh, _words(stacked, metric, by), np.array([0.0, 1.0]))
    panels.set_legend()
    return panels.figure


def _asked(dataset: xr.Dataset, of: str) -> tuple[str, list[str]]:
    """The metric, and the fields by which its elasticities are drawn."""
    metric, named, field = of.partition(_BETWEEN)
    by = [field] if named else _fields_of(dataset, metric)
    if by:
        return metric, by
    elsewhere = [str(name) for name in dataset.data_vars if _BETWEEN in str(name)]
    remedy = 'sweep its grid again with elasticities = ["mem_bw", "sync_latency"]'
    if elsewhere:
        remedy = suggestion(f"{metric}{_BETWEEN}mem_bw", elsewhere)
    raise InputError(f"the result has no elasticity of {metric}", where="plot", remedy=remedy)


def _fields_of(dataset: xr.Dataset, metric: str) -> list[str]:
    """Fields by which a result has elasticities of a metric."""
    names = (str(name).partition(f"{metric}{_BETWEEN}") for name in dataset.data_vars)
    return [
        field for before, found, field in names if found and not before and "_and_" not in field
    ]


def _with_fields(layout: Layout, *, of: str) -> Layout:
    """The layout with a column, or else a row, for each of several fields."""
    if layout.get("ax") is not None:
        problem = "holds one panel, and each of several elasticities is one"
        raise InputError(problem, where="plot", key="ax", remedy=f"name one, as of={of!r}")
    free = next((name for name in ("columns", "rows") if layout.get(name) is None), None)
    if free is None:
        problem = "rows and columns are taken, and each of several elasticities is a panel"
        raise InputError(problem, where="plot", key="of", remedy=f"name one, as {of}")
    return Layout(**{**layout, free: "by"})


def _stacked(dataset: xr.Dataset, metric: str, by: Sequence[str]) -> xr.Dataset:
    """Sizes of elasticities along ``by``, whose values name the field and the sign."""
    fields = [dataset[f"{metric}{_BETWEEN}{name}"] for name in by]
    named = [f"by {name} ({_sign(field)})" for name, field in zip(by, fields, strict=True)]
    along = xr.DataArray(named, dims="by", name="by")
    size = xr.concat([abs(field) for field in fields], along, coords="minimal", compat="override")
    missing = reasons(dataset, f"{metric}{_BETWEEN}{by[0]}")  # which is that of the metric itself
    found = {"size": size.rename("size"), "reason": missing}
    if all(f"{metric}{_BETWEEN}{name}" in dataset for name in _KNEE):
        gain, loss = (dataset[f"{metric}{_BETWEEN}{name}"] for name in _KNEE)
        found["knee"] = gain + loss
    return xr.Dataset(found)


def _sign(field: xr.DataArray) -> str:
    if not bool((field < 0.0).any()):
        return "+"
    return "−" if not bool((field > 0.0).any()) else "±"


def _words(stacked: xr.Dataset, metric: str, by: Sequence[str]) -> str:
    """What the colours mean."""
    of = f"size of the elasticity of {metric}"
    return of if len(by) > 1 else f"{of} {stacked['by'].item()}"


def _draw_knee(axes: "Axes", difference: xr.DataArray) -> None:
    up, across = (style.shown(difference[dim]) for dim in difference.dims)
    values = difference.to_numpy()
    changes = np.nanmin(values, initial=0.0) < 0.0 < np.nanmax(values, initial=0.0)
    if not changes or min(values.shape) < 2:  # a contour needs both directions
        return
    axes.contour(across, up, values, levels=[0.0], colors="white", linewidths=4.0)
    axes.contour(across, up, values, levels=[0.0], colors="black", linewidths=2.0)
    axes.plot(
        [], [], color="black", linewidth=2.0, label="knee: latency weighs\nas much as bandwidth"
    )
