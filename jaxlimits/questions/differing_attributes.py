"""What two results say of how they were made, where that differs."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

_TAKEN_APART = ("scenario", "overrides", "uncertain", "options")
"""Attributes that hold JSON, of which each value is told alone."""

_CATALOG = "catalog"
"""The attribute that holds catalog entries by kind and name, as JSON."""

_NEVER_ALIKE = ("history",)
"""Attributes that say when and by what command: they differ where nothing else does."""


def differing_attributes(one: xr.Dataset, other: xr.Dataset) -> dict[str, tuple[Any, Any]]:
    """What each says of how it was made, by name, where that differs."""
    catalogs = [json.loads(str(each.attrs.get(_CATALOG, "{}"))) for each in (one, other)]
    says = {**_said(one.attrs), **_entries(*catalogs)}
    says_too = {**_said(other.attrs), **_entries(*reversed(catalogs))}
    pairs = {n: (says.get(n), says_too.get(n)) for n in dict.fromkeys([*says, *says_too])}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _said(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What attributes say, values within JSON by names as ``scenario.mem_bw``."""
    said: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in (*_NEVER_ALIKE, _CATALOG):
            continue
        if name in _TAKEN_APART:
            said |= dict(_leaves(name, json.loads(str(value))))
        else:
            said[name] = np.asarray(value).tolist()
    return said


def _entries(catalog: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The names of catalog entries, and what those say that another result has too."""
    said: dict[str, Any] = {}
    for kind, entries in catalog.items():
        said[f"{_CATALOG}.{kind}"] = ", ".join(sorted(entries))
        for name in entries.keys() & other.get(kind, {}).keys():
            said |= dict(_leaves(f"{_CATALOG}.{kind}.{name}", entries[name]))
    return said


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(f"{name}.{key}", each)
    else:
        yield name, value
