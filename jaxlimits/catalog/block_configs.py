"""Models whose file states each layer by itself, in ``block_configs``, as lists of the usual keys.

So do the models of NVIDIA's architecture search (Llama-Nemotron; their published code): a layer may
lack its attention or its feed-forward part, and widths differ.
"""

from collections.abc import Mapping
from typing import Any

from jaxlimits.catalog.config_keys import Table, whole

KEY = "block_configs"

_MULTIPLE = 256
"""Widths that a multiplier gives are rounded up to it."""

_REMEDY = "write an entry by hand: see jaxlimits/catalog/llms.toml"


def with_lists(values: Mapping[str, Any], *, where: str) -> Mapping[str, Any]:
    """Return a configuration with ``block_types`` and lists of what differs, where it has blocks.

    Layers that have neither part are left out.
    """
    blocks = values.get(KEY)
    if not isinstance(blocks, list):
        return values
    tables = [Table(each, where=where, key=f"{KEY}[{at}]") for at, each in enumerate(blocks)]
    heads = [_kv_heads(table, values) for table in tables]
    widths = [_width(table, values) for table in tables]
    return {
        **values,
        "block_types": [
            "both" if kv and width else "mixer" if kv else "ffn"
            for kv, width in zip(heads, widths, strict=True)
            if kv or width
        ],
        "num_key_value_heads": [kv for kv in heads if kv],
        "intermediate_size": [width for width in widths if width],
    }


def _part(table: Table, name: str, unknown: tuple[str, ...]) -> Table | None:
    """One half of a layer, ``None`` where it lacks it."""
    part = table.table(name)
    if part is None or part.flag("no_op", default=False):
        return None
    for key in unknown:
        if part.values.get(key):
            raise part.wrong(key, "is a layer of an unknown kind", remedy=_REMEDY)
    return part


def _kv_heads(table: Table, values: Mapping[str, Any]) -> int:
    unknown = ("replace_with_linear", "num_sink_tokens", "window_length", "sparsify", "mamba")
    part = _part(table, "attention", unknown)
    if part is None:
        return 0
    if part.values.get("num_key_value_heads") is not None:
        return part.whole("num_key_value_heads", least=1)
    heads = whole(values.get("num_attention_heads"), where=part.where, key="num_attention_heads")
    return heads // part.whole("n_heads_in_group", least=1)


def _width(table: Table, values: Mapping[str, Any]) -> int:
    part = _part(table, "ffn", ("replace_with_linear", "sparsify", "moe"))
    if part is None:
        return 0
    if part.values.get("intermediate_size") is not None:
        return part.whole("intermediate_size", least=1)
    factor = part.values.get("ffn_mult")
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 1e3:
        raise part.wrong("ffn_mult", "must be a number above 0", remedy="write it, as 5.25")
    hidden = whole(values.get("hidden_size"), where=part.where, key="hidden_size")
    width = int(2 * factor * hidden / 3)
    return -(-width // _MULTIPLE) * _MULTIPLE
