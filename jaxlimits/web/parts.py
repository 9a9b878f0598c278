"""What a result is made of: maps over its axes, lists of winners, histograms, single numbers."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from jaxlimits.results.indices import measured_metrics
from jaxlimits.results.records import RECORDS, WAY

_CHARTS = {"_point": "frontier", "_bin": "histogram"}
"""How what lies along a reduction's own dimension is drawn, by its ending; else it is a table."""

_TITLES = {"bars": "what each uncertain input does", "design": "the best design"}
"""What is shown, where that is not said by axes."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Variables that are shown together.

    Parameters
    ----------
    kind
        ``map``, ``line``, ``bands``, ``bars``, ``table``, ``frontier``, ``histogram``, ``design``,
        ``records`` or ``numbers``.
    data
        The variables, along the same dimensions.
    own
        The dimension of the reduction's own, if there is one.
    """

    kind: str
    data: xr.Dataset
    own: str = ""

    @property
    def title(self) -> str:
        """What is shown, in words."""
        dims = [str(dim) for dim in self.data.sizes]
        if self.kind in _TITLES:
            return _TITLES[self.kind]
        if self.own:
            return self.own.rpartition("_")[0]
        return f"over {' × '.join(dims)}" if dims else "single numbers"


def parts_of(dataset: xr.Dataset) -> Iterator[Part]:
    """Yield the parts of a result: its answer first, then those over its axes."""
    dataset = dataset.drop_dims(WAY, errors="ignore")  # ways of searches are drawn, not listed
    squeezed = dataset.squeeze([d for d, n in dataset.sizes.items() if n == 1 and d not in RECORDS])
    if measured_metrics(squeezed):
        yield Part(kind="bars", data=squeezed)
        along = {"input", "other_input"}
        told = [name for name, each in squeezed.data_vars.items() if along & {*each.dims}]
        squeezed = squeezed.drop_vars(told)
    elif "objective" in dataset.attrs:
        yield Part(kind="design", data=squeezed)
        if not squeezed.sizes:
            return
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, variable in squeezed.data_vars.items():
        groups.setdefault(tuple(map(str, variable.dims)), []).append(str(name))
    for dims, names in sorted(groups.items(), key=lambda group: -len(group[0])):
        yield from _parts(squeezed, dims, names)


def _parts(dataset: xr.Dataset, dims: tuple[str, ...], names: list[str]) -> Iterator[Part]:
    own = next((dim for dim in dims if _kind(dim, dataset)), "")
    numeric = [name for name in names if dataset[name].dtype.kind in "fiu"]
    if own and len(dims) == 1:
        kind = _kind(own, dataset)
        found = dataset[names]
        yield Part(kind=kind if len(numeric) >= (2 if kind == "frontier" else 1) else "table",
                   data=found, own=own)  # fmt: skip
    elif not dims:
        yield Part(kind="numbers", data=dataset[names])
    elif dims[0] in RECORDS and len(dims) == 1:
        yield Part(kind="records", data=dataset[names], own=f"{dims[0]}s_")
    elif len(dims) == 1:
        is_drawn = numeric and "metric" not in dims  # metrics have no values to compare
        yield Part(kind="line" if is_drawn else "table", data=dataset[names])
    elif len(dims) == 2 and "quantile" in dims:
        yield Part(kind="bands", data=dataset[numeric])
    elif numeric:
        yield Part(kind="map", data=dataset[numeric])


def _kind(dim: str, dataset: xr.Dataset) -> str:
    """How a dimension of a reduction is shown; nothing where it is an axis of the grid."""
    chart = next((kind for suffix, kind in _CHARTS.items() if dim.endswith(suffix)), "")
    if dim in dataset.coords and "display_unit" in dataset[dim].attrs and chart != "histogram":
        return ""
    # A reduction's own dimension is named after its variable; a frontier has one for each metric.
    named = (str(name) for name, found in dataset.data_vars.items() if dim in found.dims)
    own = any(dim.startswith(f"{name}_") for name in named)
    return chart or ("table" if own else "")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Thinned:
    """A dataset of bounded size, and what was left out of it, in words."""

    data: xr.Dataset
    words: str


def thinned(dataset: xr.Dataset, *, values: int) -> Thinned:
    """Keep every second, fourth … value along the longest axes until so many numbers are left."""
    sizes = {str(dim): length for dim, length in dataset.sizes.items()}
    steps = dict.fromkeys(sizes, 1)

    def left() -> int:
        return len(dataset.data_vars) * int(
            np.prod([-(-length // steps[dim]) for dim, length in sizes.items()])
        )

    while left() > values:
        longest = max(sizes, key=lambda dim: -(-sizes[dim] // steps[dim]))
        steps[longest] *= 2
    cut = {dim: step for dim, step in steps.items() if step > 1}
    kept = dataset.isel({dim: slice(None, None, step) for dim, step in cut.items()})
    return Thinned(data=kept, words=_thinning(cut, sizes))


def _thinning(cut: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    if not cut:
        return ""
    told = ", ".join(f"one in {step} of the {sizes[dim]:,} of {dim}" for dim, step in cut.items())
    return f"Thinned to keep this file small: {told}. The result itself has every value."
