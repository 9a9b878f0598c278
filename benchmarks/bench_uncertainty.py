"""How long Sobol indices of the model take from 2^20 rows, and SALib's analyser on the same rows.

python benchmarks/bench_uncertainty.py [--rounds 3] [--no-salib] [--json results.json]
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_startup import commit, machine

SAMPLES = 1 << 16
"""The shipped study has seven inputs: 16 rows a block, 2^20 in all, with the second order."""


def run_command() -> float:
    """Seconds of the command line from start to the written file."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "jaxlimits", "uncertainty", "uncertain_machine"]
        started = time.perf_counter()
        subprocess.run(
            [*command, "--samples", str(SAMPLES)],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - started


def main() -> None:
    """Measure, print, and keep the results where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-salib", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    from jaxlimits.design.samplers import saltelli_shares  # noqa: PLC0415
    from jaxlimits.design.sobol import sobol_variances  # noqa: PLC0415
    from jaxlimits.design.uncertain import columns_at, load_uncertain  # noqa: PLC0415

    uncertain = load_uncertain("uncertain_machine", samples=SAMPLES)
    loaded = time.perf_counter() - started

    def indices() -> float:
        started = time.perf_counter()
        sobol_variances(uncertain.evaluate, uncertain.inputs, uncertain.sampling)
        return time.perf_counter() - started

    taken = {
        "a process of its own": run_command(),
        "import and read": loaded,
        "first, with compiling": indices(),
    }
    taken["again"] = statistics.median(indices() for _ in range(options.rounds))
    sampling = uncertain.sampling
    started = time.perf_counter()
    shares = saltelli_shares(7, sampling.samples, seed=sampling.seed, second_order=True)
    taken["of that SALib's sampler"] = time.perf_counter() - started
    started = time.perf_counter()
    values = uncertain.evaluate(columns_at(uncertain.inputs, shares))["utps"]
    taken["of that quantiles and model"] = time.perf_counter() - started
    if not options.no_salib:
        from SALib.analyze import sobol  # noqa: PLC0415

        names = list(uncertain.inputs)
        problem = {"num_vars": len(names), "names": names, "bounds": [[0.0, 1.0]] * len(names)}
        started = time.perf_counter()
        sobol.analyze(problem, values.astype("float64"), seed=1)
        taken["SALib's analyser alone"] = time.perf_counter() - started
    for name, seconds in taken.items():
        print(f"{name:<30} {seconds:>7.2f} s")
    if options.json:
        facts = {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "commit": commit(),
            "rounds": options.rounds,
            "machine": machine(),
            "rows": len(values),
            "seconds": {name: round(seconds, 2) for name, seconds in taken.items()},
        }
        options.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
