"""How long commands take from a cold start: medians of several rounds, all in one run.

Each round runs every command once, so that a slow spell of the machine meets them all alike.

    python benchmarks/bench_startup.py [--rounds 5] [--json results.json]
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

POINT = ("point", "--llm", "llama3-405b", "--chip", "h200", "--tp-size", "8")
PYTHON = (sys.executable, "-c")
JAXLIMITS = (sys.executable, "-m", "jaxlimits")

COMMANDS = {
    "python": (*PYTHON, "pass"),
    "jaxlimits --help": (*JAXLIMITS, "--help"),
    "jaxlimits catalog": (*JAXLIMITS, "catalog"),
    "import jax, equinox": (*PYTHON, "import jax, equinox"),
    "jaxlimits point": (*JAXLIMITS, *POINT, "--batch-size", "8", "--seq-len", "32768"),
    "jaxlimits sweep paper": (*JAXLIMITS, "sweep", "paper", "--force"),
    "jaxlimits sweep bandwidth_sync": (*JAXLIMITS, "sweep", "bandwidth_sync", "--force"),
}
# What each may take, and over which other command.
TARGETS = {
    "jaxlimits --help": (0.5, "python"),
    "jaxlimits catalog": (0.5, "python"),
    "jaxlimits point": (2.5, "import jax, equinox"),
    "jaxlimits sweep paper": (15.0, None),
    "jaxlimits sweep bandwidth_sync": (5.0, "jaxlimits point"),
}


def seconds_of(command: tuple[str, ...], folder: str) -> float:
    """Wall-clock time of one run in an empty folder."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of every command in every round."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, command in COMMANDS.items():
                taken[name].append(seconds_of(command, folder))
    return taken


def cpu_model() -> str:
    """The processor as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> dict[str, object]:
    """What the times depend on; no names of hosts, users or folders."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu_model(),
        "cores": cores,
        "system": platform.system(),
        "python": platform.python_version(),
        "jax": version("jax"),
        "jaxlimits": version("jaxlimits"),
    }


def commit() -> str:
    """The commit that is checked out, marked where files differ from it."""
    root = Path(__file__).parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def report(taken: dict[str, list[float]]) -> list[dict[str, object]]:
    """One row a command: median, best, and what it has over its base and its target."""
    medians = {name: statistics.median(values) for name, values in taken.items()}
    rows: list[dict[str, object]] = []
    for name, values in taken.items():
        target, base = TARGETS.get(name, (None, None))
        over = medians[name] - (medians[base] if base else 0.0)
        row = {
            "command": name,
            "median_s": round(medians[name], 3),
            "best_s": round(min(values), 3),
        }
        if target is not None:
            row |= {"over": base or "", "over_s": round(over, 3), "target_s": target}
        rows.append(row)
    return rows


def print_table(rows: list[dict[str, object]]) -> None:
    """Print the rows for people."""
    print(f"{'command':<32} {'median':>8} {'best':>8}   against its target")
    for row in rows:
        line = f"{row['command']:<32} {row['median_s']:>6.2f} s {row['best_s']:>6.2f} s"
        if "target_s" in row:
            verdict = "ok  " if row["over_s"] <= row["target_s"] else "SLOW"
            over = f" over {row['over']}" if row["over"] else ""
            line += f"   {verdict} {row['over_s']:.2f} of {row['target_s']} s{over}"
        print(line)


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds to take the median of")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    options = parser.parse_args()
    rows = report(measure(options.rounds))
    print_table(rows)
    if options.json:
        now = datetime.datetime.now(datetime.UTC)
        facts = {"date": f"{now:%Y-%m-%d}", "commit": commit(), "rounds": options.rounds}
        text = json.dumps({**facts, "machine": machine(), "results": rows}, indent=2)
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
