"""How long a million requirements take, by unknown; the library's bisection beside ours.

The comparison needs optimistix: the same points, bracket and function, `optimistix.Bisection` to
one part in 10^9 under `vmap`, in float64.
"""

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("EQX_ON_ERROR", "nan")  # optimistix: a point without a root is no error here

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.rounds import OURS, Run
from jaxlimits.engine.sensitivity import assemble, effective_fields
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import Job
from jaxlimits.grid.file import parse_grid
from jaxlimits.grid.requirements import REASONS
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.model.evaluate import evaluate
from jaxlimits.run.pipeline import spec_job

MOST_SECONDS = 5.0
UNKNOWNS = ("mem_bw", "sync_latency", "seq_len", "batch_size", "tp_size")
TARGET = 100.0
AXES = {
    "tp_size": "[8, 16, 32, 64, 128]",
    "batch_size": "{ pow2 = [1, 512] }",
    "seq_len": "{ pow2 = [1024, 131072] }",
    "mem_bw": '{ geometric = ["1 TB/s", "100 TB/s"], num = %d }',
    "sync_latency": '{ geometric = ["0.05 us", "5 us"], num = %d }',
}
LENGTHS = {"tp_size": 5, "batch_size": 10, "seq_len": 8}
LLMS = ("llama3-8b", "llama3-70b", "llama3-405b", "qwen3-235b")
LLMS += ("deepseek-v3", "kimi-k2", "gpt-oss-120b", "llama4-scout")


def million(unknown: str, precision: str) -> Job:
    """Plan a grid of a million points that asks for one unknown."""
    swept = "sync_latency" if unknown == "mem_bw" else "mem_bw"
    axes = [name for name in LENGTHS if name != unknown]
    others = len(LLMS) * int(np.prod([LENGTHS[name] for name in axes]))
    lines = [f"{name} = {AXES[name]}" for name in axes]
    lines += [f"{swept} = {AXES[swept] % -(-1_000_000 // others)}"]
    text = "\n".join(
        [
            *("[base]", "chip = 'xpu-hbm4'", "[axes]", f"llm = {list(LLMS)}", *lines),
            *("[require.needed]", f"for = '{unknown}'", f"at_least = '{TARGET} token/s'"),
        ]
    )
    file = parse_grid(text, where="bench", stem="bench", folder=Path())
    spec = build_spec(file, grid_catalog(file), precision=precision)
    return spec_job(spec, bind(spec))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("unknown", UNKNOWNS)
def bench_requirements(compare, unknown, precision):
    job = million(unknown, precision)
    found, _ = collect(job)
    met = found["needed_reason"] == REASONS["met"]
    run = Run(call=lambda: collect(job), work=met.size)
    row = compare({OURS: run}, unit="requirement")
    off = float(np.abs(found["needed_utps"][met] / TARGET - 1.0).max())
    verdict = "met" if row["median_s"][OURS] * 1e6 / met.size <= MOST_SECONDS else "MISSED"
    compare.note(met=int(met.sum()), largest_miss=off, **{"a million in 5 s": verdict})


def bench_beside_the_library(compare):
    job = million("mem_bw", "float64")
    theirs, found = library(job, "mem_bw"), collect(job)[0]
    met = found["needed_reason"] == REASONS["met"]
    apart = float(np.nanmax(np.abs(theirs()[met] / found["needed"][met] - 1.0)))
    runs = {
        OURS: Run(call=lambda: collect(job), work=met.size),
        "optimistix": Run(call=theirs, work=met.size),
    }
    compare(runs, unit="requirement")
    compare.note(apart=apart)


def library(job: Job, unknown: str) -> Callable[[], np.ndarray]:
    """Return the same root finding by optimistix."""
    import optimistix  # noqa: PLC0415

    asked, scenario = job.requirements[0], job.scenario
    static = tuple(scenario.fixed_static().items())
    solver = optimistix.Bisection(rtol=1e-9, atol=1e-9, expand_if_necessary=False)

    def root(base: dict, *along: dict) -> jax.Array:
        values = {k: v for part in (base, *along) for k, v in part.items()}
        fields, own = effective_fields(values, static)

        def miss(log: jax.Array, _: None) -> jax.Array:
            changed = {**fields, unknown: jnp.exp(log)}
            return evaluate(*assemble(changed, own)).t_step * TARGET - 1.0

        low, high = np.log(max(asked.low, 1e-12)), np.log(asked.high)
        found = optimistix.root_find(
            miss,
            solver,
            jnp.asarray(0.5 * (low + high)),
            options={"lower": low, "upper": high},
            max_steps=128,
            throw=False,
        )
        return jnp.exp(found.value)

    with jax.enable_x64(True):
        function, rank = root, len(scenario.columns)
        for axis in reversed(range(rank)):
            function = jax.vmap(
                function, in_axes=[None, *(0 if i == axis else None for i in range(rank))]
            )
        compiled = jax.jit(function)
        base = {name: jnp.asarray(value) for name, value in scenario.base.items()}
        columns = [{n: jnp.asarray(c) for n, c in axis.items()} for axis in scenario.columns]

    def run() -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(compiled(base, *columns))

    return run
