"""Runs measured in turns, A B A B, so that a slow spell of the machine meets them all alike."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

OURS = "ours"

FAST = "fast"
"""Ours as well, by compiled loops."""

Row = dict[str, Any]
"""One measured case, as it is printed and kept."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One of the things that are measured beside each other.

    Parameters
    ----------
    call
        What is timed.
    work
        How much of the unit (points, bytes, runs) it does.
    before
        Called before each timed call, not timed.
    """

    call: Callable[[], object]
    work: float
    before: Callable[[], object] = lambda: None


def seconds_of(run: Run) -> float:
    """Wall-clock time of one call."""
    run.before()
    started = time.perf_counter()
    run.call()
    return time.perf_counter() - started


def row_of(runs: Mapping[str, Run], taken: Mapping[str, list[float]], *, unit: str) -> Row:
    """Summarise the seconds of every round: medians, rates, and our rate over each other one."""
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    rates = {name: runs[name].work / median for name, median in medians.items()}
    rivals = [name for name in runs if name != OURS]
    return {
        "unit": unit,
        "work": runs[OURS].work,
        "rounds": len(taken[OURS]),
        "median_s": rounded(medians),
        "best_s": rounded({name: min(seconds) for name, seconds in taken.items()}),
        "per_second": rounded(rates),
        "ratio": rounded({name: rates[OURS] / rates[name] for name in rivals}),
    }


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Four significant digits."""
    return {name: float(f"{value:.4g}") for name, value in values.items()}


def lines_of(name: str, row: Row) -> list[str]:
    """Describe a case for people."""
    lines = [f"{name}"]
    for run, seconds in row.get("median_s", {}).items():
        rate, ratio = row["per_second"][run], row["ratio"].get(run)
        line = f"  {run:<32} {seconds:>9.4g} s {rate:>10.4g} {row['unit']}/s"
        lines.append(line if ratio is None else f"{line}   ours is {ratio:.3g} x")
    for goal, ratio in row.get("ratio", {}).items():
        if goal not in row.get("median_s", {}):
            whose = "it" if " over " in goal else "ours"
            lines.append(f"  {goal:<32} {'':>9}   {'':>10}         {whose} is {ratio:.3g} x")
    for goal, wanted in row.get("target", {}).items():
        verdict = "met" if row["met"][goal] else "MISSED"
        lines.append(f"  target: {wanted:g} x {goal}: {verdict}")
    for fact, value in row.get("facts", {}).items():
        lines.append(f"  {fact}: {value}")
    return lines
