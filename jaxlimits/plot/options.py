"""Options that several kinds of figures share, each documented once.

The docstring of a kind states what is its own; the rest is filled in from here, for ``help`` in
Python and for the help of ``jaxlimits plot``. Nothing heavy is imported: the command line reads it
before it draws anything.
"""

import inspect
import itertools
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Layout(TypedDict, total=False):
    """How the panels of a figure are laid out: what every kind takes."""

    rows: str | None
    columns: str | None
    title: str
    ax: "Axes | None"


class Looks(TypedDict, total=False):
    """How a figure looks, which the wrapper of all kinds reads: what every kind takes too."""

    xlim: str | tuple[float, float] | None
    size: str | tuple[float, float] | None
    dpi: float | None
    font: str | None
    format: str | None
    style: str | None


def layout_types() -> dict[str, Any]:
    """Return the types of what every kind takes, those of matplotlib as text."""
    annotations = {**Layout.__annotations__, **Looks.__annotations__}
    return {name: getattr(each, "__forward_arg__", each) for name, each in annotations.items()}


SHARED: Mapping[str, str] = {
    "dataset": "A result.",
    "x": "The horizontal axis.",
    "y": "The vertical axis.",
    "of": "The metric to draw.",
    "by": "The axis with one line for each value.",
    "levels": (
        "The values of the iso-lines, in the unit in which the metric is shown; by default "
        "round ones."
    ),
    "rows": "The axis with one row of panels for each value.",
    "columns": "The axis with one column of panels for each value.",
    "title": "The title; by default the model, the machine and the values that are fixed.",
    "ax": "Axes to draw into; they hold one panel, so that ``rows`` and ``columns`` are left out.",
    "xlim": (
        "Ends of the horizontal axis as LO:HI, each with its unit or in that of the axis; one may "
        "be left out."
    ),
    "size": (
        "Width and height with their unit, as ``7x4 in`` or ``183x110 mm``; ``single`` and "
        "``double`` are the columns of a printed page."
    ),
    "dpi": "Pixels of an inch, in pictures made of pixels; by default 150.",
    "font": "Font of all text: a family that is installed, or serif, sans-serif, monospace.",
    "format": "Format of the picture where its name does not say it: svg, png or pdf.",
    "style": (
        "What the figure is for: ``screen``, ``paper`` (as wide as a printed column, text of 7.5 "
        "points) or ``talk`` (large text)."
    ),
}
"""What an option means, unless the docstring of a kind says more."""

_CLOSING: Mapping[str, str] = {
    "Returns": """\
Figure
    The figure of the panels; that of ``ax`` where it is given.

""",
    "Raises": """\
InputError
    An unknown dimension or variable, with the nearest names; a dimension that is left over; more
    panels than can be read, or than ``ax`` holds; a size, font or end of the axis that cannot be
    used; matplotlib is not installed.

""",
}
"""Sections that end the docstring of a kind, unless it has its own."""

_ORDER = ("Parameters", "Returns", "Raises", "Examples")
_HEADING = re.compile(r"^(\w+)\n-+\n", re.MULTILINE)
_WIDTH = 92


def described(doc: str) -> dict[str, str]:
    """Return the texts of the parameters in a docstring, by name."""
    _, sections = _taken_apart(doc)
    entries = re.findall(r"^(\S.*)\n((?:[ ].*\n?)+)", sections.get("Parameters", ""), re.MULTILINE)
    return {name: " ".join(text.split()) for names, text in entries for name in names.split(", ")}


def summary(doc: str) -> str:
    """Return the first sentence of a docstring, without the full stop."""
    return " ".join(inspect.cleandoc(doc).partition("\n\n")[0].split()).rstrip(".")


def completed(doc: str, names: Iterable[str]) -> str:
    """Return a docstring with every one of some parameters, and with the sections it lacks.

    Raises
    ------
    KeyError
        A parameter that neither the docstring nor :data:`SHARED` documents.
    """
    intro, sections = _taken_apart(doc)
    own = described(doc)
    texts = [(name, own.get(name) or SHARED[name]) for name in names]
    parameters = "".join(
        f"{', '.join(name for name, _ in alike)}\n{_indented(text)}\n"
        for text, alike in itertools.groupby(texts, key=lambda each: each[1])
    )
    found = {**_CLOSING, **sections, "Parameters": f"{parameters}\n"}
    written = (f"{name}\n{'-' * len(name)}\n{found[name]}" for name in _ORDER if name in found)
    return intro + "".join(written)


def _taken_apart(doc: str) -> tuple[str, dict[str, str]]:
    """What stands before the first heading of a docstring, and the sections by heading."""
    intro, *rest = _HEADING.split(inspect.cleandoc(doc) + "\n")
    return intro, dict(zip(rest[::2], rest[1::2], strict=True))


def _indented(text: str) -> str:
    return textwrap.indent(textwrap.fill(text, _WIDTH), "    ")
