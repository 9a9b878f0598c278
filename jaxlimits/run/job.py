"""From a grid as it is written to the job that computes it. Needs nothing that reads results."""

from collections.abc import Mapping
from pathlib import Path

from jaxlimits.engine.chunk_sizes import Room
from jaxlimits.engine.loop.served import refuse_unserved
from jaxlimits.engine.read_reductions import read_reductions
from jaxlimits.engine.sweep_job import Job, make_job
from jaxlimits.grid.file import Precision, read_grid
from jaxlimits.grid.mapping import grid_of_mapping
from jaxlimits.grid.scenario import Scenario
from jaxlimits.grid.spec import GridSpec, build_spec, grid_catalog
from jaxlimits.values import override_texts


def load_grid(
    grid: str | Path | Mapping[str, object],
    *,
    overrides: Mapping[str, object] | None = None,
    catalog: tuple[str | Path, ...] = (),
    precision: Precision | None = None,
) -> GridSpec:
    """Read and resolve a grid: a file, or a mapping in its form."""
    file = grid_of_mapping(grid) if isinstance(grid, Mapping) else read_grid(grid)
    found = grid_catalog(file, *catalog)
    spec = build_spec(file, found, overrides=override_texts(overrides), precision=precision)
    read_reductions(spec)  # what they cannot be is said now, also where nothing will be swept
    return spec


def spec_job(spec: GridSpec, scenario: Scenario, *, room: Room | None = None) -> Job:
    """Plan a grid, for this process's devices where no room on others is given.

    Raises
    ------
    InputError
        Compiled loops are asked for, and do not serve it or cannot be compiled.
    """
    job = make_job(
        scenario,
        outputs=spec.outputs,
        requirements=spec.requirements,
        reductions=read_reductions(spec),
        precision=spec.precision,
        memory=spec.memory,
        digits=spec.digits,
        room=room,
        portable=spec.portable,
        fast=spec.fast,
    )
    if job.fast:
        refuse_unserved(job)
    return job
