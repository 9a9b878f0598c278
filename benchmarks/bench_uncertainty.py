"""How long Sobol indices of the model take from 2^20 rows, and SALib's analyser on the same rows.

python benchmarks/bench_uncertainty.py [--rounds 3] [--no-salib] [--json results.json]
"""

import argparse
import datetime
import json
import statistics
import tempfile
import time
from pathlib import Path

from bench_startup import commit, machine

STUDY = """
method = "sobol"
samples = 65536
outputs = ["utps"]
[base]
llm = "deepseek-v3"
chip = "h200"
tp_size = 16
[uncertain]
mem_bw_scale = { uniform = [0.6, 0.95] }
peak_flops_scale = { uniform = [0.4, 0.8] }
usable_fraction = { triangular = [0.8, 0.9, 0.95] }
sync_latency = { lognormal = ["5 us", 0.4] }
weight_bits = { uniform = [4, 9] }
seq_len = { loguniform = [2048, 32768] }
batch_size = { loguniform = [1, 64] }
"""
"""Seven inputs: 16 rows a block, 2^20 in all, with the second order and 100 resamples."""


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

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.toml"
        path.write_text(STUDY, encoding="utf-8")
        uncertain = load_uncertain(path)
    loaded = time.perf_counter() - started

    def indices() -> float:
        started = time.perf_counter()
        sobol_variances(uncertain.evaluate, uncertain.inputs, uncertain.sampling)
        return time.perf_counter() - started

    taken = {"import and read": loaded, "first, with compiling": indices()}
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
