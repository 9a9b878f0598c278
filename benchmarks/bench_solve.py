"""How long a million requirements take, by unknown; the library's bisection beside ours.

python benchmarks/bench_solve.py [--rounds 5] [--json results.json]

Cold includes tracing and compiling, warm is the median of rounds. The comparison needs optimistix:
the same points, bracket and function, `optimistix.Bisection` to one part in 10^9 under `vmap`.
"""

import argparse
import datetime
import importlib.util
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from bench_startup import commit, machine

from jaxlimits.engine.sensitivity import Values, assemble, effective_fields
from jaxlimits.engine.stream import Job, collect
from jaxlimits.grid.file import parse_grid
from jaxlimits.grid.requirements import REASONS
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.model.evaluate import evaluate
from jaxlimits.pipeline import spec_job

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


def timed(run: Callable[[], object], rounds: int) -> dict[str, float]:
    """Seconds of the first run, and the median of further ones."""
    seconds = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return {"cold_s": round(seconds[0], 3), "warm_s": round(statistics.median(seconds[1:]), 3)}


def ours(unknown: str, precision: str, rounds: int) -> dict[str, object]:
    """Time the requirement of a million points and say how near the target it comes."""
    job = million(unknown, precision)
    times = timed(lambda: collect(job), rounds)
    found, _ = collect(job)
    met = found["needed_reason"] == REASONS["met"]
    off = float(np.abs(found["needed_utps"][met] / TARGET - 1.0).max())
    facts = {"unknown": unknown, "precision": precision, "points": met.size, "met": int(met.sum())}
    return {"solver": "ours", **facts, **times, "largest_miss": off}


def library(unknown: str, rounds: int) -> dict[str, object]:
    """Time the same root finding by optimistix, in float64.

    It raises where a single bracket has no root, so that ours says first where there is one, and
    the other points get a function with a root at hand.
    """
    import optimistix  # noqa: PLC0415

    job = million(unknown, "float64")
    found, _ = collect(job)
    met = found["needed_reason"] == REASONS["met"]
    asked, scenario = job.requirements[0], job.scenario
    static = tuple(scenario.fixed_static().items())
    solver = optimistix.Bisection(rtol=1e-9, atol=1e-9, expand_if_necessary=False)
    low, high = np.log(max(asked.low, 1e-12)), np.log(asked.high)
    start = 0.5 * (low + high)

    def root(has_root: jax.Array, base: Values, *along: Values) -> jax.Array:
        fields = effective_fields({k: v for part in (base, *along) for k, v in part.items()})

        def miss(log: jax.Array, _: None) -> jax.Array:
            changed = {**fields, unknown: jnp.exp(log)}
            missed = evaluate(*assemble(changed, static)).t_step * TARGET - 1.0
            return jnp.where(has_root, missed, log - start - 0.1)

        ends = {"lower": low, "upper": high}
        here = jnp.asarray(start)
        return jnp.exp(optimistix.root_find(miss, solver, here, options=ends, max_steps=128).value)

    with jax.enable_x64(True):
        function, rank = root, len(scenario.columns)
        for axis in reversed(range(rank)):
            along = (0 if position == axis else None for position in range(rank))
            function = jax.vmap(function, in_axes=[0, None, *along])
        compiled = jax.jit(function)
        numbers = jax.tree.map(jnp.asarray, (met, scenario.base, *scenario.columns))
        times = timed(lambda: compiled(*numbers).block_until_ready(), rounds)
        theirs = np.asarray(compiled(*numbers))
    apart = float(np.abs(theirs[met] / found["needed"][met] - 1.0).max())
    facts = {"unknown": unknown, "precision": "float64", "points": met.size, "met": int(met.sum())}
    return {"solver": "optimistix", **facts, **times, "apart_from_ours": apart}


def main() -> None:
    """Measure, print, and keep the results where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    unknowns = ("mem_bw", "sync_latency", "seq_len", "batch_size", "tp_size")
    rows = []
    for precision in ("float32", "float64"):
        for unknown in unknowns:
            rows.append(ours(unknown, precision, options.rounds))
            print(rows[-1], flush=True)
    if importlib.util.find_spec("optimistix"):
        for unknown in ("mem_bw", "sync_latency"):
            rows.append(library(unknown, options.rounds))
            print(rows[-1], flush=True)
    if options.json:
        facts = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "commit": commit(),
            "rounds": options.rounds,
            "machine": machine(),
            "results": rows,
        }
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
