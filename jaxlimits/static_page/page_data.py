"""What the page knows beside the model's program: fields, metrics, catalog entries, rules.

All of it is read off the package, so that the page uses its names, its bounds and its words. Values
are SI; a file that a user drops is read by the same units and the same rules as a catalog entry.
"""

import contextlib
import functools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from jaxlimits import schema, units
from jaxlimits.catalog.entries import Entry
from jaxlimits.catalog.loader import VECTOR_SHARE, Catalog
from jaxlimits.engine.exported import METRICS, page_rules
from jaxlimits.grid.constraints import CONSTRAINTS, REMARKS, Constraint
from jaxlimits.model.fields import Quantity
from jaxlimits.model.precision import SET_BY
from jaxlimits.results.reason_codes import WORDS, Reason
from jaxlimits.static_page.family_data import family_data
from jaxlimits.values import parse_number

Table = dict[str, Any]

OF_THE_PAGE = ("chip", "llm", "deployment", "site", "request")
"""Records whose fields the page has."""

_PREFIXES = ("", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "p", "n", "u", "m")
_NAMES = ("B", "bit", "FLOP", "FLOPS", "token", "USD", "s", "h", "year", "W", "J", "Wh", "m")
_MULTIPLES = ("k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti")
_FACTOR = re.compile(r"[^/]+")


def page_data(catalog: Catalog, version: str) -> Table:
    """Return all that the page's scripts look up, as plain data.

    Parameters
    ----------
    catalog
        What can be chosen by name.
    version
        The package's.
    """
    fields = {name: info for record in OF_THE_PAGE for name, info in _fields(record).items()}
    return {
        "version": version,
        "fields": {name: _described(info) for name, info in fields.items()},
        "records": {record: [*_fields(record)] for record in OF_THE_PAGE},
        "defaults": {record: schema.record_defaults(record) for record in OF_THE_PAGE},
        "metrics": {name: _shown(schema.OUTPUTS[name]) for name in METRICS},
        "limits": {code: word for word, code in schema.FLAGS["limit"].items()},
        "reasons": {reason.name.lower(): WORDS[reason] for reason in Reason},
        "rests_on": {name: schema.inputs_of(name) for name in METRICS if schema.inputs_of(name)},
        "requested": schema.REQUESTED,
        "rules": [_rule(rule) for rule in page_rules(CONSTRAINTS)],
        "remarks": [_rule(rule) for rule in page_rules(REMARKS)],
        "links": schema.OVERLAID["interconnect"],
        "set_by": SET_BY,
        "vector_share": VECTOR_SHARE,
        "stated_by": schema.STATED_BY,
        "inputs": schema.INPUTS,
        "spellings": {unit: _spellings(unit) for unit in {info.unit for info in fields.values()}},
        "llms": {name: _model(catalog, each) for name, each in catalog.llms.items()},
        "chips": {name: _stated(each) for name, each in catalog.chips.items()},
        "interconnects": {name: _stated(each) for name, each in catalog.interconnects.items()},
        "assumptions": {name: _stated(each) for name, each in catalog.assumptions.items()},
        **family_data(),
    }


def _fields(record: str) -> Mapping[str, Quantity]:
    return {name: schema.FIELDS[name] for name in schema.field_names(record)}


def _described(info: Quantity) -> Table:
    """What a field means, and which values it takes; without what does not bound it."""
    upper = None if math.isinf(info.upper) else info.upper
    unset = None if info.unset is None else "NaN" if math.isnan(info.unset) else info.unset
    bounds = {
        "lower": info.lower, "upper": upper, "positive": info.positive, "whole": info.whole,
        "allowed": info.allowed, "unset": unset,
    }  # fmt: skip
    kept = {key: value for key, value in bounds.items() if value not in (None, False, ())}
    return {**_shown(info), "bounds": info.bounds, "example": units.example(info.unit), **kept}


def _shown(info: Quantity) -> Table:
    """What a number means, the unit in which people read it, and how much of SI that is."""
    display = info.display
    scale = 1.0 if display == info.unit else units.convert(1.0, display, info.unit)
    return {"meaning": info.meaning, "unit": info.unit, "display": display, "scale": scale}


def _rule(rule: Constraint) -> Table:
    """A condition; the page has no axes that could be linked."""
    remedy = rule.remedy.removesuffix(", or link the axes")
    return {"fields": rule.fields, "says": rule.says, "remedy": remedy}


def _about(entry: Entry) -> Table:
    words = {key: entry.words[key] for key in ("title", "status", "source") if key in entry.words}
    return {**words, **({"aliases": entry.aliases} if entry.aliases else {})}


def _stated(entry: Entry) -> Table:
    """An entry with the numbers that it states."""
    values = {
        name: parse_number(schema.FIELDS[name], raw, where=entry.origin, key=name)
        for name, raw in entry.raw.items()
    }
    return {**_about(entry), "values": values}


def _model(catalog: Catalog, entry: Entry) -> Table:
    """A model with every number that is not a default; what rests on measurements is left out."""
    defaults = schema.record_defaults("llm")
    values = {
        name: value
        for name, value in catalog.values("llm", entry.name).items()
        if value != defaults.get(name) and not name.startswith("measured_")
    }
    return {**_about(entry), "values": values}


def _spellings(unit: str) -> dict[str, float]:
    """Ways to write a unit, and how much of it each is: of ``B/s`` also ``TB/s`` and ``Gbit/s``."""
    bare = {each: units.parse(f"1 {each}", "1") for each in _MULTIPLES}
    if unit == "1":
        return bare | {"%": 0.01}
    texts = _quotients([_words_of(part) for part in _FACTOR.findall(unit)])
    found = {text: units.convert(1.0, text, unit) for text in texts}
    return found | bare if unit == "token" else found


@functools.cache
def _words_of(factor: str) -> list[str]:
    """Names of units of one dimension."""
    name, power, exponent = factor.partition("^")
    known = (f"{prefix}{each}" for each in _NAMES for prefix in _PREFIXES)
    found = []
    for word in filter(units.names().__contains__, known):
        with contextlib.suppress(units.UnitError):  # of another dimension
            units.convert(1.0, word, name)
            found.append(f"{word}{power}{exponent}")
    return found


def _quotients(parts: list[list[str]]) -> Iterable[str]:
    first, *rest = parts
    texts = first
    for names in rest:
        texts = [f"{text}/{name}" for text in texts for name in names]
    return texts
