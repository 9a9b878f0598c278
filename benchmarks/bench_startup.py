"""How long commands take from a cold start, in an empty folder, and over what they rest on."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.commands import JAXLIMITS
from benchmarks.rounds import OURS, Run

POINT = ("point", "--llm", "llama3-405b", "--chip", "h200", "--tp-size", "8")
PYTHON = (sys.executable, "-c")
SWEEP = "jaxlimits sweep bandwidth_sync"

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "python": (*PYTHON, "pass"),
    "jaxlimits --help": (*JAXLIMITS, "--help"),
    "jaxlimits catalog": (*JAXLIMITS, "catalog"),
    "import jax, equinox": (*PYTHON, "import jax, equinox"),
    "jaxlimits point": (*JAXLIMITS, *POINT, "--batch-size", "8", "--seq-len", "32768"),
    "jaxlimits sweep paper": (*JAXLIMITS, "sweep", "paper", "--force"),
    SWEEP: (*JAXLIMITS, "sweep", "bandwidth_sync", "--force"),
}
TARGETS: Mapping[str, tuple[float, str | None]] = {
    "jaxlimits --help": (0.5, "python"),
    "jaxlimits catalog": (0.5, "python"),
    "jaxlimits point": (2.5, "import jax, equinox"),
    "jaxlimits sweep paper": (15.0, None),
    SWEEP: (5.0, "jaxlimits point"),
}
"""What each may take [s], and over which other command."""


def started(command: tuple[str, ...], folder: Path) -> Callable[[], object]:
    """Return what runs a command."""
    return lambda: subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)


def bench_commands(compare, tmp_path):
    calls = {name: started(command, tmp_path) for name, command in COMMANDS.items()}
    runs = {OURS if name == SWEEP else name: Run(call=c, work=1) for name, c in calls.items()}
    row = compare(runs, unit="run", warm=False)
    row["ratio"] = {}  # of one command to another they say nothing
    seconds = {SWEEP if name == OURS else name: s for name, s in row["median_s"].items()}
    for name, (target, base) in TARGETS.items():
        over = seconds[name] - (seconds[base] if base else 0.0)
        verdict = "met" if over <= target else "MISSED"
        compare.note(**{name: f"{over:.2f} of {target} s over {base or 'nothing'}: {verdict}"})
