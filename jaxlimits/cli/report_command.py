"""``jaxlimits report``: one interactive page of any result."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.cli.options import Force
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.errors import InputError


def report(
    result: Annotated[Path, typer.Argument(help="A result, as any command writes it: a .nc file.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The HTML file to write; by default it has the result's name."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Write a result as one interactive HTML page that opens without a network."""
    from jaxlimits.store.netcdf import check_target
    from jaxlimits.store.results import open_result
    from jaxlimits.web.backend import require_browser_figures
    from jaxlimits.web.result_report import write_report

    require_browser_figures("bokeh", where="report")
    target = output or result.parent / f"{result.stem}.html"
    if target.suffix not in (".html", ".htm"):
        remedy = "end its name in .html"
        raise InputError("is not a page", where="--output", value=str(target), remedy=remedy)
    check_target(target, force=force)
    with open_result(result) as dataset:
        write_report(dataset, target)
    typer.echo(f"wrote {target} ({target.stat().st_size / 1e6:.1f} MB)")


COMMAND = Command(
    run=report,
    panel=Panel.LOOK,
    examples=("jaxlimits report smoke.nc -o report.html",),
)
