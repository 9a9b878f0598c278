"""Serving engines: how tables name them, and what their recipes set where a row does not say."""

import re
from collections.abc import Mapping

ENGINES: Mapping[str, str] = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM"}
"""Engines by the name that calibrations and fabrics have for them."""

_SPELLINGS = {"tensorrtllm": "trtllm", "trtllm": "trtllm", "vllm": "vllm", "sglang": "sglang"}
_IN_A_NOTE = re.compile(r"; *(?P<engine>vllm|sglang|trtllm)\b *(?P<version>[^;,]*)")
_RECIPES = ("b200", "b300", "gb200", "gb300")
"""Chips whose recipes of InferenceX set an 8-bit cache in every engine."""


def engine_of(cells: Mapping[str, str]) -> str:
    """Return the engine that a row names, in a column or in its note; empty where it does not."""
    named = re.sub(r"[^a-z]", "", cells.get("engine", "").lower())
    if named:
        return _SPELLINGS.get(named, named)
    found = _IN_A_NOTE.search(cells.get("metric_note", ""))
    return found["engine"] if found else ""


def engine_version(cells: Mapping[str, str]) -> str:
    """Return the engine's version, where a row states it."""
    stated = cells.get("version", "")
    found = _IN_A_NOTE.search(cells.get("metric_note", ""))
    text = stated or (found["version"].strip() if found else "")
    return "" if text == "nan" else text


def cache_bits_of(engine: str, chip: str) -> float:
    """Bits of the KV cache of weights in 8 or 4 bits, where a row does not say [1].

    TensorRT-LLM keeps it in 8 bits beside such weights. vLLM and SGLang keep 16 unless they are
    told otherwise, as the public recipes of InferenceX do on Blackwell and not on Hopper; the
    measured growth with the batch agrees. 8 where no engine is named.
    """
    if engine in ("vllm", "sglang") and chip not in _RECIPES:
        return 16.0
    return 8.0
