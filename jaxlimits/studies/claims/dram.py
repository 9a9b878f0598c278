"""Designs with DRAM are ahead in throughput per watt and per dollar."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits import plot
from jaxlimits.results.listing import Column, Table
from jaxlimits.studies.claim import Claim, Finding, Number, Picture, Results, judge_cases
from jaxlimits.studies.prices import (
    BARS,
    PRICES,
    against,
    at_stated_prices,
    over_spread,
    price_columns,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "throughput_per_cost"
DRAM = ("xpu-hbm3", "xpu-hbm4", "xpu-3d-dram")
SRAM = ("xpu-sram", "xpu-cows")
SEARCHED = ("tp_size", "pp_size", "batch_size")

_PRICED_AT = {
    "stated": "illustrative prices as stated",
    "worst": "illustrative prices of DRAM machines doubled, of the others halved",
    "best": "illustrative prices of DRAM machines halved, of the others doubled",
}


def lead(best: xr.DataArray) -> xr.DataArray:
    """The best machine with DRAM over the best without; NaN where either does not fit [1]."""
    return _with_dram(best) / _without(best)


def price_leads(best: xr.DataArray) -> Mapping[str, xr.DataArray]:
    """The lead at the stated prices, and at both ends of their spread: DRAM dear, DRAM cheap."""
    return against(_with_dram(best), _without(best))


def _with_dram(best: xr.DataArray) -> xr.DataArray:
    return best.sel(chip=list(DRAM)).max("chip")


def _without(best: xr.DataArray) -> xr.DataArray:
    return best.sel(chip=list(SRAM)).max("chip")


def find(results: Results) -> Finding:
    """Compare the best of both kinds per watt, and per dollar over the spread of prices."""
    result = results[GRID]
    per_watt = lead(at_stated_prices(result).stps_per_watt.max(SEARCHED))
    per_dollar = price_leads(result.stps_per_dollar.max(SEARCHED))
    leads = np.concatenate(
        [lead.to_numpy().ravel() for lead in (per_watt, per_dollar["stated"], per_dollar["worst"])]
    )
    judged = judge_cases(leads[np.isfinite(leads)] > 1.0)
    ahead = {name: _ahead(found) for name, found in per_dollar.items()}
    smallest = _smallest_system(result)
    sentence = (
        f"DRAM is ahead in {judged.of_cases} cases. Per watt: {_ahead(per_watt)} loads, "
        f"{_span(per_watt)}. Per dollar at the stated prices: {ahead['stated']}, "
        f"{_span(per_dollar['stated'])}; with DRAM twice as dear and the others at half: "
        f"{ahead['worst']}, {_span(per_dollar['worst'])}. To serve Llama 3.1 405B at all, a system "
        f"with SRAM alone costs {smallest['stated']:.0f} times as much by the hour at the stated "
        f"prices, {smallest['worst']:.0f} to {smallest['best']:.0f} times over their spread: it "
        "needs the chips for their memory. Die areas are ours, all prices illustrative."
    )
    return Finding(
        judged=judged,
        sentence=sentence,
        numbers={
            "lead_per_watt_least": Number(
                value=float(per_watt.min()), meaning="least lead in throughput per watt"
            ),
            **{
                f"lead_per_dollar_{name}": Number(
                    value=float(found.min()),
                    meaning=f"least lead in throughput per dollar, {_PRICED_AT[name]}",
                )
                for name, found in per_dollar.items()
            },
            **{
                f"smallest_sram_system_{name}": Number(
                    value=ratio,
                    meaning=(
                        "cost of the smallest SRAM system over the smallest DRAM one, "
                        f"{_PRICED_AT[name]}"
                    ),
                )
                for name, ratio in smallest.items()
            },
        },
        table=_table(result),
    )


def _ahead(found: xr.DataArray) -> str:
    """In how many loads DRAM is ahead."""
    return f"{int((found > 1.0).sum())} of {int(found.notnull().sum())}"


def _span(found: xr.DataArray) -> str:
    return f"by {float(found.min()):.2g} to {float(found.max()):.2g} times"


def _smallest_system(result: xr.Dataset) -> dict[str, float]:
    """Cost by time of the cheapest system that holds Llama 3.1 405B, SRAM over DRAM."""
    cost = result.cost_rate.where(result.utps.notnull()).sel(llm="llama3-405b", seq_len=4096)
    hours_by_dollar = 1.0 / cost.min(SEARCHED)
    return {name: float(found) for name, found in price_leads(hours_by_dollar).items()}


def _table(result: xr.Dataset) -> Table:
    watts = at_stated_prices(result).stps_per_watt.max(SEARCHED)
    dollars = result.dollars_per_token.min(SEARCHED)
    columns = (
        Column(label="model"),
        Column(label="context", unit="token"),
        Column(label="machine"),
        Column(label="best throughput per watt, die areas ours", unit="token/J"),
        *price_columns("cheapest tokens", unit="USD/token", display="USD/Mtoken"),
    )
    rows = tuple(
        (
            str(llm), int(seq), str(chip), float(watts.sel(llm=llm, seq_len=seq, chip=chip)),
            *over_spread(dollars.sel(llm=llm, seq_len=seq, chip=chip)),
        )
        for llm in result.llm.values
        for seq in result.seq_len.values
        for chip in result.chip.values
    )  # fmt: skip
    title = "Each machine at its best, electricity included: all prices illustrative"
    return Table(title=title, columns=columns, rows=rows)


def _dollars(results: Results) -> "Figure":
    best = results[GRID][["dollars_per_token"]].sel(seq_len=4096).min(SEARCHED, keep_attrs=True)
    title = f"Cheapest tokens at 4 Ki tokens; {BARS}"
    return plot.ranges(
        best, of="dollars_per_token", rows="llm", by="chip", spread=PRICES, title=title
    )


def _watts(results: Results) -> "Figure":
    chosen = at_stated_prices(results[GRID]).sel(llm="llama3-70b", seq_len=4096)
    title = "Llama 3.1 70B at 4 Ki tokens"
    return plot.frontier(chosen, x="utps", y="stps_per_watt", by="chip", title=title)


CLAIM = Claim(
    name="dram",
    statement="Designs with DRAM are ahead in throughput per watt and per dollar.",
    source="published",
    cases=(
        "A model and context that fit both kinds, per watt, per dollar, and per dollar with DRAM "
        "at twice and the others at half their prices: the best machine with DRAM beats the best "
        "with SRAM alone, chips, stages and users free."
    ),
    grids=(GRID,),
    find=find,
    pictures=(
        Picture(
            name="dram_dollars",
            caption="What a million tokens cost on each machine at its best.",
            draw=_dollars,
            priced=True,
        ),
        Picture(
            name="dram_watts",
            caption="Throughput per watt against the speed of one user (die areas are ours).",
            draw=_watts,
        ),
    ),
)
