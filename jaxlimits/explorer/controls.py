"""Widgets for every field of the scenario, read off the schema; one card for each record.

A card makes its widgets when it is first opened: a page with a hundred and fifty sliders would take
seconds to appear.
"""

from collections.abc import Callable, Mapping
from typing import Any

import panel as pn

from jaxlimits import schema
from jaxlimits.catalog.loader import Catalog
from jaxlimits.explorer.menus import CARD, NOTHING, WIDTH
from jaxlimits.explorer.menus import menu as new_menu
from jaxlimits.explorer.slider_scales import scale_of
from jaxlimits.explorer.state import as_text

Set = Callable[[str, str | None], None]
"""Takes a name and its new text, or none where it is to be left to the catalog."""

TITLES: Mapping[str, str] = {
    "chip": "Chip",
    "llm": "Model",
    "deployment": "Deployment",
    "site": "Site and prices",
    "request": "Request",
    "draft": "Draft",
    "calibration": "Calibration",
    "fabric": "Fabric",
}


class FieldControl:
    """A numeric field: a text with its unit, and a slider below it."""

    def __init__(self, name: str, change: Set):
        info = schema.FIELDS[name]
        self.name, self._change, self._quiet = name, change, False
        self.text = pn.widgets.TextInput(
            label=name, width=WIDTH, margin=(6, 10, 0, 10), description=_described(name)
        )
        self.slider = pn.widgets.IntSlider(
            label=info.meaning, show_value=False, start=0, end=1, width=WIDTH,
            margin=(0, 10, 4, 10), css_classes=["field", f"field-{name}"],
        )  # fmt: skip
        self.scale = scale_of(name, 1.0)
        self._shown: tuple[float, float, str | None] | None = None
        self.text.param.watch(self._typed, "value")
        self.slider.param.watch(self._moved, "value")
        self.view = pn.Column(self.text, self.slider, margin=0)

    def show(self, value: float, centre: float, text: str | None) -> None:
        """Show a value; ``centre`` is the catalog's, ``text`` what was written, if anything."""
        if (value, centre, text) == self._shown:  # most are untouched by a move
            return
        self._shown = (value, centre, text)
        self._quiet = True
        try:
            self.scale = scale_of(self.name, centre)
            unit = schema.FIELDS[self.name].unit
            place, end = self.scale.nearest(value), len(self.scale.values) - 1
            self.slider.param.update(end=max(end, 1), value=place)
            self.text.value = text or as_text(value, unit)
            self.text.label = f"{self.name} •" if text else self.name
        finally:
            self._quiet = False

    def show_nothing(self) -> None:
        """Show that the chip does not state it."""
        self._shown, self._quiet = None, True
        try:
            self.text.value, self.text.label = "", f"{self.name} (not stated)"
        finally:
            self._quiet = False

    def _typed(self, event: Any) -> None:
        if not self._quiet:
            self._shown = None  # what was typed may be refused, and then goes
            self._change(self.name, event.new.strip() or None)

    def _moved(self, event: Any) -> None:
        if not self._quiet:
            self._shown = None
            place = min(event.new, len(self.scale.texts) - 1)
            self._change(self.name, self.scale.texts[place])


class MenuControl:
    """A name of the catalog, or a switch."""

    def __init__(self, name: str, choices: list[str], change: Set, *, optional: bool = False):
        self.name, self._change, self._quiet = name, change, False
        options = [*([NOTHING] if optional else []), *choices]
        described = schema.SWITCHES[name].meaning if name in schema.SWITCHES else None
        self.menu = new_menu(name, options, description=described)
        self.menu.param.watch(self._chosen, "value")
        self.view = self.menu

    def show(self, choice: str | None) -> None:
        """Show a choice; none where nothing is named."""
        shown = choice or NOTHING
        if self.menu.value == shown:
            return
        self._quiet = True
        try:
            if shown not in self.menu.options:
                self.menu.options = [*self.menu.options, shown]
            self.menu.value = shown
        finally:
            self._quiet = False

    def _chosen(self, event: Any) -> None:
        if not self._quiet:
            self._change(self.name, None if event.new == NOTHING else event.new)


class Controls:
    """Controls of some fields, switches and names, in the order in which they came."""

    def __init__(self):
        self.fields: list[FieldControl] = []
        self.menus: list[MenuControl] = []

    @property
    def all(self) -> list[FieldControl | MenuControl]:
        """All of them: menus, then fields."""
        return [*self.menus, *self.fields]

    def add(self, name: str, catalog: Catalog, change: Set) -> None:
        """Add the control of a name, once."""
        if any(each.name == name for each in self.all):
            return
        if name in schema.FIELDS:
            self.fields.append(FieldControl(name, change))
        else:
            self.menus.append(menu_of(name, catalog, change))

    def show(
        self,
        settings: Mapping[str, str],
        values: Mapping[str, float],
        centres: Mapping[str, float],
    ) -> None:
        """Show a scenario: what is set, all values, and those that the catalog states."""
        for menu in self.menus:
            usual = schema.switch_defaults().get(menu.name)
            menu.show(settings.get(menu.name, usual))
        for field in self.fields:
            if field.name in values:
                centre = centres.get(field.name, values[field.name])
                field.show(values[field.name], centre, settings.get(field.name))
            elif values:
                field.show_nothing()


class RecordCard:
    """The card of a record: its names, switches and fields, made when it is first opened."""

    def __init__(self, record: str, catalog: Catalog, change: Set, opened: Callable[[], None]):
        self.record, self._catalog, self._change = record, catalog, change
        self.controls = Controls()
        self.view = pn.Card(
            title=TITLES.get(record, record.capitalize()),
            collapsed=True,
            width=WIDTH + 30,
            css_classes=["record", f"record-{record}"],
            margin=(3, 5),
            stylesheets=[CARD],
        )
        self._opened = opened
        self.view.param.watch(self._open, "collapsed")

    def _open(self, event: Any) -> None:
        if event.new or self.controls.all:
            return
        for name in [*names_in(self.record), *schema.field_names(self.record).values()]:
            self.controls.add(name, self._catalog, self._change)
        self._opened()
        self.view.objects = [each.view for each in self.controls.all]


def names_in(record: str) -> list[str]:
    """Return the names and switches that belong to a record."""
    named = [record] if record in schema.NAMED else []
    overlaid = [kind for kind, of in schema.OVERLAID_RECORDS.items() if of == record]
    switches = list(schema.SWITCHES) if record == "deployment" else []
    return [*named, *overlaid, *switches]


def menu_of(name: str, catalog: Catalog, change: Set) -> MenuControl:
    """Return the menu of a name of the catalog, or of a switch."""
    if name in schema.SWITCHES:
        return MenuControl(name, list(schema.SWITCHES[name].choices), change)
    choices = list(catalog.entries[schema.entry_kind(name)])
    return MenuControl(name, choices, change, optional=name not in schema.REQUIRED)


def _described(name: str) -> str:
    info = schema.FIELDS[name]
    return f"{info.meaning} [{info.display}]: {info.bounds}. Empty it for the catalog's value."
