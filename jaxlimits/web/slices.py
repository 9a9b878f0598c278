"""Maps and lines of a result with menus: which variable, and which slice of its other axes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits.plot import scales, style
from jaxlimits.results.reason_codes import HATCHED, WORDS, Reason
from jaxlimits.results.reasons import reasons
from jaxlimits.web.backend import bokeh_models, new_figure
from jaxlimits.web.browser_map import plain_look
from jaxlimits.web.map_cover import GREY, NOTHING, STRIPE
from jaxlimits.web.ticks import are_round, cell_ticks, neat_values

_FEW = 14
"""Values of an axis up to which each has its label."""

_CHOOSE = """
const name = menu.value, shown = values.data[name], codes = values.data.limit
let first = 0
for (let i = 0; i < picks.length; i++) first += picks[i].options.indexOf(picks[i].value) * steps[i]
const image = cells.data.image[0], plain = cells.data.plain[0], cover = cells.data.cover[0]
const places = cells.data.limit === undefined ? null : cells.data.limit[0]
const reasons = cells.data.reason[0], why = reason_of[name].data.why
let low = Infinity, high = -Infinity
for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
  const value = shown[first + row * row_step + column * column_step], here = row * columns + column
  plain[here] = value
  if (places !== null) places[here] = codes[first + row * row_step + column * column_step]
  reasons[here] = why[why.length > 1 ? first + row * row_step + column * column_step : 0]
  if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value) }
  if (!Number.isNaN(value)) reasons[here] = 0
  const striped = hatched.includes(reasons[here]) && (row + column) % 4 < 2
  cover[here] = Number.isNaN(value) ? (striped ? stripe : grey) : nothing
}
const log = low > 0 && high > 8 * low
for (let i = 0; i < image.length; i++) image[i] = log ? Math.log10(plain[i]) : plain[i]
mapper.low = log ? Math.log10(low) : low
mapper.high = log ? Math.log10(high) : high
if (low === high) mapper.high = mapper.low + 1e-9 + Math.abs(mapper.low) * 1e-6
formatter.args = {...formatter.args, log}
// A scale of logarithms has its ticks at round numbers too; of so many digits as it has room for.
const last = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))]
const tried = [[1, 1.5, 2, 3, 4, 5, 6, 8], [1, 2, 3, 5], [1, 2, 5], [1, 3], [1]]
for (const within of log ? tried : []) {
  const found = []
  for (let power = last[0]; power <= last[1]; power++)
    for (const one of within) found.push(one * Math.pow(10, power))
  round.ticks = found.filter((each) => each >= low && each <= high).map(Math.log10)
  if (round.ticks.length <= 7) break
}
bar.ticker = log ? round : even
title.text = labels[name]
cells.change.emit()
"""
_TICK = """
const value = log ? Math.pow(10, tick) : tick
return value.toLocaleString("en", {maximumSignificantDigits: 3})
"""
_HOVER_NAME = "const place = Math.round(value); return labels[place] ?? ''"
_HOVER_CODE = "return meanings[value] ?? ''"


def sliced_map(data: xr.Dataset) -> Any:
    """Return a heat map over the two longest axes, with a menu for the variable and each other.

    Parameters
    ----------
    data
        Numeric variables along the same two axes or more.
    """
    from bokeh.layouts import column, row  # noqa: PLC0415

    models = bokeh_models()

    up, across = _map_axes(data)
    dims = [str(dim) for dim in data.sizes]
    others = [dim for dim in dims if dim not in (up, across)]
    arrays = {name: data[name].transpose(*dims) for name in map(str, data.data_vars)}
    flat = {name: _numbers(array).ravel() for name, array in arrays.items()}
    why = {n: models.ColumnDataSource({"why": _reasons(data, n, dims)}) for n in arrays}
    steps = dict(zip(dims, _steps([data.sizes[dim] for dim in dims]), strict=True))
    menu = models.Select(
        title="variable", options=_order(arrays), value=_order(arrays)[0], width=220
    )
    picks = [_pick(data, dim) for dim in others]
    rows, columns = data.sizes[up], data.sizes[across]
    begun = data.isel(dict.fromkeys(others, 0)).transpose(up, across)
    cells = models.ColumnDataSource(_cells(begun, menu.value))
    figure, bar = _map_figure(data, cells, up=up, across=across)
    round_ticks, even_ticks = models.FixedTicker(), models.BasicTicker()
    mapper, formatter = bar.color_mapper, bar.formatter
    log = _colour(mapper, formatter, cells.data["plain"][0])
    if log:
        low, high = 10.0 ** np.array([mapper.low, mapper.high])
        round_ticks.ticks = np.log10(neat_values(low, high, geometric=True)).tolist()
    bar.ticker = round_ticks if log else even_ticks
    figure.title.text = style.label(arrays[menu.value], width=110)
    choose = models.CustomJS(
        args={
            "menu": menu, "picks": picks, "values": models.ColumnDataSource(flat), "cells": cells,
            "steps": [steps[dim] for dim in others], "row_step": steps[up],
            "column_step": steps[across], "rows": rows, "columns": columns, "mapper": mapper,
            "formatter": formatter, "title": figure.title,
            "labels": {name: style.label(array, width=110) for name, array in arrays.items()},
            "stripe": STRIPE, "grey": GREY, "nothing": NOTHING, "hatched": [*map(int, HATCHED)],
            "reason_of": why, "bar": bar, "round": round_ticks, "even": even_ticks,
        },
        code=_CHOOSE,
    )  # fmt: skip
    for widget in (menu, *picks):
        widget.js_on_change("value", choose)
    return column(
        row(menu, *picks, styles={"flex-wrap": "wrap"}), figure, sizing_mode="stretch_width"
    )


def _reasons(data: xr.Dataset, name: str, dims: list[str]) -> np.ndarray:
    """Why a variable has no value, point by point; once, where all that lack one lack it alike."""
    codes = reasons(data, name).transpose(*dims).to_numpy().ravel()
    lacking = np.unique(codes[codes != Reason.FITS])
    return codes if lacking.size > 1 else lacking if lacking.size else codes[:1]


def _cells(begun: xr.Dataset, name: str) -> dict[str, list[np.ndarray]]:
    """What the map shows first; in the browser each choice does the same."""
    plain = _numbers(begun[name])
    why = reasons(begun, name).to_numpy()
    rows, columns = plain.shape
    diagonal = np.arange(rows)[:, None] + np.arange(columns)
    stripes = np.where((diagonal % 4 < 2) & np.isin(why, HATCHED), STRIPE, GREY)
    image = np.log10(plain) if scales.spans_decades(plain.ravel()) else plain
    cells = {
        "image": [image.astype(np.float32)],
        "plain": [plain],
        "reason": [why],
        "cover": [np.where(np.isnan(plain), stripes, NOTHING).astype(np.uint8)],
    }
    return {
        **cells,
        **({"limit": [begun["limit"].to_numpy()]} if "limit" in begun.data_vars else {}),
    }


def _colour(mapper: Any, formatter: Any, plain: np.ndarray) -> bool:
    """Set the ends of the colours; return whether they are logarithmic."""
    log = scales.spans_decades(plain.ravel())
    finite = plain[np.isfinite(plain)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    mapper.low, mapper.high = np.log10([low, high]) if log else (low, high)
    if low == high:
        mapper.high = mapper.low + 1e-9 + 1e-6 * abs(mapper.low)
    formatter.args = {"log": log}
    return log


def _map_axes(data: xr.Dataset) -> tuple[str, str]:
    """The axes up and across: of numbers before names, the longest before the others."""

    def rank(dim: str) -> tuple[bool, int]:
        return style.is_numeric(data[dim]), data.sizes[dim]

    across, up = sorted(map(str, data.sizes), key=rank, reverse=True)[:2]
    return up, across


def _order(arrays: Mapping[str, xr.DataArray]) -> list[str]:
    """Speeds first: they are what most people come for."""
    first = [name for name in ("utps", "stps") if name in arrays]
    return [*first, *(name for name in arrays if name not in first)]


def _numbers(array: xr.DataArray) -> np.ndarray:
    return np.asarray(style.shown(array), np.float32)


def _steps(lengths: list[int]) -> list[int]:
    return [int(np.prod(lengths[place + 1 :])) for place in range(len(lengths))]


def _pick(data: xr.Dataset, dim: str) -> Any:
    models = bokeh_models()

    options = _labels(data[dim])
    return models.Select(title=dim, options=options, value=options[0], width=150)


def _are_labels(coordinate: xr.DataArray) -> bool:
    """Whether the values of an axis of numbers can stand beside it as they are."""
    return coordinate.size <= _FEW and are_round(style.shown(coordinate))


def _suffix(coordinate: xr.DataArray) -> str:
    unit = coordinate.attrs.get("display_unit", "1")
    return "" if unit in ("1", "token") else f" {style.typeset(unit)}"


def _labels(coordinate: xr.DataArray) -> list[str]:
    """Values of an axis with their unit, each once."""
    suffix = _suffix(coordinate)
    words = [f"{name}{suffix}" for name in style.names(coordinate, bare=True)]
    seen: dict[str, int] = {}
    for place, word in enumerate(words):
        seen[word] = seen.get(word, 0) + 1
        if seen[word] > 1:
            words[place] = f"{word} ({seen[word]})"
    return words


def _map_figure(data: xr.Dataset, cells: Any, *, up: str, across: str) -> tuple[Any, Any]:
    models = bokeh_models()
    from bokeh.palettes import Cividis256  # noqa: PLC0415

    from jaxlimits.web.map_cover import COVER  # noqa: PLC0415

    rows, columns = data.sizes[up], data.sizes[across]
    drawn = new_figure(
        height=440, sizing_mode="stretch_width", title=" ",
        x_range=models.Range1d(-0.5, columns - 0.5), y_range=models.Range1d(-0.5, rows - 0.5),
        tools="pan,wheel_zoom,box_zoom,reset,save", toolbar_location="above",
    )  # fmt: skip
    mapper = models.LinearColorMapper(palette=Cividis256, nan_color="#00000000")
    place = {"x": -0.5, "y": -0.5, "dw": columns, "dh": rows}
    image = drawn.image("image", source=cells, color_mapper=mapper, **place)
    covers = models.LinearColorMapper(palette=list(COVER), low=-0.5, high=3.5)
    drawn.image("cover", source=cells, color_mapper=covers, **place)
    formatter = models.CustomJSTickFormatter(args={"log": False}, code=_TICK)
    bar = models.ColorBar(color_mapper=mapper, formatter=formatter, width=14)
    drawn.add_layout(bar, "right")
    tips = [(across, "$x{custom}"), (up, "$y{custom}"), ("value", "@plain")]
    tips.append(("", "@reason{custom}"))
    told = {str(int(code)): words for code, words in WORDS.items() if code != Reason.FITS}
    formatters: dict[str, Any] = {
        "@reason": models.CustomJSHover(args={"meanings": told}, code=_HOVER_CODE),
        "$x": models.CustomJSHover(args={"labels": _labels(data[across])}, code=_HOVER_NAME),
        "$y": models.CustomJSHover(args={"labels": _labels(data[up])}, code=_HOVER_NAME),
    }
    if "limit" in data.data_vars:
        flags, words = (data["limit"].attrs[k] for k in ("flag_values", "flag_meanings"))
        meanings = dict(zip(map(str, np.asarray(flags).tolist()), words.split(), strict=True))
        tips.append(("binds", "@limit{custom}"))
        formatters["@limit"] = models.CustomJSHover(args={"meanings": meanings}, code=_HOVER_CODE)
    drawn.add_tools(models.HoverTool(renderers=[image], tooltips=tips, formatters=formatters))
    for axis, dim in ((drawn.xaxis[0], across), (drawn.yaxis[0], up)):
        label_places(axis, data[dim])
    plain_look(drawn)
    return drawn, bar


def label_places(axis: Any, coordinate: xr.DataArray) -> None:
    """Label an axis that counts cells: with the values of few that are round, else between them."""
    if style.is_numeric(coordinate) and not _are_labels(coordinate):
        ticks = cell_ticks(style.shown(coordinate), suffix=_suffix(coordinate))
        axis.ticker, axis.major_label_overrides = ticks.places, ticks.overrides
    else:
        words = _labels(coordinate)
        step = -(-len(words) // _FEW)
        places = list(range(0, len(words), step))
        axis.ticker = places
        axis.major_label_overrides = {place: words[place] for place in places}
    meaning = coordinate.attrs.get("long_name", "")
    axis.axis_label = f"{meaning} ({coordinate.name})" if meaning else str(coordinate.name)
