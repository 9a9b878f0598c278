"""How full the memory is."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat, Unpack

import xarray as xr

from jaxlimits.plot.found import lacking, needed, panel_dims
from jaxlimits.plot.kind import kind
from jaxlimits.plot.maps import draw_map
from jaxlimits.plot.options import Layout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVELS = (0.25, 0.5, 0.75, 0.9)


def _lacks(dataset: xr.Dataset, asked: Mapping[str, Any]) -> str:
    return lacking(dataset, "capacity_utilisation", axes=2, asked=asked)


@kind(lacks=_lacks)
def capacity(
    dataset: xr.Dataset,
    *,
    x: str = "seq_len",
    y: str = "batch_size",
    levels: Sequence[SupportsFloat] = (),
    **layout: Unpack[Layout],
) -> "Figure":
    """Draw how full the memory is over context and batch; hatched beyond what there is.

    Parameters
    ----------
    dataset
        A result with ``capacity_utilisation``.
    levels
        Shares at which iso-lines are drawn; by default the quarters and 0.9.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("smoke").isel(mem_bw=0, sync_latency=0)
    >>> figure = jl.plot.capacity(ds)
    >>> any(text.get_text() == "does not fit" for text in figure.axes[0].texts)
    True
    """
    of = needed(dataset, "capacity_utilisation")
    x, y = panel_dims(dataset[of], layout, x=x, y=y)
    shown = dataset[[of]].where(dataset[of] <= 1.0)
    asked = tuple(map(float, levels))
    return draw_map(shown, x=x, y=y, of=of, levels=asked or _LEVELS, **layout)
