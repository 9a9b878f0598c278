"""Provenance: what a result needs to say so that it can be made again."""

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxlimits import schema
from jaxlimits._version import __version__
from jaxlimits.catalog.entries import KINDS, Entry, collect_entries, find_entry
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import OtherVersionWarning, ResultError
from jaxlimits.grid.bits_in_words import BITS, grid_bits
from jaxlimits.grid.file import parse_grid
from jaxlimits.grid.scenario import Scenario
from jaxlimits.grid.spec import GridSpec, build_spec

FORMAT_VERSION = 1
"""Version of the file's layout; a reader refuses a newer one."""

PORTABLE = "portable"
"""Stands for a memory budget where chunks are the same on every machine."""

ARRANGEMENT = "arrangement"
"""Name of the attribute that says what computed a result: XLA, or a compiled loop beside it."""

_XLA, LOOP = "xla", "loop"

_HASHED = (
    *("format_version", "jaxlimits_version"),
    *("grid", "overrides", "catalog", "precision", "memory", "digits"),
)


def describe_run(spec: GridSpec, scenario: Scenario) -> dict[str, Any]:
    """Return the global attributes that make a result again.

    The grid's full text, what was set beside it, the catalog entries used, the package's version
    and precision, a hash of all that, and the fixed values in SI units for a reader's information,
    with the bits that were used for what.
    """
    attributes: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "jaxlimits_version": __version__,
        "grid_name": spec.file.stem,
        "grid": spec.file.text,
        "overrides": _json(spec.overrides),
        "catalog": _json(_used_entries(spec)),
        "precision": spec.precision,
        # Chunks that are the same everywhere do not depend on a budget.
        "memory": PORTABLE if spec.portable else spec.memory or 0.0,
        "digits": spec.digits or 0,
        ARRANGEMENT: LOOP if spec.fast else _XLA,
        "scenario": _json({**spec.names, **spec.switches, **scenario.base}),
        BITS: grid_bits(spec, scenario),
    }
    return {**attributes, "content_hash": content_hash(attributes)}


def content_hash(attributes: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything that determines a result's data."""
    # Results of XLA have the hash that they had before there was a loop.
    looped = () if attributes.get(ARRANGEMENT, _XLA) == _XLA else (ARRANGEMENT,)
    text = _json({name: str(attributes[name]) for name in (*_HASHED, *looped)})
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def recorded_spec(attributes: Mapping[str, Any], *, where: str) -> GridSpec:
    """Return the grid that a result was made from, from the result alone.

    Raises
    ------
    ResultError
        Attributes that are missing or do not match their hash.
    """
    missing = [name for name in (*_HASHED, "content_hash", "grid_name") if name not in attributes]
    if "uncertain" in attributes:
        remedy = "run `jaxlimits uncertainty` on its file"
        raise ResultError(f"{where}: is not a sweep but a study of uncertain inputs; {remedy}")
    if missing:
        raise ResultError(f"{where}: does not say how it was made: lacks {', '.join(missing)}")
    if content_hash(attributes) != attributes["content_hash"]:
        problem = "its attributes were changed after it was written (the hash does not match)"
        raise ResultError(f"{where}: cannot be made again: {problem}")
    stem = str(attributes["grid_name"])
    file = parse_grid(attributes["grid"], where=f"{where}: grid", stem=stem, folder=Path())
    entries = collect_entries([(f"{where}: catalog", json.loads(attributes["catalog"]))])
    spec = build_spec(
        file,
        Catalog(entries=entries),
        overrides=json.loads(attributes["overrides"]),
        precision=attributes["precision"],
    )
    digits, fast = int(attributes["digits"]) or None, attributes.get(ARRANGEMENT) == LOOP
    spec = dataclasses.replace(spec, digits=digits, fast=fast)
    if str(attributes["memory"]) == PORTABLE:
        return dataclasses.replace(spec, portable=True)
    return dataclasses.replace(spec, memory=float(attributes["memory"]) or None)


def warn_of_other_version(attributes: Mapping[str, Any], *, where: str) -> None:
    """Say that a result was made by another version of this package, if it was.

    Warns
    -----
    OtherVersionWarning
        The same grid may give other data.
    """
    made_by, own = attributes.get("jaxlimits_version"), __version__
    if made_by is not None and made_by != own:
        remedy = f"install jaxlimits {made_by} for the same bits"
        message = f"{where}: was made by jaxlimits {made_by}, this is {own}; {remedy}"
        warnings.warn(message, OtherVersionWarning, stacklevel=3)


def _used_entries(spec: GridSpec) -> dict[str, dict[str, Any]]:
    """The catalog entries that a grid names, in the form of a catalog file."""
    named: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for record, name in spec.names.items():
        named[schema.entry_kind(record)].append(name)
    for axis in spec.axes:
        for field, values in {axis.name: axis.values, **axis.linked}.items():
            if field in schema.NAMED:
                named[schema.entry_kind(field)] += [str(value) for value in values]
    entries = spec.catalog.entries
    return {
        kind: {name: _table(find_entry(entries, kind, name), spec.catalog) for name in names}
        for kind, names in named.items()
    }


def _table(entry: Entry, catalog: Catalog) -> dict[str, Any]:
    """What an entry states, but its aliases: it is recorded under the name that the grid has.

    Whether a calibration rests on its rates is recorded with it: the calibrations that say so are
    not, unless the grid names them.
    """
    return {**entry.words, **entry.raw, **catalog.measured(entry)}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
