"""The command line as it is started by people: a process of its own, timed from the outside."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

JAXLIMITS = (sys.executable, "-m", "jaxlimits")


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
        Seconds of the sweep itself, as it says: without start-up.
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
    command = [*JAXLIMITS, "sweep", str(grid), "-o", "out.nc", "--json", *options]
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if status != 0:
        raise RuntimeError(f"{' '.join(command)} failed")
    sweeping = float(json.loads(said)["seconds"])
    return Finished(seconds=seconds, peak_mb=usage.ru_maxrss / 1e3, sweeping=sweeping)


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


def run_quietly(command: Sequence[str], folder: Path) -> None:
    """Run a command in a folder."""
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)


def stored_files(folder: Path) -> list[Path]:
    """Every file of a result."""
    return sorted(path for path in folder.rglob("*.nc") if path.is_file())
