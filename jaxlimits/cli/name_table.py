"""What users write beside entries: fields, metrics and switches, read off the model's records."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer

from jaxlimits.cli.tables import Row, label, print_table, text

NAMES = ("fields", "metrics", "switches")
"""Kinds of names that are no entries of the catalog."""


def known_names(kind: str) -> list[str]:
    """Return every name of a kind."""
    from jaxlimits import schema

    tables = {"fields": schema.FIELDS, "metrics": schema.OUTPUTS, "switches": schema.SWITCHES}
    return list(tables[kind])


def name_facts(kind: str, name: str) -> dict[str, Any]:
    """Return what a name means: its unit, default, values, where it belongs or what it needs."""
    facts: Mapping[str, Callable[[str], dict[str, Any]]] = {
        "fields": _field,
        "metrics": _metric,
        "switches": _switch,
    }
    return {"name": name, **facts[kind](name)}


def show_names(kind: str) -> None:
    """Print every name of a kind with its meaning."""
    typer.echo(f"{kind}:")
    rows = [*_rows(kind)]
    columns = {
        "fields": (label("name"), label("unit"), label("default"), text("meaning")),
        "metrics": (label("name"), label("unit"), text("meaning"), text("needs")),
        "switches": (label("name"), label("default"), text("others"), text("meaning")),
    }
    print_table(columns[kind], rows, indent=2)


def show_name(kind: str, name: str) -> None:
    """Print all that is known of one name."""
    facts = name_facts(kind, name)
    typer.echo(f"{name}: {facts.pop('meaning')}")
    del facts["name"]
    print_table(
        (label(), text()), [(key, _written(value)) for key, value in facts.items()], indent=2
    )


def _rows(kind: str) -> Iterator[Row]:
    record = ""
    for name in known_names(kind):
        facts = name_facts(kind, name)
        if kind == "fields":
            if facts["record"] != record:
                record = facts["record"]
                yield f"\n{record}"
            yield name, facts["unit"], facts["default"], facts["meaning"]
        elif kind == "metrics":
            yield name, facts["unit"], facts["meaning"], facts.get("needs", "")
        else:
            others = [choice for choice in facts["choices"] if choice != facts["default"]]
            yield name, facts["default"], ", ".join(others), facts["meaning"]


def _written(value: Any) -> str:
    return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)


def _field(name: str) -> dict[str, Any]:
    from jaxlimits import schema
    from jaxlimits.model.records import RECORDS
    from jaxlimits.units import show

    info = schema.FIELDS[name]
    record = next(r for r in RECORDS if name in schema.field_names(r).values())
    own = {field: key for key, field in schema.field_names(record).items()}[name]
    defaults = schema.record_defaults(record)
    default = show(defaults[own], info.unit) if own in defaults else "stated by each entry"
    facts = {
        "meaning": info.meaning,
        "record": record,
        "unit": info.unit,
        "default": default,
        "values": info.bounds,
        "factor": f"{name}{schema.SCALE_SUFFIX} multiplies it",
    }
    setter = schema.SETTERS.get(name)
    return facts if setter is None else {**facts, "set by": f"{setter}, where not set itself"}


def _metric(name: str) -> dict[str, Any]:
    from jaxlimits import schema

    info, codes = schema.OUTPUTS[name], schema.FLAGS.get(name)
    facts: dict[str, Any] = {"meaning": info.meaning, "unit": info.unit}
    if codes is not None:
        facts["codes"] = [f"{code} {meaning}" for meaning, code in codes.items()]
    needed = [setting for setting, metrics in schema.CONDITIONAL.items() if name in metrics]
    inputs = [" or ".join(schema.STATED_BY[field]) for field in schema.inputs_of(name)]
    if needed or inputs:
        facts["needs"] = ", ".join([*needed, *(f"{words} of the chip" for words in inputs)])
    return facts


def _switch(name: str) -> dict[str, Any]:
    from jaxlimits import schema

    info = schema.SWITCHES[name]
    return {"meaning": info.meaning, "default": info.choices[0], "choices": list(info.choices)}
