"""Exposed synchronisation must be around one microsecond, or bandwidth is wasted."""

from typing import TYPE_CHECKING

import xarray as xr

from jaxlimits import plot
from jaxlimits.results.listing import Column, Table
from jaxlimits.studies.claim import (
    Claim,
    Finding,
    Number,
    Picture,
    Results,
    judge,
    said,
)
from jaxlimits.studies.claims.knee import crossing
from jaxlimits.studies.derived import derived
from jaxlimits.units import show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "sync_knee"
AROUND = 1e-6
LEAST, MOST = 0.3e-6, 3e-6
"""Latencies that count as around a microsecond: half a decade to either side (ours)."""

_SHOWN = {"llm": "llama3-405b", "seq_len": 4096, "batch_size": 1}


def knee(result: xr.Dataset) -> xr.DataArray:
    """Latency at which the speed answers to it as much as to bandwidth [s].

    There synchronisation takes as long as memory, and half of the bandwidth is wasted.
    """
    excess = -result.utps_elasticity_sync_latency - result.utps_elasticity_mem_bw
    meaning = "latency that weighs as much as bandwidth"
    return derived(crossing(excess, "sync_latency"), "knee", meaning, unit="s", display="us")


def has_knee(result: xr.Dataset) -> xr.DataArray:
    """Whether a point fits and answers to bandwidth at all: compute does not bind.

    It then has a knee, which may lie beyond the latencies of the grid.
    """
    return result.utps_elasticity_mem_bw.isel(sync_latency=0, drop=True) > 0.0


def find(results: Results) -> Finding:
    """Compare the knee of every machine and model with a microsecond."""
    result = results[GRID]
    found = knee(result)
    judged = judge((found >= LEAST) & (found <= MOST), among=has_knee(result))
    reached = int(found.notnull().sum())
    shown = found.sel(_SHOWN)
    used = result.bandwidth_utilisation.sel(_SHOWN).sel(tp_size=128)
    kept = {
        latency: float(used.sel(chip="xpu-hbm4").interp(sync_latency=latency))
        for latency in (1e-7, 1e-6, 1e-5)
    }
    low, high = said(float(found.min()), "s"), said(float(found.max()), "s")
    sentence = (
        f"The knee lies between {show(LEAST, 's')} and {show(MOST, 's')} in "
        f"{judged.of_cases} cases; in {int((found < AROUND).sum())} it lies below a "
        f"microsecond, and {_spanned(low, high, judged.cases - reached)}. Llama 3.1 405B on 128 "
        f"chips: {_by_machine(shown.sel(tp_size=128))}; with HBM4 it uses "
        + ", ".join(f"{value:.0%} of the bandwidth at {show(t, 's')}" for t, value in kept.items())
        + ". The knee is the time of memory divided by the number of collectives: smaller models "
        "and faster memory need quicker ones."
    )
    return Finding(
        judged=judged,
        sentence=sentence,
        numbers={
            **{
                f"knee_{chip}": Number(
                    value=float(shown.sel(tp_size=128, chip=chip)),
                    unit="s",
                    meaning=f"knee of Llama 3.1 405B, one user, TP128, {chip}",
                )
                for chip in map(str, shown.chip.values)
            },
            "least": Number(value=float(found.min()), unit="s", meaning="least knee of all cases"),
            "largest": Number(value=float(found.max()), unit="s", meaning="largest of all cases"),
        },
        table=_table(found.sel(batch_size=1, seq_len=4096)),
    )


def _spanned(low: str, high: str, beyond: int) -> str:
    spanned = f"over all it spans {low} to {high}"
    return spanned + (f", {beyond} beyond the latencies of the grid" if beyond else "")


def _by_machine(shown: xr.DataArray) -> str:
    return ", ".join(
        f"{c} {said(float(shown.sel(chip=c)), 's')}" for c in map(str, shown.chip.values)
    )


def _table(found: xr.DataArray) -> Table:
    chips = [str(chip) for chip in found.chip.values]
    heads = (Column(label="model"), Column(label="chips", unit="1"))
    machines = (Column(label=chip, unit="s", display="us") for chip in chips)
    rows = tuple(
        (str(llm), int(tp), *(float(found.sel(llm=llm, tp_size=tp, chip=c)) for c in chips))
        for llm in found.llm.values
        for tp in found.tp_size.values
    )
    title = "Latency at which bandwidth and latency weigh the same: one user, 4 Ki tokens"
    return Table(title=title, columns=(*heads, *machines), rows=rows)


def _used_bandwidth(results: Results) -> "Figure":
    chosen = results[GRID].sel(_SHOWN).sel(tp_size=128)
    return plot.lines(
        chosen, of="bandwidth_utilisation", x="sync_latency", by="chip",
        marks={"knee: half of it is wasted": 0.5},
        title="Llama 3.1 405B on 128 chips, 4 Ki tokens, one user",
    )  # fmt: skip


def _knees(results: Results) -> "Figure":
    found = knee(results[GRID]).sel(seq_len=4096, batch_size=1, tp_size=128)
    title = "The knee on 128 chips, 4 Ki tokens, one user"
    return plot.cells(found.to_dataset(), of="knee", rows="llm", columns="chip", title=title)


CLAIM = Claim(
    name="sync",
    statement="Exposed synchronisation must be around 1 µs, or bandwidth is wasted.",
    source="published",
    cases=(
        "A machine, model, number of chips, context and batch that fit and that compute does not "
        "bind: the latency at which the user's speed answers to it as much as to bandwidth lies "
        "within 0.3 and 3 µs."
    ),
    grids=(GRID,),
    find=find,
    pictures=(
        Picture(
            name="sync_utilisation",
            caption="Bandwidth that is used, over the exposed latency of a collective.",
            draw=_used_bandwidth,
        ),
        Picture(
            name="sync_knees",
            caption="The latency that weighs as much as bandwidth, by model and machine.",
            draw=_knees,
        ),
    ),
)
