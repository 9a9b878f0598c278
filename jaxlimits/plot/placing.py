"""Labels of points and notes that cover neither each other nor what is drawn."""

import contextlib
import dataclasses
import itertools
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxlimits.plot.looks import when_settled

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
    axes: "Axes", labels: Sequence[Label], *, lines: Sequence[np.ndarray] = (), size: float = 8
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


def place_note(axes: "Axes", words: str, *, size: float) -> None:
    """Write a note where it covers nothing that is drawn, once the figure is laid out.

    Corners are tried first, then every other place, then lines of other lengths. Where a panel is
    full the note stands above it, under the title.
    """
    when_settled(lambda: _place_note(axes, words, size=size))


_ROOM = 3.0
"""Pixels of the ground around words that have one."""

_SPOTS = (0.03, 0.97, 0.5, 0.2, 0.35, 0.65, 0.8)
"""Places of a note along each direction, as shares of the axes, in the order of trial."""

_WRAPPED = (34, 20, 60)
"""Characters of a line of a note, in the order of trial."""


def _place_note(axes: "Axes", words: str, *, size: float) -> None:
    taken, pixels = text_boxes(axes), drawn_pixels(axes)
    look = {"fontsize": size, "color": "0.3", "zorder": 6, "transform": axes.transAxes}
    for width in _WRAPPED:
        text = axes.text(0.0, 0.0, textwrap.fill(" ".join(words.split()), width), **look)
        text.set_in_layout(False)
        spots = sorted(itertools.product(enumerate(_SPOTS), enumerate(_SPOTS)), key=_in_order)
        for (_, across), (_, up) in spots:
            text.set(x=across, y=up, ha=_beside(across), va=_above(up))
            box = text.get_window_extent().padded(2.0)
            if is_free(box, taken, inside=axes.bbox) and not covers(box, pixels):
                return
        text.remove()
    above = axes.get_title(loc="left")
    axes.set_title("\n".join(filter(None, (above, words))), loc="left", fontsize=size)


def _in_order(spot: tuple[tuple[int, float], tuple[int, float]]) -> tuple[int, int]:
    (across, _), (up, _) = spot
    return max(across, up), across + up


def _beside(share: float) -> str:
    return "left" if share < 0.1 else "right" if share > 0.9 else "center"


def _above(share: float) -> str:
    return "bottom" if share < 0.1 else "top" if share > 0.9 else "center"


def name_stretch(axes: "Axes", ends: tuple[float, float], words: str, *, size: float) -> None:
    """Name a stretch of the horizontal axis inside it; a narrow one is named in a note.

    Parameters
    ----------
    axes
        The axes.
    ends
        Where the stretch begins and ends, in the coordinates of the data.
    words
        What it is.
    size
        Size of the text [pt].
    """
    place = axes.get_xaxis_transform()
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.9}
    look = {"rotation": 90, "ha": "center", "va": "center", "fontsize": size, "bbox": box}
    text = axes.text(ends[0], 0.5, words, transform=place, **look)
    text.set_in_layout(False)

    def put() -> None:
        low, high = axes.get_xlim()
        inside = [min(max(end, low), high) for end in ends]
        pixels = axes.transData.transform([(end, 0.5) for end in inside])[:, 0]
        middle = axes.transData.inverted().transform((pixels.mean(), 0.0))[0]
        text.set_x(float(middle))
        if text.get_window_extent().width > abs(pixels[1] - pixels[0]):
            text.remove()
            _place_note(axes, f"hatched: {words}", size=size)

    when_settled(put)


def text_boxes(axes: "Axes") -> list["Bbox"]:
    """Return the boxes [pixel] of the words that are written on axes, and of a legend inside."""
    from matplotlib.text import Text

    found = [
        Text.get_window_extent(text).padded(_ROOM if text.get_bbox_patch() else 0.0)
        for text in axes.texts
        if text.get_text()
    ]
    legend = axes.get_legend()
    return found if legend is None else [*found, legend.get_window_extent()]


def drawn_pixels(axes: "Axes") -> np.ndarray:
    """Return pixels along all that is drawn on axes as lines and points, with marks."""
    found = [np.empty((0, 2))]
    for line in axes.get_lines():
        path = line.get_transform().transform(line.get_xydata())
        path = path[np.isfinite(path).all(axis=1)]
        found += [path, *between(path)] if line.get_linestyle() != "None" else [path]
    for collection in axes.collections:
        offsets = np.asarray(collection.get_offsets())
        if collection.get_offset_transform() == axes.transData and len(offsets):
            found.append(axes.transData.transform(offsets))
    return np.concatenate(found)


def between(path: np.ndarray) -> Iterator[np.ndarray]:
    """Yield points along the pieces of a line [pixel], a few pixels apart."""
    for start, end in itertools.pairwise(path):
        steps = int(np.hypot(*(end - start)) // 2) + 2
        yield start + (end - start) * np.linspace(0.0, 1.0, min(steps, 400))[:, None]


def covers(box: "Bbox", pixels: np.ndarray) -> bool:
    """Whether a box lies over one of some pixels."""
    inside = (pixels > box.min) & (pixels < box.max)
    return bool(inside.all(axis=1).any())


def is_free(box: "Bbox", taken: Sequence["Bbox"], *, inside: "Bbox") -> bool:
    """Whether a box lies inside of axes and meets no other."""
    whole = _common(box, inside) >= box.width * box.height * (1.0 - 1e-9)
    return whole and not any(_common(box, other) > 0.0 for other in taken)


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
