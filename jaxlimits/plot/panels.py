"""Small multiples: one panel for each value of named axes, on shared axes and shared colours.

Every kind of figure draws on panels; without named axes there is one.
"""

import dataclasses
import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from jaxlimits.errors import InputError, unknown_name
from jaxlimits.plot import looks, placing, scales, style
from jaxlimits.results.reason_codes import Reason
from jaxlimits.results.reasons import words_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 24
"""Panels of one figure at most; more are too small to read."""

_TALL = 4.4
_PANEL_WIDE, _PANEL_TALL = 2.75, 2.35
_MORE = 1.25
"""How much larger panels are that fill one row of up to three."""
_IN_A_ROW = 4
"""Panels in a row where only one axis is named."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Panels:
    """The panels of a figure, each with its part of the data.

    Parameters
    ----------
    figure
        The figure.
    axes, parts
        Axes and data of each panel, row by row.
    among_others
        Whether the axes are the caller's, beside which others may stand.
    """

    figure: "Figure"
    axes: tuple["Axes", ...]
    parts: tuple[xr.Dataset, ...]
    among_others: bool = False

    def __iter__(self) -> Iterator[tuple["Axes", xr.Dataset]]:
        return iter(zip(self.axes, self.parts, strict=True))

    @property
    def are_small(self) -> bool:
        """Whether there is little room in each."""
        return len(self.axes) > 1

    @property
    def text_size(self) -> float:
        """Size of text inside a panel [pt]."""
        return looks.points(7 if self.are_small else 9)

    def label(self, x: xr.DataArray | str, y: xr.DataArray | str) -> None:
        """Name the axes, once however many panels there are, and set the ends that are asked for.

        Parameters
        ----------
        x, y
            What lies along the axes, or words for it.
        """
        looks.limit_across(self.axes[0], x)  # panels share it
        across = x if isinstance(x, str) else style.label(x, width=self._across())
        up = y if isinstance(y, str) else style.label(y, width=self._along())
        if not self.are_small:
            self.axes[0].set(xlabel=across, ylabel=up)
            return
        size = looks.points(10)
        self.figure.supxlabel(across.replace("\n", " "), fontsize=size)
        self.figure.supylabel(self._upright(up), fontsize=size)

    def _across(self) -> int:
        """Characters of a label across: what the axes have room for."""
        width = self.axes[0].get_position().width * self.figure.get_figwidth()
        return looks.characters(width, by_inch=10.0)

    def _along(self) -> int:
        """Characters of a label along a side: what the figure has room for."""
        return looks.characters(min(self.figure.get_figheight(), _TALL))

    def _upright(self, words: str) -> str:
        """Words in lines that are no longer than the figure is high."""
        width = looks.characters(self.figure.get_figheight())
        return textwrap.fill(words.replace("\n", " "), width, break_on_hyphens=False)

    def say_what_is_missing(
        self, axes: "Axes", names: list[str], codes: np.ndarray, why: str | None = None
    ) -> None:
        """Name what has no point in one panel of several; the legend is of all of them.

        Parameters
        ----------
        names
            Of the lines.
        codes
            Reasons, a row for each line.
        why
            Takes the place of the reason.
        """
        lacking = (codes != Reason.FITS).all(axis=1)
        missing: dict[str, list[str]] = {}
        for name, row in zip(np.array(names)[lacking], codes[lacking], strict=True):
            missing.setdefault(why or words_of(row), []).append(str(name))
        if self.are_small and missing and not lacking.all():
            told = (f"{words}: {', '.join(listed)}" for words, listed in missing.items())
            words = textwrap.fill("; ".join(told), 34)
            placing.place_note(axes, words, size=looks.points(6.5))

    def set_legend(self) -> None:
        """Put one legend beside the panels, with every line that any of them has."""
        if not self.are_small:
            style.set_legend(self.axes[0], inside=self.among_others)
            return
        handles, words = style.told_in_legend(self.axes)
        if handles:
            look = {"frameon": False, "fontsize": looks.points(9), "handlelength": 2.6}
            self.figure.legend(handles, words, loc="outside right upper", **look)

    def set_colours(
        self,
        mappable: Any,
        label: str,
        values: np.ndarray,
        *,
        names: Mapping[float, str] | None = None,
    ) -> None:
        """Put one scale of colours beside the panels.

        Parameters
        ----------
        mappable
            What is coloured.
        label
            What the colours mean.
        values
            All that is shown.
        names
            Words of discrete colours, by their places on the scale.
        """
        look = {"aspect": 30, "shrink": 0.9} if self.are_small else {}
        if self.are_small:
            label = self._upright(label)
        colours = self.figure.colorbar(mappable, ax=list(self.axes), label=label, **look)
        if names is None:
            scales.number_colours(colours, values)
        else:
            colours.set_ticks([*names], labels=[*names.values()], minor=False)
            colours.minorticks_off()


def new_panels(
    dataset: xr.Dataset,
    *,
    rows: str | None = None,
    columns: str | None = None,
    title: str = "",
    ax: "Axes | None" = None,
    height: float = _TALL,
) -> Panels:
    """Return an empty panel for each value of up to two axes.

    Parameters
    ----------
    dataset
        A result.
    rows, columns
        Dimensions of which each value is a row or a column of panels; one alone is wrapped.
    title
        What is shown.
    ax
        Axes of the caller's, of which the only panel is made.
    height
        Height of a figure of one panel [inch].

    Raises
    ------
    InputError
        An unknown dimension, one for both, or more than :data:`MOST_PANELS` panels; panels beside
        ``ax``.
    """
    named = {key: dim for key, dim in (("rows", rows), ("columns", columns)) if dim is not None}
    if named and ax is not None:
        problem = f"holds one panel, and {' and '.join(named)} ask for several"
        remedy = f"leave out either ax or {' and '.join(named)}"
        raise InputError(problem, where="plot", key="ax", remedy=remedy)
    dims = list(named.values())
    _check(dataset, dims)
    if named:
        return _small_multiples(dataset, dims, _layout(dataset, rows, columns), title=title)
    figure, axes = style.one_panel(ax, height=height, title=title)
    return Panels(figure=figure, axes=(axes,), parts=(dataset,), among_others=ax is not None)


def _small_multiples(
    dataset: xr.Dataset, named: list[str], layout: tuple[int, int], *, title: str
) -> Panels:
    """Return a panel for each value of one axis, or of two: rows and columns."""
    across, down = layout
    more = _MORE if down == 1 and across <= 3 else 1.0
    size = {
        "width": max(style.WIDE, 1.6 + more * _PANEL_WIDE * across),
        "height": 1.0 + more * _PANEL_TALL * down,
    }
    shared = {"sharex": True, "sharey": True, "squeeze": False}
    figure, grid = style.new_figure(**size, several=True, nrows=down, ncols=across, **shared)
    places = [
        dict(zip(named, place, strict=True))
        for place in np.ndindex(*(dataset.sizes[name] for name in named))
    ]
    kept = tuple(grid.ravel()[: len(places)])
    for axes in grid.ravel()[len(places) :]:
        axes.remove()
    if len(named) == 2:
        _head(grid, dataset, rows=named[0], columns=named[1])
    else:
        for axes, name in zip(kept, style.names(dataset[named[0]]), strict=True):
            axes.set_title(name, fontsize=looks.points(9), loc="left")
    for place, axes in enumerate(kept):
        lowest = place + across >= len(kept)  # nothing below it: the last of its column
        axes.tick_params(labelsize=looks.points(8), **({"labelbottom": True} if lowest else {}))
    if title:
        width = looks.characters(figure.get_figwidth(), by_inch=9.4)
        words = textwrap.fill(title, width, break_on_hyphens=False)
        figure.suptitle(words, fontsize=looks.points(11), x=0.01, ha="left", gid=style.TITLE)
    parts = tuple(dataset.isel(place) for place in places)
    return Panels(figure=figure, axes=kept, parts=parts)


def _check(dataset: xr.Dataset, named: list[str]) -> None:
    for name in named:
        if name not in dataset.dims:
            known = [str(dim) for dim in dataset.dims]
            raise unknown_name("dimension", name, known, where="plot", key="panels")
    if len(set(named)) < len(named):
        raise InputError("is named for rows and for columns", where="plot", key=named[0])
    count = math.prod(dataset.sizes[name] for name in named)
    if count > MOST_PANELS:
        widest = max(named, key=lambda name: dataset.sizes[name])
        values = style.some_values(dataset[widest])
        remedy = f"keep fewer values, as `.sel({widest}=…)`; there are {values}"
        problem = f"makes {count} panels; at most {MOST_PANELS} can be read"
        raise InputError(problem, where="plot", key=" × ".join(named), remedy=remedy)


def _layout(dataset: xr.Dataset, rows: str | None, columns: str | None) -> tuple[int, int]:
    """Panels across and down."""
    if rows is not None and columns is not None:
        return dataset.sizes[columns], dataset.sizes[rows]
    if rows is not None:
        return 1, dataset.sizes[rows]
    count = dataset.sizes[columns]
    down = math.ceil(count / _IN_A_ROW)
    return math.ceil(count / down), down


def _head(grid: np.ndarray, dataset: xr.Dataset, *, rows: str, columns: str) -> None:
    """Write the values of the columns above and those of the rows at the right."""
    for axes, name in zip(grid[0], style.names(dataset[columns]), strict=True):
        axes.set_title(name, fontsize=looks.points(9))
    for axes, name in zip(grid[:, -1], style.names(dataset[rows]), strict=True):
        look = {"rotation": 270, "ha": "left", "va": "center", "fontsize": looks.points(9)}
        axes.text(1.03, 0.5, name, transform=axes.transAxes, **look)
