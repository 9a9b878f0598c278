"""The way to 10,000 tokens a second: the least set of measures, machine by machine."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits import plot
from jaxlimits.results.listing import Cell, Column, Table
from jaxlimits.studies.claim import Claim, Finding, Number, Picture, Results, judge_cases
from jaxlimits.studies.derived import derived

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "ways_to_10000"
TARGET = 10_000.0
QUICKEST = 0.1e-6
"""Latency of a collective below which a machine counts as one that cannot be built [s] (ours)."""

MEASURES = {
    "weight_bits": "4-bit weights and cache",
    "speculation": "tokens proposed and verified",
    "attention_span": "the model's own windows or sparse attention",
    "sram_capacity": "SRAM beside the memory",
}
"""Axes with a measure as their second value, in the order in which equal sets are preferred."""

COLLECTIVES = "quicker collectives"


def find(results: Results) -> Finding:
    """Look for the least set of measures of every model, machine and context."""
    rows = list(_ways(results[GRID]))
    held = np.array([isinstance(row[3], int) for row in rows])
    judged = judge_cases(held)
    counts = [row[3] for row in rows if isinstance(row[3], int)]
    alone = sum(count == 0 for count in counts)
    usual = _most_used(rows)
    sentence = (
        f"{TARGET:,.0f} token/s come within reach in {judged.of_cases} cases of a model, a "
        f"machine and a context on 128 chips: in {alone} as they are, in {len(counts) - alone} "
        f"with {_span([c for c in counts if c])} measures, most often {usual}."
    )
    numbers = {
        "within_reach": Number(value=float(held.sum()), meaning="cases that reach 10,000 token/s"),
        "as_they_are": Number(value=float(alone), meaning="cases that need no measure"),
        **{
            f"with_{number}": Number(
                value=float(sum(count == number for count in counts)),
                meaning=f"cases that need {number} of the measures",
            )
            for number in range(1, len(MEASURES) + 2)
        },
    }
    return Finding(
        judged=judged,
        sentence=sentence,
        numbers=numbers,
        table=_table(rows),
    )


def _ways(result: xr.Dataset) -> Iterator[tuple[Cell, ...]]:
    """Model, machine, context, number of measures, what they are, and the latency they need."""
    for llm, chip, seq in itertools.product(
        *(result[n].values for n in ("llm", "chip", "seq_len"))
    ):
        here = result.sel(llm=llm, chip=chip, seq_len=seq)
        found = least_measures(here)
        if found is None:
            yield str(llm), str(chip), int(seq), "none", "out of reach", float("nan")
            continue
        measures, latency = found
        words = ", ".join(measures) or "as it is"
        yield str(llm), str(chip), int(seq), len(measures), words, latency


def least_measures(here: xr.Dataset) -> tuple[list[str], float] | None:
    """Return the smallest set of measures that reaches the target, and the latency it needs [s].

    Quicker collectives are one measure more: those that the solved latency asks for.

    Parameters
    ----------
    here
        One model, machine and context, with the axes of :data:`MEASURES`.
    """
    for chosen, quicker in _sets():
        point = here.isel({axis: int(axis in chosen) for axis in MEASURES})
        latency = float(point.needed_latency)
        if latency >= QUICKEST if quicker else float(point.utps) >= TARGET:
            words = [MEASURES[axis] for axis in chosen]
            return [*words, *([COLLECTIVES] if quicker else [])], latency
    return None


def _sets() -> Iterator[tuple[tuple[str, ...], bool]]:
    """Sets of measures, the smallest first, and whether collectives are quicker too."""
    for number in range(len(MEASURES) + 2):
        for quicker in (False, True)[: number + 1]:
            for chosen in itertools.combinations(MEASURES, number - quicker):
                yield chosen, quicker


def _most_used(rows: list[tuple[Cell, ...]]) -> str:
    used = [word for row in rows if row[3] not in (0, "none") for word in str(row[4]).split(", ")]
    return max(sorted(set(used)), key=used.count) if used else "none"


def _span(counts: list[int]) -> str:
    if not counts:
        return "any"
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _table(rows: list[tuple[Cell, ...]]) -> Table:
    columns = (
        Column(label="model"),
        Column(label="machine"),
        Column(label="context", unit="token"),
        Column(label="measures"),
        Column(label="least set, the first of equal ones"),
        Column(label="latency that it needs", unit="s", display="us"),
    )
    title = "The least set of measures that gives one user 10,000 token/s on 128 chips"
    return Table(title=title, columns=columns, rows=tuple(rows))


def _with_everything(results: Results) -> "Figure":
    result = results[GRID].sel(seq_len=4096)
    fastest = result[["utps"]].max(list(MEASURES), keep_attrs=True)
    meaning = "tokens per second of one user with all measures but quicker collectives"
    unit = result.utps.attrs["si_unit"]
    found = fastest.assign(utps=derived(fastest.utps, "utps", meaning, unit=unit))
    title = "One user at 4 Ki tokens on 128 chips, the best of the measures, 1.5 µs a collective"
    return plot.cells(found, of="utps", rows="llm", columns="chip", title=title)


CLAIM = Claim(
    name="ways",
    statement=(
        "Measures beyond the paper bring 10,000 tokens a second for one user within reach: "
        "narrower numbers, speculation, windowed or sparse attention, SRAM beside the memory, "
        "quicker collectives."
    ),
    source="ours",
    cases=(
        "A model, a machine and a context: some set of the measures reaches 10,000 token/s on 128 "
        "chips, with collectives of 0.1 µs and more. Smaller models are cases of their own. Not "
        "among the measures: a named draft, which costs more than a layer of the model's own (grid "
        "speculation); LPDDR, which adds room and no speed where a model fits (grid tiers); "
        "prefill on other machines, which leaves the decode step as it is."
    ),
    grids=(GRID,),
    find=find,
    pictures=(
        Picture(name="ways_machines", caption="The fastest user with the best of the measures.",
                draw=_with_everything),
    ),
    is_long=True,
)  # fmt: skip
