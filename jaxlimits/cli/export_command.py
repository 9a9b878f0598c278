"""``jaxlimits export``: a selection of a result as a table, or as a Zarr store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxlimits.cli.next_steps import first_values, shown_metric
from jaxlimits.cli.options import Force
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.errors import InputError

if TYPE_CHECKING:
    import xarray as xr


def export(
    result: Annotated[
        Path, typer.Argument(help="A result, as sweep, uncertainty and optimise write them.")
    ],
    csv: Annotated[
        bool, typer.Option("--csv", help="Write comma-separated values, codes as words.")
    ] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write Parquet.")] = False,
    zarr: Annotated[
        bool, typer.Option("--zarr", help="Write a Zarr store that keeps every attribute.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write; - is standard output.")
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Keep the nearest value of an axis, or several by repeating it; the name alone "
            "lists its values.",
        ),
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--var", help="Keep this variable only. Repeatable.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a result or a part of it as a table, with one row for each point, or as Zarr.

    Numbers are in SI units, which the heads of CSV columns name; codes are words there.
    """
    from jaxlimits.cli.selection import selection
    from jaxlimits.results.tables import worded_table, write_csv, write_parquet
    from jaxlimits.store.netcdf import check_target, renamed_when_whole
    from jaxlimits.store.results import open_result
    from jaxlimits.store.zarr import check_store, write_zarr

    asked = {"csv": csv, "parquet": parquet, "zarr": zarr}
    forms = [name for name, chosen in asked.items() if chosen]
    if len(forms) != 1:
        remedy = "--csv, --parquet or --zarr"
        raise InputError("give one form to write", where="export", remedy=remedy)
    (form,) = forms
    to_stdout = output is not None and str(output) == "-"
    if to_stdout and not csv:
        problem = "only --csv is text"
        raise InputError(problem, where="export", remedy="name a file with -o")
    target = output or result.parent / f"{result.stem}.{form}"
    if zarr:
        check_store(target, force=force)
    elif not to_stdout:
        check_target(target, force=force)
    with open_result(result, stored=zarr) as dataset:
        chosen = selection(dataset, select or [], variables or [])
        if to_stdout:
            typer.echo(worded_table(chosen).to_csv(), nl=False)
            return
        if zarr:
            write_zarr(chosen, target, force=force)
            typer.echo(f"wrote {target} ({len(chosen.data_vars)} variables)")
            return
        with renamed_when_whole(target, force=force) as partial:
            rows = (write_csv if csv else write_parquet)(chosen, partial)
    typer.echo(f"wrote {target} ({rows:,} rows)")


def _next_step(dataset: "xr.Dataset", file: str) -> str:
    """A table along the largest axis of one metric."""
    of = shown_metric(dataset)
    if of is None:
        return f"jaxlimits export {file} --csv"
    largest = max(dataset[of].dims, key=lambda dim: dataset.sizes[dim])
    rest = first_values(dataset, {str(dim) for dim in dataset[of].dims if dim != largest})
    return f"jaxlimits export {file} --csv --var {of}{rest}"


COMMAND = Command(
    run=export,
    panel=Panel.LOOK,
    examples=(
        "jaxlimits export smoke.nc --csv --select batch_size=8 --var utps --var limit",
        "jaxlimits export smoke.nc --zarr",
    ),
    next_step=_next_step,
)
