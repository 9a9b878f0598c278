"""xyzpy, a sweep engine for any Python function, over the same model.

The function takes one point and is what xyzpy is best at: volumes are looked up, and five
operations in plain Python remain.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import xarray as xr
import xyzpy

from benchmarks.baselines.broadcast import Volumes
from benchmarks.baselines.loop import AXES

OUTPUTS = ("utps", "stps", "limit")

Combos = Mapping[str, Sequence[float]]


def point_function(v: Volumes, shape: tuple[int, ...]) -> Callable[..., tuple[float, float, int]]:
    """Return a function of the positions along the first four axes and the values of the others.

    Parameters
    ----------
    v
        Volumes of every row.
    shape
        Lengths of the axes.
    """
    names = ("traffic", "t_compute", "syncs", "tokens")
    traffic, t_compute, syncs, tokens = (v.terms[name].tolist() for name in names)
    fits = v.fits.tolist()
    _, seqs, tps, batches, *_ = shape

    def speeds(*, llm, seq_len, tp_size, batch_size, mem_bw, sync_latency):
        row = ((llm * seqs + seq_len) * tps + tp_size) * batches + batch_size
        if not fits[row]:
            return float("nan"), float("nan"), 3
        t_mem, compute, sync = traffic[row] / mem_bw, t_compute[row], syncs[row] * sync_latency
        busy = max(t_mem, compute)
        utps = 1.0 / (busy + sync)
        limit = 2 if sync > busy else 1 if compute > t_mem else 0
        return utps, tokens[row] * utps, limit

    return speeds


def combos_of(v: Volumes, shape: tuple[int, ...]) -> Combos:
    """Return the axes as xyzpy takes them."""
    positions = {name: range(length) for name, length in zip(AXES[:4], shape[:4], strict=True)}
    inner = {"mem_bw": v.mem_bw.tolist(), "sync_latency": v.sync_latency.tolist()}
    return {**{name: list(places) for name, places in positions.items()}, **inner}


def sweep_in_memory(v: Volumes, shape: tuple[int, ...]) -> xr.Dataset:
    """Sweep every point in this process."""
    found = _runner(v, shape).run_combos(combos_of(v, shape), verbosity=0)
    assert isinstance(found, xr.Dataset)
    return found


def sweep_to_disk(v: Volumes, shape: tuple[int, ...], path: Path) -> None:
    """Sweep every point and keep the dataset in a file, as xyzpy's Harvester does."""
    harvester = xyzpy.Harvester(_runner(v, shape), data_name=str(path))
    harvester.harvest_combos(combos_of(v, shape), verbosity=0)


def _runner(v: Volumes, shape: tuple[int, ...]) -> xyzpy.Runner:
    return xyzpy.Runner(point_function(v, shape), var_names=list(OUTPUTS), fn_args=list(AXES))
