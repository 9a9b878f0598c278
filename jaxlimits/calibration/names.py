"""What tables of measurements call chips and models, and the catalog's names for them.

The catalog's own names always work, in any case. Beside them stand the spellings below, which are
those of vendors' and benchmarks' tables: a later or tuned release of the same shape is the same
model here.
"""

from collections.abc import Iterable

from jaxlimits.errors import unknown_name

CHIPS = {
    "A100-SXM": "a100",
    "A100-SXM-80GB": "a100",
    "H100-SXM": "h100",
    "H100-SXM-80GB": "h100",
    "H200-SXM": "h200",
    "H200-SXM-141GB": "h200",
    "B200-SXM": "b200",
    "B200-SXM-180GB": "b200",
}
"""Chips of a table's ``system``, after its count: ``8xB200-SXM`` is eight ``b200``."""

GPUS = {"a100_sxm": "a100", "h100_sxm": "h100", "h200_sxm": "h200", "b200_sxm": "b200"}
"""Chips of a table of all-reduces."""

LLMS = {
    "Llama-3-8B": "llama3-8b",
    "Llama-3.1-8B": "llama3-8b",
    "Llama-3-70B": "llama3-70b",
    "Llama-3.1-70B": "llama3-70b",
    "Llama-3.3-70B": "llama3-70b",
    "Llama-3-405B": "llama3-405b",
    "Llama-3.1-405B": "llama3-405b",
    "Llama-4-Scout": "llama4-scout",
    "Llama-4-Maverick": "llama4-maverick",
    "Llama-4-Maverick-400B-A17B": "llama4-maverick",
    "DeepSeek-R1": "deepseek-v3",
    "DeepSeek-R1-0528": "deepseek-v3",
    "DeepSeek-R1 (V3 arch)": "deepseek-v3",
    "DeepSeek-V3-0324": "deepseek-v3",
    "DeepSeek-V3/R1": "deepseek-v3",
    "DeepSeek-V3.2 (DSA)": "deepseek-v3.2",
    "DeepSeek-V3.2-Exp": "deepseek-v3.2",
    "Kimi-K2-Instruct": "kimi-k2",
    "Qwen3-30B-A3B": "qwen3-30b",
    "Qwen3-235B-A22B": "qwen3-235b",
}
"""Models of a table."""


def catalog_name(
    kind: str, text: str, *, spellings: dict[str, str], known: Iterable[str], where: str, key: str
) -> str:
    """Return the catalog's name for what a table calls something.

    Parameters
    ----------
    kind
        What it is, for the error: "chip" or "llm".
    text
        As in the table.
    spellings, known
        The table's spellings, and the names of the catalog.
    where, key
        File and line, and column.
    """
    known = list(known)
    folded = {name.lower(): name for name in known}
    folded |= {spelling.lower(): name for spelling, name in spellings.items() if name in known}
    if text.lower() in folded:
        return folded[text.lower()]
    raise unknown_name(kind, text, [*known, *spellings], where=where, key=key)
