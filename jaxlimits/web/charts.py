"""Figures of a report that need no menus: lines, histograms, frontiers."""

from typing import Any

import numpy as np
import xarray as xr

from jaxlimits.plot import scales, style
from jaxlimits.results.records import told_apart
from jaxlimits.web.backend import bokeh_models, new_figure
from jaxlimits.web.browser_map import plain_look
from jaxlimits.web.slices import label_places

_TOOLS = "pan,wheel_zoom,box_zoom,reset,save"

_CHOOSE = (
    "source.data.drawn = source.data[menu.value]; title.text = labels[menu.value];"
    "source.change.emit()"
)
"""What a menu of variables does."""


def _figure(**options: Any) -> Any:

    return new_figure(
        height=400, sizing_mode="stretch_width", tools=_TOOLS, toolbar_location="above", **options
    )


def _plain_numbers() -> Any:
    models = bokeh_models()

    return models.CustomJSTickFormatter(code="return tick.toLocaleString('en')")


def line_chart(data: xr.Dataset) -> Any:
    """Return lines over the one axis of some variables, with a menu for which is drawn."""
    from bokeh.layouts import column  # noqa: PLC0415

    models = bokeh_models()

    (dim,) = map(str, data.sizes)
    names = [str(name) for name in data.data_vars if data[name].dtype.kind in "fiu"]
    values = {name: np.asarray(style.shown(data[name]), float) for name in names}
    first = "utps" if "utps" in names else names[0]
    labels = {name: style.label(data[name], width=110) for name in names}
    source = models.ColumnDataSource(
        {"place": np.arange(data.sizes[dim]), "drawn": values[first], **values}
    )
    drawn = _figure(title=labels[first])
    if style.is_numeric(data[dim]):
        drawn.line("place", "drawn", source=source, color=style.COLOURS[0], line_width=2)
        points = drawn.scatter("place", "drawn", source=source, color=style.COLOURS[0], size=6)
    else:  # of names there is no order to follow
        look = {"color": style.COLOURS[0], "width": 0.6}
        points = drawn.vbar("place", top="drawn", source=source, **look)
    drawn.yaxis[0].formatter = _plain_numbers()
    drawn.add_tools(models.HoverTool(renderers=[points], tooltips=[("value", "@drawn{0.[0000]}")]))
    label_places(drawn.xaxis[0], data[dim])
    plain_look(drawn)
    menu = models.Select(title="variable", options=names, value=first, width=220)
    args = {"source": source, "menu": menu, "title": drawn.title, "labels": labels}
    menu.js_on_change("value", models.CustomJS(args=args, code=_CHOOSE))
    return column(menu, drawn, sizing_mode="stretch_width")


def record_bars(data: xr.Dataset) -> Any:
    """Return bars of the records of an answer, with a menu for which variable is drawn."""
    from bokeh.layouts import column  # noqa: PLC0415

    models = bokeh_models()
    (dim,) = map(str, data.sizes)
    kept = data.isel({dim: slice(_MOST_BARS)})
    rows = enumerate(told_apart(kept, dim, style.names), start=1)
    entries = [f"{number}: {', '.join(row)}" for number, row in rows]
    names = [str(name) for name in kept.data_vars if kept[name].dtype.kind in "fiu"]
    values = {name: np.asarray(style.shown(kept[name]), float) for name in names}
    asked = (data.attrs.get(key) for key in ("maximised", "minimised"))
    first = next((name for name in asked if name in names), names[0])
    labels = {name: style.label(data[name], width=110) for name in names}
    source = models.ColumnDataSource({"entry": entries, "drawn": values[first], **values})
    drawn = _figure(title=labels[first], y_range=models.FactorRange(factors=entries[::-1]))
    drawn.height = max(220, 90 + 24 * len(entries))
    look = {"color": style.COLOURS[0], "height": 0.6}
    bars = drawn.hbar("entry", right="drawn", source=source, **look)
    tips = [("", "@entry"), ("value", "@drawn{0.[0000]}")]
    drawn.add_tools(models.HoverTool(renderers=[bars], tooltips=tips))
    drawn.xaxis[0].formatter = _plain_numbers()
    plain_look(drawn)
    menu = models.Select(title="variable", options=names, value=first, width=220)
    args = {"source": source, "menu": menu, "title": drawn.title, "labels": labels}
    menu.js_on_change("value", models.CustomJS(args=args, code=_CHOOSE))
    return column(menu, drawn, sizing_mode="stretch_width")


_MOST_BARS = 40
"""Records that are drawn; the table has all."""


def histogram(data: xr.Dataset, own: str) -> Any:
    """Return the counts of a histogram by the lower edges of its bins."""
    models = bokeh_models()

    name = own.removesuffix("_bin")
    counts = data[name].to_numpy()
    edges = np.asarray(style.shown(data[own]), float)
    source = models.ColumnDataSource(
        {"place": np.arange(len(counts)), "count": counts, "edge": edges}
    )
    drawn = _figure(title=data[name].attrs.get("long_name", name), y_axis_label="points")
    bars = drawn.vbar("place", top="count", width=0.95, source=source, color=style.COLOURS[0])
    unit = style.typeset(data[own].attrs.get("display_unit", "1"))
    tips = [("from", f"@edge{{0.[000]}} {unit}"), ("points", "@count{0,0}")]
    drawn.add_tools(models.HoverTool(renderers=[bars], tooltips=tips))
    label_places(drawn.xaxis[0], data[own])
    plain_look(drawn)
    return drawn


def frontier_chart(data: xr.Dataset, own: str) -> Any:
    """Return the points of a frontier over its first two metrics; the rest under the pointer."""
    models = bokeh_models()

    numeric = [str(name) for name in data.data_vars if data[name].dtype.kind in "fiu"]
    columns = {str(name): _column(data[name]) for name in data.data_vars}
    x, y = numeric[:2]
    ends = [np.asarray(columns[name], float) for name in (x, y)]
    kinds = ["log" if scales.spans_decades(values) else "linear" for values in ends]
    drawn = _figure(
        title=f"frontier of {own.removesuffix('_point')}",
        x_axis_type=kinds[0], y_axis_type=kinds[1],
        x_axis_label=style.label(data[x], width=110), y_axis_label=style.label(data[y]),
    )  # fmt: skip
    source = models.ColumnDataSource(columns)
    points = drawn.scatter(x, y, source=source, size=7, color=style.COLOURS[0], alpha=0.8)
    drawn.add_tools(
        models.HoverTool(renderers=[points], tooltips=[(n, f"@{{{n}}}") for n in columns])
    )
    drawn.xaxis[0].formatter = drawn.yaxis[0].formatter = _plain_numbers()
    plain_look(drawn)
    return drawn


def _column(variable: xr.DataArray) -> np.ndarray | list[str]:
    if style.is_numeric(variable):
        return np.asarray(style.shown(variable), float)
    return [str(value) for value in variable.values]
