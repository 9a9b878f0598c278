"""Widgets for what is shown: the axes and metric of the map, and the target."""

import dataclasses
from collections.abc import Callable
from typing import Any

import panel as pn

from jaxlimits import schema
from jaxlimits.explorer.field_search import search_of
from jaxlimits.explorer.menus import CARD, CHOICE, WIDTH, menu
from jaxlimits.explorer.session import Session
from jaxlimits.explorer.state import SPACINGS
from jaxlimits.grid.requirements import METRICS


class MapControls:
    """The first widgets of the sidebar.

    Parameters
    ----------
    session
        What they change.
    changed
        Called after each change.
    """

    def __init__(self, session: Session, changed: Callable[[], None]):
        self.session, self._changed, self._quiet = session, changed, False
        self.metric = menu("Metric on the map", list(METRICS))
        self.lines = pn.widgets.Checkbox(
            label="Iso-lines on the map", margin=(4, 10), css_classes=["iso-lines"]
        )
        self.axes = {key: _AxisRow(key) for key in ("x", "y")}
        self.aim_metric = menu("Target: metric", list(METRICS), width=140)
        self.aim_value = pn.widgets.TextInput(label="Target: value", width=140, margin=(6, 10))
        self.card = pn.Card(
            *(row.view for row in self.axes.values()),
            title="Axes of the map",
            collapsed=True,
            width=WIDTH + 30,
            margin=(3, 5),
            css_classes=["axes"],
            stylesheets=[CARD],
        )
        self.reset = pn.widgets.Button(label="Start again", width=WIDTH, margin=(6, 10))
        self.target = pn.Row(self.aim_metric, self.aim_value, margin=0)
        self._wire()

    def _wire(self) -> None:
        session = self.session
        self._on(self.metric, session.show_metric)
        self._on(self.lines, session.show_lines)
        self._on(self.aim_metric, lambda new: session.aim(new, session.usual_target(new)))
        self._on(self.aim_value, lambda new: session.aim(session.state.aim, new))
        for key, row in self.axes.items():
            self._on(row.name, lambda new, key=key: new in schema.FIELDS and session.turn(key, new))
            for part in ("first", "last", "spacing"):
                self._on(
                    getattr(row, part),
                    lambda new, key=key, part=part: session.span(
                        key, dataclasses.replace(getattr(session.state, key), **{part: new})
                    ),
                )

        self.reset.on_click(self._start_again)

    def _start_again(self, _: Any) -> None:
        self.session.reset()
        self._changed()

    def _on(self, widget: Any, act: Callable[[Any], object]) -> None:
        def moved(event: Any) -> None:
            if not self._quiet:
                act(event.new)
                self._changed()

        widget.param.watch(moved, "value")

    def show(self) -> None:
        """Show the session's state."""
        state = self.session.state
        self._quiet = True
        try:
            self.metric.value, self.lines.value = state.metric, state.iso_lines == "on"
            self.aim_metric.value, self.aim_value.value = state.aim, state.target
            for key, row in self.axes.items():
                row.show(getattr(state, key))
        finally:
            self._quiet = False


class _AxisRow:
    """One axis: its field, its ends, its spacing."""

    def __init__(self, key: str):
        self.name = search_of(f"{key.upper()} axis")
        self.name.css_classes = [f"axis-{key}"]
        self.first = pn.widgets.TextInput(label=f"{key.upper()} from", width=130, margin=(2, 10))
        self.last = pn.widgets.TextInput(label=f"{key.upper()} to", width=130, margin=(2, 10))
        self.spacing = pn.widgets.RadioButtonGroup(
            label=f"Spacing of the {key.upper()} axis",
            options=list(SPACINGS),
            width=WIDTH,
            margin=(2, 10, 8, 10),
            stylesheets=[CHOICE],
        )
        ends = pn.Row(self.first, self.last, margin=0)
        self.view = pn.Column(self.name, ends, self.spacing, margin=0)

    def show(self, span: Any) -> None:
        for part in ("name", "first", "last", "spacing"):
            getattr(self, part).value = getattr(span, part)
