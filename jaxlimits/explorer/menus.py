"""Menus of names, which may have to show one that is not among them, and the look of cards."""

from collections.abc import Sequence
from typing import Any

import panel as pn

NOTHING = "–"
"""What a menu shows where nothing is chosen."""

WIDTH = 300
"""Of a widget in the sidebar [pixel]."""

_ARROW = """
select.bk-input { appearance: auto !important; background-image: none !important; }
"""
"""The browser's own arrow, which follows its colours."""

CARD = ".card-header { background: var(--panel); color: var(--ink); }"

CHOICE = """
.bk-btn { background: var(--panel) !important; color: var(--ink) !important; }
.bk-btn.bk-active { background: var(--accent) !important; color: var(--paper) !important; }
"""
"""Look of buttons of which one is chosen."""


def menu(
    label: str, options: Sequence[str], *, width: int = WIDTH, description: str | None = None
) -> Any:
    """Return a menu."""
    return pn.widgets.Select(
        label=label, options=list(options), width=width, margin=(6, 10), description=description,
        stylesheets=[_ARROW],
    )  # fmt: skip


def choose(widget: Any, value: str) -> None:
    """Choose a value, which may not be in the catalog: a path to a model's own file."""
    if value not in widget.options:
        widget.options = [*widget.options, value]
    widget.value = value
