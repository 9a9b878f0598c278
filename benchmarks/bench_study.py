"""The limit study, whole and quick, from a cold start: seconds and peak memory."""

import pytest

from benchmarks.commands import study
from benchmarks.rounds import OURS, Run
from jaxlimits.studies.paper import PAPER

SECONDS = {(): 120.0, ("--quick",): 25.0}
"""Seconds that each may take, start-up included, by its options."""

PEAK_MB = 2 * 1024**3 / 1e6


@pytest.mark.parametrize("options", SECONDS, ids=["whole", "quick"])
def bench_study(compare, tmp_path, options):
    found = []
    run = Run(
        call=lambda: found.append(study("paper", tmp_path, "--force", *options)),
        work=len(PAPER.grids(quick=bool(options))),
    )
    compare({OURS: run}, unit="grid", rounds=3, warm=False)
    seconds, peak = min(each.seconds for each in found), max(each.peak_mb for each in found)
    met = "met" if seconds <= SECONDS[options] and peak <= PEAK_MB else "MISSED"
    compare.note(
        seconds=round(seconds, 1),
        peak_mb=round(peak, 1),
        within=f"{SECONDS[options]:.0f} s and 2 GiB: {met}",
    )
