"""What a measurement depends on: the machine, the versions, the commit."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax

from benchmarks.baselines.machine import cores

VERSIONS = ("jax", "numpy", "h5py", "isal", "jaxlimits")


def cpu_model() -> str:
    """The processor as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> dict[str, object]:
    """What the times depend on; no names of hosts, users or folders."""
    devices = jax.devices()
    accelerator = {} if devices[0].platform == "cpu" else {"device": devices[0].device_kind}
    return {
        **accelerator,
        "devices": len(devices),
        "cpu": cpu_model(),
        "cores": cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version_of(name) for name in VERSIONS},
    }


def version_of(package: str) -> str:
    """Version of a package, or that it is not installed; a copy without metadata has none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def machine_name(facts: dict[str, object]) -> str:
    """Name of the folder for a machine's results: its accelerator, or its processor and cores."""
    whole = facts.get("device") or f"{facts['cpu']} {facts['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\(\w+\)", "", str(whole)).lower()).strip("-")


def commit() -> str:
    """The commit that is checked out, marked where files differ from it."""
    root = Path(__file__).parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def cpu_seconds() -> tuple[float, float]:
    """CPU time that the whole machine has spent so far, and this process with what it started [s].

    Both grow; of two such pairs the differences tell what other processes took in between. Zeros
    where the system does not say.
    """
    stat = Path("/proc/stat")
    if not stat.is_file():
        return 0.0, 0.0
    user, nice, system, _idle, _wait, irq, softirq, steal, *_ = map(
        int, stat.read_text().split("\n", 1)[0].split()[1:]
    )
    whole = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return whole, sum(os.times()[:4])
