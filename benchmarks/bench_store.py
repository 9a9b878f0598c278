"""The dense store, beside what bounds it: the disk alone, the compressor alone, and xyzpy.

Ours computes, compresses and writes; start-up and compiling are left out. ``write`` writes the
bytes that came out, in one piece, and waits until the disk has them; ``compressor`` shuffles and
deflates the same values on all cores and writes nothing. Ours cannot be faster than the slower of
the two. Every run starts with an idle disk.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.baselines.broadcast import volumes_of
from benchmarks.baselines.engines import sweep_in_memory, sweep_to_disk
from benchmarks.baselines.machine import compress_alone, write_synced
from benchmarks.commands import stored_files
from benchmarks.grids import Axes, grid_text, job_of, spec_of
from benchmarks.rounds import OURS, Run
from jaxlimits.engine.stream import collect
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import GridSpec
from jaxlimits.run.pipeline import run_spec

SINGLE = Axes(batch_size=6)  # 96 million points, 384 MB: one file
SHARDED = Axes(batch_size=18)  # 288 million points, 1.15 GB: shards and an index
FEW = Axes(tp_size=2, batch_size=1, mem_bw=100, sync_latency=100)  # 200,000 points

THREE = ("utps", "stps", "limit")


def emptied(folder: Path) -> Callable[[], None]:
    """Return what empties a folder and lets the disk come to rest."""

    def empty() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.sync()

    return empty


def stored_run(spec: GridSpec, folder: Path) -> Run:
    """Return a sweep into a result on the disk."""

    def run() -> None:
        run_spec(spec, folder / "out.nc").close()

    return Run(call=run, work=spec.num_points, before=emptied(folder))


@pytest.mark.parametrize("axes", [SINGLE, SHARDED], ids=["single_file", "shards"])
def bench_dense_store(compare, tmp_path, axes):
    text = grid_text(axes, outputs=("utps",))
    ours = stored_run(spec_of(text), tmp_path / "ours")
    ours.before()
    ours.call()
    pieces = [path.read_bytes() for path in stored_files(tmp_path / "ours")]
    arrays, _ = collect(job_of(text))
    values, alone = list(arrays.values()), tmp_path / "alone"
    runs = {
        OURS: ours,
        "write": Run(
            call=lambda: write_synced(alone / "written", pieces),
            work=axes.points,
            before=emptied(alone),
        ),
        "compressor": Run(call=lambda: compress_alone(values), work=axes.points, before=os.sync),
    }
    row = compare(runs, warm=False)
    slower = min(("write", "compressor"), key=lambda name: row["per_second"][name])
    compare.against("slower of both", row["per_second"][slower])
    compare.aim(**{"slower of both": 0.8})
    stored, raw = sum(map(len, pieces)), sum(array.nbytes for array in values)
    compare.note(
        stored_mb=round(stored / 1e6, 1),
        ratio=round(raw / stored, 2),
        raw_mb_per_second=round(raw / 1e6 / row["median_s"][OURS], 1),
        bound_by=slower,
    )


@pytest.mark.filterwarnings("ignore")  # xyzpy's own
def bench_beside_xyzpy(compare, tmp_path):
    spec = spec_of(grid_text(SINGLE, outputs=THREE))
    few = bind(spec_of(grid_text(FEW, outputs=THREE)))
    volumes, folder = volumes_of(few), tmp_path / "xyzpy"
    runs = {
        OURS: stored_run(spec, tmp_path / "ours"),
        "xyzpy to disk": Run(
            call=lambda: sweep_to_disk(volumes, few.shape, folder / "swept.h5"),
            work=FEW.points,
            before=emptied(folder),
        ),
        "xyzpy in memory": Run(call=lambda: sweep_in_memory(volumes, few.shape), work=FEW.points),
    }
    compare(runs)
    compare.aim(**{"xyzpy to disk": 500.0})
