"""Run the benchmarks and keep what they measure, by machine.

    python -m benchmarks                      everything that takes seconds
    python -m benchmarks kernel reductions    some of it
    python -m benchmarks --full               also whole grids of a billion points
    python -m benchmarks lowered              compile for an H200, which need not be there
    python -m benchmarks gpu --out DIR        an accelerator, in five minutes (see benchmarks/gpu)

Each ``bench_*.py`` is a pytest file. First the baselines are compared with the model, point by
point (``test_baselines.py``); where one differs nothing is measured. pytest-benchmark then times
ours, and before each of its rounds every baseline is run and timed once: A B A B, so that a slow
spell of the machine meets all alike. What counts are the ratios of the medians within one run;
rates of different runs or machines cannot be compared. ``pytest benchmarks/bench_kernel.py`` does
the same without keeping anything, and takes pytest-benchmark's own options.

Results go to ``benchmarks/results/<machine>/<name>.json``: date, commit, machine, and a row a case
with the median and best seconds, the rate, and our rate over each baseline's. They are kept only
where other processes took next to nothing of the machine meanwhile: company does not slow all runs
alike (the loop's threads wait for each other after every chunk and suffer most), so that ratios
would flatter us. Needs a C compiler and ``pip install 'jaxlimits[bench]'``.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.facts import commit, cpu_seconds, machine, machine_name

HERE = Path(__file__).parent
MOST_BY_OTHERS = 0.1
"""Cores that other processes may take, on average, while something is measured."""

NAMES = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def main() -> int:
    """Run what is asked for; return the exit code."""
    if sys.argv[1:2] == ["lowered"]:
        from benchmarks.lowered.__main__ import main as lowered  # noqa: PLC0415  (needs no pytest)

        return lowered(sys.argv[2:])
    if sys.argv[1:2] == ["gpu"]:
        from benchmarks.gpu.command import main as on_device  # noqa: PLC0415  (needs no pytest)

        return on_device(sys.argv[2:])
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of")
    parser.add_argument("--full", action="store_true", help="also what takes minutes")
    parser.add_argument("--genz", metavar="PYTHON", help="interpreter that has genz-llm")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    passed = ["--rounds", str(options.rounds)]
    passed += ["--full"] if options.full else []
    passed += ["--genz", options.genz] if options.genz else []
    if run_pytest("test_baselines.py", []) != 0:
        print("a baseline differs from the model: nothing was measured", file=sys.stderr)
        return 1
    codes = [measure(name, passed) for name in options.names or NAMES]
    return max(codes)


def measure(name: str, passed: list[str]) -> int:
    """Run one file of benchmarks and keep its results; return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        started, before = time.perf_counter(), cpu_seconds()
        code = run_pytest(f"bench_{name}.py", [*passed, f"--benchmark-json={report}"])
        whole, own = (now - then for now, then in zip(cpu_seconds(), before, strict=True))
        others = round(max(0.0, whole - own) / (time.perf_counter() - started), 2)
        if code != 0 or not report.exists() or report.stat().st_size == 0:
            return code
        if others > MOST_BY_OTHERS:
            message = f"{name}: not kept, other processes took {others} cores meanwhile; try again"
            print(message, file=sys.stderr)
            return 1
        keep(name, json.loads(report.read_text(encoding="utf-8")), others)
    return code


def run_pytest(file: str, options: list[str]) -> int:
    """Run one file in a process of its own, so that none finds memory or caches of another."""
    command = [sys.executable, "-m", "pytest", "-q", "--benchmark-columns=min,median,rounds"]
    return subprocess.run([*command, str(HERE / file), *options], check=False).returncode


def keep(name: str, report: dict[str, Any], others: float) -> None:
    """Write the rows of a report under the machine's name."""
    facts = machine()
    rows = [{"case": found["name"], **found["extra_info"]} for found in report["benchmarks"]]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    origin = {"date": today, "commit": commit(), "cores_of_others": others, "machine": facts}
    whole = {**origin, "results": rows}
    target = HERE / "results" / machine_name(facts) / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {target}")


if __name__ == "__main__":
    sys.exit(main())
