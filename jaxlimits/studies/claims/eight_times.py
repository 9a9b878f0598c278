"""Eight times the bandwidth alone buys 1.1 to 4.5 times the speed."""

from typing import TYPE_CHECKING

import xarray as xr

from jaxlimits import plot
from jaxlimits.studies.case_table import table_by_model
from jaxlimits.studies.claim import Claim, Finding, Number, Picture, Results, judge
from jaxlimits.studies.derived import derived

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "more_bandwidth"
MULTIPLE = 8.0
LEAST, MOST = 1.05, 4.55
"""What rounds to 1.1 and to 4.5."""


def gain(result: xr.Dataset) -> xr.DataArray:
    """Speed with eight times the bandwidth over the speed with HBM3's [1]."""
    base = float(result.mem_bw.min())
    more = result.utps.sel(mem_bw=MULTIPLE * base, method="nearest", drop=True)
    meaning = "speed with 8 × the bandwidth over that without"
    return derived(more / result.utps.sel(mem_bw=base, drop=True), "gain", meaning)


def find(results: Results) -> Finding:
    """Compare the gain of every model and number of chips with the stated range."""
    found = gain(results[GRID])
    judged = judge((found >= LEAST) & (found < MOST), among=found.notnull())
    spans = {int(tp): found.sel(tp_size=tp) for tp in found.tp_size.values}
    inside = ", ".join(
        f"TP{tp} {float(part.min()):.2f} to {float(part.max()):.2f}" for tp, part in spans.items()
    )
    cases = {
        f"TP{tp}, {users} user{'s' * (users > 1)}": {"tp_size": tp, "batch_size": users}
        for tp in spans
        for users in (1, 32)
    }
    return Finding(
        judged=judged,
        sentence=(
            f"The gain is within 1.1 and 4.5 in {judged.of_cases} cases; it spans "
            f"{float(found.min()):.2f} to {float(found.max()):.2f} ({inside}). Models and numbers "
            "of chips are not given with the claim: the fewer chips share the "
            "work and the more users there are, the more of a step is memory, and the gain."
        ),
        numbers={
            "least": Number(value=float(found.min()), meaning="least gain"),
            "median": Number(value=float(found.median()), meaning="median gain"),
            "largest": Number(value=float(found.max()), meaning="largest gain"),
        },
        table=table_by_model(
            found.sel(seq_len=4096),
            cases,
            title="Gain from eight times the bandwidth, 4 Ki tokens",
            unit="1",
        ),
    )


def _gains(results: Results) -> "Figure":
    chosen = gain(results[GRID]).sel(seq_len=4096, batch_size=1).to_dataset()
    title = "Gain from eight times the bandwidth, 4 Ki tokens, one user"
    return plot.cells(chosen, of="gain", rows="llm", columns="tp_size", title=title)


def _speeds(results: Results) -> "Figure":
    chosen = results[GRID].sel(tp_size=128, seq_len=4096, batch_size=1)
    some = ["llama3-8b", "llama3-70b", "llama3-405b", "deepseek-v3", "qwen3-235b"]
    title = "128 chips, 4 Ki tokens, one user"
    return plot.lines(chosen.sel(llm=some), x="mem_bw", by="llm", title=title)


CLAIM = Claim(
    name="eight_times",
    statement="Eight times the bandwidth alone buys 1.1 to 4.5 times the speed of a user.",
    source="published",
    cases=(
        "A model, number of chips (8, 32, 128), context and batch that fit: the HBM3 machine with "
        "eight times its bandwidth and nothing else changed gains between 1.1 and 4.5 times."
    ),
    grids=(GRID,),
    find=find,
    pictures=(
        Picture(
            name="eight_times_gains",
            caption="The gain by model and number of chips.",
            draw=_gains,
        ),
        Picture(
            name="eight_times_speeds",
            caption="Speed over bandwidth, everything else as it is.",
            draw=_speeds,
        ),
    ),
)
