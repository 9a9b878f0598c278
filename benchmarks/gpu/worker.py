"""Runs cases in one process and prints a line of JSON for each."""

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.facts import machine, version_of
from benchmarks.gpu.names import CASES, REDUCTIONS, SHIPPED
from benchmarks.gpu.timing import Record, finished, on_device, repeated, rounded, timed, to_host
from benchmarks.grids import CODES, METRICS, Axes, grid_text, job_of, spec_of
from jaxlimits.engine.sweep_job import Job
from jaxlimits.grid.scenario import bind
from jaxlimits.run.job import load_grid, spec_job

AXES = Axes(batch_size=8)
"""Of cases beside the shipped grids: 128 million points."""

COPIED_BYTES = 1 << 30
SECONDS_A_GRID = 4.0
"""A share of each grid is measured that takes about so long; all of it where it is faster."""

ELASTICITIES = ("mem_bw", "sync_latency", "peak_flops", "seq_len", "batch_size")


def main() -> None:
    """Run the cases of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=None)
    parser.add_argument("names", nargs="+", choices=CASES)
    options = parser.parse_args()
    scale = options.scale
    for name in options.names:
        record = run(name, scale if scale is not None else 0.001, options.out)
        scale = scale if scale is not None else record.get("scale")
        print(json.dumps(record), flush=True)


def run(name: str, scale: float, out: Path) -> Record:
    """Run one case, with nothing compiled before; what goes wrong is its status."""
    jax.clear_caches()
    try:
        return {"case": name, "status": "ok", **_of(name, out)(scale)}
    except ImportError as error:
        return {"case": name, "status": f"left out: {error}"}
    except Exception as error:  # whatever a device says: the other cases go on
        traceback.print_exc(file=sys.stderr)
        said = (str(error).splitlines() or [""])[0][:300]
        return {"case": name, "status": f"failed: {type(error).__name__}: {said}"}


def _of(name: str, out: Path) -> Callable[[float], Record]:
    if name in SHIPPED:
        return lambda scale: whole(shipped(name), scale)
    if name.startswith("reduce_"):
        table = {"kept": REDUCTIONS[name.removeprefix("reduce_")]}
        return lambda scale: on_device(job_of(grid_text(AXES, reductions=table)), 8.0 * scale)
    return {
        "probe": probe,
        "device_copy": device_copy,
        "host_copy": host_copy,
        "dense_to_host": lambda scale: to_host(shipped("billion_dense"), scale),
        "every_metric": lambda scale: on_device(job_of(grid_text(AXES, reductions=every())), scale),
        "one_elasticity": lambda scale: elasticities(ELASTICITIES[:1], scale),
        "five_elasticities": lambda scale: elasticities(ELASTICITIES, scale),
        "requirement": requirement,
        "x64": lambda scale: on_device(shipped("billion", precision="float64"), scale / 4.0),
        "one_device": lambda scale: whole(shipped("billion"), scale, jax.local_devices()[:1]),
        "all_devices": all_devices,
        "to_file": lambda scale: to_file(scale, out),
    }[name]


def shipped(name: str, precision: Any = None) -> Job:
    """Plan a shipped grid."""
    spec = load_grid(name, precision=precision)
    return spec_job(spec, bind(spec))


def whole(job: Job, scale: float, devices: Any = None) -> Record:
    """Measure a grid on the device alone, and with what comes to the host."""
    return {**on_device(job, scale, devices), **to_host(job, scale, devices)}


def probe(_scale: float) -> Record:
    """Say what computes, and how large a share of a billion points takes a few seconds."""
    job = shipped("billion")
    found = on_device(job, 4.0 / job.plan.num_chunks)
    scale = min(1.0, 1e3 * SECONDS_A_GRID / found["ms_per_billion"])
    device = jax.local_devices()[0]
    stats = device.memory_stats() or {}
    return {
        "device": device.device_kind,
        "platform": device.platform,
        "machine": machine(),
        "backend": jax.extend.backend.get_backend().platform_version.splitlines()[0],
        "memory_gb": rounded(stats.get("bytes_limit", 0) / 1e9),
        "plugins": {n: version_of(n) for n in ("jax-cuda13-plugin", "jax-cuda12-plugin")},
        "scale": rounded(scale),
        **found,
    }


def device_copy(_scale: float) -> Record:
    """Measure reading and writing of the device's memory, and a fill."""
    count = _elements()
    source = jnp.ones(count, jnp.float32)
    add, fill = jax.jit(lambda x: x + 1.0), jax.jit(lambda x: jnp.zeros_like(x) + x[0])
    copied, filled = repeated(lambda: add(source)), repeated(lambda: fill(source))
    return {
        "copy_gb_per_s": rounded(8.0 * count / copied / 1e9),
        "write_gb_per_s": rounded(4.0 * count / filled / 1e9),
        "launch_us": rounded(1e6 * repeated(lambda: add(source[:1]))),
    }


def host_copy(_scale: float) -> Record:
    """Measure the way to the host and back."""
    count = _elements() // 4
    there, here = jnp.ones(count, jnp.float32), np.ones(count, np.float32)
    add = jax.jit(lambda x: x + 1.0)

    def fetch() -> None:  # a new array each time: JAX keeps what it has once fetched
        made = finished(add(there))
        taken.append(timed(lambda: np.asarray(made))[1])

    taken: list[float] = []
    repeated(fetch)
    sent = repeated(lambda: jax.device_put(here))
    return {
        "from_device_gb_per_s": rounded(4.0 * count / sorted(taken)[len(taken) // 2] / 1e9),
        "to_device_gb_per_s": rounded(4.0 * count / sent / 1e9),
    }


def _elements() -> int:
    """Numbers of an array that no cache holds and that fits beside two others."""
    if jax.default_backend() == "cpu":
        return COPIED_BYTES >> 4
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", 8 << 30)
    return min(COPIED_BYTES, limit // 8) // 4


def every() -> dict[str, dict[str, Any]]:
    """Mean and maximum of every number, and a count of every code."""
    numbers = [name for name in METRICS if name not in CODES]
    means = {f"{op}_{name}": {"op": op, "of": name} for name in numbers for op in ("mean", "max")}
    return {**means, **{f"codes_{name}": {"op": "count", "of": name} for name in CODES}}


def elasticities(fields: tuple[str, ...], scale: float) -> Record:
    """Measure a metric with its elasticities, as a dense output."""
    text = grid_text(AXES, outputs=("utps",), elasticities=fields)
    return on_device(job_of(text), 4.0 * scale)


def requirement(scale: float) -> Record:
    """Measure the bandwidth that each point needs for a speed, found by bisection."""
    text = grid_text(Axes(batch_size=8, mem_bw=1), outputs=())
    text = text.replace('mem_bw = { geometric = ["0.5 TiB/s", "64 TiB/s"], num = 1 }\n', "")
    asked = 'for = "mem_bw"\nof = "utps"\nat_least = "100 token/s"'
    job = job_of(f"{text}\n[require.needed_mem_bw]\n{asked}\n")
    return on_device(job, max(scale, 2.0 / job.plan.num_chunks))


def all_devices(scale: float) -> Record:
    """Measure all devices together; beside ``one_device``."""
    return {"devices": len(jax.local_devices()), **whole(shipped("billion"), scale)}


def to_file(scale: float, out: Path) -> Record:
    """Measure a sweep from the grid to the file."""
    import h5py  # noqa: F401, PLC0415  (absent, it is left out)
    import netCDF4  # noqa: F401, PLC0415

    from jaxlimits.run.pipeline import run_spec  # noqa: PLC0415

    axes = Axes(batch_size=max(1, min(64, round(64 * scale))), llm=1)
    spec = spec_of(grid_text(axes, outputs=("utps",)))
    with tempfile.TemporaryDirectory(dir=out) as folder:
        _, seconds = timed(lambda: run_spec(spec, Path(folder, "dense.nc")).close())
    return {
        "points": axes.points,
        "s": rounded(seconds),
        "gb_per_s": rounded(4e-9 * axes.points / seconds),
    }


if __name__ == "__main__":
    main()
