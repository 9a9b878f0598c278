"""The board: measured frontiers under their limits and predictions, by chip, model and lengths.

A frontier is that of a user's speed against the throughput of a chip: the measured runs that no
other run of the same chip, model and lengths beats in both. Each of its points stands beside what
the limit and the calibration of its engine say of the same machine, parallelism and batch.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from jaxlimits.calibration.calibrate import assess
from jaxlimits.calibration.cases import choose_fabrics
from jaxlimits.calibration.engines import ENGINES
from jaxlimits.calibration.measurements import Measurement
from jaxlimits.calibration.report import Report
from jaxlimits.calibration.sample import take_sample
from jaxlimits.calibration.selection import CROWDED, DRAFTED, TWIN, select
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError
from jaxlimits.web.frontiers import Cell, Section, write_board

WORKLOADS = ((1024.0, 1024.0), (1024.0, 8192.0), (8192.0, 1024.0))
"""Tokens in and out of the runs of InferenceX."""

_WORDS = (
    "The Pareto frontier of measured runs in a user's speed and a chip's throughput, the "
    "limit of the same machine, parallelism and batch, and what the calibration of that engine "
    "predicts. A limit is of decode steps alone: prompts that share them take their own time."
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One measured point of a cell.

    Parameters
    ----------
    row
        The run.
    limit, predicted
        Tokens a second of one user at the limit, and as predicted [token/s].
    binds
        What sets the limit.
    new
        What no measured rates stand behind.
    """

    row: Measurement
    limit: float
    predicted: float
    binds: str
    new: str

    @property
    def by_chip(self) -> float:
        """Sequences that a step serves, by chip [1]."""
        return self.row.settings["batch_size"] / float(self.row.system.partition("x")[0])


def draw_board(measurements: Sequence[Measurement], catalog: Catalog, path: Path) -> int:
    """Draw the board of some measurements on one page; return how many cells it has.

    Parameters
    ----------
    measurements
        Runs of servers, and static batches.
    catalog
        Where names are looked up.
    path
        File to write.

    Raises
    ------
    InputError
        No run is of one of the workloads.
    """
    left_out = select(measurements).left_out
    wrong = {id(each) for each, why in left_out if why in (TWIN, DRAFTED, CROWDED)}
    asked = [
        each
        for each in measurements
        if id(each) not in wrong and (each.input_len, each.output_len) in WORKLOADS
    ]
    if not asked:
        lengths = ", ".join(f"{i:g} in and {o:g} out" for i, o in WORKLOADS)
        raise InputError("no row is of a workload of the board", remedy=f"give rows of {lengths}")
    places = _places(asked, catalog)
    cells = _by_cell(places)
    sections = [
        Section(
            title=f"{prompt:g} tokens in, {answer:g} out",
            cells=[_cell(own) for own in of],
            note=_without_runs(places, of),
        )
        for (prompt, answer), of in cells.items()
    ]
    title = "Measured frontiers and their limits"
    write_board(path, title=title, words=_WORDS, sections=sections)
    return sum(len(of) for of in cells.values())


def _places(rows: Sequence[Measurement], catalog: Catalog) -> list[Place]:
    fabrics = choose_fabrics(rows, catalog, named={}, where="")
    sample = take_sample(rows, catalog, fabrics, check=False)
    fits = sample.times >= sample.least
    sample = sample.where(fits)
    report: Report = assess(sample.measurements, catalog, fabrics=fabrics)
    parts = {"memory": sample.limit.t_mem, "compute": sample.limit.t_compute}
    parts["synchronisation"] = sample.limit.t_sync
    names, times = list(parts), np.stack([np.asarray(part) for part in parts.values()])
    longest = np.argmax(times, axis=0)
    return [
        Place(
            row=each,
            limit=1.0 / float(report.limit[place]),
            predicted=1.0 / float(report.prediction.t_step[place]),
            binds=names[longest[place]],
            new=", ".join(report.prediction.new[place]),
        )
        for place, each in enumerate(sample.measurements)
    ]


def _by_cell(
    places: Iterable[Place],
) -> dict[tuple[float, float], list[list[Place]]]:
    """Places by workload, then by chip and model, in the order of their names."""
    found: dict[tuple[float, float], dict[tuple[str, str], list[Place]]] = {
        workload: {} for workload in WORKLOADS
    }
    for place in places:
        row = place.row
        own = found[row.input_len, row.output_len]
        own.setdefault((row.llm, row.chip), []).append(place)
    return {
        workload: [own for _, own in sorted(cells.items())]
        for workload, cells in found.items()
        if cells
    }


def _without_runs(places: Iterable[Place], cells: Iterable[Sequence[Place]]) -> str:
    """Say which models of the board no run measures here, by chip."""
    rows = [place.row for place in places]
    models, chips = ({getattr(row, name) for row in rows} for name in ("llm", "chip"))
    there = {(own[0].row.llm, own[0].row.chip) for own in cells}
    lacking = {
        chip: ", ".join(sorted(model for model in models if (model, chip) not in there))
        for chip in sorted(chips)
    }
    parts = [f"{names} on {chip}" for chip, names in lacking.items() if names]
    return f"Without measured runs of these lengths: {'; '.join(parts)}." if parts else ""


def _cell(places: Sequence[Place]) -> Cell:
    frontier = frontier_of(places)
    row = frontier[0].row
    achieved = median(place.row.utps / place.limit for place in frontier)
    binds = sorted({place.binds for place in frontier})
    off = np.mean([abs(place.row.utps / place.predicted - 1.0) for place in frontier])
    engines = sorted({ENGINES.get(p.row.engine, p.row.engine or "vLLM") for p in frontier})
    new = sorted({what for place in frontier for what in place.new.split(", ") if what})
    words = (
        f"{', '.join(engines)}. Median {achieved:.0%} of the limit, which {' or '.join(binds)} "
        f"sets; prediction {off:.0%} off"
    )
    return Cell(
        title=f"{row.llm} on {row.chip}",
        rows=len(places),
        measured=[(p.row.utps, p.row.utps * p.by_chip) for p in frontier],
        limit=[(p.limit, p.limit * p.by_chip) for p in frontier],
        predicted=[(p.predicted, p.predicted * p.by_chip) for p in frontier],
        words=words + (f"; new to it: {', '.join(new)}" if new else ""),
    )


def frontier_of(places: Sequence[Place]) -> list[Place]:
    """Places that no other one beats in a user's speed and a chip's throughput at once."""
    ordered = sorted(places, key=lambda p: (-p.row.utps, -p.row.utps * p.by_chip))
    kept: list[Place] = []
    most = 0.0
    for place in ordered:
        if (throughput := place.row.utps * place.by_chip) > most:
            kept.append(place)
            most = throughput
    return kept
