"""Figures of uncertain inputs: bars of their indices or effects, bands of quantiles."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits.plot import style
from jaxlimits.results.indices import SOBOL, entries, measured_metrics
from jaxlimits.web.backend import bokeh_models, new_figure
from jaxlimits.web.browser_map import plain_look
from jaxlimits.web.slices import label_places

_MOST = 12
"""Entries of a figure; the table below it has all."""

_BARS = {"whole": (style.COLOURS[0], 0.19), "part": (style.COLOURS[5], -0.19)}
"""Colour of each bar of an entry, and how far it lies above the middle."""

_CHOOSE = """
const chosen = views[menu.value]
source.data = {...chosen.data}
range.factors = chosen.factors
title.text = chosen.title
axis.axis_label = chosen.label
"""


def index_bars(data: xr.Dataset) -> Any:
    """Return bars with intervals for each uncertain input, the largest above.

    A menu has the metrics, and pairs of inputs where the result has their indices.
    """
    from bokeh.layouts import column  # noqa: PLC0415

    models = bokeh_models()
    views = dict(_views(data))
    names = list(views)
    first = views[names[0]]
    source = models.ColumnDataSource(first["data"])
    figure = new_figure(
        height=max(220, 80 + 44 * len(first["factors"])), sizing_mode="stretch_width",
        y_range=models.FactorRange(factors=first["factors"]), x_axis_label=first["label"],
        title=first["title"], tools="save", toolbar_location="above",
    )  # fmt: skip
    is_sobol = SOBOL in data.data_vars
    words = ("total: with all interactions", "alone") if is_sobol else ("mean size", "deviation")
    for (name, (colour, _)), legend in zip(_BARS.items(), words, strict=True):
        place = {"y": f"{name}_place", "right": name, "height": 0.36}
        drawn = figure.hbar(**place, source=source, color=colour, legend_label=legend)
        figure.add_tools(
            models.HoverTool(
                renderers=[drawn],
                tooltips=[("", "@entry"), (legend, f"@{name}{{0.[0000]}}")],
            )
        )
        whiskers = models.Whisker(
            base=f"{name}_place", lower=f"{name}_low", upper=f"{name}_high",
            source=source, dimension="width", level="overlay", line_width=1.3,
            upper_head=models.TeeHead(size=6), lower_head=models.TeeHead(size=6),
        )  # fmt: skip
        figure.add_layout(whiskers)
        for end in ("low", "high"):  # the range across counts glyphs alone
            figure.scatter(f"{name}_{end}", f"{name}_place", source=source, alpha=0.0)
    plain_look(figure)
    _legend_above(figure)
    if len(names) == 1:
        return figure
    menu = models.Select(title="shown", options=names, value=names[0], width=260)
    args = {"menu": menu, "views": views, "source": source, "range": figure.y_range}
    args |= {"title": figure.title, "axis": figure.xaxis[0]}
    menu.js_on_change("value", models.CustomJS(args=args, code=_CHOOSE))
    return column(menu, figure, sizing_mode="stretch_width")


def _views(data: xr.Dataset) -> Iterator[tuple[str, dict[str, Any]]]:
    for metric in measured_metrics(data):
        yield f"{metric}: inputs", _view(entries(data, metric), metric)
    if "second_order" in data.data_vars:
        for metric in measured_metrics(data):
            yield f"{metric}: pairs of inputs", _view(entries(data, metric, pairs=True), metric)


def _view(found: xr.Dataset, metric: str) -> dict[str, Any]:
    """What one choice of the menu shows."""
    shown = found.isel(entry=slice(_MOST))
    words = [str(name) for name in shown["entry"].to_numpy()]
    places = np.arange(len(words), 0, -1) - 0.5
    columns: dict[str, Any] = {"entry": words}
    for name, (_, above) in _BARS.items():
        values = style.shown(shown[name]) if name in shown else np.full(len(words), np.nan)
        conf = f"{name}_conf"
        half = style.shown(shown[conf]) if conf in shown else np.full(len(words), np.nan)
        columns |= {name: values, f"{name}_low": values - half, f"{name}_high": values + half}
        columns[f"{name}_place"] = places + (above if "part" in shown else 0.0)
    unit = style.typeset(shown["whole"].attrs.get("display_unit", "1"))
    left = found.sizes["entry"] - len(words)
    rest = f" (the first {len(words)} of {len(words) + left})" if left else ""
    label = f"share of the variance of {metric}" if unit == "1" else f"effect on {metric} [{unit}]"
    listed = {name: np.asarray(values).tolist() for name, values in columns.items()}
    return {
        "data": {name: [_plain(each) for each in values] for name, values in listed.items()},
        "factors": words[::-1],
        "title": f"{metric}{rest}",
        "label": label,
    }


def _plain(value: Any) -> Any:
    """A value as JSON takes it."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def band_lines(data: xr.Dataset) -> Any:
    """Return a line for each quantile over one axis, the range between the outermost filled."""
    from bokeh.layouts import column  # noqa: PLC0415

    models = bokeh_models()
    (dim,) = (str(name) for name in data.sizes if name != "quantile")
    names = [str(name) for name in data.data_vars]
    first = "utps" if "utps" in names else names[0]
    columns: dict[str, Any] = {"place": np.arange(data.sizes[dim])}
    for name in names:
        values = style.shown(data[name].transpose("quantile", dim))
        columns |= {f"{name}_{place}": row for place, row in enumerate(values)}
    shares = [float(share) for share in data["quantile"].to_numpy()]
    drawn = {f"drawn_{place}": columns[f"{first}_{place}"] for place in range(len(shares))}
    source = models.ColumnDataSource({**columns, **drawn})
    labels = {name: style.label(data[name], width=110) for name in names}
    figure = new_figure(
        height=400, sizing_mode="stretch_width", title=labels[first],
        tools="pan,wheel_zoom,box_zoom,reset,save", toolbar_location="above",
    )  # fmt: skip
    last = len(shares) - 1
    area = {"y1": "drawn_0", "y2": f"drawn_{last}", "color": style.COLOURS[5], "alpha": 0.25}
    figure.varea("place", source=source, **area)
    for place, share in enumerate(shares):
        middle = 2 * place == last
        look = {"color": style.COLOURS[0], "width": 3 if middle else 1.2}
        look["line_dash"] = "solid" if middle else "dashed"
        figure.line("place", f"drawn_{place}", source=source, **look)
        points = figure.scatter("place", f"drawn_{place}", source=source, color=look["color"])
        tips = [("quantile", f"{share:g}"), ("value", f"@drawn_{place}{{0.[0000]}}")]
        figure.add_tools(models.HoverTool(renderers=[points], tooltips=tips))
    label_places(figure.xaxis[0], data[dim])
    plain_look(figure)
    menu = models.Select(title="variable", options=names, value=first, width=220)
    code = (
        f"for (let i = 0; i < {len(shares)}; i++)"
        " source.data['drawn_' + i] = source.data[menu.value + '_' + i];"
        "title.text = labels[menu.value]; source.change.emit()"
    )
    args = {"source": source, "menu": menu, "title": figure.title, "labels": labels}
    menu.js_on_change("value", models.CustomJS(args=args, code=code))
    return column(menu, figure, sizing_mode="stretch_width")


def _legend_above(figure: Any) -> None:
    legend = figure.legend[0]
    legend.update(orientation="horizontal", label_text_font_size="11px", border_line_width=0)
    legend.update(padding=0, margin=4, spacing=12, glyph_width=16)
    figure.add_layout(legend, "above")
