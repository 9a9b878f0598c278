"""The table of ``jaxlimits catalog chips``: each chip's numbers in a row."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import typer

from jaxlimits.catalog.entries import Entry
from jaxlimits.cli.tables import (
    Column,
    label,
    number,
    print_filled,
    print_table,
    room_at_terminal,
    text,
)

_HEADING = """\
TB/s and GB of memory; dense TFLOP/s at 16, 8 and 4 bits; chips of a scale-up
domain; watts of a chip with its memory, and with its share of a rated server.
What an entry does not state is –.
"""

_COLUMNS: tuple[Column, ...] = (
    label("chip"),
    *(number("TB/s"), number("GB"), number("16 b"), number("8 b"), number("4 b")),
    *(number("domain"), number("W"), number("rated")),
    label("status"),
    text("title"),
)


def show_chips(entries: Iterable[Entry]) -> None:
    """Print a table of chips."""
    if room_at_terminal() is None:
        typer.echo(_HEADING)
    else:
        print_filled(" ".join(_HEADING.splitlines()) + "\n")
    print_table(_COLUMNS, [_row(entry) for entry in entries])


def _row(entry: Entry) -> tuple[str, ...]:
    raw = entry.raw
    rate = _stated(raw, "peak_flops", "FLOP/s") / 1e12
    own = _chip_power(raw)
    shared = _stated(raw, "server_power", "W") / _stated(raw, "chips_per_server", "1")
    numbers = (
        _stated(raw, "mem_bw", "B/s") / 1e12,
        _stated(raw, "mem_capacity", "B") / 1e9,
        rate * _stated(raw, "flops_ratio_16bit", "1"),
        rate,
        rate * _stated(raw, "flops_ratio_4bit", "1"),
        _stated(raw, "scale_up_size", "1"),
        own,
        own + shared,
    )
    words = entry.words
    return (entry.name, *map(_shown, numbers), words.get("status", "–"), words.get("title", ""))


def _chip_power(raw: Mapping[str, Any]) -> float:
    """What an entry states of its chip's power: whole, or by die and memory."""
    if "base_power" in raw:
        return _stated(raw, "base_power", "W")
    die = _stated(raw, "die_area", "m^2") * _stated(raw, "power_density", "W/m^2")
    return die + _stated(raw, "mem_energy", "J/B") * _stated(raw, "mem_bw", "B/s")


def _stated(raw: Mapping[str, Any], name: str, unit: str) -> float:
    """A field in SI units; NaN where an entry does not state it, or not as it should."""
    from jaxlimits.units import UnitError, parse

    if name not in raw:
        return math.nan
    try:
        return parse(str(raw[name]), unit)
    except UnitError:
        return math.nan


def _shown(value: float) -> str:
    """Three digits, in five characters: a row has 80."""
    if math.isnan(value):
        return "–"
    if value >= 100.0:
        return f"{value:.0f}"
    return f"{value:.3g}" if value >= 0.1 else f"{value:.2g}"
