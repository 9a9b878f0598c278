"""No system with HBM3 gives a user of Llama 3.1 405B 1,000 tokens a second."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits import plot
from jaxlimits.results.listing import Column, Table
from jaxlimits.studies.claim import Claim, Finding, Number, Picture, Results, judge
from jaxlimits.studies.prices import at_stated_prices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "hbm3"
SPEED = 1000.0
_AT = {"llm": "llama3-405b", "seq_len": 4096, "batch_size": 1}


def find(results: Results) -> Finding:
    """Compare every chip and number of chips with 1,000 token/s."""
    utps = at_stated_prices(results[GRID]).utps.sel(_AT)
    judged = judge(utps < SPEED, among=utps.notnull())
    reaching = {
        str(chip): int(utps.tp_size.values[(utps.sel(chip=chip) >= SPEED).values].min())
        for chip in utps.chip.values
        if bool((utps.sel(chip=chip) >= SPEED).any())
    }
    best = utps.max("tp_size")
    widest = at_stated_prices(results[GRID]).sel(_AT).isel(tp_size=-1)
    waiting = widest.t_sync / widest.t_step
    fastest = str(best.chip.values[int(np.argmax(best.fillna(0.0).values))])
    sentence = (
        f"{judged.of_cases} systems that hold the model stay below {SPEED:,.0f} token/s. "
        + (
            "Exceptions: " + ", ".join(f"{c} from TP{tp} on" for c, tp in reaching.items()) + ". "
            if reaching
            else "None reaches it. "
        )
        + f"The fastest is {fastest} with {float(best.max()):,.0f} token/s. With "
        f"{int(widest.tp_size):,} chips the collectives take {float(waiting.min()):.0%} to "
        f"{float(waiting.max()):.0%} of a step: so much of the answer rests on their latency."
    )
    sizes = [int(tp) for tp in utps.tp_size.values]
    columns = (Column(label="chip"), *(Column(label=f"TP{tp}", unit="token/s") for tp in sizes))
    rows = tuple((str(c), *map(float, utps.sel(chip=c).values)) for c in utps.chip.values)
    upto = utps.sel(tp_size=slice(None, 128))
    return Finding(
        judged=judged,
        sentence=sentence,
        numbers={
            "fastest": Number(value=float(best.max()), unit="token/s", meaning="fastest system"),
            "fastest_up_to_128": Number(
                value=float(upto.max()), unit="token/s", meaning="fastest with up to 128 chips"
            ),
            "first_tp_size": Number(
                value=float(min(reaching.values(), default=float("nan"))),
                meaning="fewest chips with which any reaches 1,000",
            ),
        },
        table=Table(
            title="Speed of one user of Llama 3.1 405B at 4 Ki tokens", columns=columns, rows=rows
        ),
    )


def _by_chips(results: Results) -> "Figure":
    chosen: xr.Dataset = at_stated_prices(results[GRID]).sel(_AT)
    title = "Llama 3.1 405B on HBM3 machines, 4 Ki tokens, one user"
    marks = {f"{SPEED:,.0f} token/s": SPEED}
    return plot.lines(chosen, x="tp_size", by="chip", marks=marks, title=title)


CLAIM = Claim(
    name="hbm3_limit",
    statement="No system with HBM3 reaches 1,000 tokens a second for a user of Llama 3.1 405B.",
    source="published",
    cases="A chip and a number of chips, up to 1,024, that hold the model: slower than 1,000.",
    grids=(GRID,),
    find=find,
    pictures=(
        Picture(
            name="hbm3_limit",
            caption="Speed of one user over the number of chips.",
            draw=_by_chips,
        ),
    ),
)
