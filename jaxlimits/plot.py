"""Figures of results, by kind: what ``jaxlimits plot`` draws, from Python.

Each function takes a dataset: a sweep's, a file's as :func:`jaxlimits.open` gives it, or a
selection of one. It finds the metrics and axes that are not named and returns a matplotlib figure,
which notebooks show and ``figure.savefig("map.svg")`` writes. ``rows`` and ``columns`` name further
axes, of which each value is a row or a column of panels on shared scales; a title that is left out
says which values are fixed. An axis of one value needs no mention.

They need ``pip install 'jaxlimits[plot]'``; matplotlib is imported when one is drawn.

Examples
--------
>>> import jaxlimits as jl
>>> ds = jl.sweep("smoke").sel(seq_len=4096, batch_size=1)
>>> figure = jl.plot.heat_map(ds, x="mem_bw", y="sync_latency")
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat

import xarray as xr

from jaxlimits import plots
from jaxlimits.plots import kinds
from jaxlimits.points.labelled_operators import operators_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("heat_map", "lines", "frontier", "breakdown", "capacity", "elasticities", "roofline")
"""The functions of this module, one for each kind of figure."""


def draw(dataset: xr.Dataset, kind: str, *, where: str = "plot", **request: Any) -> "Figure":
    """Draw a figure by the name of its kind.

    Parameters
    ----------
    dataset
        A result.
    kind
        ``"heat-map"``, ``"lines"``, ``"frontier"``, ``"breakdown"``, ``"capacity"``,
        ``"elasticities"`` or ``"roofline"``.
    where
        What to name in an error about the result.
    **request
        ``x``, ``y``, ``of``, ``by``, ``levels``, ``rows``, ``columns``, ``title``, as the function
        of the kind has them.

    Raises
    ------
    InputError
        An unknown kind, dimension or variable, with the nearest names; a dimension that is left
        over; more panels than can be read; matplotlib is not installed.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("smoke").sel(seq_len=4096, batch_size=1)
    >>> figure = jl.plot.draw(ds, "heat-map", x="mem_bw", y="sync_latency")
    """
    plots.require_backend()
    if kind == "roofline" and "operator" not in dataset.dims:
        dataset = operators_of(dataset, where=where)
    return kinds.draw(dataset, kind, kinds.Request(**request))


def heat_map(
    dataset: xr.Dataset,
    *,
    of: str = "utps",
    x: str | None = None,
    y: str | None = None,
    levels: Sequence[SupportsFloat] = (),
    rows: str | None = None,
    columns: str | None = None,
    title: str = "",
) -> "Figure":
    """Draw a metric over two axes, with iso-lines and the regions in which different things bind.

    Parameters
    ----------
    dataset
        A result.
    of
        The metric.
    x, y
        Axes of the grid; its last two where left out.
    levels
        Values at which iso-lines are drawn, in the unit in which the metric is shown; round ones
        where left out.
    rows, columns, title
        As :mod:`jaxlimits.plot` says.

    Raises
    ------
    InputError
        As :func:`draw`.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("smoke").sel(batch_size=[1, 64], seq_len=4096)
    >>> figure = jl.plot.heat_map(
    ...     ds, x="mem_bw", y="sync_latency", levels=[50, 100, 200], columns="batch_size"
    ... )
    >>> figure.axes[0].get_title(loc="left")
    'batch_size 1'
    """
    asked = {"of": of, "x": x, "y": y, "levels": tuple(map(float, levels))}
    return draw(dataset, "heat-map", **asked, rows=rows, columns=columns, title=title)


def lines(
    dataset: xr.Dataset,
    *,
    of: str = "utps",
    x: str | None = None,
    by: str | None = None,
    rows: str | None = None,
    columns: str | None = None,
    title: str = "",
) -> "Figure":
    """Draw a metric along one axis, a line for each value of another.

    Parameters
    ----------
    dataset
        A result.
    of
        The metric.
    x, by
        The axis across, and that of the lines; the last two of the grid where left out.
    rows, columns, title
        As :mod:`jaxlimits.plot` says.

    Raises
    ------
    InputError
        As :func:`draw`.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("smoke").sel(seq_len=4096, batch_size=1)
    >>> figure = jl.plot.lines(ds, x="mem_bw", by="sync_latency")
    >>> len(figure.axes[0].get_lines())
    10
    """
    return draw(dataset, "lines", of=of, x=x, by=by, rows=rows, columns=columns, title=title)


def frontier(
    dataset: xr.Dataset,
    *,
    x: str = "utps",
    y: str = "stps",
    by: str | None = None,
    rows: str | None = None,
    columns: str | None = None,
    title: str = "",
) -> "Figure":
    """Draw what can be had of two metrics at once, a line for each machine.

    Parameters
    ----------
    dataset
        A result; every axis but ``by`` and those of the panels is searched.
    x, y
        Metrics of which more is better.
    by
        One frontier for each of its values; ``chip`` where the result has it.
    rows, columns, title
        As :mod:`jaxlimits.plot` says.

    Raises
    ------
    InputError
        As :func:`draw`.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> figure = jl.plot.frontier(jl.sweep("smoke"), by="seq_len")
    >>> figure.axes[0].get_ylabel().startswith("tokens per second of the system")
    True
    """
    return draw(dataset, "frontier", x=x, y=y, by=by, rows=rows, columns=columns, title=title)


def breakdown(
    dataset: xr.Dataset,
    *,
    x: str | None = None,
    rows: str | None = None,
    columns: str | None = None,
    title: str = "",
) -> "Figure":
    """Draw the time of a step as bars, stacked of memory, compute beyond it, and synchronisation.

    Parameters
    ----------
    dataset
        A result with ``t_mem``, ``t_compute`` and ``t_sync``.
    x
        A bar for each of its values; the last axis where left out.
    rows, columns, title
        As :mod:`jaxlimits.plot` says.

    Raises
    ------
    InputError
        As :func:`draw`.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("top_speed").sel(llm="llama3-405b", seq_len=4096)
    >>> figure = jl.plot.breakdown(ds, x="chip", columns="tp_size")
    >>> len(figure.axes)
    3
    """
    return draw(dataset, "breakdown", x=x, rows=rows, columns=columns, title=title)


def capacity(
    dataset: xr.Dataset,
    *,
    x: str = "seq_len",
    y: str = "batch_size",
    levels: Sequence[SupportsFloat] = (),
    rows: str | None = None,
    columns: str | None = None,
    title: str = "",
) -> "Figure":
    """Draw how full the memory is over context and batch; hatched beyond what there is.

    Parameters
    ----------
    dataset
        A result with ``capacity_utilisation``.
    x, y
        Axes of the grid.
    levels
        Shares at which iso-lines are drawn; the quarters and 0.9 where left out.
    rows, columns, title
        As :mod:`jaxlimits.plot` says.

    Raises
    ------
    InputError
        As :func:`draw`.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("smoke").isel(mem_bw=0, sync_latency=0)
    >>> figure = jl.plot.capacity(ds)
    >>> any(text.get_text() == "does not fit" for text in figure.axes[0].texts)
    True
    """
    asked = {"x": x, "y": y, "levels": tuple(map(float, levels))}
    return draw(dataset, "capacity", **asked, rows=rows, columns=columns, title=title)


def elasticities(
    dataset: xr.Dataset,
    *,
    of: str = "utps",
    x: str | None = None,
    y: str | None = None,
    rows: str | None = None,
    columns: str | None = None,
    title: str = "",
) -> "Figure":
    """Draw by how many percent a metric answers to one percent of a field, over two axes.

    Parameters
    ----------
    dataset
        A result with elasticities, as ``elasticities = ["mem_bw", "sync_latency"]`` in a grid asks
        for.
    of
        A metric, of which every elasticity is drawn, or the name of one elasticity.
    x, y
        Axes of the grid; its last two where left out.
    rows, columns, title
        As :mod:`jaxlimits.plot` says; several elasticities take the columns, or else the rows.

    Raises
    ------
    InputError
        As :func:`draw`; a result without elasticities of the metric.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("more_bandwidth").sel(llm="llama3-405b", seq_len=4096, batch_size=1)
    >>> figure = jl.plot.elasticities(ds, x="mem_bw", y="tp_size")
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['by mem_bw (+)', 'by sync_latency (−)']
    """
    asked = {"of": of, "x": x, "y": y}
    return draw(dataset, "elasticities", **asked, rows=rows, columns=columns, title=title)


def roofline(
    dataset: xr.Dataset,
    *,
    rows: str | None = None,
    columns: str | None = None,
    title: str = "",
) -> "Figure":
    """Draw the operators of a step under one chip's roofs, and what synchronisation leaves.

    Parameters
    ----------
    dataset
        Operators, as :func:`jaxlimits.operators` gives them, or one point of a result, whose
        operators are then computed from the scenario in its attributes.
    rows, columns, title
        As :mod:`jaxlimits.plot` says.

    Raises
    ------
    InputError
        As :func:`draw`.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> parts = jl.operators("deepseek-v3", "h200", tp_size=16, batch_size=64)
    >>> figure = jl.plot.roofline(parts)
    >>> figure.axes[0].get_xlabel()
    'arithmetic intensity [FLOP/B]'
    """
    return draw(dataset, "roofline", rows=rows, columns=columns, title=title)
