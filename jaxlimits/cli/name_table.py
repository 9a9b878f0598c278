"""Tables of what users write beside entries: fields, metrics and switches."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import typer

from jaxlimits.cli.tables import Column, Row, label, print_table, text
from jaxlimits.guide.names import NAMES, Facts


class NameTable(NamedTuple):
    """How the names of a kind are listed.

    Parameters
    ----------
    columns, rows
        The table of all.
    """

    columns: tuple[Column, ...]
    rows: Callable[[Iterable[Facts]], Iterator[Row]]


def show_all(kind: str) -> None:
    """Print every name of a kind with its meaning."""
    table = _TABLES[kind]
    print_table(table.columns, [*table.rows(NAMES[kind].all_facts())], indent=2)


def show_name(kind: str, name: str) -> None:
    """Print all that is known of one name."""
    facts = NAMES[kind].facts(name)
    typer.echo(f"{facts.pop('name')}: {facts.pop('meaning')}")
    rows = [(key, _written(value)) for key, value in facts.items()]
    print_table((label(), text()), rows, indent=2)


def _written(value: Any) -> str:
    return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)


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


_TABLES: Mapping[str, NameTable] = {
    "fields": NameTable(
        columns=(label("name"), label("unit"), label("default"), text("meaning")),
        rows=_rows_of_fields,
    ),
    "metrics": NameTable(
        columns=(label("name"), label("unit"), text("meaning"), text("needs")),
        rows=_rows_of_metrics,
    ),
    "switches": NameTable(
        columns=(label("name"), label("default"), text("others"), text("meaning")),
        rows=_rows_of_switches,
    ),
}
