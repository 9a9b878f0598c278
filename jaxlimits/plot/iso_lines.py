"""Values of iso-lines, written on them where they cover neither a name nor each other."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from jaxlimits.plot.placing import between, is_free, text_boxes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet

_TRIED = 40
"""Places along a line at which its value is tried."""


def label_lines(
    axes: "Axes", lines: "QuadContourSet", write: Callable[[float], str], *, size: float
) -> None:
    """Write the value of each iso-line on its longest piece, near the middle where that is free.

    Parameters
    ----------
    axes
        Axes of a figure that is laid out; what is written on them already is kept clear.
    lines
        The iso-lines.
    write
        How a value is written.
    size
        Size of the text [pt].
    """
    from matplotlib import patheffects

    tones = np.asarray(lines.get_edgecolor(), float)
    for level, tone, path in zip(lines.levels, tones, lines.get_paths(), strict=True):
        pieces = [piece for piece in _pieces(axes, path) if len(piece) > 1]
        if not pieces:
            continue
        longest = max(pieces, key=length_of)
        halo = "white" if tone[:3].mean() < 0.5 else "black"
        text = axes.text(0.5, 0.5, write(float(level)), color=tone, fontsize=size, zorder=4.5)
        stroke = patheffects.withStroke(linewidth=1.8, foreground=halo, alpha=0.6)
        text.set(transform=axes.transAxes, ha="center", va="center", path_effects=[stroke])
        text.set_in_layout(False)
        taken = [box for box in text_boxes(axes) if box.bounds != text.get_window_extent().bounds]
        if length_of(longest) < 1.5 * text.get_window_extent().width or not any(
            _put(axes, text, pixel, taken) for pixel in outwards(longest)
        ):
            text.remove()


def pixels_along(axes: "Axes", lines: "QuadContourSet") -> list[np.ndarray]:
    """Return points along iso-lines [pixel], close to each other."""
    pieces = [piece for path in lines.get_paths() for piece in _pieces(axes, path)]
    return [np.concatenate([*between(piece)]) for piece in pieces if len(piece) > 1]


def _pieces(axes: "Axes", path) -> Iterator[np.ndarray]:
    """The connected pieces of a path [pixel]."""
    for piece in path.to_polygons(closed_only=False):
        yield axes.transData.transform(piece)


def length_of(piece: np.ndarray) -> float:
    """Return the length of a line through points."""
    return float(np.hypot(*np.diff(piece, axis=0).T).sum())


def outwards(piece: np.ndarray) -> Iterator[np.ndarray]:
    """Places along a line, from its middle outwards."""
    along = np.concatenate([[0.0], np.hypot(*np.diff(piece, axis=0).T).cumsum()])
    shares = np.linspace(0.06, 0.94, _TRIED)
    for share in sorted(shares, key=lambda each: abs(each - 0.5)):
        at = share * along[-1]
        yield np.array([np.interp(at, along, piece[:, 0]), np.interp(at, along, piece[:, 1])])


def _put(axes: "Axes", text, pixel: np.ndarray, taken: list) -> bool:
    """Write a value at a place; say whether it is free there."""
    text.set_position(axes.transAxes.inverted().transform(pixel))
    return is_free(text.get_window_extent().padded(1.5), taken, inside=axes.bbox)
