"""Beyond about four times the bandwidth of HBM3, synchronisation is first-order."""

from typing import TYPE_CHECKING

import xarray as xr

from jaxlimits import plot
from jaxlimits.results.listing import Column, Table
from jaxlimits.studies.claim import Claim, Finding, Number, Picture, Results, judge_cases

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "more_bandwidth"
MULTIPLE = 4.0


def latency_weighs_more(result: xr.Dataset, multiple: float) -> xr.DataArray:
    """Whether latency weighs at least as much as bandwidth, at so many times HBM3's."""
    base = float(result.mem_bw.min())
    at = result.sel(mem_bw=multiple * base, method="nearest")
    return -at.utps_elasticity_sync_latency >= at.utps_elasticity_mem_bw


def find(results: Results) -> Finding:
    """Weigh latency against bandwidth at four times the bandwidth of HBM3."""
    result = results[GRID].sel(batch_size=1)
    fits = result.utps.isel(mem_bw=0, drop=True).notnull()
    weighs = {m: latency_weighs_more(result, m) for m in (1.0, 2.0, MULTIPLE, 8.0, 16.0)}
    held = weighs[MULTIPLE]
    judged = judge_cases(held.values[fits.values])
    by_tp = ", ".join(f"TP{int(tp)} {_share(held, fits, tp):.0%}" for tp in result.tp_size)
    columns = (
        Column(label="bandwidth over HBM3's", unit="1"),
        *(Column(label=f"TP{int(tp)}", unit="1") for tp in result.tp_size),
    )
    rows = tuple(
        (multiple, *(_share(found, fits, tp) for tp in result.tp_size))
        for multiple, found in weighs.items()
    )
    return Finding(
        judged=judged,
        sentence=(
            f"At {MULTIPLE:.0f} times the bandwidth, latency weighs at least as much as bandwidth "
            f"in {judged.of_cases} cases ({by_tp}). The more chips share the memory's "
            "work, the less of it there is beside their collectives."
        ),
        numbers={
            f"share_at_{multiple:.0f}": Number(
                value=float(found.values[fits.values].mean()) if judged.cases else float("nan"),
                meaning=f"share of cases in which latency weighs more at {multiple:.0f} × HBM3",
            )
            for multiple, found in weighs.items()
        },
        table=Table(
            title="Share of cases in which latency weighs at least as much as bandwidth",
            columns=columns,
            rows=rows,
        ),
    )


def _share(held: xr.DataArray, fits: xr.DataArray, tp: xr.DataArray) -> float:
    here = held.sel(tp_size=tp).values[fits.sel(tp_size=tp).values]
    return float(here.mean()) if here.size else float("nan")


def _elasticity(results: Results) -> "Figure":
    chosen = results[GRID].sel(batch_size=1, seq_len=4096, llm="llama3-405b")
    marks = {"latency weighs as much as bandwidth": 0.5}
    title = "Llama 3.1 405B, 4 Ki tokens, one user"
    return plot.lines(
        chosen, of="utps_elasticity_mem_bw", x="mem_bw", by="tp_size", marks=marks, title=title
    )


CLAIM = Claim(
    name="four_times",
    statement="Beyond about four times the bandwidth of HBM3 synchronisation is first-order.",
    source="published",
    cases=(
        "A model, number of chips (8, 32, 128) and context for one user, at four times HBM3's "
        "bandwidth: the speed answers to the latency of collectives as much as to bandwidth."
    ),
    grids=(GRID,),
    find=find,
    pictures=(
        Picture(
            name="four_times",
            caption="What one percent more bandwidth still buys, in percent of speed.",
            draw=_elasticity,
        ),
    ),
)
