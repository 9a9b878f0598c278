"""``jaxlimits catalog``: what can be named."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.catalog.entries import (
    KINDS,
    Entries,
    Entry,
    collect_entries,
    find_entry,
    shipped_entries,
)
from jaxlimits.catalog.model_config import is_model_config, read_model_config
from jaxlimits.catalog.text_files import read_toml
from jaxlimits.cli import completion
from jaxlimits.cli.options import AsJson, Catalogs, print_json
from jaxlimits.errors import unknown_name


def catalog(
    kind: Annotated[
        str | None,
        typer.Argument(
            help=f"One of {', '.join(KINDS)}; all if left out.", autocompletion=completion.kinds
        ),
    ] = None,
    name: Annotated[str | None, typer.Argument(help="One entry, with all it states.")] = None,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """List models, chips, interconnects, fabrics and calibrations, or show one with its source."""
    if kind is not None and kind not in KINDS:
        raise unknown_name("kind of entry", kind, KINDS)
    entries = _all_entries(catalogs or [])
    if kind is not None and name is not None:
        _show_entry(_found(entries, kind, name), as_json=as_json)
    elif as_json:
        print_json({k: list(entries[k]) for k in KINDS if kind in (None, k)})
    else:
        for each in KINDS:
            if kind in (None, each):
                _show_list(each, entries)


def _found(entries: Entries, kind: str, name: str) -> Entry:
    if kind == "llms" and name not in entries[kind] and is_model_config(name, Path()):
        return read_model_config(Path(name), name=name)
    return find_entry(entries, kind, name)


def _all_entries(files: list[Path]) -> Entries:
    sources = ((str(path), read_toml(path)) for path in files)
    return collect_entries(sources, known=shipped_entries())


def _show_list(kind: str, entries: Entries) -> None:
    typer.echo(f"{kind}:")
    width = max(len(name) for name in entries[kind])
    for name, entry in entries[kind].items():
        typer.echo(f"  {name:<{width}}  {entry.words.get('title', '')}")


def _show_entry(entry: Entry, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {"name": entry.name, **entry.words, "origin": entry.origin, **entry.raw, **_fit(entry)}
        )
        return
    typer.echo(f"{entry.name}: {entry.words.get('title', '')}")
    for word in ("source", "note"):
        if word in entry.words:
            typer.echo(f"  {word}: {entry.words[word]}")
    width = max(map(len, entry.raw), default=0)
    for field, value in entry.raw.items():
        typer.echo(f"  {field:<{width}}  {value}")
    if entry.fit:
        typer.echo("  fit:")
    for key, value in entry.fit.items():
        typer.echo(f"    {key}: {value}")


def _fit(entry: Entry) -> dict[str, object]:
    return {"fit": entry.fit} if entry.fit else {}
