"""``jaxlimits sweep``: a grid file in, a NetCDF file out."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli import completion
from jaxlimits.cli.next_steps import next_steps, rate
from jaxlimits.cli.options import (
    X64,
    AllowIdle,
    AsJson,
    Assume,
    Catalogs,
    Force,
    Settings,
    overrides_of,
    print_json,
)
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import label, print_table, text
from jaxlimits.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from distributed import Client

    from jaxlimits.grid.spec import GridSpec


def sweep(
    grid: Annotated[
        str | None,
        typer.Argument(
            help="A grid file, or the name of a shipped grid.", autocompletion=completion.grids
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The NetCDF file to write; by default it has the grid's name."
        ),
    ] = None,
    overrides: Settings = None,
    assume: Assume = None,
    x64: X64 = False,
    catalogs: Catalogs = None,
    again: Annotated[
        Path | None,
        typer.Option(
            "--again", help="Compute a result again from its own file, and compare the two."
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory budget for chunks in flight, as '2 GB'; default: chosen from the device.",
        ),
    ] = None,
    digits: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=15,
            help="Round what is stored to so many significant digits, for smaller files.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an unfinished sweep.")] = False,
    portable: Annotated[
        bool,
        typer.Option(
            "--portable",
            help="Use the same chunks on every machine, so that --resume works on another one.",
        ),
    ] = False,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="Compute in a loop that Numba compiles, on a CPU; needs the extra `fast`.",
        ),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Compute in this many processes.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Compute on a running Dask cluster.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show the plan and compute nothing.")
    ] = False,
    allow_idle: AllowIdle = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate every point of a grid and write one labelled NetCDF file."""
    if (grid is None) == (again is None):
        remedy = "write `jaxlimits sweep GRID` or `jaxlimits sweep --again OUT.nc`"
        raise InputError("give a grid, or a result to make again", remedy=remedy)
    if again is not None and (overrides or assume or x64 or catalogs):
        remedy = "leave out --set, --assume, --x64 and --catalog, or sweep a grid"
        raise InputError("--again takes everything from the file", remedy=remedy)
    earlier = None
    if again is not None:
        spec, earlier = _recorded(again)
        target = output or again.with_name(f"{again.stem}-again.nc")
        if target.exists() and target.samefile(again):
            problem, remedy = "would replace what it is compared with", "name another file with -o"
            raise InputError(problem, where=str(again), remedy=remedy)
    else:
        spec = _resolved(str(grid), overrides_of(overrides, assume), catalogs or [], x64=x64)
        target = output or Path(f"{Path(str(grid)).stem}.nc")
    spec = _kept_to(spec, memory, digits)
    chosen = {"portable": spec.portable or portable, "fast": spec.fast or fast}
    spec = dataclasses.replace(spec, **chosen)
    allow_idle = allow_idle or again is not None  # what was swept before is swept again
    if plan:
        _show_plan(spec, target, allow_idle=allow_idle, as_json=as_json)
        return
    if workers is not None and scheduler is not None:
        raise InputError("give --workers or --scheduler, not both", where="sweep")
    was_there = target.exists() and not force
    with _cluster(workers, scheduler) as client:
        kept = {"resume": resume, "force": force, "allow_idle": allow_idle}
        dataset, seconds = _run(spec, target, client=client, **kept)
    with dataset:
        facts = {
            **_facts(spec, dataset, target, seconds),
            **({} if again is None else _comparison(dataset, again, earlier)),
        }
        if as_json:
            print_json(facts)
            return
        _report(facts, verb="complete:" if was_there else "wrote", repeats=again)
        if sys.stdout.isatty():
            _welcome(facts, next_steps(dataset, target), here=client is None, anew=not was_there)


def _welcome(facts: dict[str, Any], steps: list[str], *, here: bool, anew: bool) -> None:
    """Tell whoever sits at a terminal what computed, how fast, and what to do next."""
    from jaxlimits.engine.hardware import device_words

    if anew:
        where = f" on {device_words()}" if here else ""
        typer.echo(f"{rate(facts['points'], facts['seconds'])}{where}, compiling included")
    typer.echo("\n".join(["next:", *(f"  {step}" for step in steps)]))


def _resolved(grid: str, fixed: dict[str, str], catalogs: list[Path], *, x64: bool) -> "GridSpec":
    from jaxlimits.run.pipeline import load_grid

    precision = "float64" if x64 else None
    return load_grid(grid, overrides=fixed, catalog=tuple(catalogs), precision=precision)


def _recorded(result: Path) -> tuple["GridSpec", str]:
    """The grid of a result, and the version that made it; said where it is another one."""
    from jaxlimits.store.netcdf import open_dataset
    from jaxlimits.store.provenance import recorded_spec, warn_of_other_version

    with open_dataset(result) as dataset:
        warn_of_other_version(dataset.attrs, where=str(result))
        spec = recorded_spec(dataset.attrs, where=str(result))
        return spec, dataset.attrs["jaxlimits_version"]


def _kept_to(spec: "GridSpec", memory: str | None, digits: int | None) -> "GridSpec":
    """A grid with the memory and the digits that the command line gives."""
    if memory is not None:
        spec = dataclasses.replace(spec, memory=_bytes(memory))
    return spec if digits is None else dataclasses.replace(spec, digits=digits)


def _bytes(text: str) -> float:
    from jaxlimits.model.fields import Quantity
    from jaxlimits.values import parse_number

    size = Quantity(unit="B", display="GB", meaning="memory", positive=True)
    return parse_number(size, text, where="sweep", key="--memory")


@contextlib.contextmanager
def _cluster(workers: int | None, scheduler: str | None) -> Iterator["Client | None"]:
    if workers is None and scheduler is None:
        yield None
        return
    from jaxlimits.run.cluster import connected

    with connected(workers=workers, scheduler=scheduler) as client:
        yield client


def _run(
    spec: "GridSpec",
    target: Path,
    *,
    client: "Client | None",
    **kept: bool,
) -> tuple["xr.Dataset", float]:
    from jaxlimits.run.pipeline import run_spec

    started = time.perf_counter()
    with progress_bar(f"{spec.num_points:,} points") as progress:
        dataset = run_spec(spec, target, client=client, progress=progress, **kept)
    return dataset, time.perf_counter() - started


def _show_plan(spec: "GridSpec", target: Path, *, allow_idle: bool, as_json: bool) -> None:
    from jaxlimits.run.pipeline import describe_plan

    facts = describe_plan(spec, target, allow_idle=allow_idle)
    if as_json:
        print_json(facts)
        return
    rows = [(name.replace("_", " "), _text(value)) for name, value in facts.items()]
    print_table((label(), text()), rows)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return " × ".join(f"{name} {length}" for name, length in value.items())
    return str(value) if isinstance(value, str) else f"{value:,}"


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[str, float], None]]:
    """Show progress on a terminal; nothing in a pipe."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not sys.stderr.isatty()
    ) as bars:
        task = bars.add_task(title, total=None)

        def progress(stage: str, share: float) -> None:
            bars.update(task, description=f"{title}: {stage}", completed=share, total=share and 1.0)

        yield progress


def _facts(spec: "GridSpec", dataset: "xr.Dataset", target: Path, seconds: float) -> dict[str, Any]:
    from jaxlimits.store.index import read_listing

    listing = read_listing(dataset)
    shards = [] if listing is None else [size for size, _ in listing.written.values()]
    return {
        "output": str(target),
        "points": spec.num_points,
        "sizes": {axis.name: len(axis) for axis in spec.axes},
        "outputs": list(dataset.data_vars),
        "absent": absent_words(dataset),
        "remarks": dataset.attrs.get("remarks", "").splitlines(),
        "shards": len(shards),
        "bytes": target.stat().st_size + sum(shards),
        "seconds": round(seconds, 3),
    }


def absent_words(dataset: "xr.Dataset") -> dict[str, list[str]]:
    """Variables that are NaN for lack of an input, by what is not stated."""
    found: dict[str, list[str]] = {}
    for name, variable in dataset.data_vars.items():
        if why := variable.attrs.get("absent"):
            found.setdefault(why, []).append(str(name))
    return found


def _comparison(dataset: "xr.Dataset", earlier: Path, version: str | None) -> dict[str, Any]:
    """What a result that was made again has in common with the one it was made from."""
    return {
        "differs": _differing(dataset, earlier),
        "versions": [version, dataset.attrs["jaxlimits_version"]],
    }


def _report(facts: dict[str, Any], *, verb: str, repeats: Path | None) -> None:
    sizes = " × ".join(f"{name} {length}" for name, length in facts["sizes"].items())
    kept = f"{len(facts['outputs'])} variables"
    typer.echo(f"{facts['points']:,} points ({sizes}), {kept}, {facts['seconds']:.1f} s")
    target = facts["output"]
    shards = f" and {facts['shards']:,} shards" if facts["shards"] else ""
    typer.echo(f"{verb} {target}{shards} ({facts['bytes'] / 1e6:.1f} MB)")
    for why, names in facts["absent"].items():
        typer.echo(f"absent: {', '.join(names)}: {why}")
    for remark in facts["remarks"]:
        typer.echo(f"note: {remark}")
    if repeats is None:
        return
    differing, (then, now) = facts["differs"], facts["versions"]
    by = "" if then == now else f", which jaxlimits {then} made; this is {now}"
    if differing:
        typer.echo(f"differs in {', '.join(differing)} from {repeats}{by}")
    else:
        typer.echo(f"the same data as {repeats}, bit for bit{by}")


def _differing(dataset: "xr.Dataset", result: Path) -> list[str]:
    """Names of the variables whose bits differ from those of an earlier result."""
    from jaxlimits.store.netcdf import open_dataset

    with open_dataset(result) as earlier:
        return [
            str(name)
            for name, variable in dataset.variables.items()
            if name not in earlier.variables or not _same(variable, earlier.variables[name])
        ]


def _same(one: "xr.Variable", other: "xr.Variable") -> bool:
    """Whether two variables hold the same bits, or the same words; read a row at a time."""
    if (one.dims, one.shape) != (other.dims, other.shape):
        return False
    rows = [slice(row, row + 1) for row in range(one.shape[0])] if one.ndim else [...]
    return all(_bits(one[row].to_numpy()) == _bits(other[row].to_numpy()) for row in rows)


def _bits(array: "np.ndarray") -> bytes | list:
    """What to compare of an array: words lie elsewhere in memory, and only their places in it."""
    return array.ravel().tolist() if array.dtype.kind in "OTU" else array.tobytes()


COMMAND = Command(
    run=sweep,
    panel=Panel.COMPUTE,
    examples=(
        "jaxlimits sweep smoke",
        "jaxlimits sweep smoke -o h200.nc --set chip=h200 --set kv_bits=16 --x64",
        "jaxlimits sweep --again h200.nc",
        "jaxlimits sweep bandwidth_sync -o long.nc --memory '64 MB' --plan",
    ),
    for_newcomers=True,
)
