"""The wiring: grid file → numbers → kernel → labelled dataset → file."""

import dataclasses
import functools
import inspect
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.engine.chunk_sizes import IN_FLIGHT, point_bytes
from jaxlimits.engine.findings import findings_of
from jaxlimits.engine.stream import Progress, collect, silent
from jaxlimits.engine.sweep_job import Job, halved
from jaxlimits.errors import DeviceMemoryError, InputError, ResultError, placed
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.file import Precision
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import GridSpec
from jaxlimits.run.cluster import compute_on, workers_room
from jaxlimits.run.computing import Compute, compute_here
from jaxlimits.run.effects import check_effects
from jaxlimits.run.forecast import foresee, refuse, refuse_without_space
from jaxlimits.run.given import check_output, chosen_grid, memory_bytes
from jaxlimits.run.job import load_grid, spec_job
from jaxlimits.run.streamed import (
    SINGLE_FILE_BYTES,
    as_begun,
    dense_bytes,
    is_finished,
    is_long,
    replace_result,
    run_streamed,
)
from jaxlimits.store.netcdf import check_target, open_dataset
from jaxlimits.store.owner import Ownership, owned
from jaxlimits.store.provenance import recorded_spec, warn_of_other_version
from jaxlimits.store.results import open_result
from jaxlimits.store.template import build_dataset
from jaxlimits.units import show

if TYPE_CHECKING:
    from distributed import Client

_MOST_CHUNKS = 1_000_000
"""Chunks that a memory budget may cut a grid into; each costs a moment, and a file where dense."""

_MEMORY_SHARE = 0.5
"""Share of the machine's memory that outputs may take; computing needs about as much again."""


@placed("sweep")
def sweep(
    grid: str | Path | Mapping[str, object] | None = None,
    output: str | Path | None = None,
    *,
    overrides: Mapping[str, object] | None = None,
    catalog: tuple[str | Path, ...] = (),
    x64: bool = False,
    memory: object = None,
    digits: int | None = None,
    resume: bool = False,
    force: bool = False,
    allow_idle: bool = False,
    portable: bool = False,
    fast: bool = False,
    **described: object,
) -> xr.Dataset:
    """Evaluate every point of a grid.

    Parameters
    ----------
    grid
        Path of a grid file, the name of a shipped one (``"paper"``), or a mapping in the form of a
        grid file. It is left out where keywords describe the grid.
    output
        NetCDF file to write; nothing is written where it is left out.
    overrides
        Values by name that replace those of ``[base]``: ``{"mem_bw": "8 TB/s"}``.
    catalog
        TOML files with models and chips of your own.
    x64
        Compute and store in float64.
    memory
        Memory budget for chunks in flight, as bytes or ``"64 MB"``; by default the device
        decides.
    digits
        Significant digits to which outputs are rounded, so that they compress better.
    resume
        Go on with an unfinished sweep into the same output; start afresh where there is none, and
        do nothing where it is finished.
    force
        Replace an existing file.
    allow_idle
        Sweep axes too on which no output depends.
    portable
        Cut the grid into the same chunks on every machine and within every memory budget, so that
        a sweep goes on elsewhere; ``memory`` then says how many are in flight.
    fast
        Compute in a compiled loop (needs ``pip install 'jaxlimits[fast]'``), on a CPU up to several
        times as fast.
    **described
        The grid itself. A field, switch or name is an axis where it holds several values, in the
        order of the keywords, and of the base where it holds one. The values of an array are in SI
        units; a quantity of pint has its own. Other keywords are the keys of a grid file:
        ``outputs``, ``title``, ``elasticities``, ``reduce``, … (``catalog`` and ``digits`` are
        above, and ``output`` is a path.)

    Returns
    -------
    xarray.Dataset
        A dimension for each axis, a variable for each output, CF attributes with units.

    Raises
    ------
    InputError
        Something in the grid or the overrides cannot be used; no grid, or two; an axis on which no
        output depends.
    ResultError
        The file cannot be written.

    Warns
    -----
    IdleSettingWarning
        A setting on which no output depends.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> dataset = jl.sweep("smoke", overrides={"chip": "h200"})
    >>> dict(dataset.sizes)
    {'mem_bw': 25, 'sync_latency': 10, 'seq_len': 5, 'batch_size': 8}
    >>> own = jl.sweep(llm="llama3-8b", chip=["h100", "b200"], batch_size=[1, 8], outputs=["utps"])
    >>> dict(own.utps.sizes)
    {'chip': 2, 'batch_size': 2}
    """
    check_output(output)
    precision: Precision | None = "float64" if x64 else None
    chosen = chosen_grid(grid, described, beside=inspect.signature(sweep).parameters)
    spec = load_grid(chosen, overrides=overrides, catalog=catalog, precision=precision)
    spec = dataclasses.replace(
        spec,
        memory=memory_bytes(memory),
        digits=digits or spec.digits,
        portable=portable,
        fast=fast,
    )
    dataset = run_spec(spec, output, resume=resume, force=force, allow_idle=allow_idle)
    return _loaded(dataset)


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

    Warns
    -----
    OtherVersionWarning
        Another version of this package made it, whose data may differ.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> with jl.open("smoke.nc") as first:
    ...     jl.sweep_again("smoke.nc").utps.identical(first.utps)
    True
    """
    with open_dataset(result) as dataset:
        spec = recorded_spec(dataset.attrs, where=str(result))
        warn_of_other_version(dataset.attrs, where=str(result))
    return _loaded(run_spec(spec, output, force=force, allow_idle=True))


def run_spec(
    spec: GridSpec,
    output: str | Path | None = None,
    *,
    resume: bool = False,
    force: bool = False,
    allow_idle: bool = False,
    client: "Client | None" = None,
    progress: Progress = silent,
) -> xr.Dataset:
    """Evaluate a resolved grid and write it where an output is given.

    Parameters
    ----------
    spec
        The grid.
    output, resume, force, allow_idle
        As for :func:`sweep`.
    client
        A Dask cluster that computes the chunks (see :func:`jaxlimits.run.cluster.connected`).
    progress
        Called with each stage and the share of the work that is done.
    """
    target = None if output is None else Path(output)
    if target is None:
        return _run(spec, None, client=client, progress=progress, allow_idle=allow_idle)
    check_target(target, force=force or resume)
    with owned(target) as owner:
        writing = _Writing(target=target, owner=owner, resume=resume, force=force)
        return _run(spec, writing, client=client, progress=progress, allow_idle=allow_idle)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Writing:
    """Where a result is written, by whom, and in the place of what."""

    target: Path
    owner: Ownership
    resume: bool
    force: bool


def _run(
    spec: GridSpec,
    writing: _Writing | None,
    *,
    client: "Client | None",
    progress: Progress,
    allow_idle: bool,
) -> xr.Dataset:
    scenario = bind(spec)
    check_scenario(scenario)
    if spec.fast and client is not None:
        remedy = "leave out the cluster, or `fast=True`"
        raise InputError("the compiled loop computes in one process", key="fast", remedy=remedy)
    job = spec_job(spec, scenario, room=None if client is None else workers_room(client))
    _check_budget(spec, job, here=client is None)
    if writing is not None and writing.resume:
        job = as_begun(spec, job, writing.target)
        if not writing.force and is_finished(spec, job, writing.target):
            return open_result(writing.target)
    check_effects(spec, job, allow_idle=allow_idle)
    if writing is not None and (client is not None or is_long(spec, job)):
        compute = compute_here if client is None else functools.partial(compute_on, client)
        while True:
            try:
                return _streamed(spec, job, writing, compute, progress)
            except DeviceMemoryError:  # at the first chunk, so that nothing is lost
                job = halved(job)
    if writing is not None:
        refuse_without_space(spec, job, writing.target)
    _check_memory(spec)
    arrays, states = collect(job, progress=progress)
    dataset = build_dataset(spec, scenario, arrays, findings_of(job, states))
    if writing is not None:
        progress("writing", 1.0)
        replace_result(dataset, writing.target, force=writing.force or writing.resume)
    return dataset


def _streamed(
    spec: GridSpec, job: Job, writing: _Writing, compute: Compute, progress: Progress
) -> xr.Dataset:
    refuse_without_space(spec, job, writing.target)
    run_streamed(
        spec,
        job,
        writing.target,
        compute=compute,
        owner=writing.owner,
        resume=writing.resume,
        force=writing.force,
        progress=progress,
    )
    return open_result(writing.target)


def _loaded(dataset: xr.Dataset) -> xr.Dataset:
    """Take what a file holds into memory and close it, unless it is large."""
    if dataset.nbytes > SINGLE_FILE_BYTES:
        return dataset
    with dataset:
        return dataset.load()


def describe_plan(spec: GridSpec, target: Path, *, allow_idle: bool = False) -> dict[str, Any]:
    """Return what a sweep would do, without doing it.

    Raises
    ------
    InputError
        An axis on which no output depends.
    ResultError
        The result would not fit on the disk, or in memory, or cannot be written there.
    """
    check_target(target, force=True)
    scenario = bind(spec)
    check_scenario(scenario)
    job = spec_job(spec, scenario)
    _check_budget(spec, job)
    check_effects(spec, job, allow_idle=allow_idle)
    if not is_long(spec, job):
        _check_memory(spec)
    plan = job.plan
    expected = foresee(spec, job)
    refuse(expected, spec, target)
    return {
        "points": spec.num_points,
        "chunks": plan.num_chunks,
        "points_per_chunk": plan.points_per_chunk,
        "chunk_shape": dict(zip((axis.name for axis in spec.axes), plan.block, strict=True)),
        "chunk_bytes": plan.points_per_chunk
        * point_bytes(
            job.outputs, job.reductions, spec.precision, job.requirements, looped=job.fast
        ),
        "dense_bytes": dense_bytes(spec),
        "expected_bytes": round(expected.result_bytes),
        "disk_free_bytes": shutil.disk_usage(target.parent).free,
        "expected_seconds": float(f"{expected.seconds:.3g}"),
        "result": str(target),
    }


def _check_budget(spec: GridSpec, job: Job, *, here: bool = True) -> None:
    """Refuse a memory budget that no useful chunk fits in, or that computing ``here`` lacks."""
    if spec.memory is None:
        return
    value = show(spec.memory, "B")
    machine = _machine_memory()
    if here and spec.memory > machine:
        problem = f"is more than this machine has, {show(machine, 'B')}"
        raise InputError(
            problem, where=spec.file.where, key="memory", value=value, remedy="give less"
        )
    point = IN_FLIGHT * point_bytes(job.outputs, job.reductions, spec.precision, looped=job.fast)
    if spec.portable:
        chunk = point * job.plan.points_per_chunk // IN_FLIGHT
        if spec.memory >= chunk:
            return
        problem = f"is too small for one portable chunk, which takes {show(chunk, 'B')}"
        remedy = f"give at least {show(1.01 * chunk, 'B')}, or leave it out"
        raise InputError(problem, where=spec.file.where, key="memory", value=value, remedy=remedy)
    if spec.memory >= point and job.plan.num_chunks <= _MOST_CHUNKS:
        return
    if spec.memory < point:
        problem = f"is too small for one chunk: a single point takes {show(point, 'B')}"
    else:
        problem = f"cuts the grid into {job.plan.num_chunks:,} chunks, more than {_MOST_CHUNKS:,}"
    # Twice what would do if every axis could be cut anywhere.
    enough = 2 * point * math.ceil(spec.num_points / _MOST_CHUNKS)
    remedy = f"give at least {show(enough, 'B')}, or leave it out"
    raise InputError(problem, where=spec.file.where, key="memory", value=value, remedy=remedy)


def _check_memory(spec: GridSpec) -> None:
    """Refuse a grid whose outputs cannot lie in this machine's memory, before computing any."""
    sizes = [
        1 if schema.is_code(name) else np.dtype(spec.precision).itemsize for name in spec.outputs
    ]
    what = f"{spec.num_points:,} points of {len(sizes)} outputs"
    remedy = "keep fewer outputs or sweep fewer points"
    check_memory(spec.num_points * sum(sizes), what, where=spec.file.where, remedy=remedy)


def check_memory(needed: int, what: str, *, where: str, remedy: str) -> None:
    """Raise ``ResultError`` where so many bytes cannot lie in this machine's memory."""
    memory = _machine_memory()
    if needed > _MEMORY_SHARE * memory:
        raise ResultError(
            f"{where}: {what} take {needed / 1e9:,.1f} GB; "
            f"this machine has {memory / 1e9:,.1f} GB; {remedy}"
        )


def _machine_memory() -> float:
    """Memory of this machine [B]; without end where the system does not say."""
    if not hasattr(os, "sysconf"):
        return math.inf
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
