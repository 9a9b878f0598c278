"""Serving needs hundreds of gigabytes for one instance of a model."""

from typing import TYPE_CHECKING

import xarray as xr

from jaxlimits import plot
from jaxlimits.results.listing import Column, Table
from jaxlimits.studies.claim import Claim, Finding, Number, Picture, Results, judge
from jaxlimits.studies.derived import derived
from jaxlimits.units import show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = "needed_capacity"
HUNDREDS = 100e9
"""Bytes from which one speaks of hundreds of gigabytes."""

LOAD = {"seq_len": 65536, "batch_size": 32}
"""Context and users of the paper's own example, 881 GiB for Llama 3.1 405B."""

_ALONE = {"seq_len": 4096, "batch_size": 1}


def stored(result: xr.Dataset) -> xr.DataArray:
    """Weights and KV cache of one instance [B]."""
    total = result.weight_bytes + result.kv_bytes
    meaning = "weights and KV cache of one instance"
    return derived(total, "stored", meaning, unit="B", display="GB")


def find(results: Results) -> Finding:
    """Compare what every model stores under the paper's load with 100 GB."""
    needed = stored(results[GRID])
    loaded, alone = needed.sel(LOAD), needed.sel(_ALONE)
    judged = judge(loaded >= HUNDREDS)
    below = [str(name) for name in loaded.llm.values[(loaded < HUNDREDS).values]]
    count = int((alone >= HUNDREDS).sum())
    sentence = (
        f"With 64 Ki tokens and 32 users {judged.of_cases} models need 100 GB or more, from "
        f"{show(loaded.min(), 'B')} to {show(loaded.max(), 'B')}; "
        + (f"less: {', '.join(below)}. " if below else "none needs less. ")
        + f"For one user with 4 Ki tokens the weights decide: {count} of {judged.cases} models "
        "need that."
    )
    columns = (
        Column(label="model"),
        Column(label="64 Ki tokens, 32 users", unit="B", display="GB"),
        Column(label="of it KV cache", unit="B", display="GB"),
        Column(label="4 Ki tokens, one user", unit="B", display="GB"),
    )
    kv_bytes = results[GRID].kv_bytes.sel(LOAD)
    rows = zip(
        loaded.llm.values.tolist(), loaded.values.tolist(), kv_bytes.values.tolist(),
        alone.values.tolist(), strict=True,
    )  # fmt: skip
    return Finding(
        judged=judged,
        sentence=sentence,
        numbers={
            "least": Number(value=float(loaded.min()), unit="B", meaning="least of the models"),
            "largest": Number(value=float(loaded.max()), unit="B", meaning="most of the models"),
            "llama3_405b": Number(
                value=float(loaded.sel(llm="llama3-405b")), unit="B", meaning="Llama 3.1 405B"
            ),
        },
        table=Table(title="Memory of one instance", columns=columns, rows=tuple(rows)),
    )


def _needed_by_users(results: Results) -> "Figure":
    chosen = stored(results[GRID]).sel(seq_len=LOAD["seq_len"]).to_dataset()
    some = ["llama3-8b", "llama3-70b", "llama3-405b", "deepseek-v3", "kimi-k2", "gpt-oss-20b"]
    return plot.lines(
        chosen.sel(llm=some), of="stored", x="batch_size", by="llm", marks={"100 GB": 100.0},
        title="Memory of one instance at 64 Ki tokens",
    )  # fmt: skip


CLAIM = Claim(
    name="capacity",
    statement="Serving needs hundreds of gigabytes of memory for one instance of a model.",
    source="published",
    cases="A model with 64 Ki tokens and 32 users: 100 GB or more are stored.",
    grids=(GRID,),
    find=find,
    pictures=(
        Picture(
            name="capacity",
            caption="Memory of one instance over the number of users.",
            draw=_needed_by_users,
        ),
    ),
)
