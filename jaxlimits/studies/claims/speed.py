"""2,000 tokens a second for one user are easy; 10,000 need something else."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from jaxlimits import plot
from jaxlimits.results.listing import Column, Table
from jaxlimits.studies.claim import (
    Claim,
    Finding,
    Number,
    Picture,
    Results,
    judge_cases,
    of_cases,
    said,
)
from jaxlimits.studies.claims.knee import crossing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPEEDS, LATENCIES, COLLECTIVES = "top_speed", "needed_latency", "better_collectives"
EASY, HARD = 2000.0, 10_000.0
SHORT, LONG = 4096, 131072
LARGE = 100e9
"""Bytes of weights in FP8 from which a model counts as large (ours)."""


def find(results: Results) -> Finding:
    """Compare the fastest user of every model with 2,000 and 10,000 token/s."""
    speeds, needed = results[SPEEDS], results[LATENCIES]
    best = speeds.utps.max(["chip", "tp_size"])
    short, long = best.sel(seq_len=SHORT), best.sel(seq_len=LONG)
    large = speeds.weight_bytes.isel(chip=0, tp_size=0, seq_len=0) >= LARGE
    easy, hard = short >= EASY, ~(long.where(large, drop=True) >= HARD)
    judged = judge_cases(np.concatenate([easy.values, hard.values]))
    slow, quick = _names(~(short >= EASY)), _names((long >= HARD) & large)
    asked = needed.latency_for_2000.sel(llm="llama3-405b", seq_len=SHORT)
    sentence = (
        f"{_count(easy)} models reach {EASY:,.0f} token/s at 4 Ki tokens on some machine"
        + (f", not {', '.join(slow)} ({_speeds(short, slow)})" if slow else "")
        + f". Of the large models {_count(hard)} stay below {HARD:,.0f} at 128 Ki tokens"
        + (f", not {', '.join(quick)} ({_speeds(long, quick)})" if quick else "")
        + f". At 1 Ki tokens {int((best.sel(seq_len=1024) >= HARD).sum())} of {best.sizes['llm']} "
        f"models reach it, at 128 Ki {int((long >= HARD).sum())}. Llama 3.1 405B needs collectives "
        f"of {_span(asked)} for {EASY:,.0f}"
        f" (128 chips; {_reaching(asked)} machines can)."
    )
    return Finding(
        judged=judged,
        sentence=sentence,
        numbers={
            "reach_2000": Number(value=float(easy.sum()), meaning="models that reach 2,000"),
            "large_below_10000": Number(
                value=float(hard.sum()), meaning="large models that stay below 10,000 at 128 Ki"
            ),
            **{
                f"latency_for_2000_{chip}": Number(
                    value=float(asked.sel(chip=chip)),
                    unit="s",
                    meaning=f"latency with which Llama 3.1 405B reaches 2,000 on {chip}, TP128",
                )
                for chip in map(str, asked.chip.values)
            },
        },
        table=_table(best, needed, latency_for_hard(results[COLLECTIVES])),
    )


def latency_for_hard(result: xr.Dataset) -> xr.DataArray:
    """Latency with which 128 chips of stacked DRAM still give one user 10,000 token/s [s]."""
    return crossing(HARD - result.utps.sel(tp_size=128, seq_len=SHORT), "sync_latency")


def _names(flags: xr.DataArray) -> list[str]:
    return [str(llm) for llm in flags.llm.values[flags.values]]


def _speeds(best: xr.DataArray, names: list[str]) -> str:
    return ", ".join(said(float(best.sel(llm=name)), "token/s") for name in names)


def _count(flags: xr.DataArray) -> str:
    return of_cases(float(flags.mean()), flags.size)


def _span(asked: xr.DataArray) -> str:
    return f"{said(float(asked.min()), 's')} to {said(float(asked.max()), 's')}"


def _reaching(asked: xr.DataArray) -> str:
    return f"{int(asked.notnull().sum())} of {asked.size}"


def _table(best: xr.DataArray, needed: xr.Dataset, hard: xr.DataArray) -> Table:
    widest = needed.sel(seq_len=SHORT).max("chip")
    columns = (
        Column(label="model"),
        *(
            Column(label=f"fastest user, {label} tokens", unit="token/s")
            for label in ("1 Ki", "4 Ki", "128 Ki")
        ),
        *(
            Column(label=f"latency for {words}, 4 Ki tokens, TP128", unit="s", display="us")
            for words in ("2,000 on the best machine", "10,000 on 3D-stacked DRAM")
        ),
    )
    rows = tuple(
        (
            str(llm),
            *(float(best.sel(llm=llm, seq_len=seq)) for seq in (1024, SHORT, LONG)),
            float(widest.latency_for_2000.sel(llm=llm)),
            float(hard.sel(llm=llm)),
        )
        for llm in best.llm.values
    )
    title = "The fastest user on any machine, and the latency that a speed needs"
    return Table(title=title, columns=columns, rows=rows)


def _fastest(results: Results) -> "Figure":
    best = results[SPEEDS][["utps"]].max("tp_size", keep_attrs=True).sel(seq_len=SHORT)
    title = "The fastest user at 4 Ki tokens, on 8, 32 or 128 chips"
    return plot.cells(best, of="utps", rows="llm", columns="chip", title=title)


def _by_context(results: Results) -> "Figure":
    best = results[SPEEDS][["utps"]].max(["tp_size", "chip"], keep_attrs=True)
    some = [
        "llama3-8b",
        "llama3-70b",
        "llama3-405b",
        "llama4-maverick",
        "deepseek-v3",
        "qwen3-235b",
    ]
    marks = {f"{EASY:,.0f}": EASY, f"{HARD:,.0f}": HARD}
    title = "The fastest user on any machine"
    return plot.lines(best.sel(llm=some), x="seq_len", by="llm", marks=marks, title=title)


CLAIM = Claim(
    name="speed",
    statement=(
        "2,000 tokens a second and more for one user are easy; 10,000 and more need smaller "
        "models, shorter contexts or other algorithms."
    ),
    source="published",
    cases=(
        "A model at 4 Ki tokens: some machine reaches 2,000. A model of 100 GB and more at 128 Ki "
        "tokens: no machine reaches 10,000. One user, latencies inferred from the paper."
    ),
    grids=(SPEEDS, LATENCIES, COLLECTIVES),
    find=find,
    pictures=(
        Picture(name="speed_machines", caption="The fastest user by model and machine.",
                draw=_fastest),
        Picture(name="speed_contexts", caption="The fastest user over the context.",
                draw=_by_context),
    ),
)  # fmt: skip
