"""``jaxlimits export``: a selection of a result as a table."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.cli.options import Force
from jaxlimits.errors import InputError


def export(
    result: Annotated[Path, typer.Argument(help="A file that `jaxlimits sweep` wrote.")],
    csv: Annotated[bool, typer.Option("--csv", help="Write comma-separated text.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write Parquet.")] = False,
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
    """Write a result, or a selection of it, as a table in SI units: one row a point.

    Example: jaxlimits export paper.nc --csv --select chip=xpu-hbm3 --var utps --var limit
    """
    from jaxlimits.analysis.tables import selection, write_csv, write_parquet
    from jaxlimits.store.netcdf import check_target, renamed_when_whole
    from jaxlimits.store.results import open_result

    if csv == parquet:
        raise InputError("give the form of the table", where="export", remedy="--csv or --parquet")
    suffix = ".csv" if csv else ".parquet"
    to_stdout = output is not None and str(output) == "-"
    if to_stdout and parquet:
        raise InputError("Parquet is not text", where="export", remedy="name a file with -o")
    target = output or result.with_suffix(suffix)
    if not to_stdout:
        check_target(target, force=force)
    with open_result(result) as dataset:
        chosen = selection(dataset, select or [], variables or [])
        if to_stdout:
            typer.echo(chosen.to_dataframe().to_csv(), nl=False)
            return
        with renamed_when_whole(target, force=force) as partial:
            rows = (write_csv if csv else write_parquet)(chosen, partial)
    typer.echo(f"wrote {target} ({rows:,} rows)")
