"""Joining results: what does not vary in each becomes a coordinate that the joined one keeps."""

import json
from collections.abc import Iterable, Sequence

import xarray as xr

from jaxlimits import schema
from jaxlimits.errors import InputError, placed
from jaxlimits.store.answers import single_coordinates


def with_scenario(dataset: xr.Dataset, names: Iterable[str] = ()) -> xr.Dataset:
    """Return a result that has what does not vary as coordinates without a dimension.

    Results of shipped grids as they are have it as attributes, which joining drops.

    Parameters
    ----------
    dataset
        A result.
    names
        Further fields and switches to take from its scenario, which has every one of them.
    """
    own = {str(name): value for name, value in dataset.attrs.items() if _may_be_fixed(str(name))}
    every = json.loads(str(dataset.attrs.get("scenario", "{}")))
    found = {**{name: every[name] for name in names if name in every}, **own}
    taken = {*dataset.variables, *dataset.dims}
    new = {name: value for name, value in found.items() if name not in taken}
    kept = {name: value for name, value in dataset.attrs.items() if name not in own}
    whole = dataset.assign_coords(single_coordinates(new))
    whole.attrs = kept
    return whole


@placed("join")
def join(results: Sequence[xr.Dataset], along: str = "result") -> xr.Dataset:
    """Join results along a new dimension; each keeps which model, chip and sizes it is of.

    Parameters
    ----------
    results
        Results over the same axes, of the same outputs.
    along
        Name of the dimension.

    Returns
    -------
    xarray.Dataset
        What differs between the results, as ``chip`` or ``tp_size``, is a coordinate along the new
        dimension, also what one of them sets and another has at its default; what is the same in
        all has no dimension. Attributes that differ are left out.

    Raises
    ------
    InputError
        No result; what varies along an axis in one of them and not in another.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> plain = jl.sweep("smoke")
    >>> both = jl.join([plain, jl.sweep("smoke", overrides={"chip": "h200"})])
    >>> both.chip.values.tolist()
    ['h100', 'h200']
    """
    if not results:
        raise InputError("names no result", key="results")
    whole = [with_scenario(each) for each in results]
    names = dict.fromkeys(str(n) for each in whole for n, v in each.coords.items() if not v.ndim)
    whole = [with_scenario(each, names) for each in whole]
    _refuse_other_axes(whole)
    return xr.concat(
        whole,
        along,
        data_vars="all",
        coords="different",
        compat="equals",
        join="exact",
        combine_attrs="drop_conflicts",
    )


def _may_be_fixed(name: str) -> bool:
    return schema.is_numeric(name) or name in (*schema.NAMED, *schema.SWITCHES)


def _refuse_other_axes(results: Sequence[xr.Dataset]) -> None:
    """Raise where results do not lie along the same axes with the same values."""
    first, *others = results
    for each in others:
        for name in dict.fromkeys([*first.dims, *each.dims]):
            if name not in first.dims or name not in each.dims:
                problem = "is an axis of one result and not of another"
                remedy = "keep one value of it, as `.sel(...)`, or sweep both over it"
                raise InputError(problem, key=str(name), remedy=remedy)
            if not first[name].variable.equals(each[name].variable):
                remedy = "keep the values that all of them have"
                raise InputError("has other values in another result", key=str(name), remedy=remedy)
