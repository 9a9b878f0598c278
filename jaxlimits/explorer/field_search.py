"""Search over all fields, by name or by meaning, in place of a menu of hundreds."""

from collections.abc import Callable
from typing import Any

import panel as pn

from jaxlimits import schema
from jaxlimits.catalog.loader import Catalog
from jaxlimits.explorer.controls import Controls, Set
from jaxlimits.explorer.menus import WIDTH

_LIST = """
.bk-menu { max-height: 60vh; overflow-y: auto; background: var(--panel); color: var(--ink); }
"""


def described(name: str) -> str:
    """Return what a search looks through: ``mem_bw – memory bandwidth``."""
    return f"{name} – {schema.FIELDS[name].meaning}"


def search_of(label: str, *, value: str = "", placeholder: str = "name or meaning") -> Any:
    """Return an input that completes to a field; its value is the field's name."""
    return pn.widgets.AutocompleteInput(
        label=label,
        options={described(name): name for name in schema.FIELDS},
        value=value,
        placeholder=placeholder,
        case_sensitive=False,
        search_strategy="includes",
        min_characters=1,
        restrict=True,
        width=WIDTH,
        margin=(6, 10),
        stylesheets=[_LIST],
    )


class FieldSearch:
    """An input that brings a field or a switch into sight, and those that it has found.

    Parameters
    ----------
    catalog, change
        What controls of fields take.
    found
        Called when another control is there to be shown.
    """

    def __init__(self, catalog: Catalog, change: Set, found: Callable[[], None]):
        self._catalog, self._change, self._found = catalog, change, found
        self.controls = Controls()
        switches = {f"{name} – {info.meaning}": name for name, info in schema.SWITCHES.items()}
        self.input = search_of("Find a field")
        self.input.options = {**self.input.options, **switches}
        self.input.css_classes = ["find"]
        self.input.param.watch(self._chosen, "value")
        self.list = pn.Column(margin=0)
        self.view = pn.Column(self.input, self.list, margin=0)

    def _chosen(self, event: Any) -> None:
        if not event.new:
            return
        self.controls.add(event.new, self._catalog, self._change)
        self.list.objects = [each.view for each in self.controls.all]
        self.input.value = ""
        self._found()
