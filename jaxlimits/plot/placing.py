"""Labels of points that cover neither each other nor what is drawn."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

_DISTANCES = (9.0, 16.0, 26.0, 38.0, 52.0, 70.0)
_DIRECTIONS = ((1, -1), (1, 0), (0, -1), (-1, -1), (1, 1), (-1, 0), (0, 1), (-1, 1))
"""Where a label may stand beside its point, the best first."""

_SIDES = {1: "left", 0: "center", -1: "right"}
_ENDS = {1: "bottom", 0: "center", -1: "top"}
_LEADER = 12.0
"""Distance [pt] from which a line leads from the label to its point."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """Words that belong to a point, in the coordinates of the axes' data."""

    words: str
    x: float
    y: float


@contextlib.contextmanager
def settled(figure: "Figure") -> Iterator[None]:
    """Lay a figure out, so that places on it have their final pixels inside the block.

    A canvas that measures text stands in for the figure's own, which a window may hold.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    own = figure.canvas
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    try:
        yield
    finally:
        figure.set_canvas(own)


def place_labels(
    axes: "Axes", labels: Sequence[Label], *, lines: Sequence[np.ndarray] = (), size: int = 8
) -> None:
    """Write each label beside its point, where it covers least.

    Parameters
    ----------
    axes
        Axes of a figure that is settled; what is written on them already is kept clear.
    labels
        What to write, the most important first.
    lines
        Points along lines that labels keep clear of, in data coordinates.
    size
        Size of the text [pt].
    """
    from matplotlib.text import Text

    canvas = axes.figure.canvas
    renderer = canvas.get_renderer()  # pyright: ignore[reportAttributeAccessIssue]  it is Agg's
    to_pixels = axes.transData.transform
    taken = [text.get_window_extent(renderer) for text in axes.texts]
    points = [*(np.array([[each.x, each.y]]) for each in labels), *lines]
    taken += [_around(pixel, 4.0) for line in points for pixel in to_pixels(line)]
    for label in labels:
        best = None
        for distance, (right, up) in itertools.product(_DISTANCES, _DIRECTIONS):
            reach = distance if 0 in (right, up) else 0.75 * distance
            text = axes.annotate(
                label.words, (label.x, label.y), (right * reach, up * reach), fontsize=size,
                textcoords="offset points", ha=_SIDES[right], va=_ENDS[up], zorder=6,
                arrowprops=_leader(distance),
            )  # fmt: skip
            text.set_in_layout(False)
            text.update_positions(renderer)
            box = Text.get_window_extent(text, renderer)  # of the words, without the leader
            cost = _covered(box, taken, axes.bbox) + 0.4 * distance * size
            if best is None or cost < best[0]:
                if best is not None:
                    best[1].remove()
                best = (cost, text, box)
            else:
                text.remove()
        if best is not None:
            taken.append(best[2].padded(2.0))


def _leader(distance: float) -> dict | None:
    if distance < _LEADER:
        return None
    return {"arrowstyle": "-", "color": "0.5", "linewidth": 0.6, "shrinkA": 0.0, "shrinkB": 3.0}


def _around(pixel: np.ndarray, half: float) -> "Bbox":
    from matplotlib.transforms import Bbox

    return Bbox([pixel - half, pixel + half])


def _covered(box: "Bbox", taken: Sequence["Bbox"], inside: "Bbox") -> float:
    """Area that a label would cover of others, and lie outside of its axes [pixel²]."""
    covered = sum(_common(box, other) for other in taken)
    return 4.0 * covered + 8.0 * (box.width * box.height - _common(box, inside))


def _common(one: "Bbox", other: "Bbox") -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0.0) * max(height, 0.0)
