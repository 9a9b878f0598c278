"""Compile the programs of sweeps for an accelerator that is not there, and count what they cost.

    python -m benchmarks lowered --target h200
    python -m benchmarks lowered --target v5e billion "only histogram"

Needs the plug-in of the target beside JAX, without its dependencies (see ``targets.py``); no driver
and no device. Results go to ``benchmarks/results/lowered/<target>.json``, for the version of JAX
that is installed: ``tests/engine/test_lowered.py`` holds later programs to them.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from benchmarks.lowered.cases import Case, cases, lower
from benchmarks.lowered.costs import Cost, cost_of
from benchmarks.lowered.hlo import read_module
from benchmarks.lowered.targets import TARGETS, Target
from jaxlimits.engine.kernel import programs

RESULTS = Path(__file__).parents[1] / "results" / "lowered"


def main(arguments: list[str] | None = None) -> int:
    """Compile what is asked for; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks lowered",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--target", choices=sorted(TARGETS), default="h200")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("names", nargs="*", metavar="CASE", help="cases; all where none is named")
    options = parser.parse_args(arguments)
    known = {case.name: case for case in cases()}
    if unknown := set(options.names) - known.keys():
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    target = TARGETS[options.target]
    mesh = target.mesh()
    rows = {}
    for name in options.names or known:
        rows[name] = measure(known[name], target, mesh)
        print(name, json.dumps(rows[name]), flush=True)
    path = options.out / f"{options.target}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    same = kept.get("jax") == jax.__version__
    whole = {"jax": jax.__version__, "cases": {**(kept["cases"] if same else {}), **rows}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(case: Case, target: Target, mesh: Mesh) -> dict[str, Any]:
    """Compile the programs of a case and count what they cost."""
    job = case.job(target.memory)
    start = time.process_time()
    cost, temporaries = Cost(), 0
    for text, memory in _compiled(job, mesh):
        cost += cost_of(read_module(text))
        temporaries = max(temporaries, memory)
    points = job.plan.points_per_chunk
    return {
        "points": math.prod(job.plan.shape),
        "chunks": job.plan.num_chunks,
        "compile_s": round(time.process_time() - start, 2),
        "kernels": round(cost.kernels),
        "launches_per_1e9": round(_per_billion(cost.kernels, job), 1),
        "bytes_per_point": round(cost.bytes / points, 3),
        "slots_per_point": round(cost.slots / points, 1),
        "atomics_per_point": round(cost.atomics / points, 3),
        "sorts": round(cost.sorts),
        "transfers": round(cost.transfers),
        "temporaries_per_point": round(temporaries / points, 3),
        **_times(cost, job, target),
    }


def _compiled(job: Any, mesh: Mesh) -> Iterator[tuple[str, int]]:
    """The text of each program of a job, and the memory of its temporaries [B]."""
    for place, together in enumerate(programs(job.reductions) or [()]):
        compiled = lower(job, mesh, () if place else job.outputs, together).compile()
        yield compiled.as_text(), compiled.memory_analysis().temp_size_in_bytes


def _per_billion(number: float, job: Any) -> float:
    points = job.plan.points_per_chunk * job.plan.num_chunks
    return number * job.plan.num_chunks * 1e9 / max(points, 1e9)


def _times(cost: Cost, job: Any, target: Target) -> Mapping[str, float]:
    """Predicted time of the whole grid, and that of its memory traffic or arithmetic alone [ms].

    These two overlap; atomics and launches are added.
    """
    whole = cost * job.plan.num_chunks
    work = max(whole.bytes / target.copy_bw, whole.slots / target.slots)
    predicted = work + whole.atomics / target.atomics + whole.kernels * target.launch
    return {"predicted_ms": _rounded(1e3 * predicted), "work_ms": _rounded(1e3 * work)}


def _rounded(number: float) -> float:
    """Three digits."""
    return float(f"{number:.3g}") if math.isfinite(number) else number


if __name__ == "__main__":
    raise SystemExit(main())
