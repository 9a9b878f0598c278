"""Catalog files as they stand: names, sources and the text of each value.

Nothing heavy is imported here, so that ``jaxlimits catalog`` answers at once. Records with numbers
come from :mod:`jaxlimits.catalog.loader`.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxlimits.catalog.text_files import read_toml
from jaxlimits.errors import InputError, unknown_name

KINDS = ("llms", "chips", "interconnects", "fabrics", "calibrations")
"""Tables of a catalog file."""

SHIPPED = tuple(Path(__file__).with_name(f"{kind}.toml") for kind in KINDS)

_WORDS = ("title", "source", "note", "like")
_FIT = "fit"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry of a catalog file, values as written.

    Parameters
    ----------
    kind, name
        Table and key of the entry.
    origin
        File it stands in.
    words
        ``title``, ``source`` and ``note``.
    raw
        The fields as written: text with units, or plain numbers.
    fit
        Where the numbers were fitted: covariance, residual spread, rows used.
    """

    kind: str
    name: str
    origin: str
    words: Mapping[str, str]
    raw: Mapping[str, Any]
    fit: Mapping[str, Any] = dataclasses.field(default_factory=dict)


Entries = Mapping[str, Mapping[str, Entry]]
"""Entries by kind and name."""


def shipped_entries() -> Entries:
    """Return the entries that come with the package."""
    return collect_entries((path.name, read_toml(path)) for path in SHIPPED)


def collect_entries(
    sources: Iterable[tuple[str, Mapping[str, Any]]], *, known: Entries | None = None
) -> Entries:
    """Gather the tables of every kind of entry, ``[llms.NAME]`` and so on, of several files.

    A later entry may start from an earlier one (``like = "h100"``) but not take its name.

    Parameters
    ----------
    sources
        Pairs of file name and parsed content; keys other than these tables are left alone.
    known
        Entries that are there already.
    """
    entries = {kind: dict(known[kind]) if known else {} for kind in KINDS}
    for origin, content in sources:
        for kind in KINDS:
            for name, table in _tables(content, kind, origin).items():
                entry = _entry(kind, name, table, origin=origin, known=entries[kind])
                entries[kind][name] = entry
    return entries


def find_entry(entries: Entries, kind: str, name: str, **place: str) -> Entry:
    """Return an entry by name, or raise with the nearest names."""
    if name not in entries[kind]:
        raise unknown_name(kind.removesuffix("s"), name, entries[kind], **place)
    return entries[kind][name]


def _tables(content: Mapping[str, Any], kind: str, origin: str) -> Mapping[str, Any]:
    tables = content.get(kind, {})
    if isinstance(tables, dict) and all(isinstance(table, dict) for table in tables.values()):
        return tables
    remedy = f"write each entry as a table [{kind}.NAME]"
    raise InputError("is not a table of entries", where=origin, key=kind, remedy=remedy)


def _entry(
    kind: str, name: str, table: Mapping[str, Any], *, origin: str, known: Mapping[str, Entry]
) -> Entry:
    where, key = origin, f"{kind}.{name}"
    if name in known:
        remedy = f"it stands in {known[name].origin}; choose another name"
        raise InputError("the name is taken", where=where, key=key, remedy=remedy)
    words = {word: table[word] for word in _WORDS if word in table}
    for word, text in words.items():
        if not isinstance(text, str):
            raise InputError("must be text", where=where, key=f"{key}.{word}", value=text)
    fit = table.get(_FIT, {})
    if not isinstance(fit, dict):
        raise InputError("must be a table", where=where, key=f"{key}.{_FIT}", value=fit)
    raw = {field: value for field, value in table.items() if field not in (*_WORDS, _FIT)}
    like = words.pop("like", None)
    if like is not None:
        base = find_entry({kind: known}, kind, like, where=where, key=f"{key}.like")
        raw = {**base.raw, **raw}
    return Entry(kind=kind, name=name, origin=origin, words=words, raw=raw, fit=fit)
