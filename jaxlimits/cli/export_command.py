"""``jaxlimits export``: a selection of a result as a table, or as a Zarr store."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.cli.options import Force
from jaxlimits.errors import InputError


def export(
    result: Annotated[Path, typer.Argument(help="A file that `jaxlimits sweep` wrote.")],
    csv: Annotated[bool, typer.Option("--csv", help="Write comma-separated text.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write Parquet.")] = False,
    zarr: Annotated[
        bool, typer.Option("--zarr", help="Write a Zarr store, with all that the file says.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; - for standard output.")
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Keep one value of an axis. Repeatable."),
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("--var", help="Keep this variable. Repeatable.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a result, or a selection of it, as a table of one row a point, or as a Zarr store."""
    from jaxlimits.results.tables import selection, table, write_csv, write_parquet
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
            typer.echo(table(chosen).to_csv(), nl=False)
            return
        if zarr:
            write_zarr(chosen, target, force=force)
            typer.echo(f"wrote {target} ({len(chosen.data_vars)} variables)")
            return
        with renamed_when_whole(target, force=force) as partial:
            rows = (write_csv if csv else write_parquet)(chosen, partial)
    typer.echo(f"wrote {target} ({rows:,} rows)")
