"""What is done once a figure is laid out: ticks that have room, labels placed by their pixels."""

import itertools
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from jaxlimits.plot import scales
from jaxlimits.plot.looks import Look
from jaxlimits.plot.placing import settled
from jaxlimits.plot.style import TITLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_GAP = 10.0
"""Pixels that are left between the words of two ticks."""


def settle(figure: "Figure", look: Look, *, ax: "Axes | None") -> None:
    """Thin ticks whose words meet, and place what waits for the layout.

    Parameters
    ----------
    figure
        What was drawn.
    look
        Its look, with what waits.
    ax
        Axes of the caller's, of whose figure nothing else is touched.
    """
    with settled(figure):
        drawn = figure.axes if ax is None else [ax]
        if ax is None:
            _fit_titles(figure)
        changed = [_thin(axis) for axes in drawn for axis in (axes.xaxis, axes.yaxis)]
        if look.later and any(changed):
            figure.draw_without_rendering()
        for place in look.later:
            place()
        look.later.clear()


def _fit_titles(figure: "Figure") -> None:
    """Break titles so that they end before a legend beside them, and inside of the figure."""
    from matplotlib.text import Text

    texts = [each for each in figure.findobj(Text) if isinstance(each, Text)]
    titles = [each for each in texts if each.get_gid() == TITLE and each.get_text()]
    for title in titles:
        box = title.get_window_extent()
        beside = [each.get_window_extent() for each in figure.legends]
        ends = [each.x0 for each in beside if each.y1 > box.y0 and each.x0 > box.x0]
        room = min([figure.bbox.x1, *ends]) - box.x0 - _GAP
        words = title.get_text()
        if box.width > room > 0.0:
            longest = max(map(len, words.split("\n")))
            width = max(12, int(0.98 * longest * room / box.width))
            title.set_text(textwrap.fill(words.replace("\n", " "), width, break_on_hyphens=False))


def _thin(axis: "Axis") -> bool:
    """Keep every second tick, or fewer, until their words do not meet; names are turned instead."""
    from matplotlib.ticker import FixedLocator

    if scales.is_named(axis):
        return _turn(axis)
    places, boxes = _shown(axis)
    if not _meet(axis, boxes):
        return False
    is_log = axis.get_scale() == "log"
    kept = list(range(len(places)))
    for every in range(2, max(len(places), 3)):
        kept = _every(places, every, is_log=is_log)
        if not _meet(axis, [boxes[k] for k in kept]):
            break
    axis.set_major_locator(FixedLocator([places[k] for k in kept]))
    return True


def _every(places: list[float], every: int, *, is_log: bool) -> list[int]:
    """Places of the ticks that are kept: on a logarithmic axis powers of ten where there are."""
    count = len(places)
    if is_log:
        tens = [k for k, at in enumerate(places) if at > 0 and abs(np.log10(at) % 1.0) < 1e-6]
        if 2 <= len(tens) < count:
            return tens[:: every - 1]
    whole = [k for k, at in enumerate(places) if at == 0.0]
    first = whole[0] % every if whole else 0  # a tick at zero stays
    return list(range(first, count, every))


def _shown(axis: "Axis") -> tuple[list[float], list]:
    """Places and boxes [pixel] of the ticks that have words inside of the axis."""
    low, high = sorted(axis.get_view_interval())
    found = []
    for tick in axis.get_major_ticks():
        label = tick.label1
        if label.get_visible() and label.get_text() and low <= tick.get_loc() <= high:
            found.append((float(tick.get_loc()), label.get_window_extent()))
    found.sort(key=lambda each: each[0])
    return [at for at, _ in found], [box for _, box in found]


def _is_across(axis: "Axis") -> bool:
    return axis is axis.axes.xaxis


def _meet(axis: "Axis", boxes: list) -> bool:
    along = "x" if _is_across(axis) else "y"
    ends = sorted((getattr(b, f"{along}0"), getattr(b, f"{along}1")) for b in boxes)
    gap = _GAP if along == "x" else 0.0
    return any(one[1] + gap > two[0] for one, two in itertools.pairwise(ends))


def _turn(axis: "Axis") -> bool:
    """Turn the names of a horizontal axis where they meet."""
    labels = [each for each in axis.get_ticklabels() if each.get_text()]
    upright = _is_across(axis) and all(each.get_rotation() == 0.0 for each in labels)
    if not upright or not _meet(axis, [each.get_window_extent() for each in labels]):
        return False
    axis.set_tick_params(rotation=90)
    return True
