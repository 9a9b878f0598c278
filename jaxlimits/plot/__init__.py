"""Figures of results: ``jl.plot``, ``dataset.limits.plot`` and ``jaxlimits plot`` draw these.

Each function takes a dataset: a sweep's, a file's as :func:`jaxlimits.open` gives it, or a
selection of one. It finds the metrics and axes that are not named and returns a matplotlib figure,
which notebooks show and ``figure.savefig("map.svg")`` writes. ``rows`` and ``columns`` name further
axes, of which each value is a row or a column of panels on shared scales; ``ax`` is an Axes of the
caller's to draw into; a title that is left out says which values are fixed. An axis of one value
needs no mention.

They need ``pip install 'jaxlimits[plot]'``; matplotlib is imported when one is drawn.

Examples
--------
>>> import jaxlimits as jl
>>> ds = jl.sweep("smoke").sel(seq_len=4096, batch_size=1)
>>> figure = jl.plot.heat_map(ds, x="mem_bw", y="sync_latency")
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from jaxlimits.errors import suggestion
from jaxlimits.plot import registry
from jaxlimits.plot.registry import draw as draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jaxlimits.plot.prepared import cells as cells
    from jaxlimits.plot.prepared import ranges as ranges
    from jaxlimits.plot.style import require_backend as require_backend
    from jaxlimits.plot.style import save as save

_BESIDE = {
    "cells": "prepared",
    "ranges": "prepared",
    "require_backend": "style",
    "save": "style",
}
"""Modules of what the package offers beside the kinds of figures."""


def __getattr__(name: str) -> "Callable[..., Figure]":
    """Import what is asked for on first use: the registry must answer before xarray is there."""
    if name in _BESIDE:
        found = getattr(importlib.import_module(f"{__name__}.{_BESIDE[name]}"), name)
    elif name in registry.functions():
        found = registry.load(name)
    elif name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        remedy = suggestion(name, registry.functions())
        raise AttributeError(f"there is no figure {name!r}; {remedy}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(["draw", *_BESIDE, *registry.functions()])
