"""Numbers in groups: a dot each, the median of each group marked and written."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits.plot import scales, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def strip(
    dataset: xr.Dataset,
    *,
    of: str,
    by: str,
    beside: str | None = None,
    reference: tuple[str, float] | None = None,
    write: Callable[[float], str] = scales.plain_number,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Figure":
    """Draw every number of a table as a dot, in a row for each group.

    Parameters
    ----------
    dataset
        A table: variables along one dimension, the groups' names among its coordinates.
    of
        The numbers; logarithmic where they span decades.
    by
        The coordinate that names the group of each.
    beside
        Further numbers, drawn as hollow diamonds behind the dots.
    reference
        Words and place of a line to compare with.
    write
        How a median is written.
    title
        What is shown.
    ax
        Axes of the caller's to draw into.

    Returns
    -------
    Figure
        Groups in the order of their medians; one without a number says so.
    """
    values, groups = dataset[of].to_numpy(), dataset[by].to_numpy().astype(str)
    names = _in_order(values, groups)
    figure, axes = style.one_panel(ax, height=1.5 + 0.3 * len(names))
    for place, name in enumerate(names):
        here = dataset.isel({dataset[of].dims[0]: groups == name})
        _draw_group(axes, here, place, of=of, beside=beside, write=write)
    scales.scale_by_values(axes, "x", values)
    if reference is not None:
        _draw_reference(axes, *reference)
    axes.text(1.01, 1.01, "median  (rows)", transform=axes.transAxes, va="bottom", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(style.label(dataset[of], width=70))
    axes.grid(axis="x", which="major", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    style.set_title(axes, title, pad=20.0)
    _explain(axes, inside=ax is not None)
    return figure


def _draw_group(
    axes: "Axes",
    here: xr.Dataset,
    place: int,
    *,
    of: str,
    beside: str | None,
    write: Callable[[float], str],
) -> None:
    """Draw the numbers of one group in its row, and write their median in the margin."""
    values = here[of].to_numpy()
    values = values[np.isfinite(values)]
    margin = axes.get_yaxis_transform()
    if not len(values):
        axes.text(0.01, place, "no answer", transform=margin, **_QUIET)
        return
    if beside is not None:
        other = here[beside].to_numpy()
        axes.plot(other, np.full(len(other), place), label=_words(here, beside), **_BESIDE)
    axes.plot(values, np.full(len(values), place), label=_words(here, of), **_DOT)
    middle = float(np.median(values))
    axes.plot([middle], [place], label="median", **_MEDIAN)
    axes.text(1.01, place, f"{write(middle)}  ({len(values)})", transform=margin, **_MARGIN)


def _draw_reference(axes: "Axes", words: str, at: float) -> None:
    """Draw a line to compare with, its words above it and clear of the heading of the medians."""
    axes.axvline(at, color="black", linewidth=1.2, zorder=1)
    across, _ = axes.transLimits.transform((axes.transScale.transform((at, 0.0))[0], 0.0))
    side = "right" if across > 0.8 else "center"
    axes.text(
        at, 1.01, words, fontsize=8, transform=axes.get_xaxis_transform(), ha=side, va="bottom"
    )


_DOT = {"linestyle": "none", "marker": "o", "color": "#0072B2", "alpha": 0.65, "markersize": 5.5}
_BESIDE = {
    "linestyle": "none", "marker": "D", "markerfacecolor": "none", "color": "#D55E00",
    "markersize": 5.0, "markeredgewidth": 0.9, "zorder": 1.5,
}  # fmt: skip
_MEDIAN = {
    "linestyle": "none", "marker": "|", "color": "black", "markersize": 15, "markeredgewidth": 2.2,
    "zorder": 4,
}  # fmt: skip
_MARGIN = {"ha": "left", "va": "center", "fontsize": 8}
_QUIET = {"ha": "left", "va": "center", "fontsize": 8, "color": "0.4"}


def _in_order(values: np.ndarray, groups: np.ndarray) -> list[str]:
    """Groups by their medians, the largest first; those without a number last."""
    medians = {}
    for name in dict.fromkeys(groups.tolist()):
        here = values[(groups == name) & np.isfinite(values)]
        medians[name] = np.median(here) if len(here) else -np.inf
    return sorted(medians, key=lambda name: -medians[name])


def _words(dataset: xr.Dataset, name: str) -> str:
    return str(dataset[name].attrs.get("short_name", name))


def _explain(axes: "Axes", *, inside: bool) -> None:
    """Say once what each mark is: below the axes, or inside where others may stand below."""
    handles, words = axes.get_legend_handles_labels()
    marks = dict(zip(words, handles, strict=True))
    look = {"frameon": False, "fontsize": 8, "handletextpad": 0.2}
    if marks and inside:
        axes.legend([*marks.values()], [*marks], loc="best", **look)
    elif marks:
        look |= {"loc": "outside lower center", "ncols": len(marks)}
        axes.figure.legend([*marks.values()], [*marks], **look)
