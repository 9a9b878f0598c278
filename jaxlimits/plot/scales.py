"""Scales of axes and colours: logarithmic where a grid is, round ticks, plain numbers."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colorbar import Colorbar
    from matplotlib.ticker import Formatter

Direction = Literal["x", "y"]

_EVEN = 1e-3
"""By how much the steps of a geometric axis may differ, relatively."""

_WIDE = 8.0
"""Ratio of largest to smallest from which values are drawn on a logarithmic axis."""

_FEW = 11
"""Values of a grid up to which each has its tick."""

_TWO_DECADES = 300.0

_FEW_IN_SMALL = 5
"""Ticks along the horizontal axis of a small panel."""


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
    if len(values) == 1:
        axis.set_ticks(values)
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
    """Write ticks as 1,000 and 0.01, not as powers of ten, and all of an axis in one style."""
    from matplotlib.ticker import NullFormatter

    axis.set_major_formatter(_plain_type()())
    axis.set_minor_formatter(NullFormatter())


@functools.cache
def _plain_type() -> "type[Formatter]":
    from matplotlib.ticker import Formatter

    class Plain(Formatter):
        """The ticks of an axis in one style, which those in view decide."""

        def __call__(self, x: float, pos: object = None) -> str:  # noqa: ARG002  matplotlib's
            return self.format_ticks([x])[0]

        def format_ticks(self, values: Sequence[float]) -> list[str]:
            if self.axis is None:
                return in_one_style(values)
            low, high = sorted(self.axis.get_view_interval())
            return in_one_style(values, [each for each in values if low <= each <= high])

    return Plain


def in_one_style(values: Iterable[float], deciding: Iterable[float] | None = None) -> list[str]:
    """Return numbers as words, all with commas, all of powers of two, or all with prefixes.

    Parameters
    ----------
    values
        The numbers.
    deciding
        Those that decide on the style; by default all.
    """
    values = [float(each) for each in values]
    asked = [abs(float(each)) for each in (values if deciding is None else deciding)]
    largest = max((each for each in asked if np.isfinite(each)), default=0.0)
    large = [each for each in asked if each >= 1000.0]
    if largest >= _IN_KI and all(each % 1024 == 0 for each in large):
        return [_prefixed(each, 1024.0, ("", " Ki", " Mi", " Gi")) for each in values]
    if largest >= 1e6:
        return [_prefixed(each, 1000.0, ("", " k", " M", " G", " T")) for each in values]
    return [f"{each:,.0f}" if abs(each) >= 1000 else f"{each:.4g}" for each in values]


_IN_KI = 4096
"""Number from which powers of two are written with prefixes."""


def _prefixed(value: float, base: float, prefixes: tuple[str, ...]) -> str:
    power = 0
    while abs(value) >= base * (1.0 - 1e-9) and power + 1 < len(prefixes):
        value, power = value / base, power + 1
    return f"{value:,.4g}{prefixes[power]}"


def is_named(axis: "Axis") -> bool:
    """Whether the ticks of an axis are words and no numbers."""
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    return isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter)


def measured(value: float, *, sign: bool = False) -> str:
    """Return a value that was computed, with four digits at most and never in powers of two."""
    rounded = float(f"{value:.4g}")
    plus = "+" if sign else ""
    if abs(rounded) >= 1e6:
        return in_one_style([rounded])[0]
    return f"{rounded:{plus},.0f}" if abs(rounded) >= 1000 else f"{rounded:{plus}.4g}"


def plain_number(value: float, _place: object = None) -> str:
    """Return a number with four digits at most: 131072 as 128 Ki, 2·10⁶ as 2 M."""
    return in_one_style([value])[0]


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


def cell_edges(x: np.ndarray) -> np.ndarray:
    """Return the middles between neighbours, geometric ones where the axis is, and both ends."""
    if len(x) == 1:  # no neighbour says how far it reaches
        return x + np.array([-0.5, 0.5]) * (abs(float(x[0])) or 1.0)
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
