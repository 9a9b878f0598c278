r"""How a metric answers to fields, over two axes, with the knee between bandwidth and latency."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.plots import style
from jaxlimits.plots.heat_map import COLOURS, draw_levels, paint
from jaxlimits.plots.panels import new_panels
from jaxlimits.plots.regions import hatch_misfits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BETWEEN = "_elasticity_"
"""In the name of an elasticity, between the metric and the field."""

KNEE = ("mem_bw", "sync_latency")
"""Fields between which the knee lies: what is gained by the one is lost by the other."""

_AT_KNEE = 0.5
"""Size of both elasticities at the knee, wherever no third field has a part in it."""

_LEVELS = (0.1, 0.25, _AT_KNEE, 0.75, 0.9)


def fields_of(dataset: xr.Dataset, metric: str) -> list[str]:
    """Return the fields by which a result has elasticities of a metric."""
    names = (str(name).partition(f"{metric}{BETWEEN}") for name in dataset.data_vars)
    return [
        field for before, found, field in names if found and not before and "_and_" not in field
    ]


def elasticities(
    dataset: xr.Dataset,
    *,
    metric: str,
    by: Sequence[str],
    x: str,
    y: str,
    rows: str | None = None,
    columns: str | None = None,
    title: str = "",
) -> "Figure":
    r"""Draw the sizes of elasticities over two axes, from 0 (no answer) to 1 (in proportion).

    Parameters
    ----------
    dataset
        A result with these two dimensions, and those of the panels, alone.
    metric, by
        Whose elasticities, and by which fields: a panel for each, the sign in its title.
    x, y
        Axes of the grid.
    rows, columns
        Further dimensions; of several fields and one of them, the fields take the other.
    title
        What is shown.

    Returns
    -------
    Figure
        Where the result has elasticities by ``mem_bw`` and ``sync_latency``, a black line marks the
        knee at which one percent of the one weighs as much as one percent of the other,
        :math:`-e_\mathrm{sync\_latency} = e_\mathrm{mem\_bw}`.
    """
    stacked = _stacked(dataset, metric, by)
    if len(by) > 1:
        rows, columns = (rows, "by") if columns is None else ("by", columns)
    else:
        stacked = stacked.isel(by=0)
    panels = new_panels(stacked, rows=rows, columns=columns, title=title, height=4.8)
    from matplotlib.colors import Normalize

    norm = Normalize(0.0, max(1.0, float(stacked["size"].max())))
    mesh, size = None, panels.text_size
    for axes, part in panels:
        field = part["size"].transpose(y, x)
        look = {"norm": norm, "colours": COLOURS, "small": panels.are_small}
        mesh, edges, values = paint(axes, field, **look)
        named = hatch_misfits(axes, edges, np.isnan(values), size=size)
        levels = tuple(each for each in _LEVELS if each != _AT_KNEE or "knee" not in part)
        draw_levels(axes, field, levels, norm=norm, avoid=named, size=size)
        if "knee" in part:
            _draw_knee(axes, part["knee"].transpose(y, x))
    panels.label(style.label(stacked[x]), style.label(stacked[y]))
    panels.set_colours(mesh, _words(stacked, metric, by), np.array([0.0, 1.0]))
    panels.set_legend()
    return panels.figure


def _stacked(dataset: xr.Dataset, metric: str, by: Sequence[str]) -> xr.Dataset:
    """Sizes of elasticities along ``by``, whose values name the field and the sign."""
    fields = [dataset[f"{metric}{BETWEEN}{name}"] for name in by]
    named = [f"by {name} ({_sign(field)})" for name, field in zip(by, fields, strict=True)]
    along = xr.DataArray(named, dims="by", name="by")
    size = xr.concat([abs(field) for field in fields], along, coords="minimal", compat="override")
    found = {"size": size.rename("size")}
    if all(f"{metric}{BETWEEN}{name}" in dataset for name in KNEE):
        gain, loss = (dataset[f"{metric}{BETWEEN}{name}"] for name in KNEE)
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
    if not (np.nanmin(values, initial=0.0) < 0.0 < np.nanmax(values, initial=0.0)):
        return
    axes.contour(across, up, values, levels=[0.0], colors="white", linewidths=4.0)
    axes.contour(across, up, values, levels=[0.0], colors="black", linewidths=2.0)
    axes.plot(
        [], [], color="black", linewidth=2.0, label="knee: latency weighs\nas much as bandwidth"
    )
