"""The precision that a model's configuration states: bits by part, of the cache and of operands.

Scales count: a format's bits are those of one value and its share of a scale. What a method leaves
as it was keeps the bits of ``dtype``. A cache of which nothing is said has that width too, and 16
bits at least, as engines keep it.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxlimits.catalog.config_keys import Table
from jaxlimits.catalog.module_names import Anatomy, stored_parts
from jaxlimits.catalog.quantisation_methods import ELSEWHERE, scheme_of
from jaxlimits.catalog.text_files import read_json
from jaxlimits.errors import InputError

SIDE_FILE = "hf_quant_config.json"
"""Where ModelOpt writes the quantisation beside a configuration."""

DTYPES = {
    "bfloat16": 16.0,
    "float16": 16.0,
    "half": 16.0,
    "float32": 32.0,
    "float": 32.0,
    "float8_e4m3fn": 8.0,
    "float8_e5m2": 8.0,
}
"""Bits of a number by its name in a configuration."""

STATE_DTYPES = ("mamba_ssm_cache_dtype", "mamba_ssm_dtype")
"""Keys that state the precision of a recurrent state."""

CACHED_AT_LEAST = 16.0
"""Bits of the cache of a model that states narrower ones for all else."""

_CACHE_FORMATS = {"FP8": 8.0, "INT8": 8.0, "NVFP4": 4.5}


@dataclasses.dataclass(frozen=True, slots=True)
class Precision:
    """What a file states of its precision.

    Parameters
    ----------
    fields
        Fields of a catalog entry: ``weight_bits``, those parts that differ, ``kv_bits``,
        ``operand_bits``, ``state_bits`` where it is stated.
    words
        The same for people.
    """

    fields: Mapping[str, float]
    words: str


def read_precision(
    values: Mapping[str, Any], anatomy: Anatomy, *, where: str, beside: Path | None = None
) -> Precision:
    """Read the precision of a model from its configuration.

    Parameters
    ----------
    values
        The configuration: ``quantization_config``, ``quantization`` (MLX), ``dtype`` or
        ``torch_dtype``.
    anatomy
        The model that was read from it.
    where
        The file.
    beside
        The folder where an ``hf_quant_config.json`` may lie, which counts where the configuration
        states no quantisation.

    Raises
    ------
    InputError
        A method, format or dtype that is not known, or one that is not stated as it should be.
    """
    kept, dtype = _dtype(values, where)
    table = _quantisation(values, where=where, beside=beside)
    state = _state_bits(values, where) if anatomy.fields.get("num_recurrent_layers") else {}
    if table is None:
        return _unquantised(kept, dtype, state)
    scheme = scheme_of(table)
    parts = stored_parts(scheme, anatomy, kept=kept)
    changed = {part: how for part, how in parts.items() if how.bits != kept}
    if not changed:
        problem, remedy = "quantises no known module", ELSEWHERE
        raise InputError(problem, where=table.where, key=table.key, remedy=remedy)
    cache = _cache_bits(table) or max(kept, CACHED_AT_LEAST)
    operands = {operand for how in parts.values() for operand in how.operands}
    said = ", ".join(
        f"{part} = {how.bits:.6g}{' (a mean)' if how.mixed else ''}"
        for part, how in changed.items()
    )
    others = f" (of {sorted(operands)})" if len(operands) > 1 else ""
    bits = {part: how.bits for part, how in changed.items()}
    return Precision(
        fields={
            "weight_bits": kept,
            **bits,
            "kv_bits": cache,
            "operand_bits": float(max(operands)),
            **state,
        },
        words=(
            f"Stored by {scheme.method}, scales included: {said}; the rest in {kept:g} ({dtype}). "
            f"KV cache: {cache:g}.{_said(state)} "
            f"Operands of products: at least {max(operands)}{others}."
        ),
    )


def _unquantised(kept: float, dtype: str, state: Mapping[str, float]) -> Precision:
    cache = max(kept, CACHED_AT_LEAST)
    words = f"Stored with weight_bits = {kept:g} ({dtype}). KV cache: {cache:g}.{_said(state)}"
    return Precision(fields={"weight_bits": kept, "kv_bits": cache, **state}, words=words)


def _said(state: Mapping[str, float]) -> str:
    return "".join(f" Recurrent state: {bits:g}." for bits in state.values())


def _state_bits(values: Mapping[str, Any], where: str) -> dict[str, float]:
    """Bits of a recurrent state, where the file states them."""
    key = next((key for key in STATE_DTYPES if values.get(key) is not None), None)
    return {} if key is None else {"state_bits": _bits_of(key, values, where)[0]}


def _dtype(values: Mapping[str, Any], where: str) -> tuple[float, str]:
    key = "dtype" if values.get("dtype") is not None else "torch_dtype"
    if values.get(key) is None:
        return DTYPES["bfloat16"], "no dtype is stated"
    return _bits_of(key, values, where)


def _bits_of(key: str, values: Mapping[str, Any], where: str) -> tuple[float, str]:
    """Bits of a dtype, and its name."""
    written = values[key]
    name = written.removeprefix("torch.") if isinstance(written, str) else None
    if name not in DTYPES:
        remedy = f"write one of {', '.join(DTYPES)}"
        problem = "is not a known dtype"
        raise InputError(problem, where=where, key=key, value=written, remedy=remedy)
    return DTYPES[name], name


def _quantisation(values: Mapping[str, Any], *, where: str, beside: Path | None) -> Table | None:
    """The table that states the quantisation, of the file or beside it."""
    for key in ("quantization", "quantization_config", "compression_config"):
        if values.get(key):
            table = Table(values[key], where=where, key=key)
            beside_it = {"expert_dtype": values["expert_dtype"]} if "expert_dtype" in values else {}
            return Table({**beside_it, **table.values}, where=where, key=key)
    side = beside / SIDE_FILE if beside is not None else None
    if side is None or not side.is_file():
        return None
    whole = Table(read_json(side), where=str(side), key="")
    if whole.values.get("quantization") is None:
        remedy = "is it ModelOpt's? Else take it out of the folder"
        raise InputError("is missing", where=str(side), key="quantization", remedy=remedy)
    return Table(whole.values["quantization"], where=str(side), key="quantization")


def _cache_bits(table: Table) -> float | None:
    """Bits of the KV cache, ``None`` where the file does not state them."""
    key = "kv_cache_scheme" if table.values.get("kv_cache_scheme") else "kv_cache_quant_algo"
    if isinstance(table.values.get(key), Mapping):
        scheme = Table(table.values[key], where=table.where, key=f"{table.key}.{key}")
        bits = scheme.whole("num_bits", least=1)
        return _CACHE_FORMATS["NVFP4"] if bits == 4 else float(bits)
    name = table.text(key).upper()
    if not name or name == "NONE":
        return None
    if name not in _CACHE_FORMATS:
        remedy = f"known are {', '.join(_CACHE_FORMATS)}"
        raise table.wrong(key, "is not a known format", remedy=remedy)
    return _CACHE_FORMATS[name]
