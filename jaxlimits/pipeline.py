"""The wiring: grid file → numbers → kernel → labelled dataset → file."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.engine.findings import find
from jaxlimits.engine.reduce import build_reduction
from jaxlimits.engine.stream import Job, Progress, collect, make_job, silent
from jaxlimits.errors import ResultError
from jaxlimits.grid.constraints import check_scenario
from jaxlimits.grid.file import Precision, read_grid
from jaxlimits.grid.scenario import Scenario, bind
from jaxlimits.grid.spec import GridSpec, build_spec, grid_catalog
from jaxlimits.store.netcdf import check_target, open_dataset, write_dataset
from jaxlimits.store.provenance import recorded_spec
from jaxlimits.store.template import build_dataset

_MEMORY_SHARE = 0.5
"""Share of the machine's memory that outputs may take; computing needs about as much again."""


def load_grid(
    grid: str | Path,
    *,
    overrides: Mapping[str, str] | None = None,
    catalog: tuple[str | Path, ...] = (),
    precision: Precision | None = None,
) -> GridSpec:
    """Read and resolve a grid file."""
    file = read_grid(grid)
    found = grid_catalog(file, *catalog)
    return build_spec(file, found, overrides=overrides, precision=precision)


def sweep(
    grid: str | Path,
    output: str | Path | None = None,
    *,
    overrides: Mapping[str, object] | None = None,
    catalog: tuple[str | Path, ...] = (),
    x64: bool = False,
    force: bool = False,
) -> xr.Dataset:
    """Evaluate every point of a grid.

    Parameters
    ----------
    grid
        Path of a grid file, or the name of a shipped one (``"paper"``).
    output
        NetCDF file to write; nothing is written where it is left out.
    overrides
        Values by name that replace those of ``[base]``: ``{"mem_bw": "8 TB/s"}``.
    catalog
        TOML files with one's own models and chips.
    x64
        Compute and store in float64.
    force
        Replace an existing file.

    Returns
    -------
    xarray.Dataset
        A dimension for each axis, a variable for each output, CF attributes with units.

    Raises
    ------
    InputError
        Something in the grid or the overrides cannot be used.
    ResultError
        The file cannot be written.
    """
    texts = {name: str(value) for name, value in (overrides or {}).items()}
    precision: Precision | None = "float64" if x64 else None
    spec = load_grid(grid, overrides=texts, catalog=catalog, precision=precision)
    return run_spec(spec, output, force=force)


def sweep_again(
    result: str | Path, output: str | Path | None = None, *, force: bool = False
) -> xr.Dataset:
    """Make a result again from what its file says: the same data, bit for bit on the same machine.

    Parameters
    ----------
    result
        A file written by :func:`sweep`.
    output, force
        As for :func:`sweep`.
    """
    with open_dataset(result) as dataset:
        spec = recorded_spec(dataset.attrs, where=str(result))
    return run_spec(spec, output, force=force)


def run_spec(
    spec: GridSpec,
    output: str | Path | None = None,
    *,
    force: bool = False,
    progress: Progress = silent,
) -> xr.Dataset:
    """Evaluate a resolved grid and write it where an output is given.

    Parameters
    ----------
    spec
        The grid.
    output, force
        As for :func:`sweep`.
    progress
        Called with each stage and the share of the work that is done.
    """
    if output is not None:
        check_target(Path(output), force=force)
    _check_memory(spec)
    scenario = bind(spec)
    check_scenario(scenario)
    job = spec_job(spec, scenario)
    arrays, states = collect(job, progress=progress)
    findings = [
        finding
        for written, reduction in zip(spec.reductions, job.reductions, strict=True)
        for finding in find(job, written, reduction, states[reduction.name])
    ]
    dataset = build_dataset(spec, scenario, arrays, findings)
    if output is not None:
        progress("writing", 0.0)
        write_dataset(dataset, Path(output), force=force)
    return dataset


def spec_job(spec: GridSpec, scenario: Scenario) -> Job:
    """Plan a grid."""
    names = [axis.name for axis in spec.axes]
    return make_job(
        scenario,
        outputs=spec.outputs,
        reductions=tuple(build_reduction(reduction, names) for reduction in spec.reductions),
        precision=spec.precision,
    )


def _check_memory(spec: GridSpec) -> None:
    """Refuse a grid whose outputs cannot lie in this machine's memory, before computing any."""
    if not hasattr(os, "sysconf"):
        return
    sizes = [
        1 if name in schema.FLAGS else np.dtype(spec.precision).itemsize for name in spec.outputs
    ]
    needed = spec.num_points * sum(sizes)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > _MEMORY_SHARE * memory:
        raise ResultError(
            f"{spec.file.where}: {spec.num_points:,} points of {len(sizes)} outputs take "
            f"{needed / 1e9:,.1f} GB; this machine has {memory / 1e9:,.1f} GB; "
            "keep fewer outputs or sweep fewer points"
        )
