"""Memory bandwidth drives the speed of one user."""

from typing import TYPE_CHECKING

import xarray as xr

from jaxlimits import plot
from jaxlimits.results.listing import Column, Table
from jaxlimits.studies.claim import Claim, Finding, Number, Picture, Results, judge
from jaxlimits.studies.derived import derived

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "drivers"
INTERACTIVE = 32
"""Users up to which a batch counts as interactive (ours)."""


def drivers(result: xr.Dataset) -> xr.Dataset:
    """Whether the speed answers most to bandwidth, compute or latency, where the point fits."""
    chosen = result.sel(batch_size=slice(None, INTERACTIVE))
    memory = chosen.utps_elasticity_mem_bw
    compute = chosen.utps_elasticity_peak_flops
    latency = -chosen.utps_elasticity_sync_latency
    return xr.Dataset(
        {
            "memory": (memory >= compute) & (memory >= latency),
            "arithmetic": (compute > memory) & (compute >= latency),
            "latency": (latency > memory) & (latency > compute),
            "fits": chosen.utps.notnull(),
        }
    )


def shares(result: xr.Dataset, *by: str) -> xr.Dataset:
    """Shares of the points that fit, by some axes."""
    found = drivers(result)
    over = [dim for dim in found.dims if dim not in by]
    return found.sum(over) / found.fits.sum(over)


def find(results: Results) -> Finding:
    """Compare three elasticities of the user's speed at every point that fits."""
    found = drivers(results[GRID])
    judged = judge(found.memory, among=found.fits)
    overall, by_tp = shares(results[GRID]), shares(results[GRID], "tp_size").memory
    by_chip = shares(results[GRID], "chip")
    sentence = (
        f"Bandwidth moves a user's speed most at {judged.of_cases} points with up to "
        f"{INTERACTIVE} users; compute at {float(overall.arithmetic):.1%}, the latency of "
        f"collectives at {float(overall.latency):.1%}. By number of chips: "
        f"{_by_size(by_tp)}; the more chips share the memory's work, and the faster it is, the "
        "more the collectives take over."
    )
    table = Table(
        title="What the speed of a user answers to most, share of points",
        columns=(
            Column(label="machine"),
            *(Column(label=part, unit="1") for part in ("bandwidth", "compute", "latency")),
        ),
        rows=tuple(
            (str(chip), float(row.memory), float(row.arithmetic), float(row.latency))
            for chip, row in ((c, by_chip.sel(chip=c)) for c in by_chip.chip.values)
        ),
    )
    return Finding(
        judged=judged,
        sentence=sentence,
        numbers={
            "bandwidth_first": Number(
                value=judged.share, meaning="share of points, bandwidth first"
            ),
            "compute_first": Number(
                value=float(overall.arithmetic), meaning="share of points, compute first"
            ),
            "latency_first": Number(
                value=float(overall.latency), meaning="share of points, latency first"
            ),
        },
        table=table,
    )


def _by_size(share: xr.DataArray) -> str:
    return ", ".join(f"TP{int(tp)} {float(share.sel(tp_size=tp)):.0%}" for tp in share.tp_size)


def _shares_by_machine(results: Results) -> "Figure":
    found = shares(results[GRID], "chip")
    found = xr.Dataset(
        {str(name): derived(part, str(name), "") for name, part in found.data_vars.items()}
    )
    parts = {"bandwidth": "memory", "compute": "arithmetic", "latency of collectives": "latency"}
    title = "What the speed of one user answers to most"
    whole = "share of points that fit, up to 32 users"
    return plot.breakdown(found, x="chip", parts=parts, whole=whole, title=title)


def _times_of_a_step(results: Results) -> "Figure":
    chosen = results[GRID].sel(llm="llama3-405b", seq_len=4096, batch_size=1, tp_size=128)
    title = "Llama 3.1 405B on 128 chips, 4 Ki tokens, one user"
    return plot.breakdown(chosen, x="chip", title=title)


CLAIM = Claim(
    name="bandwidth",
    statement="Memory bandwidth drives the speed of one user.",
    source="published",
    cases=(
        "A point that fits, with up to 32 users: the elasticity of the user's speed by bandwidth "
        "is at least that by compute and by latency."
    ),
    grids=(GRID,),
    find=find,
    pictures=(
        Picture(
            name="bandwidth_shares",
            caption="Which of bandwidth, compute and latency moves a user's speed most.",
            draw=_shares_by_machine,
        ),
        Picture(
            name="step_times",
            caption="Time of one step; arithmetic shows where it takes longer than memory.",
            draw=_times_of_a_step,
        ),
    ),
)
