"""The place of each machine among all, from which its colour follows: the same in every figure."""

import functools
import zlib
from collections.abc import Mapping

from jaxlimits.catalog.entries import shipped_entries

_OFTEN_SHOWN = (
    "xpu-hbm3", "xpu-hbm4", "xpu-3d-dram", "xpu-sram", "xpu-cows", "a100", "h100", "h200",
    "b200", "mi300x", "mi325x", "tpu-v5p", "tpu-v6e", "ironwood", "wse-3", "groq-lpu",
)  # fmt: skip
"""Machines that share figures: each of them has a colour that none of the others has."""

_OF_ONES_OWN = 1000


@functools.cache
def _places() -> Mapping[str, int]:
    rest = (name for name in shipped_entries()["chips"] if name not in _OFTEN_SHOWN)
    return {name: place for place, name in enumerate([*_OFTEN_SHOWN, *rest])}


def place_of(chip: str) -> int:
    """Return the place of a machine; one of the user's own has one by its name."""
    found = _places().get(chip)
    return zlib.crc32(chip.encode()) % _OF_ONES_OWN if found is None else found
