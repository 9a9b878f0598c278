"""What every figure shares: the backend, colours, words with units, what does not fit."""

import functools
import io
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.errors import InputError, ResultError
from jaxlimits.plot import scales
from jaxlimits.results.reason_codes import HATCHED, WORDS, Reason
from jaxlimits.results.reasons import reasons, words_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999",
)  # fmt: skip
"""Okabe and Ito's palette, which people with any colour vision can tell apart."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "///", "...", "xxx", "\\\\\\")

DOES_NOT_FIT = WORDS[Reason.DOES_NOT_FIT]

WIDE = 7.2
"""Width of a figure of one panel [inch]."""

_LABEL_WIDTH = 46
_TITLE_WIDTH = 68


def require_backend() -> None:
    """Raise ``InputError`` unless figures can be drawn."""
    try:
        import matplotlib as mpl
    except ImportError:
        remedy = "pip install 'jaxlimits[plot]'"
        raise InputError("figures need matplotlib", where="plot", remedy=remedy) from None
    mpl.rcParams["svg.hashsalt"] = "jaxlimits"  # the same figure has the same bytes


def new_figure(*, width: float = WIDE, height: float, **grid: Any) -> tuple["Figure", Any]:
    """Return an empty figure [inch], and what its ``subplots`` gives.

    Raises
    ------
    InputError
        The figure backend is not installed.
    """
    require_backend()
    figure = _figure_type()(figsize=(width, height), layout="constrained")
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
    from matplotlib.figure import Figure

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            picture = io.BytesIO()
            self.savefig(picture, format="png", dpi=110)
            return picture.getvalue()

    return Shown


def save(figure: "Figure", path: Path) -> None:
    """Write a figure, in the format that its name ends in.

    Raises
    ------
    ResultError
        It cannot be written there.
    """
    plain = {"Date": None} if path.suffix == ".svg" else None
    try:
        figure.savefig(path, metadata=plain, dpi=150)
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
    return textwrap.fill(named + suffix, width)


def typeset(unit: str) -> str:
    """Return a unit with its micro and its powers as they are printed."""
    micro = "µ" + unit[1:] if unit.startswith("u") else unit
    return micro.replace("^2", "²")


def names(variable: xr.DataArray, *, bare: bool = False) -> list[str]:
    """Return the values of a coordinate as words: numbers with name and unit, unless ``bare``."""
    if not is_numeric(variable):
        return [str(value) for value in variable.values]
    if bare:
        return [scales.plain_number(float(value)) for value in shown(variable)]
    return [f"{variable.name} {quantity(float(value), variable)}" for value in variable.values]


def quantity(value: float, variable: xr.DataArray) -> str:
    """Return one value of a variable with its unit and the prefix that suits it: ``4 TB/s``."""
    unit = variable.attrs.get("si_unit", "1")
    return scales.plain_number(float(value)) if unit in ("1", "token") else units.show(value, unit)


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
    place = 0
    while True:
        colour = COLOURS[place % len(COLOURS)]
        marker = MARKERS[place % len(MARKERS)]
        dash = DASHES[(place + place // len(COLOURS)) % len(DASHES)]  # the ninth is no first
        yield {"color": colour, "marker": marker, "linestyle": dash}
        place += 1


def set_title(axes: "Axes", title: str, *, pad: float | None = None) -> None:
    """Write a title above the axes, from their left edge; none leaves what is there."""
    if title:
        axes.set_title(textwrap.fill(title, _TITLE_WIDTH), loc="left", fontsize=11, pad=pad)


def set_legend(axes: "Axes", *, inside: bool = False) -> None:
    """Put the legend beside the axes, below the title; inside where others may stand beside."""
    beside: dict[str, Any] = {
        "loc": "upper left",
        "bbox_to_anchor": (1.01, 1.0),
        "borderaxespad": 0.0,
    }
    place: dict[str, Any] = {"loc": "best"} if inside else beside
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=inside, fontsize=9, handlelength=2.6, **place)


def hatch(words: str) -> dict[str, Any]:
    """Return how an area without values is drawn: hatched where that says something of a machine.

    ``words`` say why there are none; those that have words of their own are hatched.
    """
    plain = {WORDS[each] for each in Reason if each not in HATCHED}
    return {} if words in plain else {"hatch": "///"}


def hatch_where_nothing_is(
    axes: "Axes", x: np.ndarray, codes: np.ndarray, *, size: int = 8, words: str | None = None
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
        middle = np.sqrt(left * right) if scales.is_geometric(x) else (left + right) / 2
        place = axes.get_xaxis_transform()
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
        style = {"rotation": 90, "ha": "center", "va": "center", "fontsize": size, "bbox": box}
        axes.text(float(middle), 0.5, why, transform=place, **style)


def say_nothing_is(axes: "Axes", *, size: int = 9, words: str = DOES_NOT_FIT) -> None:
    """Hatch a whole panel in which there is nothing to draw, and say why."""
    from matplotlib.patches import Rectangle

    area = {"facecolor": "0.95", "edgecolor": "0.6", "linewidth": 0.0, **hatch(words)}
    whole = Rectangle((0.0, 0.0), 1.0, 1.0, transform=axes.transAxes, zorder=0.2, **area)
    axes.add_patch(whole)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 2.0, "alpha": 0.9}
    place = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, words, fontsize=size, bbox=box, **place)
