"""``jaxlimits catalog``: what can be named."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.catalog.entries import (
    KINDS,
    STATUSES,
    Entries,
    Entry,
    collect_entries,
    find_entry,
    shipped_entries,
)
from jaxlimits.catalog.model_config import is_model_config, read_model_config
from jaxlimits.catalog.text_files import read_toml
from jaxlimits.cli import completion
from jaxlimits.cli.chip_table import show_chips
from jaxlimits.cli.model_table import shape_facts, show_shape
from jaxlimits.cli.name_table import show_all, show_name
from jaxlimits.cli.options import AsJson, Catalogs, print_json
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import label, print_table, text
from jaxlimits.errors import unknown_name
from jaxlimits.guide.names import NAMES


def catalog(
    kind: Annotated[
        str | None,
        typer.Argument(
            help=f"The kind to list: {', '.join((*KINDS, *NAMES))}; by default all entries.",
            autocompletion=completion.kinds,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="The entry to show, or the field, metric or switch.")
    ] = None,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """List models, chips, interconnects, fabrics and calibrations, or show one entry.

    It also lists what can be set and what comes out: fields, switches and metrics.
    """
    if kind is not None and kind in NAMES:
        _show_names(kind, name, as_json=as_json)
        return
    if kind is not None and kind not in KINDS:
        raise unknown_name("kind of entry", kind, (*KINDS, *NAMES))
    entries = _all_entries(catalogs or [])
    if kind is not None and name is not None:
        _show_entry(_found(entries, kind, name), as_json=as_json)
    elif as_json:
        print_json({k: list(entries[k]) for k in KINDS if kind in (None, k)})
    elif kind == "chips":
        show_chips(entries["chips"].values())
    else:
        for each in KINDS:
            if kind in (None, each):
                _show_list(each, entries)


def _show_names(kind: str, name: str | None, *, as_json: bool) -> None:
    names = NAMES[kind]
    if name is not None and name not in names.known():
        raise unknown_name(names.singular, name, names.known())
    if as_json:
        print_json(names.all_facts() if name is None else names.facts(name))
    elif name is None:
        show_all(kind)
    else:
        show_name(kind, name)


def _found(entries: Entries, kind: str, name: str) -> Entry:
    if kind == "llms" and name not in entries[kind] and is_model_config(name, Path()):
        return read_model_config(Path(name), name=name)
    return find_entry(entries, kind, name)


def _all_entries(files: list[Path]) -> Entries:
    sources = ((str(path), read_toml(path)) for path in files)
    return collect_entries(sources, known=shipped_entries())


def _show_list(kind: str, entries: Entries) -> None:
    typer.echo(f"{kind}:")
    rows = [(name, entry.words.get("title", "")) for name, entry in entries[kind].items()]
    print_table((label(), text()), rows, indent=2)


def _show_entry(entry: Entry, *, as_json: bool) -> None:
    if as_json:
        about = {"name": entry.name, **entry.words, "aliases": entry.aliases}
        facts = {"comes_to": shape_facts(entry)} if entry.kind == "llms" else {}
        print_json({**about, "origin": entry.origin, **entry.raw, **_fit(entry), **facts})
        return
    typer.echo(f"{entry.name}: {entry.words.get('title', '')}")
    said = [(word, entry.words[word]) for word in ("source", "note") if word in entry.words]
    if status := entry.words.get("status"):
        said.append(("status", f"{status}: {STATUSES[status]}"))
    if entry.aliases:
        said.append(("aliases", ", ".join(entry.aliases)))
    stated = [(field, str(value)) for field, value in entry.raw.items()]
    if entry.kind == "llms":
        print_table((label(), text()), said, indent=2)
        typer.echo()
        show_shape(entry)
        said = []
    print_table((label(), text()), [*said, *stated], indent=2)
    if entry.fit:
        typer.echo("  fit:")
        rows = [(key, str(value)) for key, value in entry.fit.items()]
        print_table((label(), text()), rows, indent=4)


def _fit(entry: Entry) -> dict[str, object]:
    return {"fit": entry.fit} if entry.fit else {}


COMMAND = Command(
    run=catalog,
    panel=Panel.LOOK,
    examples=(
        "jaxlimits catalog",
        "jaxlimits catalog chips",
        "jaxlimits catalog llms deepseek-v3",
        "jaxlimits catalog fields sync_latency",
    ),
)
