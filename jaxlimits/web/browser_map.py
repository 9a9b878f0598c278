"""A heat map in the browser, whose numbers change while it stands."""

import dataclasses
import textwrap
from typing import Any

import numpy as np

from jaxlimits.web.backend import bokeh_models, new_figure
from jaxlimits.web.map_cover import COVER, Name
from jaxlimits.web.map_lines import IsoLines
from jaxlimits.web.ticks import Ticks

_LABEL_WIDTH = 44
"""Characters of an axis' label in one line."""

_AXIS_HOVER = """
const along = axis.data[key], place = Math.round(value)
if (place < 0 || place >= along.length) return "–"
const here = along[place]
if (typeof here === "string") return here
const digits = {maximumSignificantDigits: 4}
return here.toLocaleString("en", digits) + look.data[key][0]
"""
_VALUE_HOVER = """
if (!Number.isFinite(value)) return value > 0 ? "infinite" : "–"
const here = look.data.log[0] ? Math.pow(10, value) : value
return here.toLocaleString("en", {maximumSignificantDigits: 4}) + look.data.unit[0]
"""
_CODE_HOVER = "return names.data.words[value + 1] ?? ''"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MapAxis:
    """An axis of a map: what it is, its cells' values as they are shown, and its ticks."""

    title: str
    shown: np.ndarray
    unit: str
    ticks: Ticks


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class MapData:
    """What a map shows.

    Parameters
    ----------
    title, metric, unit
        What it is, the metric's name, and the unit in which its values are.
    values, codes, cover
        (y, x): the metric in that unit, what binds, and what lies over it.
    words
        What the codes say, from -1 on.
    names
        Words on the map.
    x, y
        Axes.
    low, high, log
        Ends of the colours, in the metric's unit; whether they are logarithmic.
    ticks
        Of the colours.
    place
        Where the point is, in cells across and up; ``None`` where it lies outside.
    lines
        Iso-lines over it.
    """

    title: str
    metric: str
    unit: str
    values: np.ndarray
    codes: np.ndarray
    cover: np.ndarray
    words: list[str]
    names: list[Name]
    x: MapAxis
    y: MapAxis
    low: float
    high: float
    log: bool
    ticks: Ticks
    place: tuple[float, float] | None = None
    lines: IsoLines = dataclasses.field(default_factory=IsoLines)


class HeatMap:
    """A figure that shows one :class:`MapData` after another.

    Parameters
    ----------
    data
        What it shows first.
    height
        Of the figure [pixel].
    """

    def __init__(self, data: MapData, *, height: int = 380):
        models = bokeh_models()
        from bokeh.palettes import Cividis256  # noqa: PLC0415

        rows, columns = data.values.shape
        self.cells = models.ColumnDataSource(_cells(data))
        self.axes = models.ColumnDataSource(_axes(data))
        self.words = models.ColumnDataSource({"words": data.words})
        self.names = models.ColumnDataSource(_names(data))
        self.point = models.ColumnDataSource(_point(data))
        self.lines = models.ColumnDataSource(_lines(data))
        self.values = models.ColumnDataSource(_values(data))
        self.look = models.ColumnDataSource(_look(data))
        self.figure = new_figure(
            height=height,
            sizing_mode="stretch_width",
            x_range=models.Range1d(-0.5, columns - 0.5, bounds="auto"),
            y_range=models.Range1d(-0.5, rows - 0.5, bounds="auto"),
            tools="pan,wheel_zoom,box_zoom,reset,save",
            toolbar_location="above",
            title=data.title,
        )
        self.mapper = models.LinearColorMapper(palette=Cividis256, nan_color="#00000000")
        place = {"x": -0.5, "y": -0.5, "dw": columns, "dh": rows}
        drawn = self.figure.image("image", source=self.cells, color_mapper=self.mapper, **place)
        covers = models.LinearColorMapper(palette=list(COVER), low=-0.5, high=3.5)
        self.figure.image("cover", source=self.cells, color_mapper=covers, **place)
        for axis in (self.figure.xaxis[0], self.figure.yaxis[0]):
            # Kept: another model in its place has Bokeh look through the whole page.
            axis.ticker = models.FixedTicker()
        self._draw_lines()
        self._draw_names()
        self.ticker = models.FixedTicker()
        self.colours = models.ColorBar(
            color_mapper=self.mapper, ticker=self.ticker, width=14, padding=6
        )
        self.figure.add_layout(self.colours, "right")
        self._add_hover(drawn)
        plain_look(self.figure)
        self.show(data)

    def show(self, data: MapData) -> None:
        """Show other data, of the same number of cells."""
        self.cells.data = _cells(data)
        self.axes.data = _axes(data)
        self.words.data = {"words": data.words}
        self.names.data = _names(data)
        self.point.data = _point(data)
        self.look.data = _look(data)
        if data.lines.pieces or self.lines.data["x"]:
            self.lines.data, self.values.data = _lines(data), _values(data)
        low, high = np.log10([data.low, data.high]) if data.log else (data.low, data.high)
        self.mapper.update(low=float(low), high=float(high))
        self.colours.update(major_label_overrides=data.ticks.overrides)
        self.ticker.ticks = data.ticks.places
        self.figure.title.text = data.title
        for drawn, axis in ((self.figure.xaxis[0], data.x), (self.figure.yaxis[0], data.y)):
            drawn.ticker.ticks = axis.ticks.places
            drawn.major_label_overrides = axis.ticks.overrides
            drawn.axis_label = textwrap.fill(axis.title, _LABEL_WIDTH)
        self.hover.tooltips = [
            (data.x.title.partition(" (")[0], "$x{custom}"),
            (data.y.title.partition(" (")[0], "$y{custom}"),
            (data.metric, "@image{custom}"),
            ("binds", "@codes{custom}"),
        ]

    def _draw_lines(self) -> None:
        self.figure.multi_line("x", "y", source=self.lines, line_color="tone", line_width=1.2)
        self.figure.text(
            "x", "y", "words", source=self.values, text_align="center", text_baseline="middle",
            text_font_size="11px", text_color="tone", background_fill_color="ground",
            background_fill_alpha=0.6, padding=2, border_radius=3,
        )  # fmt: skip

    def _draw_names(self) -> None:
        self.figure.text(
            "x", "y", "words", source=self.names, text_align="center",
            text_baseline="middle", text_font_size="12px", text_color="#111111",
            background_fill_color="#ffffff", background_fill_alpha=0.9, padding=4, border_radius=3,
        )  # fmt: skip
        self.figure.scatter(
            "x", "y", source=self.point, size=13, marker="circle", fill_color="#D55E00",
            line_color="white", line_width=2,
        )  # fmt: skip

    def _add_hover(self, drawn: Any) -> None:
        models = bokeh_models()

        def along(key: str) -> Any:
            args = {"axis": self.axes, "key": key, "look": self.look}
            return models.CustomJSHover(args=args, code=_AXIS_HOVER)

        values = models.CustomJSHover(args={"look": self.look}, code=_VALUE_HOVER)
        codes = models.CustomJSHover(args={"names": self.words}, code=_CODE_HOVER)
        formatters = {
            "$x": along("x"),
            "$y": along("y"),
            "@image": values,
            "@codes": codes,
        }
        self.hover = models.HoverTool(renderers=[drawn], formatters=formatters)
        self.figure.add_tools(self.hover)


def _cells(data: MapData) -> dict[str, list[np.ndarray]]:
    values = data.values.astype(np.float32)
    if data.log:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log10(values)
    return {"image": [values], "codes": [data.codes.astype(np.int8)], "cover": [data.cover]}


def _axes(data: MapData) -> dict[str, Any]:
    """Both axes in one source, the shorter filled up."""
    length = max(len(data.x.shown), len(data.y.shown))
    return {
        key: [*axis.shown.tolist(), *[None] * (length - len(axis.shown))]
        for key, axis in (("x", data.x), ("y", data.y))
    }


def _names(data: MapData) -> dict[str, list]:
    return {
        "x": [name.across for name in data.names],
        "y": [name.up for name in data.names],
        "words": [name.words for name in data.names],
    }


def _point(data: MapData) -> dict[str, list[float]]:
    return {"x": [data.place[0]], "y": [data.place[1]]} if data.place else {"x": [], "y": []}


def _lines(data: MapData) -> dict[str, list]:
    pieces = data.lines.pieces
    return {
        "x": [piece.across for piece in pieces],
        "y": [piece.up for piece in pieces],
        "tone": [piece.tone for piece in pieces],
    }


def _values(data: MapData) -> dict[str, list]:
    """The values on iso-lines, each on a ground of the other tone."""
    grounds = {"black": "#ffffff", "white": "#000000"}
    return {
        "x": [name.across for name, _ in data.lines.values],
        "y": [name.up for name, _ in data.lines.values],
        "words": [name.words for name, _ in data.lines.values],
        "tone": [tone for _, tone in data.lines.values],
        "ground": [grounds[tone] for _, tone in data.lines.values],
    }


def _look(data: MapData) -> dict[str, list]:
    """What the words under the pointer need to know."""
    units = {"unit": data.unit, "x": data.x.unit, "y": data.y.unit}
    return {"log": [data.log], **{key: [_spaced(unit)] for key, unit in units.items()}}


def _spaced(unit: str) -> str:
    return f" {unit}" if unit not in ("", "1") else ""


def plain_look(figure: Any) -> None:
    """What all figures share: no grid under a map, quiet axes, a legible size."""
    figure.grid.visible = False
    figure.background_fill_color = "#ffffff"
    figure.outline_line_color = "#999999"
    for axis in (*figure.xaxis, *figure.yaxis):
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = "12px"
        axis.major_label_text_font_size = "11px"
    figure.title.text_font_size = "14px"
