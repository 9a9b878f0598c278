"""What every figure shares: the backend, colours, scales, labels with units."""

import functools
import io
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.errors import InputError, ResultError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure

Direction = Literal["x", "y"]

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999",
)  # fmt: skip
"""Okabe and Ito's palette, which people with any colour vision can tell apart."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "///", "...", "xxx", "\\\\\\")

DOES_NOT_FIT = "does not fit"
OUT_OF_REACH = "out of reach"

_EVEN = 1e-3
"""By how much the steps of a geometric axis may differ, relatively."""

_LABEL_WIDTH = 46
_TITLE_WIDTH = 68
_WIDE = 8.0
"""Ratio of largest to smallest from which values are drawn on a logarithmic axis."""

_FEW = 11
"""Values of a grid up to which each has its tick."""

_TWO_DECADES = 300.0

_FEW_IN_SMALL = 5
"""Ticks along the horizontal axis of a small panel."""


def require_backend() -> None:
    """Raise ``InputError`` unless figures can be drawn."""
    try:
        import matplotlib as mpl
    except ImportError:
        remedy = "pip install 'jaxlimits[plot]'"
        raise InputError("figures need matplotlib", where="plot", remedy=remedy) from None
    mpl.rcParams["svg.hashsalt"] = "jaxlimits"  # the same figure has the same bytes


def new_figure(
    *, width: float = 7.2, height: float = 4.4, rows: int = 0, columns: int = 0
) -> tuple["Figure", Any]:
    """Return an empty figure with its axes, or an array of them on shared scales [inch].

    Raises
    ------
    InputError
        The figure backend is not installed.
    """
    require_backend()
    figure = _figure_type()(figsize=(width, height), layout="constrained")
    if not rows:
        return figure, figure.subplots()
    return figure, figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)


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


def is_geometric(values: np.ndarray) -> bool:
    """Whether positive values have equal ratios, as a grid's geometric axis does.

    Those that at least double each time count too; of two values, if they differ by four.
    """
    if values.dtype.kind not in "if" or len(values) < 2 or np.any(values <= 0):
        return False
    if len(values) == 2:
        return bool(max(values) >= 4 * min(values))
    steps = np.diff(np.log(values))
    if np.all(steps >= np.log(2.0) - _EVEN):
        return True
    return bool(np.ptp(steps) <= _EVEN * np.abs(steps).max() * len(steps))


def spans_decades(values: np.ndarray) -> bool:
    """Whether positive values differ so much that a linear axis would hide the small ones."""
    finite = values[np.isfinite(values)]
    return bool(len(finite) and finite.min() > 0 and finite.max() > _WIDE * finite.min())


def scale_by_grid(
    axes: "Axes", which: Direction, values: np.ndarray, *, small: bool = False
) -> None:
    """Make an axis logarithmic where its grid is, with ticks at its values where they are few."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if not is_geometric(values):
        plain_numbers(axis)
        return
    axes.set(**{f"{which}scale": "log"})
    if len(values) <= _FEW and _are_round(values):
        every = -(-len(values) // _FEW_IN_SMALL) if small and which == "x" else 1
        axis.set_ticks(list(values[::every]), minor=False)
        axis.set_ticks([], minor=True)
    else:
        _more_ticks(axis, values, small=small)
    plain_numbers(axis)


def _are_round(values: np.ndarray) -> bool:
    """Whether values are written in full by the few digits that a tick has."""
    return all(np.isclose(float(f"{value:.3g}"), value) or value % 1 == 0 for value in values)


def scale_by_values(
    axes: "Axes", which: Direction, values: np.ndarray, *, small: bool = False
) -> None:
    """Make an axis logarithmic where its values span decades."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if spans_decades(values):
        axes.set(**{f"{which}scale": "log"})
        _more_ticks(axis, values, small=small)
    plain_numbers(axis)


def _more_ticks(axis: "Axis", values: np.ndarray, *, small: bool = False) -> None:
    """Give a logarithmic axis of few decades ticks at 1, 2 and 5 in each."""
    from matplotlib.ticker import LogLocator

    few = _TWO_DECADES / 10.0 if small else _TWO_DECADES
    if np.nanmax(values) < few * np.nanmin(values):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))


def plain_numbers(axis: "Axis") -> None:
    """Write ticks as 1,000 and 0.01, not as powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(plain_number))
    axis.set_minor_formatter(NullFormatter())


def plain_number(value: float, _place: object = None) -> str:
    """Return a number with four digits at most: 131072 as 128 Ki, 2·10⁶ as 2 M."""
    if value >= 4096 and value % 1024 == 0:
        return f"{value / 1024:,.0f} Ki"
    for power, prefix in ((9, "G"), (6, "M")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:,.4g} {prefix}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def names(variable: xr.DataArray, *, bare: bool = False) -> list[str]:
    """Return the values of a coordinate as words: numbers with name and unit, unless ``bare``."""
    if not is_numeric(variable):
        return [str(value) for value in variable.values]
    if bare:
        return [plain_number(float(value)) for value in shown(variable)]
    return [f"{variable.name} {quantity(float(value), variable)}" for value in variable.values]


def quantity(value: float, variable: xr.DataArray) -> str:
    """Return one value of a variable with its unit and the prefix that suits it: ``4 TB/s``."""
    unit = variable.attrs.get("si_unit", "1")
    return plain_number(float(value)) if unit in ("1", "token") else units.show(value, unit)


def missing(dataset: xr.Dataset, of: str) -> str:
    """Return what it means that a variable has no value: a requirement's is out of reach."""
    return OUT_OF_REACH if f"{of}_reason" in dataset else DOES_NOT_FIT


def words_by_fit(dataset: xr.Dataset, of: str, *, by: str, missing: str) -> list[str]:
    """Return the names of lines; those that have a point nowhere say so."""
    others = [dim for dim in dataset[of].dims if dim != by]
    fits = dataset[of].notnull().any(others).to_numpy()
    named = zip(names(dataset[by]), fits, strict=True)
    return [name if fit else f"{name}: {missing}" for name, fit in named]


def styles() -> Iterator[dict[str, Any]]:
    """Yield colours with markers and dashes, so that lines differ in black and white too."""
    place = 0
    while True:
        colour = COLOURS[place % len(COLOURS)]
        marker = MARKERS[place % len(MARKERS)]
        dash = DASHES[(place + place // len(COLOURS)) % len(DASHES)]  # the ninth is no first
        yield {"color": colour, "marker": marker, "linestyle": dash}
        place += 1


def round_levels(values: np.ndarray) -> tuple[float, ...]:
    """Return a few round numbers inside of the range of some values, for iso-lines."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    finite = values[np.isfinite(values)]
    if not finite.size or finite.min() == finite.max():
        return ()
    low, high = float(finite.min()), float(finite.max())
    if spans_decades(finite):
        subs = (1.0, 2.0, 5.0) if high < _TWO_DECADES * low else (1.0,)
        found = LogLocator(subs=subs).tick_values(low, high)
    else:
        found = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    return tuple(float(each) for each in found if low < each < high)


def number_colours(colours: "Colorbar", values: np.ndarray) -> None:
    """Number the colours of a scale as an axis is numbered."""
    if spans_decades(values):
        _more_ticks(colours.ax.yaxis, values)
    plain_numbers(colours.ax.yaxis)


def set_title(axes: "Axes", title: str, *, pad: float | None = None) -> None:
    """Write a title above the axes, from their left edge."""
    axes.set_title(textwrap.fill(title, _TITLE_WIDTH), loc="left", fontsize=11, pad=pad)


def set_legend(axes: "Axes") -> None:
    """Put the legend beside the axes, below the title."""
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, handlelength=2.6, **place)


def hatch_where_nothing_fits(
    axes: "Axes", x: np.ndarray, fits: np.ndarray, *, size: int = 8, words: str = DOES_NOT_FIT
) -> None:
    """Hatch the stretches of the horizontal axis in which no line has a point, and say so."""
    if not fits.any():
        say_nothing_fits(axes, size=size, words=words)
        return
    edges = cell_edges(x)
    for first, last in stretches(~fits):
        left, right = edges[first], edges[last + 1]
        axes.axvspan(left, right, facecolor="none", edgecolor="0.6", hatch="///", linewidth=0.0)
        middle = np.sqrt(left * right) if is_geometric(x) else (left + right) / 2
        place = axes.get_xaxis_transform()
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
        style = {"rotation": 90, "ha": "center", "va": "center", "fontsize": size, "bbox": box}
        axes.text(float(middle), 0.5, words, transform=place, **style)


def say_nothing_fits(axes: "Axes", *, size: int = 9, words: str = DOES_NOT_FIT) -> None:
    """Hatch a whole panel in which there is nothing to draw, and say so."""
    from matplotlib.patches import Rectangle

    area = {"facecolor": "0.95", "edgecolor": "0.6", "hatch": "///", "linewidth": 0.0}
    whole = Rectangle((0.0, 0.0), 1.0, 1.0, transform=axes.transAxes, zorder=0.2, **area)
    axes.add_patch(whole)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 2.0, "alpha": 0.9}
    place = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, words, fontsize=size, bbox=box, **place)


def cell_edges(x: np.ndarray) -> np.ndarray:
    """Return the middles between neighbours, geometric ones where the axis is, and both ends."""
    places = np.log(x) if is_geometric(x) else x.astype(float)
    middles = (places[1:] + places[:-1]) / 2
    first, last = 2 * places[0] - middles[0], 2 * places[-1] - middles[-1]
    edges = np.concatenate([[first], middles, [last]])
    return np.exp(edges) if is_geometric(x) else edges


def stretches(flags: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last places of each run of true flags."""
    padded = np.concatenate([[False], flags, [False]]).astype(int)
    changes = np.flatnonzero(np.diff(padded))
    yield from zip(changes[::2], changes[1::2] - 1, strict=True)
