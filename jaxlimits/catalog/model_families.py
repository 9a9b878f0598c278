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
from jaxlimits.catalog.expressions import Number, evaluated, names_in
from jaxlimits.catalog.layer_rules import Layers, picked_layers
from jaxlimits.errors import InputError, suggestion

Fields = dict[str, Number]
Places = Mapping[str, Sequence[int]]

_ABOUT = ("like", "parts", "also")
"""What an entry says of itself, beside what its family has."""

_MOST_LAYERS = 10_000
"""Above it a number of layers is a mistake, and would be counted one by one."""

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
    counts
        The same for names that only expressions use.
    kinds
        Keys of lists of the kind of each layer, and what their words stand for in rules.
    counted
        Of these lists, those whose length is the number of layers.
    defaults
        What published files leave out because their class has it.
    expect
        Keys of which the record can hold one value alone: ``value``, or ``multiple_of`` another
        key; and what is wrong otherwise (``else``).
    left_out
        Words for what the record has no field for, by the key that states it.
    refused
        Why the record cannot hold the architecture (``because``), and the ``keys`` to blame.
    keys
        What the file calls a key, by its usual name; of several the first that it has.
    tables
        Tables within the file whose keys count as its own.
    mixer, called
        Kind of its recurrent mixers, and what it calls modules that others call by the usual name:
        see ``quantisation.toml``.
    architectures
        Parts of class names by which the family is known, whatever ``model_type`` says.
    """

    fields: Mapping[str, str]
    layers: Mapping[str, Layers] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, Layers] = dataclasses.field(default_factory=dict)
    kinds: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    counted: Sequence[str] = ()
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    expect: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    refused: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    keys: Mapping[str, str | Sequence[str]] = dataclasses.field(default_factory=dict)
    tables: Sequence[str] = ()
    mixer: str = ""
    called: Mapping[str, str] = dataclasses.field(default_factory=dict)
    architectures: Sequence[str] = ()


@functools.cache
def families() -> Mapping[str, Family]:
    """Return the families by ``model_type``."""
    content = _stated()
    known = {name: _family(name, content) for name in content["families"]}
    others = {
        other: known[name]
        for name, table in content["families"].items()
        for other in table.get("also", ())
    }
    return known | others


def family_of(values: Mapping[str, Any], *, where: str) -> Family:
    """Return the family of a configuration, by its classes or else its ``model_type``."""
    classes = values.get("architectures")
    named = [str(each).casefold() for each in classes] if isinstance(classes, list) else []
    for family in families().values():
        parts = (part.casefold() for part in family.architectures)
        if any(part in name for part in parts for name in named):
            return family
    kind, known = str(values.get("model_type")), families()
    if kind in known:
        return known[kind]
    raise _unknown(kind, values, where=where)


def _unknown(kind: str, values: Mapping[str, Any], *, where: str) -> InputError:
    """Name what is unknown of a family by the keys that betray it."""
    hints = _stated()["hints"]
    key = next((key for key in hints if values.get(key)), None)
    if key is not None:
        value, remedy = values[key], "write an entry by hand: see jaxlimits/catalog/llms.toml"
        problem = f"is of {kind!r:.60}, which has {hints[key]}"
        return InputError(problem, where=where, key=key, value=value, remedy=remedy)
    readable = [name for name, family in families().items() if not family.refused]
    remedy = f"{suggestion(kind, readable)}; or write an entry by hand"
    problem = "is a family of unknown layers"
    return InputError(problem, where=where, key="model_type", value=kind, remedy=remedy)


def family_fields(family: Family, config: Config) -> tuple[Fields, Places]:
    """Read the fields of the record that a configuration states, and which layers they count."""
    _check(family, config)
    if config["num_hidden_layers"] > _MOST_LAYERS:
        why, remedy = f"is more than {_MOST_LAYERS} layers", "write the number of layers"
        raise config.refuse("num_hidden_layers", why, remedy=remedy)
    rules = {**family.layers, **family.counts}
    places = {field: picked_layers(rule, config) for field, rule in rules.items()}
    fields: Fields = {field: len(layers) for field, layers in places.items()}
    expressions = dict(family.fields)
    for field, rule in rules.items():
        expressions |= rule.fields if fields[field] else {}
    config.left_out += [words for key, words in family.left_out.items() if config.count(key)]
    if _without_ffn(expressions, fields, config) >= _read(expressions["num_layers"], {}, config):
        expressions["intermediate_size"] = "0"  # no layer is dense
    for field, expression in expressions.items():
        fields[field] = _read(expression, fields, config)
        if fields[field] < 0:
            raise _blamed(expression, config, "is less than a model can have")
        if fields[field] < 1 and _is_due(field, expressions, fields):
            raise _blamed(expression, config, "must be at least 1")
    if fields.get("experts_per_token", 0) > fields.get("num_experts", 0):
        raise _blamed(expressions["experts_per_token"], config, "is more experts than there are")
    return {field: n for field, n in fields.items() if field not in family.counts}, places


def _without_ffn(expressions: Mapping[str, str], fields: Fields, config: Config) -> Number:
    """Layers that have no dense feed-forward part."""
    mixers = expressions.get("num_mixer_only_layers")
    alone = fields.get("num_mixer_only_layers", 0)
    alone = _read(mixers, fields, config) if mixers is not None else alone
    return alone + fields.get("num_moe_layers", 0)


ALWAYS_DUE = ("num_layers", "hidden_size", "vocab_size", "num_heads", "num_kv_heads")
DUE_WITH_EXPERTS = ("num_experts", "experts_per_token", "moe_intermediate_size")


def _is_due(field: str, expressions: Mapping[str, str], fields: Fields) -> bool:
    """Whether a model with such layers has none of a field only by mistake."""
    if field == "intermediate_size":
        return expressions[field] != "0"
    with_experts = fields.get("num_moe_layers", 0) > 0
    return field in ALWAYS_DUE or (field in DUE_WITH_EXPERTS and with_experts)


def _blamed(expression: str, config: Config, why: str) -> InputError:
    """The error of a field, by the first key of its expression that the file states."""
    names = sorted(names_in(expression), key=expression.index)
    key = next((name for name in names if config.stated(name) is not None), names[0])
    return config.refuse(key, why, remedy="write what the model has")


def _read(expression: str, fields: Fields, config: Config) -> Number:
    functions = {"mean": config.mean}
    try:
        value = evaluated(expression, lambda name: config.named(name, fields), functions)
    except ZeroDivisionError:
        names = sorted(names_in(expression), key=expression.index)
        zero = next(name for name in names if config.named(name, fields) == 0)
        key = config.key(zero)
        remedy = "write a whole number above 0"
        problem = f"divides by 0 in {' '.join(expression.split())!r}"
        raise InputError(problem, where=config.where, key=key, value=0, remedy=remedy) from None
    return int(value) if value == int(value) else value


def _check(family: Family, config: Config) -> None:
    """Refuse what the record cannot hold."""
    if family.refused:
        blamed = next((key for key in family.refused["keys"] if config.stated(key)), "model_type")
        raise config.refuse(blamed, family.refused["because"])
    for key, expected in family.expect.items():
        if config.stated(key) is not None and not _is_expected(key, expected, config):
            raise config.refuse(key, expected["else"])


def _is_expected(key: str, expected: Mapping[str, Any], config: Config) -> bool:
    if "multiple_of" in expected:
        whole = config[expected["multiple_of"]]
        return whole > 0 and config[key] % whole == 0
    stated = config.stated(key)
    each = stated if isinstance(stated, list) else [stated]
    return all(value == expected["value"] for value in each)


def _stated() -> Mapping[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def _family(name: str, stated: Mapping[str, Any]) -> Family:
    table = _merged([stated["common"], _with_parts(stated["families"][name], stated)])
    rules = {
        part: {field: Layers(**rule) for field, rule in table.pop(part, {}).items()}
        for part in ("layers", "counts")
    }
    return Family(**rules, **table)


def _with_parts(table: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """A table over the family that it is like, and over its parts in their order."""
    below = [stated["families"][table["like"]]] if "like" in table else []
    below += [stated["parts"][part] for part in table.get("parts", ())]
    own = {key: value for key, value in table.items() if key not in _ABOUT}
    return _merged([*(_with_parts(each, stated) for each in below), own])


def _merged(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One table of several; a later one wins, inside the tables within too."""
    merged: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            inner = isinstance(value, Mapping) and key in merged
            merged[key] = _merged([merged[key], value]) if inner else value
    return merged
