"""How a figure looks, whatever it shows: its size, resolution, font, style and ends of the axis.

The options are read and checked once, by the wrapper of all kinds. While a figure is drawn its look
is in force, so that what opens a figure or writes text asks here for sizes.
"""

import contextlib
import contextvars
import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxlimits import units
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.plot import scales

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCREEN = "screen"

FORMATS = ("svg", "png", "pdf")
"""Formats in which pictures are written."""

USUAL_DPI = 150.0

_COLUMNS = {"single": 89.0, "double": 183.0}
"""Widths of the columns of a printed page [mm]."""

_INCH = 25.4
_IN_INCHES = {"in": 1.0, "inch": 1.0, '"': 1.0, "mm": 1 / _INCH, "cm": 10 / _INCH, "pt": 1 / 72}
_LEAST_SIDE, _LARGEST_SIDE = 0.5, 60.0
_LEAST_DPI, _LARGEST_DPI = 20.0, 1200.0
_USUAL_POINTS = 10.0

_SIDE = r"(\d+\.?\d*|\.\d+)\s*([a-z\"]*)"
_SIZE = re.compile(rf"{_SIDE}\s*[x×,]\s*{_SIDE}", re.IGNORECASE)


class _Style(NamedTuple):
    """Text [pt], lines [pt], and how wide figures of one panel and of several are made [inch]."""

    points: float
    line: float
    one: float | None
    several: float | None


_STYLES: Mapping[str, _Style] = {
    SCREEN: _Style(points=_USUAL_POINTS, line=1.5, one=None, several=None),
    "paper": _Style(
        points=7.5, line=1.0, one=_COLUMNS["single"] / _INCH, several=_COLUMNS["double"] / _INCH
    ),
    "talk": _Style(points=19.0, line=2.8, one=10.0, several=13.3),
}
"""What each style sets; the usual one keeps the widths that kinds ask for."""

_LOWEST = 0.62
"""Share of its height that a figure keeps at least when it is made narrow."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """The look of a figure.

    Parameters
    ----------
    size
        Width and height [inch]; ``None`` leaves them to the kind and the style.
    dpi
        Pixels of an inch in a picture of pixels.
    font
        Name of the family of the text; empty for matplotlib's own.
    format
        In which a file is written whose name does not say it.
    style
        A key of the styles.
    xlim
        Ends of the horizontal axis, as they are given.
    later
        What is done once the figure is laid out.
    """

    size: tuple[float | None, float | None] = (None, None)
    dpi: float = USUAL_DPI
    font: str = ""
    format: str = FORMATS[0]
    style: str = SCREEN
    xlim: str | tuple[float, float] | None = None
    later: list[Callable[[], None]] = dataclasses.field(default_factory=list)

    @property
    def settings(self) -> Any:
        """The settings of matplotlib under which it is drawn and written."""
        stated = _STYLES[self.style]
        found: dict[str, Any] = {
            "pdf.fonttype": 42,  # fonts as TrueType, which journals and LaTeX take
            "ps.fonttype": 42,
            "svg.hashsalt": "jaxlimits",  # the same figure has the same bytes
        }
        if self.style != SCREEN:
            found |= {"font.size": stated.points, "lines.linewidth": stated.line}
        return found | ({"font.family": [self.font]} if self.font else {})

    def sized(self, width: float, height: float, *, several: bool) -> tuple[float, float]:
        """Return the size of a figure [inch] for which a kind asks for a width and a height."""
        stated = _STYLES[self.style]
        wanted = stated.several if several else stated.one
        if wanted is not None:
            height *= max(wanted / width, _LOWEST)
            width = wanted
        wide, high = self.size
        if wide is not None and high is None:
            height *= max(wide / width, _LOWEST)
        return (wide or width, high or height)


_IN_FORCE: contextvars.ContextVar[Look | None] = contextvars.ContextVar("look", default=None)


def current() -> Look:
    """Return the look in force, or else the usual one."""
    return _IN_FORCE.get() or Look()


def when_settled(place: Callable[[], None]) -> None:
    """Do something once the figure that is being drawn is laid out, as placing labels by pixels."""
    current().later.append(place)


def points(size: float) -> float:
    """Return the size of text [pt] that is of some size in the usual style."""
    import matplotlib as mpl

    return size * float(mpl.rcParams["font.size"]) / _USUAL_POINTS


def characters(inches: float, *, by_inch: float = 10.5) -> int:
    """Return how many characters of a label stand on a line of some length [inch]."""
    return max(8, int(by_inch * inches * _USUAL_POINTS / points(_USUAL_POINTS)))


@contextlib.contextmanager
def in_force(look: Look) -> Iterator[None]:
    """Draw with a look."""
    import matplotlib as mpl

    token = _IN_FORCE.set(look)
    try:
        with mpl.rc_context(look.settings):
            yield
    finally:
        _IN_FORCE.reset(token)


def read_look(
    *,
    size: str | tuple[float, float] | None = None,
    dpi: float | None = None,
    font: str | None = None,
    format: str | None = None,  # noqa: A002  the option's name
    style: str | None = None,
    xlim: str | tuple[float, float] | None = None,
    ax: "Axes | None" = None,
) -> Look:
    """Read and check the options of a look.

    Parameters
    ----------
    size, dpi, font, format, style, xlim
        The options.
    ax
        Axes of the caller's, whose figure has a size, a resolution and a format already.

    Raises
    ------
    InputError
        A value that cannot be used, with what is allowed.
    """
    of_figure = {"size": size, "dpi": dpi, "format": format}
    taken = [name for name, value in of_figure.items() if value is not None]
    if ax is not None and taken:
        problem = "is the figure's, and the figure of ax is the caller's"
        remedy = f"leave out either ax or {taken[0]}"
        raise InputError(problem, where="plot", key=taken[0], remedy=remedy)
    return Look(
        size=(None, None) if size is None else _read_size(size),
        dpi=USUAL_DPI if dpi is None else _read_dpi(dpi),
        font=_checked_font(font) if font else "",
        format=_known("format", (format or FORMATS[0]).lower().lstrip("."), FORMATS),
        style=_known("style", style or SCREEN, _STYLES),
        xlim=xlim,
    )


def _known(key: str, name: str, allowed: Any) -> str:
    if name not in allowed:
        raise unknown_name(f"{key} of a figure", name, allowed, where="plot", key=key)
    return name


def _read_size(size: str | tuple[float, float]) -> tuple[float | None, float | None]:
    """Width and height [inch] of a text with its unit, or of two numbers."""
    remedy = (
        "write it as '7x4 in', '183x110 mm', 'single' or 'double'; from Python (7, 4) in inches"
    )
    if not isinstance(size, str):
        try:
            wide, high = (float(side) for side in size)
        except (TypeError, ValueError):
            raise InputError(
                "is not a width and height", where="plot", key="size", value=size, remedy=remedy
            ) from None
        return _checked_sides(wide, high, size)
    text = size.strip().lower()
    if text in _COLUMNS:
        return _COLUMNS[text] / _INCH, None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise InputError(
            "is not a width and height", where="plot", key="size", value=size, remedy=remedy
        )
    wide, first, high, last = found.groups()
    if not last:
        problem = "has no unit"
        remedy = f"write it as '{wide}x{high} in' or '{wide}x{high} mm'"
        raise InputError(problem, where="plot", key="size", value=size, remedy=remedy)
    for unit in (first or last, last):
        if unit not in _IN_INCHES:
            raise unknown_name("unit of length", unit, _IN_INCHES, where="plot", key="size")
    across, up = _IN_INCHES[first or last], _IN_INCHES[last]
    return _checked_sides(float(wide) * across, float(high) * up, size)


def _checked_sides(wide: float, high: float, size: object) -> tuple[float, float]:
    if not all(_LEAST_SIDE <= side <= _LARGEST_SIDE for side in (wide, high)):
        problem = f"is {wide:.4g} in wide and {high:.4g} in high"
        remedy = f"each side is from {_LEAST_SIDE:g} to {_LARGEST_SIDE:g} in"
        raise InputError(problem, where="plot", key="size", value=size, remedy=remedy)
    return wide, high


def _read_dpi(dpi: float) -> float:
    if not _LEAST_DPI <= dpi <= _LARGEST_DPI:
        problem = "is not a resolution of a picture"
        remedy = f"give one from {_LEAST_DPI:g} to {_LARGEST_DPI:g} pixels an inch"
        raise InputError(problem, where="plot", key="dpi", value=dpi, remedy=remedy)
    return float(dpi)


def _checked_font(font: str) -> str:
    """A family that matplotlib finds, or one of its generic names."""
    from matplotlib import font_manager

    generic = ("serif", "sans-serif", "monospace")
    known = sorted({each.name for each in font_manager.fontManager.ttflist})
    if font not in (*generic, *known):
        raise unknown_name("font", font, (*generic, *known), where="plot", key="font")
    return font


def limit_across(axes: "Axes", across: "xr.DataArray | str") -> None:
    """Set the ends of a horizontal axis that the look asks for.

    Parameters
    ----------
    axes
        The axes.
    across
        What lies along it, whose unit the ends are read in; of mere words, plain numbers.
    """
    given = current().xlim
    if given is None:
        return
    if scales.is_named(axes.xaxis):
        problem, remedy = (
            "is of numbers, and the horizontal axis has names",
            "select some of its names instead",
        )
        raise InputError(problem, where="plot", key="xlim", value=given, remedy=remedy)
    low, high = _read_ends(given, across)
    if low is not None and low <= 0.0 and axes.get_xscale() == "log":
        problem, remedy = "starts at 0 or below on a logarithmic axis", "start above 0"
        raise InputError(problem, where="plot", key="xlim", value=given, remedy=remedy)
    if low is not None and high is not None and low >= high:
        problem, remedy = "has no length", "give the smaller end first, as LO:HI"
        raise InputError(problem, where="plot", key="xlim", value=given, remedy=remedy)
    axes.set_xlim(low, high)


def _read_ends(
    given: str | tuple[float, float], across: "xr.DataArray | str"
) -> tuple[float | None, float | None]:
    """Ends in the unit in which the axis is shown; one that is left out is ``None``."""
    attributes = {} if isinstance(across, str) else across.attrs
    unit, shown = (attributes.get(name, "1") for name in ("si_unit", "display_unit"))
    example = "64:512" if unit == "1" else f"1:4 {shown}"
    if not isinstance(given, str):
        low, high = given
        return low, high
    parts = [part.strip() for part in given.split(":")]
    if len(parts) != 2 or not any(parts):
        problem, remedy = "is not LO:HI", f"write it as {example!r}; either end may be left out"
        raise InputError(problem, where="plot", key="xlim", value=given, remedy=remedy)
    names = [re.sub(r"^[-+.\de]+", "", part).strip() for part in parts]
    for place, other in ((0, 1), (1, 0)):  # "1:4 TB/s" is of two rates
        if parts[place] and not names[place] and names[other] and parts[other]:
            parts[place] += f" {names[other]}"
    try:
        low, high = (_end(part, unit, shown) if part else None for part in parts)
    except units.UnitError as error:
        raise InputError(str(error), where="plot", key="xlim", value=given) from None
    return low, high


def _end(text: str, unit: str, shown: str) -> float:
    """One end; a bare number is in the unit that is shown."""
    try:
        found = float(text)
    except ValueError:
        return float(units.convert(units.parse(text, unit), unit, shown))
    if not math.isfinite(found):
        raise units.UnitError(f"{text!r}: not a finite number")
    return found


def keep(figure: "Figure", look: Look) -> None:
    """Have a figure of ours drawn and written with a look from now on."""
    if hasattr(figure, "look"):
        figure.look = look  # pyright: ignore[reportAttributeAccessIssue]
