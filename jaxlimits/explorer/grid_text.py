"""The state as a grid file that ``jaxlimits sweep`` takes, and as an ordinary result."""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxlimits import schema
from jaxlimits.catalog.entries import shipped_entries
from jaxlimits.catalog.loader import Catalog
from jaxlimits.catalog.text_files import toml_text
from jaxlimits.errors import IdleSettingWarning, InputError
from jaxlimits.explorer.points import (
    SIZE,
    axis_values,
    exclusions,
    map_scenario,
)
from jaxlimits.explorer.state import WHERE, Side, Span, State, as_text, is_hardware, parsed
from jaxlimits.grid.file import parse_grid
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.run.pipeline import run_spec

NAME = "explored"
"""Stem of the files that are downloaded."""

Table = dict[str, Any]
"""A table of TOML."""

_ALWAYS = ("utps", "stps", "t_step", "t_mem", "t_compute", "t_sync", "feasible", "limit")


def grid_text(state: State, catalog: Catalog) -> str:
    """Return the map, of both machines where there are two, as a grid file.

    Values along an axis at which the other fields admit no point are left out.

    Raises
    ------
    InputError
        No point of the map can be.
    """
    outputs = [n for n in schema.OUTPUTS if n in {*_ALWAYS, state.metric}]
    machines = _machines(state, catalog) if state.is_compared else {}
    shared = {
        name: text
        for name, text in state.settings.items()
        if not (machines and is_hardware(name)) and name not in (state.x.name, state.y.name)
    }
    axes = {"chip": {"values": list(machines)}} if machines else {}
    entries = _entries(state, catalog)
    for name, table in machines.items():
        if table:
            entries.setdefault("chips", {})[name] = table
    return toml_text(
        {
            "title": _title(state),
            "outputs": outputs,
            "base": shared,
            "axes": {**axes, **_axes(state, catalog)},
            **entries,
        }
    )


def result_bytes(state: State, catalog: Catalog) -> bytes:
    """Sweep the map and return the NetCDF file that ``jaxlimits sweep`` would write.

    Raises
    ------
    InputError
        No point of the map can be.
    """
    text = grid_text(state, catalog)
    file = parse_grid(text, where=WHERE, stem=NAME, folder=Path())
    spec = build_spec(file, grid_catalog(file))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{NAME}.nc"
        with warnings.catch_warnings():  # a map may be of anything
            warnings.simplefilter("ignore", IdleSettingWarning)
            run_spec(spec, path, allow_idle=True).close()
        return path.read_bytes()


def _title(state: State) -> str:
    a, b = state.of("a"), state.of("b")
    against = f" and {b['chip']}" if state.is_compared else ""
    axes = f"{state.x.name} and {state.y.name}"
    return f"{a['llm']} on {a['chip']}{against}: {state.metric} over {axes}"


def _machines(state: State, catalog: Catalog) -> dict[str, Table]:
    """The two machines as entries: names, and their tables, empty where they need none."""
    tables: dict[str, Table] = {}
    axes = (state.x.name, state.y.name)
    for side in ("a", "b"):
        settings = {n: text for n, text in state.of(side).items() if is_hardware(n)}
        own = {n: text for n, text in settings.items() if n in schema.FIELDS and n not in axes}
        for kind in schema.OVERLAID:
            if kind in settings and is_hardware(kind):
                stated = catalog.values(kind, settings[kind], where=WHERE, key=kind)
                own = {n: as_text(v, schema.FIELDS[n].unit) for n, v in stated.items()} | own
        name = settings["chip"]
        if own or name in tables:
            fields = {n: _plain(n, text) for n, text in own.items()}
            tables[f"{name}-{side}"] = {"like": name, **fields}
        else:
            tables[name] = {}
    return tables


def _plain(name: str, text: str) -> str | float:
    """Counts as numbers, the rest with its unit."""
    return parsed(name, text, key=name) if schema.FIELDS[name].unit in ("1", "token") else text


def _axes(state: State, catalog: Catalog) -> dict[str, Table]:
    """The axes as tables, all of them: TOML has lists first, and their order is the result's."""
    return {
        span.name: _axis(span, places)
        for span, places in zip((state.y, state.x), _kept(state, catalog), strict=True)
    }


def _axis(span: Span, places: np.ndarray) -> Table:
    info = schema.FIELDS[span.name]
    if places.all() and not (info.whole or info.allowed):
        return {span.spacing: [span.first, span.last], "num": SIZE}
    values = np.unique(axis_values(span)[places]).tolist()
    return {"values": [_listed(span, value) for value in values]}


def _listed(span: Span, value: float) -> str | float | int:
    unit = schema.FIELDS[span.name].unit
    if unit not in ("1", "token"):
        return as_text(value, unit)
    return int(value) if value == int(value) else value


def _kept(state: State, catalog: Catalog) -> tuple[np.ndarray, np.ndarray]:
    """Places on both axes that are left when none is that some point of the map cannot be at."""
    sides: tuple[Side, ...] = ("a", "b") if state.is_compared else ("a",)
    excluded = np.zeros((SIZE, SIZE), bool)
    for side in sides:
        excluded = excluded | exclusions(map_scenario(state, side, catalog))
    everywhere = np.ones(SIZE, bool)
    for rows, columns in (
        (everywhere, ~excluded.any(axis=0)),
        (~excluded.any(axis=1), everywhere),
        (~excluded[:, ~excluded.all(axis=0)].any(axis=1), ~excluded.all(axis=0)),
    ):
        if rows.any() and columns.any():
            return np.asarray(rows), np.asarray(columns)
    raise InputError("no point of the map is possible", where=WHERE, remedy="change an axis")


def _entries(state: State, catalog: Catalog) -> dict[str, dict[str, Table]]:
    """Entries that the state names and the shipped catalog lacks, by kind and name."""
    shipped = shipped_entries()
    own: dict[str, dict[str, Table]] = {}
    for side in ("a", "b") if state.is_compared else ("a",):
        for record, name in state.of(side).items():
            kind = schema.entry_kind(record)
            if record in schema.NAMED and name in catalog.entries[kind].keys() - shipped[kind]:
                entry = catalog.entries[kind][name]
                own.setdefault(kind, {})[name] = {**entry.words, **entry.raw}
    return own
