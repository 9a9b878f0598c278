"""The bar that is always in sight: what is asked, on which machine, and how it is deployed."""

from collections.abc import Callable, Mapping
from typing import Any

import panel as pn

from jaxlimits import schema
from jaxlimits.explorer.menus import NOTHING, choose, menu
from jaxlimits.explorer.session import Session
from jaxlimits.explorer.state import as_text

_GRID = """
:host { display: grid !important; width: 100%; gap: 4px 8px; align-items: end;
  grid-template-columns: 2fr 1.4fr 1.4fr repeat(3, minmax(46px, .7fr)) .8fr 1.2fr 1.1fr; }
@media (max-width: 1000px) {
  :host { grid-template-columns: repeat(20, minmax(0, 1fr)); gap: 2px 4px; }
  .model { grid-column: span 8; }
  .wide { grid-column: span 6; }
  .narrow { grid-column: span 3; }
  .bar-seq_len, .bar-weight_bits { grid-column: span 4; }
}
"""
_CELL = """
:host { width: auto !important; min-width: 0; margin: 0 !important; }
label { font-size: 11px; line-height: 1.3; color: var(--quiet); white-space: nowrap; }
.bk-input { min-height: 30px; height: 30px; padding: 2px 6px; font-size: 13px; }
.bk-input { min-width: 0; text-overflow: ellipsis; }
@media (max-width: 700px) {
  .bk-input { padding: 2px 3px; font-size: 12px; letter-spacing: -.2px; }
  :host(.narrow) select.bk-input { appearance: none !important; padding: 2px; }
}
@media print { .bk-input { border-color: transparent; padding: 0; } }
"""

SIZES: Mapping[str, str] = {
    "tp_size": "TP",
    "ep_size": "EP",
    "dp_size": "DP",
    "batch_size": "Batch",
    "seq_len": "Context",
}
"""Fields of the bar that are numbers, and what stands over each."""

BITS = "weight_bits"
AS_STATED = "as stated"
WIDTHS = ("4", "4.25", "4.5", "6", "8", "16")
"""Bits that the menu lists."""


class TopBar:
    """Widgets for model, machines, sizes, context and bits.

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
        self.llm = _cell(menu("Model", llms), "model")
        self.chip = _cell(menu("Machine A", chips), "wide")
        self.other = _cell(menu("Machine B", [NOTHING, *chips]), "wide")
        self.sizes = {
            name: _cell(pn.widgets.TextInput(label=label), "narrow", f"bar-{name}")
            for name, label in SIZES.items()
        }
        self.bits = _cell(menu("Bits", [AS_STATED, *WIDTHS]), "narrow", f"bar-{BITS}")
        self._on(self.llm, lambda new: session.set("a", "llm", new))
        self._on(self.chip, lambda new: session.set("a", "chip", new))
        self._on(self.other, lambda new: session.compare(None if new == NOTHING else new))
        for name, text in self.sizes.items():
            self._on(text, lambda new, name=name: session.set("a", name, new.strip() or None))
        self._on(self.bits, lambda new: session.set("a", BITS, None if new == AS_STATED else new))
        cells = [self.llm, self.chip, self.other, *self.sizes.values(), self.bits]
        self.view = pn.Row(*cells, stylesheets=[_GRID], sizing_mode="stretch_width", margin=0)

    def _on(self, widget: Any, act: Callable[[Any], object]) -> None:
        def moved(event: Any) -> None:
            if not self._quiet:
                act(event.new)
                self._changed()

        widget.param.watch(moved, "value")

    def show(self, values: Mapping[str, float]) -> None:
        """Show the session's state, and machine A's values [SI]."""
        state = self.session.state
        self._quiet = True
        try:
            choose(self.llm, state.settings["llm"])
            choose(self.chip, state.settings["chip"])
            choose(self.other, state.other.get("chip", NOTHING))
            for name, text in self.sizes.items():
                text.value = _plain(name, state.settings.get(name), values)
            choose(self.bits, _bits(state.settings.get(BITS)))
        finally:
            self._quiet = False


def _plain(name: str, written: str | None, values: Mapping[str, float]) -> str:
    """A number as it was written, or as it stands in the catalog; the label has its unit."""
    unit = schema.FIELDS[name].unit
    if written is None:
        written = as_text(values[name], unit) if name in values else ""
    return written.removesuffix(f" {unit}")


def _bits(written: str | None) -> str:
    """The width in the menu's own words: ``8`` for ``8.0``, and words where the model states it."""
    if written is None or not float(written):
        return AS_STATED
    return f"{float(written):g}"


def _cell(widget: Any, *classes: str) -> Any:
    widget.param.update(
        stylesheets=[*widget.stylesheets, _CELL],
        css_classes=list(classes),
        sizing_mode="stretch_width",
        width=None,
    )
    return widget
