"""From catalog entries to the model's records: units parsed, bounds checked."""

import dataclasses
import math
import warnings
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxlimits.catalog.attention_kinds import attention_kinds
from jaxlimits.catalog.entries import (
    Entries,
    Entry,
    collect_entries,
    find_entry,
    shipped_entries,
)
from jaxlimits.catalog.model_config import is_model_config, read_model_config
from jaxlimits.catalog.text_files import read_toml
from jaxlimits.errors import AnnouncedChipWarning, InputError, unknown_name
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.chip import Chip
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.fields import quantities
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import SET_BY
from jaxlimits.schema import (
    FIELDS,
    INPUTS,
    PARTIAL,
    RECORDS,
    STATED_BY,
    entry_kind,
    field_names,
    record_defaults,
)
from jaxlimits.values import parse_number

VECTOR_SHARE = 1.0 / 30.0
"""Vector rate over the 8-bit tensor rate, for a chip that states none (ours: an H100's)."""


_RATED = ("chips", "llms")
"""Kinds of entries on whose measured rates a calibration may rest."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """Models, chips, interconnects, fabrics and calibrations by name.

    Parameters
    ----------
    entries
        Entries as written, by kind (``llms``, ``chips``, ...) and name.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> catalog = jl.load_catalog()
    >>> float(catalog.chip("h100").mem_bw)
    3350000000000.0
    """

    entries: Entries

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(entries)} {kind}" for kind, entries in self.entries.items())
        return f"Catalog({counts})"

    @property
    def llms(self) -> Mapping[str, Entry]:
        """Entries of large language models by name."""
        return self.entries["llms"]

    @property
    def chips(self) -> Mapping[str, Entry]:
        """Entries of chips by name."""
        return self.entries["chips"]

    @property
    def interconnects(self) -> Mapping[str, Entry]:
        """Entries of ways to join chips by name."""
        return self.entries["interconnects"]

    @property
    def assumptions(self) -> Mapping[str, Entry]:
        """Entries of power and price for chips that state none, by name."""
        return self.entries["assumptions"]

    @property
    def fabrics(self) -> Mapping[str, Entry]:
        """Entries of measured all-reduces by name."""
        return self.entries["fabrics"]

    @property
    def calibrations(self) -> Mapping[str, Entry]:
        """Entries of fitted constants by name."""
        return self.entries["calibrations"]

    def llm(self, name: str) -> LLM:
        """Return a model's record."""
        return LLM(**self.values("llm", name))

    def chip(self, name: str) -> Chip:
        """Return a chip's record; NaN stands where its entry states no power or no price."""
        return Chip(**self.values("chip", name))

    def fabric(self, name: str) -> Fabric:
        """Return the record of a chip's measured all-reduces."""
        return Fabric(**self.values("fabric", name))

    def calibration(self, name: str) -> Calibration:
        """Return the record of an engine's fitted constants."""
        return Calibration(**self.values("calibration", name))

    def measured(self, entry: Entry) -> dict[str, float]:
        """Return the fields of a chip or a model that say whether a calibration rests on its rates.

        None of another kind of entry, nor those that the entry states itself.
        """
        return self._measured(entry, entry_values(entry)) if entry.kind in _RATED else {}

    def _measured(self, entry: Entry, values: Mapping[str, float]) -> dict[str, float]:
        """As :meth:`measured`, from the values of its fields."""
        fits = [one.fit for one in self.calibrations.values()]

        def stated(key: str, name: str) -> float:
            return float(any(name in fit.get(key, ()) for fit in fits))

        if entry.kind == "chips":
            found = {"measured_chip": stated("chips", entry.name)}
        elif entry.kind == "llms":
            kinds = "+".join(attention_kinds(values))
            found = {
                "measured_model": stated("llms", entry.name),
                "measured_attention": stated("attention", kinds),
            }
        else:
            return {}
        return {name: known for name, known in found.items() if name not in entry.raw}

    @property
    def proposers(self) -> Mapping[str, Entry]:
        """Entries of what proposes tokens, by name."""
        return self.entries["proposers"]

    def values(
        self,
        record: str,
        name: str,
        *,
        beside: Collection[str] = (),
        assume: str | None = None,
        **place: str,
    ) -> dict[str, float]:
        """Return every numeric field of a named record in SI units; those that it states of a part.

        Parameters
        ----------
        record
            ``"llm"``, ``"chip"``, ``"fabric"``, ``"calibration"``; ``"draft"``: an LLM whose fields
            have other names; or ``"interconnect"`` and ``"assume"``, which are parts of a chip.
        name
            Name of the entry.
        beside
            Fields that are set beside the entry: a chip whose price is set needs to state none.
        assume
            Assumption whose power and price a chip has that states none.
        **place
            ``where`` and ``key`` for the error of an unknown name.
        """
        entry = find_entry(self.entries, entry_kind(record), name, **place)
        if entry.is_announced:
            _warn_of_announced(entry)
        known = {**place, "key": "assume"}
        assumed = {} if assume is None else self.values("assume", assume, **known)
        values = entry_values(entry, beside=beside, assumed=assumed)
        if record in PARTIAL:
            return values
        values |= self._measured(entry, values)
        return {field: values[own] for own, field in field_names(record).items()}


def load_catalog(*files: str | Path) -> Catalog:
    """Return the shipped catalog, with the entries of further files added.

    Parameters
    ----------
    *files
        TOML files with tables such as ``[llms.NAME]``, in the shipped files' format.

    Raises
    ------
    InputError
        A file that cannot be read, malformed TOML, a name that is taken. Values are checked when an
        entry is used.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> "deepseek-v3" in jl.load_catalog().llms
    True
    """
    paths = [Path(file) for file in files]
    return extended(Catalog(entries=shipped_entries()), ((str(p), read_toml(p)) for p in paths))


def extended(catalog: Catalog, sources: Iterable[tuple[str, Mapping[str, Any]]]) -> Catalog:
    """Return a catalog with the entries of parsed files added."""
    return Catalog(entries=collect_entries(sources, known=catalog.entries))


def with_models(
    catalog: Catalog, names: Iterable[str], *, where: str = "", folder: Path | None = None
) -> Catalog:
    """Return a catalog in which every path to a ``config.json`` among the names is an entry.

    Parameters
    ----------
    catalog
        What there is.
    names
        Names of LLMs; a path is taken from the working folder, else from the grid's.
    where
        What to name in an error.
    folder
        The grid's folder.
    """
    found = {
        name: read_model_config(_config_path(name, folder or Path(), where=where), name=name)
        for name in names
        if name not in catalog.llms and is_model_config(name, folder or Path())
    }
    entries = {**catalog.entries, "llms": {**catalog.llms, **found}}
    return Catalog(entries=entries) if found else catalog


def _config_path(name: str, folder: Path, *, where: str) -> Path:
    path = next((path for path in (Path(name), folder / name) if path.exists()), None)
    if path is None:
        remedy = "name a config.json, or a model of the catalog"
        raise InputError("no such file", where=where, key="llm", value=name, remedy=remedy)
    return path


_told: set[str] = set()
"""Warnings that were given: Python's own memory of them is lost whenever anybody sets a filter."""


def _warn_of_announced(entry: Entry) -> None:
    """Warn once in a process."""
    title = entry.words.get("title", entry.name)
    message = (
        f"{entry.name} is announced, not delivered: figures of {title} are its maker's and may "
        "change"
    )
    if message not in _told:
        warnings.warn(message, AnnouncedChipWarning, stacklevel=2)
        _told.add(message)


def entry_values(
    entry: Entry,
    *,
    beside: Collection[str] = (),
    assumed: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Return every numeric field of an entry's record in SI units, defaults filled in.

    An interconnect and an assumption have the fields that they state and no others. A chip that
    states no power or no price has NaN there. A model may state ``weight_bits`` and ``kv_bits`` for
    those of its parts that it does not state beside them.

    Parameters
    ----------
    entry
        The entry.
    beside, assumed
        For a chip: fields that are set beside it, and the power and price of one that states none.

    Raises
    ------
    InputError
        An unknown field, a missing required one, or a value that the field cannot take.
    """
    record = entry.kind.removesuffix("s")
    parts = {entry_kind(part): fields for part, fields in PARTIAL.items()}
    partial = entry.kind in parts
    named = parts[entry.kind] if partial else quantities(RECORDS[record])
    setters = SET_BY.values() if record == "llm" else ()
    fields = {name: FIELDS[name] for name in (*named, *setters)}
    key = f"{entry.kind}.{entry.name}"
    given: dict[str, float] = {}
    for name, raw in entry.raw.items():
        if name not in fields:
            raise unknown_name("field", name, fields, where=entry.origin, key=key)
        given[name] = parse_number(fields[name], raw, where=entry.origin, key=f"{key}.{name}")
    for part, setter in SET_BY.items() if record == "llm" else ():
        if given.get(setter):
            given.setdefault(part, given[setter])
    if partial:
        return given
    if record == "chip" and "peak_flops" in given:
        given.setdefault("peak_vector_flops", VECTOR_SHARE * given["peak_flops"])
    defaults = record_defaults(record)
    if record == "chip":
        defaults |= _power_and_price({*given, *beside}, assumed or {})
    values = {**defaults, **given}
    missing = [name for name in named if name not in values]
    if missing:
        problem = f"lacks {', '.join(missing)}"
        raise InputError(problem, where=entry.origin, key=key, remedy="state each of them")
    return {name: values[name] for name in named}


def _power_and_price(stated: Collection[str], assumed: Mapping[str, float]) -> dict[str, float]:
    """What a chip's power and price are by default, where only some of their fields are stated.

    Power is stated whole, as ``base_power``, or follows from the die: memory then has its own.
    """
    lacking = [lead for lead, any_of in STATED_BY.items() if not {*any_of} & {*stated}]
    taken = {
        field: assumed[field] for lead in lacking for field in INPUTS[lead] if field in assumed
    }
    whole = {} if "die_area" in {*stated, *taken} else {"die_area": 0.0, "mem_energy": 0.0}
    absent = [lead for lead in lacking if not {*STATED_BY[lead]} & taken.keys()]
    return whole | taken | dict.fromkeys(absent, math.nan)


def record_values(record: LLM | Chip) -> dict[str, float]:
    """Return the numeric fields of a record built by hand."""
    return {name: float(getattr(record, name)) for name in quantities(type(record))}
