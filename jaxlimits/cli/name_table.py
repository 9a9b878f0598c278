"""What users write beside entries: fields, metrics and switches, read off the model's records."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import typer

from jaxlimits.cli.tables import Column, Row, label, print_table, text

Facts = dict[str, Any]


class Names(NamedTuple):
    """A kind of names that are no entries of the catalog.

    Parameters
    ----------
    singular
        What one of them is called.
    known
        Every name, in the model's order.
    facts
        What one means: its unit, default, values, where it belongs or what it needs.
    columns, rows
        The table of all.
    """

    singular: str
    known: Callable[[], Iterable[str]]
    facts: Callable[[str], Facts]
    columns: tuple[Column, ...]
    rows: Callable[[Iterable[Facts]], Iterator[Row]]

    def all_facts(self) -> list[Facts]:
        """Return what each name means, in the model's order."""
        return [self.facts(name) for name in self.known()]

    def show_all(self) -> None:
        """Print every name with its meaning."""
        print_table(self.columns, [*self.rows(self.all_facts())], indent=2)

    def show(self, name: str) -> None:
        """Print all that is known of one name."""
        facts = self.facts(name)
        typer.echo(f"{facts.pop('name')}: {facts.pop('meaning')}")
        rows = [(key, _written(value)) for key, value in facts.items()]
        print_table((label(), text()), rows, indent=2)


def _written(value: Any) -> str:
    return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)


def _fields() -> Iterable[str]:
    from jaxlimits.schema import FIELDS

    return FIELDS


def _metrics() -> Iterable[str]:
    from jaxlimits.schema import OUTPUTS

    return OUTPUTS


def _switches() -> Iterable[str]:
    from jaxlimits.schema import SWITCHES

    return SWITCHES


def _field(name: str) -> Facts:
    from jaxlimits import schema
    from jaxlimits.model.records import RECORDS
    from jaxlimits.units import show

    info = schema.FIELDS[name]
    record = next(r for r in RECORDS if name in schema.field_names(r).values())
    own = {field: key for key, field in schema.field_names(record).items()}[name]
    defaults = schema.record_defaults(record)
    default = show(defaults[own], info.unit) if own in defaults else "stated by each entry"
    facts = {
        "name": name,
        "meaning": info.meaning,
        "record": record,
        "unit": info.unit,
        "default": default,
        "values": info.bounds,
        "factor": f"{name}{schema.SCALE_SUFFIX} multiplies it",
    }
    setter = schema.SETTERS.get(name)
    return facts if setter is None else {**facts, "set by": f"{setter}, where not set itself"}


def _metric(name: str) -> Facts:
    from jaxlimits import schema

    info, codes = schema.OUTPUTS[name], schema.FLAGS.get(name)
    facts: Facts = {"name": name, "meaning": info.meaning, "unit": info.unit}
    if codes is not None:
        facts["codes"] = [f"{code} {meaning}" for meaning, code in codes.items()]
    needed = [setting for setting, metrics in schema.CONDITIONAL.items() if name in metrics]
    inputs = [" or ".join(schema.STATED_BY[field]) for field in schema.inputs_of(name)]
    if needed or inputs:
        facts["needs"] = ", ".join([*needed, *(f"{words} of the chip" for words in inputs)])
    return facts


def _switch(name: str) -> Facts:
    from jaxlimits import schema

    info = schema.SWITCHES[name]
    default, *_ = info.choices
    return {
        "name": name,
        "meaning": info.meaning,
        "default": default,
        "choices": list(info.choices),
    }


def _rows_of_fields(every: Iterable[Facts]) -> Iterator[Row]:
    record = ""
    for facts in every:
        if facts["record"] != record:
            record = facts["record"]
            yield f"\n{record}"
        yield facts["name"], facts["unit"], facts["default"], facts["meaning"]


def _rows_of_metrics(every: Iterable[Facts]) -> Iterator[Row]:
    for facts in every:
        yield facts["name"], facts["unit"], facts["meaning"], facts.get("needs", "")


def _rows_of_switches(every: Iterable[Facts]) -> Iterator[Row]:
    for facts in every:
        others = [choice for choice in facts["choices"] if choice != facts["default"]]
        yield facts["name"], facts["default"], ", ".join(others), facts["meaning"]


NAMES: Mapping[str, Names] = {
    "fields": Names(
        singular="field",
        known=_fields,
        facts=_field,
        columns=(label("name"), label("unit"), label("default"), text("meaning")),
        rows=_rows_of_fields,
    ),
    "metrics": Names(
        singular="metric",
        known=_metrics,
        facts=_metric,
        columns=(label("name"), label("unit"), text("meaning"), text("needs")),
        rows=_rows_of_metrics,
    ),
    "switches": Names(
        singular="switch",
        known=_switches,
        facts=_switch,
        columns=(label("name"), label("default"), text("others"), text("meaning")),
        rows=_rows_of_switches,
    ),
}
"""Every kind of names that are no entries of the catalog."""
