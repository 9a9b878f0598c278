"""Widgets for what is compared and shown: model, machines, the axes and metric of the map."""

import dataclasses
from collections.abc import Callable
from typing import Any

import panel as pn

from jaxlimits import schema
from jaxlimits.explorer.session import Session
from jaxlimits.explorer.state import SPACINGS
from jaxlimits.grid.requirements import METRICS

_NONE = "–"
_WIDTH = 300


class MapControls:
    """The first widgets of the page.

    Parameters
    ----------
    session
        What they change.
    changed
        Called after each change.
    """

    def __init__(self, session: Session, changed: Callable[[], None]):
        self.session, self._changed, self._quiet = session, changed, False
        llms, chips = (list(session.catalog.entries[kind]) for kind in ("llms", "chips"))
        self.llm = _menu("Model", llms)
        self.chip = _menu("Machine A", chips)
        self.other = _menu("Machine B", [_NONE, *chips])
        self.metric = _menu("Metric on the map", list(METRICS))
        self.axes = {key: _AxisRow(key) for key in ("x", "y")}
        self.aim_metric = _menu("Target: metric", list(METRICS), width=140)
        self.aim_value = pn.widgets.TextInput(label="Target: value", width=140, margin=(6, 10))
        self.quick = [self.llm, self.chip, self.other, self.metric]
        self.card = pn.Card(
            *(row.view for row in self.axes.values()),
            title="Axes of the map",
            collapsed=True,
            width=_WIDTH + 30,
            margin=(3, 5),
            css_classes=["axes"],
        )
        self.reset = pn.widgets.Button(label="Start again", width=_WIDTH, margin=(6, 10))
        self.target = pn.Row(self.aim_metric, self.aim_value, margin=0)
        self._wire()

    def _wire(self) -> None:
        session = self.session
        self._on(self.llm, lambda new: session.set("a", "llm", new))
        self._on(self.chip, lambda new: session.set("a", "chip", new))
        self._on(self.other, lambda new: session.compare(None if new == _NONE else new))
        self._on(self.metric, session.show_metric)
        self._on(self.aim_metric, lambda new: session.aim(new, session.usual_target(new)))
        self._on(self.aim_value, lambda new: session.aim(session.state.aim, new))
        for key, row in self.axes.items():
            self._on(row.name, lambda new, key=key: session.turn(key, new))
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
            _choose(self.llm, state.settings["llm"])
            _choose(self.chip, state.settings["chip"])
            _choose(self.other, state.other.get("chip", _NONE))
            self.metric.value = state.metric
            self.aim_metric.value, self.aim_value.value = state.aim, state.target
            for key, row in self.axes.items():
                row.show(getattr(state, key))
        finally:
            self._quiet = False


class _AxisRow:
    """One axis: its field, its ends, its spacing."""

    def __init__(self, key: str):
        self.name = _menu(f"{key.upper()} axis", list(schema.FIELDS))
        self.first = pn.widgets.TextInput(label="from", width=130, margin=(2, 10))
        self.last = pn.widgets.TextInput(label="to", width=130, margin=(2, 10))
        self.spacing = pn.widgets.RadioButtonGroup(
            options=list(SPACINGS), width=_WIDTH, margin=(2, 10, 8, 10)
        )
        ends = pn.Row(self.first, self.last, margin=0)
        self.view = pn.Column(self.name, ends, self.spacing, margin=0)

    def show(self, span: Any) -> None:
        for part in ("name", "first", "last", "spacing"):
            getattr(self, part).value = getattr(span, part)


def _menu(name: str, options: list[str], *, width: int = _WIDTH) -> Any:
    return pn.widgets.Select(label=name, options=options, width=width, margin=(6, 10))


def _choose(menu: Any, value: str) -> None:
    """Choose a value, which may be none of the catalog's: a path to a model's own file."""
    if value not in menu.options:
        menu.options = [*menu.options, value]
    menu.value = value
