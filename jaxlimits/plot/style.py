"""What every figure shares: the backend, colours, words with units, what does not fit."""

import functools
import io
import itertools
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.errors import InputError, ResultError
from jaxlimits.plot import looks, placing, scales
from jaxlimits.plot.machines import place_of
from jaxlimits.results.reason_codes import HATCHED, WORDS, Reason
from jaxlimits.results.reasons import reasons, words_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999",
)  # fmt: skip
"""Okabe and Ito's palette, which people with any colour vision can tell apart."""

MACHINE_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#6A3D9A",
    "#33A02C", "#E31A1C", "#FB9A99", "#A6761D", "#999933", "#17BECF", "#666666", "#999999",
)  # fmt: skip
"""Colours of machines: more of them, for there are more machines in the catalog."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "///", "...", "xxx", "\\\\\\")

DOES_NOT_FIT = WORDS[Reason.DOES_NOT_FIT]

WIDE = 7.2
"""Width of a figure of one panel [inch]."""

TITLE = "title"
"""What marks the text of a figure's title."""

_LABEL_WIDTH = 46

_MOST_NAMED = 12
"""Entries of a legend; more lines are counted."""

_NARROW = 5.0
"""Width of a figure [inch] below which its legend stands under the axes."""


def require_backend() -> None:
    """Raise ``InputError`` unless figures can be drawn."""
    try:
        import matplotlib as mpl
    except ImportError:
        remedy = "pip install 'jaxlimits[plot]'"
        raise InputError("figures need matplotlib", where="plot", remedy=remedy) from None
    mpl.rcParams["svg.hashsalt"] = "jaxlimits"  # the same figure has the same bytes


def new_figure(
    *, width: float = WIDE, height: float, several: bool = False, **grid: Any
) -> tuple["Figure", Any]:
    """Return an empty figure [inch], and what its ``subplots`` gives.

    Parameters
    ----------
    width, height
        What the kind asks for; the look in force may make it larger or smaller.
    several
        Whether it is of several panels.
    **grid
        As ``subplots`` has them.

    Raises
    ------
    InputError
        The figure backend is not installed.
    """
    require_backend()
    size = looks.current().sized(width, height, several=several)
    figure = _figure_type()(figsize=size, layout="constrained")
    return figure, figure.subplots(**grid)


def one_panel(ax: "Axes | None", *, height: float, title: str = "") -> tuple["Figure", "Axes"]:
    """Return the caller's axes with their figure, or an empty figure of one panel [inch].

    Raises
    ------
    InputError
        No axes are given, but something else; the figure backend is not installed.
    """
    if ax is None:
        figure, axes = new_figure(height=height)
    else:
        figure, axes = _checked(ax).figure.figure, ax  # of a subfigure, the figure that holds it
    set_title(axes, title)
    return figure, axes


def _checked(ax: object) -> "Axes":
    require_backend()
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        return ax
    problem, remedy = "is not an Axes of matplotlib", "give one, as plt.subplots() makes it"
    raise InputError(problem, where="plot", key="ax", value=ax, remedy=remedy)


@functools.cache
def _figure_type() -> "type[Figure]":
    """A figure that notebooks show, also where pyplot has set nothing up."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    class Shown(Figure):
        """A figure that is drawn and written with its look."""

        look: looks.Look = looks.Look()

        def draw(self, renderer: Any) -> None:
            with mpl.rc_context(_beside_the_callers(self.look)):
                super().draw(renderer)

        def savefig(self, fname: Any, **options: Any) -> None:
            with mpl.rc_context(_beside_the_callers(self.look)):
                is_path = isinstance(fname, (str, Path)) and "format" not in options
                if is_path and not Path(fname).suffix:
                    fname = f"{fname}.{self.look.format}"
                super().savefig(fname, **{"dpi": self.look.dpi, **options})

        def _repr_png_(self) -> bytes:
            picture = io.BytesIO()
            self.savefig(picture, format="png", dpi=110)
            return picture.getvalue()

    return Shown


def _beside_the_callers(look: looks.Look) -> Any:
    """The settings of a look without those that only matter when text is made."""
    return {name: value for name, value in look.settings.items() if name != "font.size"}


def save(figure: "Figure", path: Path) -> None:
    """Write a figure, in the format that its name ends in.

    Fonts stand in a PDF as TrueType, as journals ask.

    Raises
    ------
    ResultError
        It cannot be written there.
    """
    import matplotlib as mpl

    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    look = getattr(figure, "look", looks.Look())
    try:
        with mpl.rc_context(_beside_the_callers(look)):
            figure.savefig(path, metadata=undated.get(path.suffix), dpi=look.dpi)
    except OSError as error:
        raise ResultError(f"{path}: cannot be written: {error.strerror}") from None


def is_numeric(variable: xr.DataArray) -> bool:
    """Whether a variable holds numbers; the names of a grid are words."""
    return variable.dtype.kind in "biuf"


def shown(variable: xr.DataArray) -> np.ndarray:
    """Return values in the unit in which people read them; words as they are."""
    unit = variable.attrs.get("si_unit")
    if unit is None or not is_numeric(variable):
        return variable.to_numpy()
    return units.convert(variable.to_numpy().astype(float), unit, variable.attrs["display_unit"])


def label(variable: xr.DataArray, *, width: int = _LABEL_WIDTH) -> str:
    """Return the meaning, name and unit of a variable, for an axis, in lines of some width."""
    unit = variable.attrs.get("display_unit", "1")
    meaning = variable.attrs.get("long_name", "")
    named = f"{meaning} ({variable.name})" if meaning else str(variable.name)
    suffix = "" if unit == "1" else f" [{typeset(unit)}]"
    return textwrap.fill(named + suffix, width, break_long_words=False, break_on_hyphens=False)


def typeset(unit: str) -> str:
    """Return a unit with its micro and its powers as they are printed."""
    micro = "µ" + unit[1:] if unit.startswith("u") else unit
    return micro.replace("^2", "²")


def names(variable: xr.DataArray, *, bare: bool = False) -> list[str]:
    """Return the values of a coordinate as words: numbers with name and unit, unless ``bare``."""
    values = np.atleast_1d(variable.to_numpy())
    if not is_numeric(variable):
        return [str(value) for value in values]
    if bare:
        return scales.in_one_style(np.atleast_1d(shown(variable)))
    if variable.attrs.get("si_unit", "1") in _COUNTED:
        return [f"{variable.name} {words}" for words in scales.in_one_style(values)]
    return [f"{variable.name} {quantity(float(value), variable)}" for value in values]


_MOST_SAID = 6
"""Values of an axis that a message lists."""

_COUNTED = ("1", "token")
"""Units of plain numbers."""


def quantity(value: float, variable: xr.DataArray) -> str:
    """Return one value of a variable with its unit and the prefix that suits it: ``4 TB/s``."""
    unit = variable.attrs.get("si_unit", "1")
    return scales.plain_number(float(value)) if unit in _COUNTED else units.show(value, unit)


def some_values(variable: xr.DataArray) -> str:
    """Return the first values of a coordinate with their units, to choose among in a message."""
    values = np.atleast_1d(variable.to_numpy())[:_MOST_SAID]
    words = (
        quantity(float(value), variable) if is_numeric(variable) else str(value) for value in values
    )
    return ", ".join([*words, *(["…"] if variable.size > _MOST_SAID else [])])


def words_by_fit(dataset: xr.Dataset, of: str, *, by: str, missing: str | None = None) -> list[str]:
    """Return the names of lines; those that have a point nowhere say why, or ``missing``."""
    codes = reasons(dataset, of).transpose(by, ...).to_numpy().reshape(dataset.sizes[by], -1)
    named = zip(names(dataset[by]), codes, strict=True)
    return [
        name if (row == Reason.FITS).any() else f"{name}: {missing or words_of(row)}"
        for name, row in named
    ]


def styles() -> Iterator[dict[str, Any]]:
    """Yield colours with markers and dashes, so that lines differ in black and white too."""
    return (_styled(place) for place in itertools.count())


def styles_of(variable: xr.DataArray) -> list[dict[str, Any]]:
    """Return a style for each value of a coordinate; a machine has its own in every figure."""
    places = range(variable.size)
    if variable.name == "chip" and not is_numeric(variable):
        return [_styled_machine(place_of(str(name))) for name in variable.values]
    return [_styled(place) for place in places]


def _styled(place: int) -> dict[str, Any]:
    """The style of the line at a place; the ninth is not that of the first."""
    dash = DASHES[(place + place // len(COLOURS)) % len(DASHES)]
    marker = MARKERS[place % len(MARKERS)]
    return {"color": COLOURS[place % len(COLOURS)], "marker": marker, "linestyle": dash}


def _styled_machine(place: int) -> dict[str, Any]:
    """The style of a machine by its place among all: the colour repeats before the marker does."""
    turn = place // len(MACHINE_COLOURS)
    dash, marker = DASHES[(place + turn) % len(DASHES)], MARKERS[(place + turn) % len(MARKERS)]
    colour = MACHINE_COLOURS[place % len(MACHINE_COLOURS)]
    return {"color": colour, "marker": marker, "linestyle": dash}


def set_title(axes: "Axes", title: str, *, pad: float | None = None) -> None:
    """Write a title above the axes, from their left edge; none leaves what is there."""
    if title:
        size = looks.points(11)
        width = looks.characters(axes.figure.figure.get_figwidth(), by_inch=68 / WIDE)
        words = textwrap.fill(title, width, break_on_hyphens=False)
        axes.set_title(words, loc="left", fontsize=size, pad=pad, gid=TITLE)


def set_legend(axes: "Axes", *, inside: bool = False) -> None:
    """Put the legend beside the axes, below the title; inside where others may stand beside.

    In a narrow figure it stands under the axes.
    """
    handles, words = told_in_legend([axes])
    if not handles:
        return
    look: dict[str, Any] = {"fontsize": looks.points(9), "handlelength": 2.6}
    if inside:
        axes.legend(handles, words, frameon=True, loc="best", **look)
    elif axes.figure.figure.get_figwidth() < _NARROW:
        ncols = 1 if max(map(len, words)) > 24 else 2
        place = {"loc": "outside lower center", "ncols": ncols, "frameon": False}
        axes.figure.figure.legend(handles, words, **look, **place)
    else:
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
        axes.legend(handles, words, frameon=False, **look, **place)


def told_in_legend(panels: Iterable["Axes"]) -> tuple[list[Any], list[str]]:
    """Return what a legend of some axes names: the twelve that reach highest; the rest is counted.

    Long words are in lines, so that the legend stays narrow.
    """
    found: dict[str, Any] = {}
    tops: dict[str, float] = {}
    for axes in panels:
        for handle, words in zip(*axes.get_legend_handles_labels(), strict=True):
            found[words] = handle
            tops[words] = max(tops.get(words, -np.inf), _top(handle))
    kept = set(found)
    left = len(found) - _MOST_NAMED
    if left > 0:
        kept = set(sorted(found, key=lambda words: -tops[words])[:_MOST_NAMED])
        found["rest"] = _nothing()
        kept.add("rest")
    named = {words: handle for words, handle in found.items() if words in kept}
    told = [f"and {left} more" if words == "rest" and left > 0 else words for words in named]
    return [*named.values()], [textwrap.fill(words, _LEGEND_WIDTH) for words in told]


_LEGEND_WIDTH = 34


def _top(handle: Any) -> float:
    """The highest value of a line; what is not a line is always named."""
    if not hasattr(handle, "get_ydata"):
        return np.inf
    values = np.asarray(handle.get_ydata(), float)
    values = values[np.isfinite(values)]
    return float(values.max()) if values.size else -np.inf


def _nothing() -> Any:
    """What stands in a legend beside words alone."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none")


def hatch(words: str) -> dict[str, Any]:
    """Return how an area without values is drawn: hatched where that says something of a machine.

    ``words`` say why there are none; those that have words of their own are hatched.
    """
    plain = {WORDS[each] for each in Reason if each not in HATCHED}
    return {} if words in plain else {"hatch": "///"}


def hatch_where_nothing_is(
    axes: "Axes", x: np.ndarray, codes: np.ndarray, *, size: float = 8, words: str | None = None
) -> None:
    """Hatch the stretches of the horizontal axis in which no line has a point, and say why.

    Parameters
    ----------
    codes
        Reasons, a row for each line.
    words
        Takes the place of the reason.
    """
    lacking = (codes != Reason.FITS).all(axis=0)
    if lacking.all():
        say_nothing_is(axes, size=size, words=words or words_of(codes))
        return
    edges = scales.cell_edges(x)
    for first, last in scales.stretches(lacking):
        left, right = edges[first], edges[last + 1]
        why = words or words_of(codes[:, first : last + 1])
        axes.axvspan(left, right, facecolor="none", edgecolor="0.6", linewidth=0.0, **hatch(why))
        placing.name_stretch(axes, (float(left), float(right)), why, size=size)


def say_nothing_is(axes: "Axes", *, size: float = 9, words: str = DOES_NOT_FIT) -> None:
    """Hatch a whole panel in which there is nothing to draw, and say why."""
    from matplotlib.patches import Rectangle

    area = {"facecolor": "0.95", "edgecolor": "0.6", "linewidth": 0.0, **hatch(words)}
    whole = Rectangle((0.0, 0.0), 1.0, 1.0, transform=axes.transAxes, zorder=0.2, **area)
    axes.add_patch(whole)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 2.0, "alpha": 0.9}
    place = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, words, fontsize=size, bbox=box, **place)
