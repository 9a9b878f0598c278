"""Titles of figures: the model, the machine, and what is fixed."""

import json
import re
import tomllib
from collections.abc import Collection, Hashable, Iterable
from typing import Any

import xarray as xr

from jaxlimits.plot import style

_NUMBER = re.compile(r"(\d) (?=[^\W\d])")
"""A number before its unit, from which no line breaks it."""

_NAMES = ("llm", "chip")
_SIZES = ("tp_size", "pp_size", "dp_size", "ep_size")
"""What is named first, and last: sizes of parallelism are named where they are not one."""


def title_of(dataset: xr.Dataset, fixed: Iterable[Hashable]) -> str:
    """Return the title of a figure: what an answer answers, or what is the same for all it shows.

    Parameters
    ----------
    dataset
        What is drawn.
    fixed
        Dimensions of one value.
    """
    if "operator" in dataset.dims:  # of one point, which its title names
        return str(dataset.attrs.get("title", ""))
    if question := str(dataset.attrs.get("question", "")):
        return _NUMBER.sub("\\1\u00a0", question)
    fixed = set(fixed)
    along = {str(dim) for dim in dataset.dims if dim not in fixed}
    stated = _stated(dataset)
    words = {name: str(stated[name]) for name in _NAMES if name in stated and name not in along}
    axes = _axes_of(dataset)
    for name, coordinate in dataset.coords.items():
        if coordinate.size != 1 or not set(coordinate.dims) <= fixed:
            continue
        if name in _SIZES and name not in (axes or ()) and name not in fixed:
            stated[str(name)] = coordinate.item()
        elif axes is None or name in (*_NAMES, *fixed, *axes):
            (words[str(name)],) = style.names(coordinate)
    for name in _SIZES:
        if name in stated and name not in along and float(stated[name]) != 1.0:
            words.setdefault(name, f"{name} {float(stated[name]):g}")
    order = [*(name for name in _NAMES if name in words), *(n for n in words if n not in _NAMES)]
    return ", ".join(words[name] for name in order)


def _stated(dataset: xr.Dataset) -> dict[str, Any]:
    """What a result says of the model, the machine and its size that is the same everywhere."""
    varied = {*(_axes_of(dataset) or ()), *json.loads(str(dataset.attrs.get("uncertain", "{}")))}
    scenario = json.loads(str(dataset.attrs.get("scenario", "{}")))
    said = {n: scenario[n] for n in (*_NAMES, *_SIZES) if n in scenario and n not in varied}
    return said | {
        name: dataset.attrs[name] for name in (*_NAMES, *_SIZES) if name in dataset.attrs
    }


def _axes_of(dataset: xr.Dataset) -> Collection[str] | None:
    """Names of the axes of the grid of a result, of which values may be chosen; else ``None``."""
    try:
        axes = tomllib.loads(str(dataset.attrs["grid"]))["axes"]
    except (KeyError, tomllib.TOMLDecodeError):
        return None
    return {name for axis, given in axes.items() for name in (axis, *_linked(given))}


def _linked(given: object) -> Iterable[str]:
    """Names of the fields that change with an axis."""
    return given.get("with", ()) if isinstance(given, dict) else ()
