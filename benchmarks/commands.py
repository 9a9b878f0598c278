"""The command line as it is started by people: a process of its own, timed from the outside."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

JAXLIMITS = (sys.executable, "-m", "jaxlimits")

_WATCHED = """\
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Starts a command from a small process: Linux counts what the parent held at the start as the
child's own peak, and this one may hold results."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """What a command took.

    Parameters
    ----------
    seconds
        From its start to its end.
    peak_mb
        Its largest resident memory [MB].
    sweeping
        Seconds of the sweep or study itself, as it says: without start-up.
    """

    seconds: float
    peak_mb: float
    sweeping: float


def sweep(grid: Path | str, folder: Path, *options: str) -> Finished:
    """Sweep a grid into ``out.nc`` in a folder.

    Raises
    ------
    RuntimeError
        The command failed.
    """
    return _finished(["sweep", str(grid), "-o", "out.nc", "--json", *options], folder)


def study(name: str, folder: Path, *options: str) -> Finished:
    """Run a study into ``out`` in a folder.

    Raises
    ------
    RuntimeError
        The command failed.
    """
    return _finished(["study", name, "-o", "out", "--json", *options], folder)


def _finished(arguments: list[str], folder: Path) -> Finished:
    command = [*JAXLIMITS, *arguments]
    watched = [sys.executable, "-c", _WATCHED, *command]
    started = time.perf_counter()
    done = subprocess.run(watched, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed")
    said, peak_kib = done.stdout.strip().rsplit("\n", 1)
    return Finished(
        seconds=seconds,
        peak_mb=int(peak_kib) * 1024 / 1e6,
        sweeping=float(json.loads(said)["seconds"]),
    )


def killed_sweep(grid: Path, folder: Path, *, after: float) -> None:
    """Start a sweep into ``out.nc`` and kill it.

    Raises
    ------
    RuntimeError
        It was done before.
    """
    command = [*JAXLIMITS, "sweep", str(grid), "-o", "out.nc"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        time.sleep(after)
        process.kill()
    if process.returncode == 0:
        raise RuntimeError(f"{' '.join(command)} took less than {after:.1f} s")


def stored_files(folder: Path) -> list[Path]:
    """Every file of a result."""
    return sorted(path for path in folder.rglob("*.nc") if path.is_file())
