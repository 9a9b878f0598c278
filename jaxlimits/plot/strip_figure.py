"""Numbers in groups: a dot each, the median of each group marked and written."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import xarray as xr

from jaxlimits.plot import looks, scales, style
from jaxlimits.plot.found import needed
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_USUAL = {"achieved": "predicted", "ratio": None}
"""Numbers that are drawn where none are named, and what is drawn beside them."""


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    of, by = asked.get("of") or _usual(dataset), asked.get("by", "group")
    if of not in dataset.data_vars or dataset[of].ndim < 1:
        return "the result has no rows of measurements, as `compare` and `calibrate` write them"
    return "" if by in dataset.coords else f"the result has no {by} of each row"


def _usual(dataset: xr.Dataset) -> str:
    return next((name for name in _USUAL if name in dataset.data_vars), "")


@kind(lacks=_lacks)
def strip(
    dataset: xr.Dataset,
    *,
    of: str | None = None,
    by: str = "group",
    beside: str | None = None,
    reference: tuple[str, float] | None = None,
    write: Callable[[float], str] = "{:.3g}".format,
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw every number of a table as a dot, in a row for each group, with the median of each.

    Parameters
    ----------
    dataset
        What ``compare`` or ``calibrate`` wrote; any table whose variables lie along one dimension,
        with the groups' names among its coordinates.
    of
        The numbers, logarithmic where they span decades; by default shares of the limit.
    by
        The coordinate that names the group of each.
    beside
        Further numbers, drawn as hollow diamonds behind the dots; without ``of``, the
        predicted shares.
    reference
        Words and place of a line to compare with; by default found from the table.
    write
        How a median is written.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> figure = jl.plot.strip(jl.compare("static_batch"))
    >>> figure.axes[0].get_xlabel()
    'achieved share of the limit (achieved)'
    """
    if of is None:
        of = needed(dataset, _usual(dataset))
        other = beside or _USUAL[of]
        beside = other if other in dataset.data_vars else None
    if reference is None and "reference" in dataset[of].attrs:
        reference = (str(dataset[of].attrs["reference"]), 1.0)
    values, groups = xr.broadcast(dataset[of], dataset[by])
    names = _in_order(values.to_numpy().ravel(), groups.to_numpy().astype(str).ravel())
    layout = Layout(**layout)
    title = layout.pop("title", "")
    panels = new_panels(dataset, height=1.5 + 0.3 * len(names), **layout)
    for axes, part in panels:
        groups = part[by].to_numpy().astype(str)
        for place, name in enumerate(names):
            here = part.isel({part[of].dims[0]: groups == name})
            _draw_group(axes, here, place, of=of, beside=beside, write=write)
        if reference is not None:
            _draw_reference(axes, *reference)
        axes.text(
            1.01,
            1.01,
            "median  (rows)",
            transform=axes.transAxes,
            va="bottom",
            fontsize=looks.points(8),
        )
        axes.set_yticks(range(len(names)), names, fontsize=panels.text_size)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(axis="x", which="major", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
    scales.scale_by_values(panels.axes[0], "x", dataset[of].to_numpy().ravel())
    panels.label(style.label(dataset[of], width=looks.characters(6.7)), "")
    style.set_title(panels.axes[0], title, pad=20.0)
    _explain(panels.axes[0], inside=panels.among_others)
    return panels.figure


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
        axes.text(0.01, place, "no answer", transform=margin, fontsize=looks.points(8), **_QUIET)
        return
    if beside is not None:
        other = here[beside].to_numpy()
        axes.plot(other, np.full(len(other), place), label=_words(here, beside), **_BESIDE)
    axes.plot(values, np.full(len(values), place), label=_words(here, of), **_DOT)
    middle = float(np.median(values))
    axes.plot([middle], [place], label="median", **_MEDIAN)
    axes.text(
        1.01,
        place,
        f"{write(middle)}  ({len(values)})",
        transform=margin,
        fontsize=looks.points(8),
        **_MARGIN,
    )


def _draw_reference(axes: "Axes", words: str, at: float) -> None:
    """Draw a line to compare with, its words above it and clear of the heading of the medians."""
    axes.axvline(at, color="black", linewidth=1.2, zorder=1)
    across, _ = axes.transLimits.transform((axes.transScale.transform((at, 0.0))[0], 0.0))
    side = "right" if across > 0.8 else "center"
    axes.text(
        at,
        1.01,
        words,
        fontsize=looks.points(8),
        transform=axes.get_xaxis_transform(),
        ha=side,
        va="bottom",
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
_MARGIN: dict[str, Any] = {"ha": "left", "va": "center"}
_QUIET: dict[str, Any] = {"ha": "left", "va": "center", "color": "0.4"}


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
    look = {"frameon": False, "fontsize": looks.points(8), "handletextpad": 0.2}
    if marks and inside:
        axes.legend([*marks.values()], [*marks], loc="best", **look)
    elif marks:
        look |= {"loc": "outside lower center", "ncols": len(marks)}
        axes.figure.legend([*marks.values()], [*marks], **look)
