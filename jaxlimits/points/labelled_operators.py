"""The operators of a point, labelled: what each computes and reads, under which roofs.

Results do not hold operators, only sums over them. Their attributes hold the scenario, from which
the points that are asked for are evaluated again.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.catalog.loader import Catalog
from jaxlimits.engine.take_apart import take_apart
from jaxlimits.errors import InputError, placed
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.scenario import Scenario, bind
from jaxlimits.grid.spec import GridSpec
from jaxlimits.model.anatomy import Anatomy, Part, Roofs
from jaxlimits.model.chip import Chip
from jaxlimits.model.fields import quantities
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import Metrics
from jaxlimits.points.named_point import point_scenario
from jaxlimits.store.provenance import recorded_spec
from jaxlimits.store.template import axis_coordinates, output_attributes, quantity_attributes

MOST_POINTS = 64
"""Points of a result that are taken apart at once: each is a panel, or a machine in one."""

_OF_THE_STEP = ("t_step", "t_sync", "utps", "limit", "feasible")


@placed("operators")
def operators(
    llm: str | LLM,
    chip: str | Chip,
    *,
    catalog: Catalog | None = None,
    **settings: object,
) -> xr.Dataset:
    """Take one decode step apart into its operators, in float64.

    Parameters
    ----------
    llm, chip, catalog, **settings
        As for :func:`jaxlimits.evaluate`.

    Returns
    -------
    xarray.Dataset
        Along ``operator`` what one chip, the one that has most to do, computes and reads and how
        long each takes; beside it the chip's peaks, and the time of the step.

    Raises
    ------
    InputError
        An unknown name, a value that its field cannot take.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> parts = jl.operators("llama3-405b", "h200", tp_size=8, batch_size=16, seq_len=32768)
    >>> share = parts.t_mem / parts.t_mem.sum()
    >>> round(float(share.sel(operator="ffn")), 2)
    0.7
    """
    scenario = point_scenario(llm, chip, dict(settings), catalog=catalog)
    check_scenario(scenario)
    names = [str(each) for each in (llm, chip) if isinstance(each, str)]
    stated = [f"{name} {value}" for name, value in settings.items()]
    return operators_at(scenario).assign_attrs(title=", ".join([*names, *stated]))


@placed("operators_of")
def operators_of(result: xr.Dataset) -> xr.Dataset:
    """Take the steps of a stored result apart.

    Parameters
    ----------
    result
        A result, or a selection of its points; whatever axes are left are axes of what is returned.

    Returns
    -------
    xarray.Dataset
        As :func:`operators`, along the axes of the result that have several values.

    Raises
    ------
    InputError
        An axis of its grid that the result lacks, or too many points.
    ResultError
        The result does not say how it was made.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> points = jl.sweep("smoke").sel(seq_len=4096, batch_size=[1, 64]).isel(mem_bw=0)
    >>> dict(jl.operators_of(points.isel(sync_latency=0)).sizes)["batch_size"]
    2
    """
    spec = recorded_spec(result.attrs, where=str(result.encoding.get("source", "the result")))
    axes = [_kept(axis, result) for axis in spec.axes]
    shape = [len(axis) for axis in axes]
    if np.prod(shape) > MOST_POINTS:
        widest = axes[int(np.argmax(shape))]
        remedy = f"keep fewer, as `.sel({widest.name}={widest.values[0]})`"
        problem = f"{int(np.prod(shape)):,} points; at most {MOST_POINTS} are taken apart at once"
        raise InputError(problem, remedy=remedy)
    points = [operators_at(scenario) for scenario in _points(spec, axes)]
    names = dict.fromkeys(name for point in points for name in point.operator.values.tolist())
    points = [point.reindex(operator=list(names)) for point in points]
    for axis in reversed([axis for axis in axes if len(axis) > 1]):
        names, values, attributes = axis_coordinates(axis)[axis.name]
        along = xr.DataArray(values, dims=names, name=axis.name, attrs=attributes)
        size = len(axis)
        groups = [points[start : start + size] for start in range(0, len(points), size)]
        points = [_joined(group, along) for group in groups]
    return points[0].assign_attrs(title=str(result.attrs.get("title", "")))


def _joined(parts: Sequence[xr.Dataset], along: xr.DataArray) -> xr.Dataset:
    options: dict[str, Any] = {"data_vars": "all", "coords": "minimal", "combine_attrs": "override"}
    return xr.concat(parts, along, join="exact", compat="override", **options)


def _kept(axis: Axis, result: xr.Dataset) -> Axis:
    """The values of an axis that a selection has left."""
    if axis.name not in result.coords:
        remedy = "sweep a grid that keeps this axis"
        raise InputError("is not an axis of the result", key=axis.name, remedy=remedy)
    left = np.atleast_1d(result[axis.name].to_numpy()).tolist()
    places = [place for place, value in enumerate(axis.values) if value in left]
    linked = {name: _at(values, places) for name, values in axis.linked.items()}
    return dataclasses.replace(axis, values=_at(axis.values, places), linked=linked)


def _at(values: tuple, places: Sequence[int]) -> tuple:
    return tuple(values[place] for place in places)


def _points(spec: GridSpec, axes: Sequence[Axis]) -> Iterator[Scenario]:
    """Every point, the last axis fastest."""
    for key in itertools.product(*(range(len(axis)) for axis in axes)):
        chosen = (
            dataclasses.replace(
                axis,
                values=_at(axis.values, [place]),
                linked={name: _at(values, [place]) for name, values in axis.linked.items()},
            )
            for axis, place in zip(axes, key, strict=True)
        )
        yield bind(dataclasses.replace(spec, axes=tuple(chosen)))


def operators_at(scenario: Scenario) -> xr.Dataset:
    """Take the step of one resolved point apart, as :func:`operators`.

    Parameters
    ----------
    scenario
        One point: every axis that it has is of one value.
    """
    anatomy, metrics = take_apart(scenario)
    return xr.Dataset(
        {**_parts(anatomy), **_roofs(anatomy), **_whole(metrics)},
        {"operator": ("operator", list(anatomy.names), {"long_name": "operator"})},
    )


def _parts(anatomy: Anatomy) -> dict[str, tuple]:
    return {
        name: (
            "operator",
            np.array([getattr(part, name) for part in anatomy.parts]),
            quantity_attributes(info),
        )
        for name, info in quantities(Part).items()
    }


def _roofs(anatomy: Anatomy) -> dict[str, tuple]:
    return {
        name: ((), getattr(anatomy.roofs, name), quantity_attributes(info))
        for name, info in quantities(Roofs).items()
    }


def _whole(metrics: Metrics) -> dict[str, tuple]:
    """What the model says of the step; codes as they are stored."""
    return {
        name: (
            (),
            np.int8(value) if schema.is_code(name) else value,
            output_attributes(name),
        )
        for name, value in vars(metrics).items()
        if name in _OF_THE_STEP
    }
