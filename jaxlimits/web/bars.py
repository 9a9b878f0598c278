"""Stacked bars of where the time of a step goes, whose numbers change while they stand."""

from collections.abc import Mapping, Sequence

from jaxlimits.plot.style import COLOURS
from jaxlimits.web.backend import bokeh_models, new_figure
from jaxlimits.web.browser_map import plain_look

PARTS: Mapping[str, str] = {
    "memory": "memory",
    "compute": "compute beyond memory",
    "latency": "synchronisation: latency",
    "payload": "synchronisation: payload",
}
"""Parts of a step by their keys, in the order in which they are stacked."""

_LOOKS = ((2, " "), (5, "."), (4, "/"), (3, "x"))

Shares = Mapping[str, Sequence[float]]
"""Height of each part, by its key, a number for each bar [ms]."""


class Breakdown:
    """A figure with one bar for each machine."""

    def __init__(self, labels: Sequence[str], shares: Shares):
        models = bokeh_models()

        self.source = models.ColumnDataSource(_data(labels, shares))
        self.bars = models.FactorRange(factors=list(reversed(labels)))
        self.figure = new_figure(
            height=230,
            sizing_mode="stretch_width",
            y_range=self.bars,
            x_axis_label="time of one decode step [ms]",
            tools="save",
            toolbar_location=None,
            title="Where the time goes",
        )
        colours = [COLOURS[colour] for colour, _ in _LOOKS]
        stacked = self.figure.hbar_stack(
            list(PARTS),
            y="bar",
            height=0.55,
            source=self.source,
            fill_color=colours,
            line_color="white",
            hatch_pattern=[hatch for _, hatch in _LOOKS],
            hatch_color="white",
            hatch_alpha=0.6,
            legend_label=list(PARTS.values()),
        )
        for key, drawn in zip(PARTS, stacked, strict=True):
            tips = [("", "@bar"), (PARTS[key], f"@{key}{{0.[0000]}} ms")]
            self.figure.add_tools(models.HoverTool(renderers=[drawn], tooltips=tips))
        legend = self.figure.legend[0]
        legend.update(orientation="horizontal", label_text_font_size="11px", border_line_width=0)
        legend.update(padding=0, margin=4, spacing=4, glyph_width=16, ncols=2)
        self.figure.add_layout(legend, "above")
        plain_look(self.figure)
        self.figure.xgrid.visible = True
        self.figure.x_range.start = 0.0

    def show(self, labels: Sequence[str], shares: Shares) -> None:
        """Show other numbers."""
        self.bars.factors = list(reversed(labels))
        self.source.data = _data(labels, shares)


def _data(labels: Sequence[str], shares: Shares) -> dict[str, list]:
    return {"bar": list(labels), **{key: list(shares[key]) for key in PARTS}}
