"""Families of models as data for the page, which reads a ``config.json`` by the same statements.

The families are those of ``catalog/families.toml``; their expressions become nested lists. What the
page does not read it names, with the command that does: a quantised model, layers that a list of
blocks states, a family that the record cannot hold.
"""

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxlimits.catalog.layer_rules import Layers
from jaxlimits.catalog.model_families import ALWAYS_DUE, DUE_WITH_EXPERTS, Family, families
from jaxlimits.catalog.quantisation import CACHED_AT_LEAST, DTYPES, STATE_DTYPES

_SIGNS: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Div: "/",
}


def family_data() -> dict[str, Any]:
    """Return the families, each once, which of them each ``model_type`` is, and the precisions."""
    tables: list[dict[str, Any]] = []
    places: dict[int, int] = {}
    for family in families().values():
        if id(family) not in places:
            places[id(family)] = len(tables)
            tables.append(_family(family))
    named = {name: places[id(family)] for name, family in families().items()}
    return {
        "families": tables,
        "family_of": named,
        "due": {"always": ALWAYS_DUE, "with_experts": DUE_WITH_EXPERTS},
        "dtypes": DTYPES,
        "state_dtypes": STATE_DTYPES,
        "cached_at_least": CACHED_AT_LEAST,
    }


def _family(family: Family) -> dict[str, Any]:
    stated = {
        "fields": _expressions(family.fields),
        "layers": {field: _rule(rule) for field, rule in family.layers.items()},
        "counts": {field: _rule(rule) for field, rule in family.counts.items()},
        **{
            name: getattr(family, name)
            for name in ("kinds", "counted", "defaults", "expect", "keys", "tables")
        },
        "refused": family.refused,
        "architectures": family.architectures,
    }
    return {name: value for name, value in stated.items() if value}


def _rule(rule: Layers) -> dict[str, Any]:
    named = {field.name: getattr(rule, field.name) for field in dataclasses.fields(rule)}
    stated = {name: value for name, value in named.items() if value}
    return {**stated, **({"fields": _expressions(rule.fields)} if rule.fields else {})}


def _expressions(texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: parsed(text) for name, text in texts.items()}


def parsed(text: str) -> Any:
    """Return an expression as nested lists: ``["//", "hidden_size", "num_heads"]``.

    A text is a name, ``["or", …]`` the first that is not 0, ``["mean", key]`` the mean of a key
    that has a value a layer.
    """
    return _nested(ast.parse(f"({text.strip()})", mode="eval").body)


def _nested(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return name
        case ast.BinOp(left=left, op=op, right=right):
            return [_SIGNS[type(op)], _nested(left), _nested(right)]
        case ast.BoolOp(op=ast.Or(), values=alternatives):
            return ["or", *map(_nested, alternatives)]
        case ast.Call(func=ast.Name(id="mean"), args=[ast.Name(id=key)]):
            return ["mean", key]
    raise ValueError(f"{ast.unparse(node)}: the page has no such expression")
