"""Iso-lines of a heat map in the browser, at the levels and with the words of the figures."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jaxlimits.plot.iso_lines import length_of, outwards
from jaxlimits.plot.maps import BRIGHT
from jaxlimits.plot.scales import plain_number, round_levels
from jaxlimits.web.map_cover import Name

_TRACED = 128
"""Points to a side between which lines are traced: finer ones look the same and take longer."""

_APART = (0.09, 0.05)
"""Distance of words from each other, as shares of the map across and up."""

_SHORTEST = 0.12
"""Share of a map's side that a line is long, at least, to have its value written on it."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IsoLine:
    """A piece of an iso-line.

    Parameters
    ----------
    across, up
        Its points, in cells.
    tone
        Its colour: white where the map is dark, and black where it is bright.
    """

    across: np.ndarray
    up: np.ndarray
    tone: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class IsoLines:
    """The lines of a map, and the value of each level where it is written."""

    pieces: tuple[IsoLine, ...] = ()
    values: tuple[tuple[Name, str], ...] = ()


def lines_of(
    values: np.ndarray, *, low: float, high: float, log: bool, names: Sequence[Name]
) -> IsoLines:
    """Return iso-lines of a map at a few round values.

    Parameters
    ----------
    values
        The metric as it is shown, (y, x).
    low, high, log
        Ends of the colours, and whether they are logarithmic.
    names
        Words on the map, which values keep clear of.
    """
    import contourpy  # noqa: PLC0415  (matplotlib traces its lines by it, and brings it along)

    up, across = (np.unique(np.linspace(0, n - 1, _TRACED).round()) for n in values.shape)
    kept = values[np.ix_(up.astype(int), across.astype(int))]
    scale = np.log10 if log else np.asarray
    with np.errstate(divide="ignore", invalid="ignore"):
        field = np.ma.masked_invalid(scale(kept))
    traced = contourpy.contour_generator(across, up, field, line_type="Separate")
    pieces, told = [], []
    taken = [(name.across, name.up) for name in names]
    side = float(max(values.shape))
    for level in round_levels(kept):
        share = float((scale(level) - scale(low)) / (scale(high) - scale(low)))
        tone = "black" if share > BRIGHT else "white"
        found = [np.asarray(piece) for piece in traced.lines(float(scale(level)))]
        pieces += [IsoLine(across=p[:, 0], up=p[:, 1], tone=tone) for p in found]
        longest = max(found, key=length_of, default=np.zeros((1, 2)))
        place = _free(longest, taken, values.shape)
        if place is not None and length_of(longest) > _SHORTEST * side:
            taken.append(place)
            told.append((Name(across=place[0], up=place[1], words=plain_number(level)), tone))
    return IsoLines(pieces=tuple(pieces), values=tuple(told))


def _free(
    piece: np.ndarray, taken: Sequence[tuple[float, float]], shape: tuple[int, ...]
) -> tuple[float, float] | None:
    """The place on a line nearest its middle that is clear of other words and of the edge."""
    rows, columns = shape
    wide, high = _APART[0] * columns, _APART[1] * rows
    for across, up in outwards(piece) if len(piece) > 1 else ():
        inside = wide / 2 < across < columns - wide / 2 and high / 2 < up < rows - high / 2
        if inside and all(abs(across - a) > wide or abs(up - u) > high for a, u in taken):
            return float(across), float(up)
    return None
