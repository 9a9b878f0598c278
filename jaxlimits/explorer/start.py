"""What the explorer starts with: its own example, a grid, or the grid of a result."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxlimits import schema, units
from jaxlimits.catalog.entries import find_entry
from jaxlimits.catalog.loader import Catalog, load_catalog
from jaxlimits.explorer.points import point_of
from jaxlimits.explorer.state import Spacing, Span, State, as_text, check_state, is_hardware
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.requirements import METRICS
from jaxlimits.grid.scenario import Scenario, bind
from jaxlimits.grid.spec import GridSpec
from jaxlimits.run.pipeline import load_grid
from jaxlimits.store.netcdf import open_dataset
from jaxlimits.store.provenance import recorded_spec

_X = Span(name="mem_bw", first="1 TB/s", last="32 TB/s")
_Y = Span(name="sync_latency", first="0.1 us", last="30 us")
_SPARE = (_X, _Y, Span(name="batch_size", first="1", last="512"))
"""Axes of the map where a grid has fewer than two of numbers."""

_OWN = State(
    settings={"llm": "llama3-405b", "chip": "h200", "tp_size": "8", "batch_size": "8"},
    other={"chip": "b200"},
    x=_X,
    y=_Y,
    metric="utps",
    aim="utps",
    target="100 token/s",
)
_AHEAD = 1.2
"""By what factor the first target lies above what the machine reaches, at least."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What the explorer starts with.

    Parameters
    ----------
    state
        What a tab shows first.
    catalog
        In which names are looked up.
    files
        Catalog files beside the shipped ones, which it holds too.
    """

    state: State
    catalog: Catalog
    files: tuple[Path, ...] = ()


def start(source: str | Path | None = None, *catalogs: str | Path) -> Start:
    """Return what to start with.

    Parameters
    ----------
    source
        A result (``.nc``), a grid file, or the name of a shipped grid; by default an example.
    *catalogs
        Files with further entries.

    Raises
    ------
    InputError
        A grid that cannot be read.
    ResultError
        A file that is not a result, or one of a newer format.
    """
    files = tuple(Path(each) for each in catalogs)
    if source is None:
        return _aimed(Start(state=_OWN, catalog=load_catalog(*catalogs), files=files))
    if Path(source).suffix == ".nc":
        with open_dataset(source) as dataset:
            spec = recorded_spec(dataset.attrs, where=str(source))
        joined = _with_recorded(spec, load_catalog(*catalogs))
        return _aimed(dataclasses.replace(joined, files=files))
    spec = load_grid(source, catalog=tuple(catalogs))
    return _aimed(Start(state=state_of_grid(spec), catalog=spec.catalog, files=files))


def _with_recorded(spec: GridSpec, shipped: Catalog) -> Start:
    """Join what a result recorded with the catalog; an entry that has changed since has a name."""
    entries = {kind: dict(table) for kind, table in shipped.entries.items()}
    renamed: dict[tuple[str, str], str] = {}
    for kind, table in spec.catalog.entries.items():
        for name, entry in table.items():
            known = entries[kind].get(name)
            if known is not None and dict(known.raw) != dict(entry.raw):
                renamed[kind, name] = f"{name}-recorded"
            new = renamed.get((kind, name), name)
            entries[kind][new] = dataclasses.replace(entry, name=new)
    state = state_of_grid(spec)
    named = {
        own: {
            n: renamed.get((schema.entry_kind(n), text), text) if n in schema.NAMED else text
            for n, text in getattr(state, own).items()
        }
        for own in ("settings", "other")
    }
    return Start(state=dataclasses.replace(state, **named), catalog=Catalog(entries=entries))


def state_of_grid(spec: GridSpec) -> State:
    """Return the state in which a grid's longest two axes of numbers are the map's.

    Its other axes stand at their first value, those of the map in their middle. Two machines
    stand side by side where the chip is an axis. Scale factors become values.
    """
    scenario = bind(spec)
    spanned = _spanned(spec.axes)
    places = {axis.name: len(axis) // 2 if axis in spanned else 0 for axis in spec.axes}
    settings = {**spec.names, **_chosen(spec)}
    for axis in spec.axes:
        for name, values in {axis.name: axis.values, **axis.linked}.items():
            settings[name] = str(values[places[axis.name]])
    for name in settings.keys() & set(schema.NAMED):  # the page lists entries, not their aliases
        kind = schema.entry_kind(name)
        settings[name] = find_entry(spec.catalog.entries, kind, settings[name]).name
    set_here = {*spec.base, *(n for a in spec.axes for n in (a.name, *a.linked))}
    for name in [schema.scaled_field(name) or name for name in set_here]:
        if name in schema.FIELDS:
            settings.pop(f"{name}{schema.SCALE_SUFFIX}", None)
            settings[name] = _written(_at(scenario, name, places), name)
    spans = [_span(scenario, axis, places) for axis in spanned]
    taken = {span.name for span in spans}
    spans += [span for span in _SPARE if span.name not in taken]
    outputs = [name for name in spec.outputs if name in METRICS]
    state = State(
        settings=settings,
        other=_second_chip(spec, settings),
        x=spans[0],
        y=spans[1],
        metric="utps" if "utps" in outputs or not outputs else outputs[0],
        aim="utps",
        target="100 token/s",
    )
    check_state(state)
    return state


def _written(value: float, name: str) -> str:
    """A value as text; one in the middle of an axis has digits that nobody wrote."""
    info = schema.FIELDS[name]
    neat = units.show(value, info.unit, digits=4)
    near = abs(units.parse(neat, info.unit) - value) <= 1e-3 * abs(value)
    return neat if near and not info.whole else as_text(value, info.unit)


def _chosen(spec: GridSpec) -> dict[str, str]:
    """Switches that are not at their default."""
    usual = schema.switch_defaults()
    return {name: choice for name, choice in spec.switches.items() if choice != usual[name]}


def _spanned(axes: tuple[Axis, ...]) -> list[Axis]:
    """The two longest axes of numbers, the longest first."""
    numeric = [axis for axis in axes if schema.is_numeric(axis.name) and len(axis) > 1]
    longest = sorted(numeric, key=len, reverse=True)
    fields: dict[str, Axis] = {}
    for axis in longest:
        fields.setdefault(schema.scaled_field(axis.name) or axis.name, axis)
    return list(fields.values())[:2]


def _at(scenario: Scenario, name: str, places: Mapping[str, int]) -> float:
    """A field's value at the place of each axis."""
    values = scenario.effective(name)
    place = tuple(
        places[axis.name] if size > 1 else 0
        for axis, size in zip(scenario.axes, values.shape, strict=True)
    )
    return float(values[place])


def _span(scenario: Scenario, axis: Axis, places: Mapping[str, int]) -> Span:
    name = schema.scaled_field(axis.name) or axis.name
    unit = schema.FIELDS[name].unit
    along = [_at(scenario, name, {**places, axis.name: n}) for n in range(len(axis))]
    low, high = min(along), max(along)
    return Span(
        name=name, first=as_text(low, unit), last=as_text(high, unit), spacing=_spacing(along)
    )


def _spacing(values: list[float]) -> Spacing:
    """Geometric where the values lie nearer to that than to even steps."""
    ascending = np.sort(values)
    if ascending[0] <= 0.0:
        return "linear"
    if len(ascending) == 2:
        return "geometric"
    steps, ratios = np.diff(ascending), np.diff(np.log(ascending))
    return "geometric" if ratios.std() / ratios.mean() < steps.std() / steps.mean() else "linear"


def _second_chip(spec: GridSpec, settings: Mapping[str, str]) -> dict[str, str]:
    """Machine B where the chip is an axis; what the grid sets for all chips holds for it too."""
    axis = next((axis for axis in spec.axes if axis.name == "chip"), None)
    if axis is None or len(axis) < 2:
        return {}
    along = {"chip": axis.values, **axis.linked}
    own = {name: str(values[1]) for name, values in along.items() if name in schema.NAMED}
    written = {
        name: _written(float(values[1]), name)
        for name, values in along.items()
        if name in schema.FIELDS and is_hardware(name)
    }
    shared = {n: text for n, text in settings.items() if is_hardware(n) and n not in schema.NAMED}
    return {**shared, **own, **written}


def _aimed(begun: Start) -> Start:
    """Put the target at the next round number ahead of what machine A reaches."""
    metrics = point_of(begun.state, "a", begun.catalog).metrics
    if metrics is None or not math.isfinite(metrics.utps) or metrics.utps <= 0.0:
        return begun
    unit = schema.OUTPUTS["utps"].unit
    text = units.show(_round_above(_AHEAD * float(metrics.utps)), unit, digits=4)
    return dataclasses.replace(begun, state=dataclasses.replace(begun.state, target=text))


def _round_above(value: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is no less."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= value)
