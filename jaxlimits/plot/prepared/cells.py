"""A quantity over two axes as a coloured table with its numbers."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.plot import looks, scales, style
from jaxlimits.results.listing import written
from jaxlimits.results.reason_codes import WORDS
from jaxlimits.results.reasons import reasons

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_CHARACTERS = 10.0
"""Characters of a label by inch."""


def cells(
    dataset: xr.Dataset,
    *,
    of: str,
    rows: str,
    columns: str,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Figure":
    """Draw a table whose cells are coloured by their numbers.

    Parameters
    ----------
    dataset
        A result with these two dimensions alone.
    of
        The quantity.
    rows, columns
        Its axes.
    title
        What is shown.
    ax
        Axes of the caller's to draw into.

    Returns
    -------
    Figure
        Cells without a number say why; those that do not fit in memory are hatched.
    """
    height = 1.5 + 0.33 * dataset.sizes[rows]
    figure, axes = style.one_panel(ax, height=height, title=title)
    from matplotlib.colors import LogNorm

    values = style.shown(dataset[of].transpose(rows, columns))
    codes = reasons(dataset, of).transpose(rows, columns).to_numpy()
    norm = LogNorm() if scales.spans_decades(values.ravel()) else None
    image = axes.imshow(values, norm=norm, cmap="cividis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = float(np.asarray(image.norm(value))) < 0.55
            colour = "white" if dark else "black"
            axes.text(column, row, written(float(value)), ha="center", va="center", color=colour)
        else:
            _cover(axes, row, column, WORDS[int(codes[row, column])])
    across = style.names(dataset[columns], bare=True)
    axes.set_xticks(range(len(across)), across)
    axes.set_yticks(range(dataset.sizes[rows]), style.names(dataset[rows]))
    if style.is_numeric(dataset[columns]):
        axes.set_xlabel(style.label(dataset[columns]))
    colours = figure.colorbar(
        image, ax=axes, label=style.label(dataset[of], width=int(_CHARACTERS * height))
    )
    scales.number_colours(colours, values)
    return figure


def _cover(axes: "Axes", row: int, column: int, words: str) -> None:
    """Cover a cell that has no number, and say why."""
    from matplotlib.patches import Rectangle

    look = {"facecolor": "0.95", "edgecolor": "0.7", "linewidth": 0.0, **style.hatch(words)}
    axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **look))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axes.text(column, row, words, ha="center", va="center", fontsize=looks.points(7), bbox=box)
