"""Which bits a grid or a point uses for what, and where they come from, in words.

Somebody set them; else the model's entry in the catalog states them, or its configuration file;
else they are the record's defaults.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from jaxlimits import schema
from jaxlimits.catalog.entries import find_entry
from jaxlimits.catalog.loader import Catalog
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.scenario import Scenario
from jaxlimits.grid.spec import GridSpec
from jaxlimits.model.attention import KINDS
from jaxlimits.model.precision import ALONE, PARTS, SET_BY

BITS = "bits"
"""Name of the attribute of a result, and key of an answer, that holds the words."""

_LISTED = 4
_OWN = (*PARTS, "cache_bits", *ALONE)
_WITH_STATES = tuple(kind for kind in KINDS if kind.has_state)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One model of a grid, with the bits that its record has.

    Parameters
    ----------
    name
        Its name in the catalog, or the path of its file.
    record
        ``llm`` or ``draft``.
    values
        Bits by the record's own names.
    stated
        Those that its entry states; the others are defaults.
    origin
        What states them: ``catalog`` or ``file``.
    has_states
        Whether it has layers that keep states.
    """

    name: str
    record: str
    values: Mapping[str, float]
    stated: frozenset[str]
    origin: str
    has_states: bool

    def source(self, names: Iterable[str]) -> str:
        """Where some of its bits come from."""
        return self.origin if self.stated.issuperset(names) else "default"


def named_model(catalog: Catalog, name: str, record: str = "llm") -> Model:
    """Return a model of the catalog."""
    values = catalog.values(record, name)
    fields = schema.field_names(record)
    own = {key: values[fields[key]] for key in _OWN}
    entry = find_entry(catalog.entries, "llms", name)
    raw, origin = entry.raw, "file" if entry.origin.endswith(".json") else "catalog"
    return Model(
        name=name,
        record=record,
        values=own,
        stated=frozenset(key for key in own if key in raw or SET_BY.get(key) in raw),
        origin=origin,
        has_states=any(values[fields[kind.layers]] > 0.0 for kind in _WITH_STATES),
    )


def grid_bits(spec: GridSpec, scenario: Scenario) -> str:
    """Say which bits a grid uses."""
    along = {n: column for axis in spec.axes for n, column in _columns(axis).items()}
    fixed = {record: (name,) for record, name in spec.names.items()}
    named = {**along, **fixed}
    drafted = "draft" in (*along.get("speculation", ()), scenario.switches.get("speculation"))
    records = ["llm", *(["draft"] if drafted else [])]
    models = [
        named_model(spec.catalog, str(name), record)
        for record in records
        for name in named.get(record, ())
    ]
    return bits_in_words(scenario, models)


def bits_in_words(scenario: Scenario, models: Iterable[Model]) -> str:
    """Say which bits a scenario uses for weights, cache, states and products."""
    models = list(models)
    told = [*_set_or_own(scenario, models, "weight_bits", PARTS, "weights")]
    told += _set_or_own(scenario, models, "kv_bits", ("cache_bits",), "cache")
    counts = [name for kind in _WITH_STATES for name in schema.part_fields(str(kind.flag))]
    if any(scenario.reaches(name, above=0.0) for name in counts):
        with_states = [model for model in models if model.has_states] or models
        told += _set_or_own(scenario, with_states, None, ALONE, "states")
    if np.all(scenario.effective("compute_bits") > 0.0):
        told.append(_set(scenario, "compute_bits"))
    else:
        told.append("products as wide as their operands (default)")
    return "; ".join(told)


def _columns(axis: Axis) -> Mapping[str, tuple]:
    return {axis.name: axis.values, **axis.linked}


def _set_or_own(
    scenario: Scenario, models: list[Model], setter: str | None, names: tuple[str, ...], words: str
) -> Iterator[str]:
    """What is set, then what is left to the models; the setter of all names, where there is one."""
    given = np.zeros(1) if setter is None else scenario.effective(setter)
    if setter is not None and np.any(given > 0.0):
        yield _set(scenario, setter)
    pairs = {place: field for field, place in schema.STATED_BITS.items() if field in scenario.own}
    set_here = {pair: field for pair, field in pairs.items() if pair[1] in names}
    for field in set_here.values():
        yield _set(scenario, field)
    if np.all(given > 0.0):
        return
    groups: dict[tuple[str, str], list[str]] = {}
    for model in models:
        left = [name for name in names if (model.record, name) not in set_here]
        if left:
            groups.setdefault((_shown(model, left), model.source(left)), []).append(model.name)
    for (bits, source), members in groups.items():
        other = "other " if set_here else ""
        of = f": {', '.join(members)}" if len(models) > 1 else ""
        yield f"{other}{words}: {bits} bits ({source}{of})"


def _shown(model: Model, names: list[str]) -> str:
    values = [model.values[name] for name in names]
    if len(set(values)) == 1:
        return f"{values[0]:.4g}"
    named = (f"{name.removesuffix('_bits')} {model.values[name]:.4g}" for name in names)
    return ", ".join(named)


def _set(scenario: Scenario, name: str) -> str:
    """A field that somebody set, with its values."""
    values = np.unique(scenario.effective(name))
    listed = ", ".join(f"{value:.4g}" for value in values)
    span = f"{values[0]:.4g} to {values[-1]:.4g}"
    return f"{name} = {listed if len(values) <= _LISTED else span} (set)"
