"""With stacked DRAM and better collectives, gains flatten around 5,000 to 10,000 token/s."""

from typing import TYPE_CHECKING

import xarray as xr

from jaxlimits import plot
from jaxlimits.studies.case_table import table_by_model
from jaxlimits.studies.claim import (
    Claim,
    Finding,
    Number,
    Picture,
    Results,
    judge,
    said,
)
from jaxlimits.studies.claims.knee import at_crossing
from jaxlimits.studies.derived import derived

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "better_collectives"
LEAST, MOST = 5000.0, 10_000.0
FLAT = 0.1
"""Elasticity below which better collectives no longer pay: 1 % less latency buys 0.1 % (ours)."""

_SIZES = (32, 128)


def plateau(result: xr.Dataset) -> xr.DataArray:
    """Speed at which the gains from better collectives have flattened [token/s].

    The latency at which 1 % less of it buys 0.1 % of speed, and the speed there.
    """
    # Crossed from below along a latency that grows: there better collectives begin to pay.
    difference = -result.utps_elasticity_sync_latency - FLAT
    found = at_crossing(difference, result.utps, "sync_latency")
    return derived(found, "plateau", "speed at which gains flatten", unit="token/s")


def find(results: Results) -> Finding:
    """Compare the speed at which gains flatten with 5,000 to 10,000."""
    result = results[GRID].sel(tp_size=list(_SIZES))
    found = plateau(result)
    fits = result.utps.notnull().any("sync_latency")
    judged = judge((found >= LEAST) & (found <= MOST), among=fits)
    inside = found.llm.values[
        ((found >= LEAST) & (found <= MOST)).any(["tp_size", "seq_len"]).values
    ]
    big = found.sel(llm="llama3-405b", seq_len=4096)
    spans = " and ".join(
        f"{said(float(big.sel(tp_size=tp)), 'token/s')} on {tp} chips" for tp in _SIZES
    )
    columns = {
        f"TP{tp}, {label} tokens": {"tp_size": tp, "seq_len": seq}
        for tp in _SIZES
        for label, seq in (("4 Ki", 4096), ("128 Ki", 131072))
    }
    return Finding(
        judged=judged,
        sentence=(
            f"Gains flatten between 5,000 and 10,000 token/s in {judged.of_cases} cases"
            + (f" ({', '.join(map(str, inside))})" if len(inside) else "")
            + f"; Llama 3.1 405B flattens at {spans}, all models between "
            f"{said(float(found.min()), 'token/s')} and {said(float(found.max()), 'token/s')}. "
            "The plateau is "
            "the time of memory: it lies higher for every model that reads fewer bytes a token."
        ),
        numbers={
            "llama3_405b": Number(
                value=float(big.sel(tp_size=128)), unit="token/s", meaning="Llama 3.1 405B, TP128"
            ),
            "least": Number(value=float(found.min()), unit="token/s", meaning="least plateau"),
            "largest": Number(value=float(found.max()), unit="token/s", meaning="largest plateau"),
        },
        table=table_by_model(
            found, columns, title="Where better collectives stop paying", unit="token/s"
        ),
    )


def _speeds(results: Results) -> "Figure":
    chosen = results[GRID].sel(tp_size=128, seq_len=4096)
    some = ["llama3-8b", "llama3-70b", "llama3-405b", "deepseek-v3", "qwen3-235b"]
    marks = {"5,000": LEAST, "10,000": MOST}
    title = "128 chips with 3D-stacked DRAM, 4 Ki tokens, one user"
    return plot.lines(chosen.sel(llm=some), x="sync_latency", by="llm", marks=marks, title=title)


def _map(results: Results) -> "Figure":
    chosen = results[GRID].sel(llm="llama3-405b", seq_len=4096)
    title = "Llama 3.1 405B with 3D-stacked DRAM, 4 Ki tokens, one user"
    return plot.heat_map(
        chosen, x="sync_latency", y="tp_size", of="utps", title=title,
        levels=(500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0, 50_000.0),
    )  # fmt: skip


CLAIM = Claim(
    name="plateau",
    statement=(
        "With 3D-stacked DRAM and better collectives, gains flatten around 5,000 to 10,000 tokens "
        "a second for one user."
    ),
    source="published",
    cases=(
        "A model, number of chips (32, 128) and context for one user: where 1 % less latency buys "
        "less than 0.1 % of speed, the speed is between 5,000 and 10,000."
    ),
    grids=(GRID,),
    find=find,
    pictures=(
        Picture(
            name="plateau",
            caption="Speed over the latency of a collective.",
            draw=_speeds,
        ),
        Picture(
            name="plateau_map",
            caption="What binds, over latency and number of chips.",
            draw=_map,
        ),
    ),
)
