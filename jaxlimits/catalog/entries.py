"""Catalog files as they stand: names, sources and the text of each value.

Nothing heavy is imported here, so that ``jaxlimits catalog`` answers at once. Records with numbers
come from :mod:`jaxlimits.catalog.loader`.
"""

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxlimits.catalog.text_files import read_toml
from jaxlimits.errors import InputError, suggestion, unknown_name

KINDS = (
    *("llms", "chips", "interconnects", "assumptions"),
    *("proposers", "fabrics", "calibrations"),
)
"""Tables of a catalog file."""

SHIPPED = tuple(Path(__file__).with_name(f"{kind}.toml") for kind in KINDS)

STATUSES: Mapping[str, str] = {
    "paper": "a machine of a paper",
    "datasheet": "a product whose figures its maker publishes",
    "measured": "a product whose figures were measured",
    "announced": "not yet delivered: its maker's figures may change",
}
"""What the numbers of an entry can be, by the word that says it."""

_WORDS = ("title", "source", "note", "like", "status")
_FIT = "fit"
_ALIASES = "aliases"
_APART = re.compile(r"[-_ /]")


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
        ``title``, ``source``, ``note`` and ``status``.
    raw
        The fields as written: text with units, or plain numbers.
    fit
        Where the numbers were fitted: covariance, residual spread, rows used.
    aliases
        Other names that people have for it.
    """

    kind: str
    name: str
    origin: str
    words: Mapping[str, str]
    raw: Mapping[str, Any]
    fit: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def is_announced(self) -> bool:
        """Whether nobody can buy it yet."""
        return self.words.get("status") == "announced"

    def __repr__(self) -> str:
        return f"Entry({self.kind}.{self.name}: {len(self.raw)} fields, from {self.origin})"


Entries = Mapping[str, Mapping[str, Entry]]
"""Entries by kind and name."""


@functools.cache
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
    for kind in KINDS:
        _refuse_shared_spellings(entries[kind].values())
    return entries


def find_entry(entries: Entries, kind: str, name: str, **place: str) -> Entry:
    """Return an entry by its name or an alias, or raise with the nearest names.

    A name as it stands comes first; else case, hyphens, underscores, spaces and slashes make no
    difference.
    """
    known = entries[kind]
    if name in known:
        return known[name]
    spellings = {folded(text): entry for entry in known.values() for text in _names_of(entry)}
    if folded(name) in spellings:
        return spellings[folded(name)]
    aliases = {alias: entry.name for entry in known.values() for alias in entry.aliases}
    remedy = suggestion(name, known, aliases=aliases)
    raise InputError(f"unknown {kind.removesuffix('s')} {name!r}", remedy=remedy, **place)


def folded(name: str) -> str:
    """Return a name without what people write differently: case, hyphens, spaces and the like."""
    return _APART.sub("", name.casefold())


def _names_of(entry: Entry) -> tuple[str, ...]:
    return (*entry.aliases, entry.name)


def _refuse_shared_spellings(entries: Iterable[Entry]) -> None:
    """Raise where an alias of one entry means another one too."""
    owners: dict[str, tuple[str, Entry]] = {}
    for entry in entries:
        for text in dict.fromkeys(_names_of(entry)):
            other, owner = owners.setdefault(folded(text), (text, entry))
            if owner is not entry and {text, other} != {entry.name, owner.name}:
                problem = f"{text!r} is {owner.name} too, of {owner.origin}"
                raise InputError(
                    problem,
                    where=entry.origin,
                    key=f"{entry.kind}.{entry.name}",
                    remedy="choose other names, or leave the alias to one of them",
                )


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
    status = words.get("status")
    if status is not None and status not in STATUSES:
        raise unknown_name("status", status, STATUSES, where=where, key=f"{key}.status")
    fit = table.get(_FIT, {})
    if not isinstance(fit, dict):
        raise InputError("must be a table", where=where, key=f"{key}.{_FIT}", value=fit)
    aliases = table.get(_ALIASES, [])
    if not (isinstance(aliases, list) and all(isinstance(text, str) for text in aliases)):
        remedy = 'write aliases = ["RTX4090"]'
        raise InputError(
            "must be a list of texts",
            where=where,
            key=f"{key}.{_ALIASES}",
            value=aliases,
            remedy=remedy,
        )
    apart = (*_WORDS, _FIT, _ALIASES)
    raw = {field: value for field, value in table.items() if field not in apart}
    like = words.pop("like", None)
    if like is not None:
        base = find_entry({kind: known}, kind, like, where=where, key=f"{key}.like")
        raw = {**base.raw, **raw}
    return Entry(
        kind=kind,
        name=name,
        origin=origin,
        words=words,
        raw=raw,
        fit=fit,
        aliases=tuple(aliases),
    )
