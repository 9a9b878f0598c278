"""A metric over two axes, with iso-lines and the regions in which different things bind."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat, Unpack

import xarray as xr

from jaxlimits.plot import scales, style
from jaxlimits.plot.colouring import is_discrete
from jaxlimits.plot.found import lacking_of, needed, panel_dims
from jaxlimits.plot.kind import kind
from jaxlimits.plot.maps import draw_map
from jaxlimits.plot.options import Layout

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    words = lacking_of(dataset, axes=2, asked=asked)
    of = asked.get("of", "utps")
    if words or of not in dataset or "quantile" not in dataset[of].dims:
        return words
    named = "quantile" in (asked.get(option) for option in ("x", "y", "rows", "columns"))
    return "" if named else f"{of} lies along quantiles, which are drawn as lines"


@kind(lacks=_lacks)
def heat_map(
    dataset: xr.Dataset,
    *,
    of: str = "utps",
    x: str | None = None,
    y: str | None = None,
    levels: Sequence[SupportsFloat] = (),
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw a metric over two axes, with iso-lines and the regions in which different things bind.

    Axes are logarithmic where the grid is geometric. Points that do not fit are hatched; where the
    result has ``limit``, the regions are parted and named.

    Parameters
    ----------
    x, y
        Axes across and up; by default the last two of the grid.

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
    of = needed(dataset, of)
    x, y = panel_dims(dataset[of], layout, x=x, y=y)
    found = () if is_discrete(dataset[of]) else scales.round_levels(style.shown(dataset[of]))
    asked = tuple(map(float, levels))
    return draw_map(dataset, x=x, y=y, of=of, levels=asked or found, **layout)
