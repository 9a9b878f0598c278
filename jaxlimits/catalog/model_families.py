"""Shapes of published architectures: from the keys of a ``config.json`` to fields of the record.

The families are data: see ``families.toml``, which says how an entry is written. What the record
has no field for is named, or refused where the shape would be wrong without it.
"""

import dataclasses
import functools
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxlimits.catalog.config_keys import Config
from jaxlimits.catalog.expressions import evaluated
from jaxlimits.catalog.layer_rules import Layers, number_of_layers
from jaxlimits.errors import InputError

Fields = dict[str, int]

_FILE = Path(__file__).with_name("families.toml")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One architecture.

    Parameters
    ----------
    fields
        Expression for each field of the record.
    layers
        Fields that count layers of a kind, and which layers they are.
    defaults
        What published files leave out because their class has it.
    expect
        Keys of which the record can hold one value alone: ``value``, or ``multiple_of`` another
        key; and what is wrong otherwise (``else``).
    left_out
        Words for what the record has no field for, by the key that states it.
    refused
        Why the record cannot hold the architecture (``because``), and the ``keys`` to blame.
    """

    fields: Mapping[str, str]
    layers: Mapping[str, Layers] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    expect: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    refused: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@functools.cache
def families() -> Mapping[str, Family]:
    """Return the families by ``model_type``."""
    stated = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {name: _family(name, stated) for name in stated["families"]}


def family_fields(family: Family, config: Config) -> Fields:
    """Read the fields of the record that a configuration states."""
    _check(family, config)
    counts = {field: number_of_layers(rule, config) for field, rule in family.layers.items()}
    expressions = dict(family.fields)
    for field, rule in family.layers.items():
        expressions |= rule.fields if counts[field] else {}
    if counts.get("num_moe_layers") == config.count("num_hidden_layers"):
        expressions["intermediate_size"] = "0"  # no layer is dense
    config.left_out += [words for key, words in family.left_out.items() if config.count(key)]
    fields = dict(counts)
    for field, expression in expressions.items():
        fields[field] = _read(expression, fields, config)
    return fields


def _read(expression: str, fields: Fields, config: Config) -> int:
    try:
        return evaluated(expression, lambda name: config.named(name, fields))
    except ZeroDivisionError:
        raise InputError(f"divides by 0 in {expression!r}", where=config.where) from None


def _check(family: Family, config: Config) -> None:
    """Refuse what the record cannot hold."""
    if family.refused:
        blamed = next(key for key in family.refused["keys"] if key in config.values)
        raise config.refuse(blamed, family.refused["because"])
    for key, expected in family.expect.items():
        if config.values.get(key) is not None and not _is_expected(key, expected, config):
            raise config.refuse(key, expected["else"])


def _is_expected(key: str, expected: Mapping[str, Any], config: Config) -> bool:
    if "multiple_of" in expected:
        whole = config[expected["multiple_of"]]
        return whole > 0 and config[key] % whole == 0
    stated = config.values[key]
    each = stated if isinstance(stated, list) else [stated]
    return all(value == expected["value"] for value in each)


def _family(name: str, stated: Mapping[str, Any]) -> Family:
    table = _merged([stated["common"], _with_parts(stated["families"][name], stated)])
    layers = {field: Layers(**rule) for field, rule in table.pop("layers", {}).items()}
    return Family(layers=layers, **table)


def _with_parts(table: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """A table over the family that it is like, and over its parts in their order."""
    below = [stated["families"][table["like"]]] if "like" in table else []
    below += [stated["parts"][part] for part in table.get("parts", ())]
    own = {key: value for key, value in table.items() if key not in {"like", "parts"}}
    return _merged([*(_with_parts(each, stated) for each in below), own])


def _merged(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One table of several; a later one wins, inside the tables within too."""
    merged: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            inner = isinstance(value, Mapping) and key in merged
            merged[key] = _merged([merged[key], value]) if inner else value
    return merged
