"""``dataset.limits``: what can be asked of a result without leaving xarray.

Registered with xarray as soon as both it and this package are imported.
"""

import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import xarray as xr

from jaxlimits.errors import placed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@xr.register_dataset_accessor("limits")
class Limits:
    """Questions to a result.

    Every answer is a dataset or a figure; the result stays as it is.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("smoke")
    >>> float(ds.limits.best(maximise="stps", where="utps >= 100").batch_size.item())
    128.0
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def best(
        self,
        *,
        maximise: str | None = None,
        minimise: str | None = None,
        where: str | Sequence[str] = (),
        count: int = 1,
        also: str | Sequence[str] = (),
    ) -> xr.Dataset:
        """Return the best points that keep service targets, best first.

        Parameters
        ----------
        maximise, minimise
            The metric; one of the two.
        where
            A target, or several: ``"utps >= 50"``, ``"tpot <= 20 ms/token"``.
        count
            How many points.
        also
            Further metrics of them.

        Returns
        -------
        xarray.Dataset
            Along ``point``: coordinates by the names of the axes, and the metrics. Empty where no
            point keeps every target.

        Raises
        ------
        InputError
            As :func:`jaxlimits.best`.

        Examples
        --------
        >>> import jaxlimits as jl
        >>> ds = jl.sweep("paper")
        >>> top = ds.limits.best(maximise="stps_per_watt", where="utps >= 100", count=3)
        >>> top.sizes["point"], bool((top.utps >= 100).all())
        (3, True)
        """
        from jaxlimits.questions.best import best
        from jaxlimits.questions.question import ask

        asked = ask(maximise=maximise, minimise=minimise, where=where, count=count, also=also)
        return best(self._dataset, asked)

    def frontier(
        self,
        x: str = "utps",
        y: str = "stps",
        *,
        where: str | Sequence[str] = (),
        also: str | Sequence[str] = (),
    ) -> xr.Dataset:
        """Return the Pareto frontier of two maximised metrics.

        Parameters
        ----------
        x, y
            The metrics.
        where
            Targets that points keep, as in :meth:`best`.
        also
            Further metrics of them.

        Returns
        -------
        xarray.Dataset
            Along ``point``, in the order of ``x``.

        Raises
        ------
        InputError
            An unknown metric, one that the result lacks, a target that cannot be read.

        Examples
        --------
        >>> import jaxlimits as jl
        >>> front = jl.sweep("smoke").limits.frontier()
        >>> bool((front.utps.diff("point") > 0).all() and (front.stps.diff("point") < 0).all())
        True
        """
        from jaxlimits.questions.best import frontier
        from jaxlimits.questions.question import ask

        with placed("frontier"):
            question = ask(maximise=y, where=where, also=also)
        return frontier(self._dataset, question, against=x)

    def bottleneck(self, *by: str) -> xr.DataArray:
        """Return the share of points that memory, compute, sync and capacity bind.

        Parameters
        ----------
        *by
            Axes along which the shares are told apart.

        Raises
        ------
        InputError
            A result without ``limit``; an unknown axis.

        Examples
        --------
        >>> import jaxlimits as jl
        >>> shares = jl.sweep("smoke").limits.bottleneck("batch_size")
        >>> float(shares.sel(limit="capacity", batch_size=1))
        0.0
        """
        from jaxlimits.results.bottleneck import bottleneck

        return bottleneck(self._dataset, by=by)

    def nearest(self, **values: object) -> xr.Dataset:
        """Return the stored point that is nearest to values of metrics and axes.

        Parameters
        ----------
        **values
            By their names: numbers in SI units, or text with a unit. Nearness is one of ratios.

        Raises
        ------
        InputError
            An unknown name, a value that cannot be read, nothing that fits.

        Examples
        --------
        >>> import jaxlimits as jl
        >>> point = jl.sweep("smoke").limits.nearest(utps=200, seq_len=4096, sync_latency="1 us")
        >>> 180 < float(point.utps) < 220
        True
        """
        from jaxlimits.results.nearest import nearest

        return nearest(self._dataset, values)

    def reason(self, of: str = "utps") -> xr.DataArray:
        """Return why a variable has no value, point by point, as codes with their meanings.

        Whether the point fits, no request is stated, what a metric rests on is not, a target is not
        reached, the values exclude each other, or nothing was computed.

        Parameters
        ----------
        of
            The variable.

        Raises
        ------
        InputError
            The result lacks the variable.

        Examples
        --------
        >>> import jaxlimits as jl
        >>> codes = jl.sweep("paper").limits.reason("utps")
        >>> dict(zip(codes.flag_meanings.split(), codes.flag_values.tolist()))["does_not_fit"]
        1
        """
        from jaxlimits.errors import unknown_name
        from jaxlimits.results.reasons import reasons

        if of not in self._dataset:
            raise unknown_name("variable", of, map(str, self._dataset.data_vars), where="reason")
        return reasons(self._dataset, of)

    def with_scenario(self) -> xr.Dataset:
        """Return the result with what does not vary as coordinates without a dimension.

        So has every result, but those of shipped grids as they are, which have it as attributes;
        :func:`jaxlimits.join` joins results of both kinds.

        Examples
        --------
        >>> import jaxlimits as jl
        >>> jl.sweep("smoke").limits.with_scenario().chip.item()
        'h100'
        """
        from jaxlimits.questions.joining import with_scenario

        return with_scenario(self._dataset)

    def operators(self) -> xr.Dataset:
        """Return the operators of the points, computed from the scenario in the attributes.

        Raises
        ------
        InputError, ResultError
            As :func:`jaxlimits.operators_of`.

        Examples
        --------
        >>> import jaxlimits as jl
        >>> point = jl.sweep("smoke").isel(mem_bw=0, sync_latency=0, seq_len=0, batch_size=0)
        >>> parts = point.limits.operators()
        >>> str(parts.t_mem.idxmax("operator").item())
        'ffn'
        """
        from jaxlimits.points.labelled_operators import operators_of

        return operators_of(self._dataset)

    @property
    def plot(self) -> "Plots":
        """Figures of the result: the functions of :mod:`jaxlimits.plot`.

        Examples
        --------
        >>> import jaxlimits as jl
        >>> ds = jl.sweep("smoke").sel(seq_len=4096, batch_size=1)
        >>> figure = ds.limits.plot.heat_map(x="mem_bw", y="sync_latency")
        """
        return Plots(self._dataset)


class Plots:
    """Figures of one result; ``dataset.limits.plot.heat_map(...)``."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def __getattr__(self, name: str) -> "Callable[..., Figure]":
        from jaxlimits.errors import suggestion
        from jaxlimits.plot import registry

        if name not in registry.functions():
            remedy = suggestion(name, registry.functions())
            raise AttributeError(f"there is no figure {name!r}; {remedy}")
        return types.MethodType(registry.load(name), self._dataset)

    def __dir__(self) -> list[str]:
        from jaxlimits.plot import registry

        return list(registry.functions())
