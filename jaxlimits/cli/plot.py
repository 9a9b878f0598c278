"""``jaxlimits plot``: a figure of any result."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.cli.options import Force
from jaxlimits.errors import InputError


def plot(
    result: Annotated[Path, typer.Argument(help="A file that `jaxlimits sweep` wrote.")],
    kind: Annotated[
        str, typer.Argument(help="heat-map, lines, frontier, breakdown or capacity.")
    ] = "heat-map",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write: .svg, .png or .pdf."),
    ] = None,
    x: Annotated[str | None, typer.Option(help="Axis across, or a metric of a frontier.")] = None,
    y: Annotated[str | None, typer.Option(help="Axis up, or a metric of a frontier.")] = None,
    of: Annotated[str | None, typer.Option(help="Metric that is drawn.")] = None,
    by: Annotated[str | None, typer.Option(help="Axis of which each value is a line.")] = None,
    level: Annotated[
        list[float] | None, typer.Option(help="Draw an iso-line at this value. Repeatable.")
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Keep one value of an axis. Repeatable."),
    ] = None,
    title: Annotated[str, typer.Option(help="What is shown.")] = "",
    force: Force = False,
) -> None:
    """Draw a result: axes with units, logarithmic where the grid is; what does not fit is hatched.

    Examples: jaxlimits plot smoke.nc heat-map --x mem_bw --y sync_latency --select seq_len=4096
    --select batch_size=1 · jaxlimits plot paper.nc frontier --by chip --select llm=llama3-405b
    """
    from jaxlimits.analysis import plots
    from jaxlimits.analysis.plots.kinds import Request, draw
    from jaxlimits.analysis.tables import selection
    from jaxlimits.store.netcdf import check_target
    from jaxlimits.store.results import open_result

    plots.require_backend()
    target = output or result.with_suffix(".svg")
    if target.suffix not in (".svg", ".png", ".pdf"):
        remedy = "end its name in .svg, .png or .pdf"
        raise InputError(
            "is no kind of picture", where="--output", value=str(target), remedy=remedy
        )
    check_target(target, force=force)
    request = Request(x=x, y=y, of=of, by=by, levels=tuple(level or ()), title=title)
    with open_result(result) as dataset:
        figure = draw(selection(dataset, select or [], ()), kind, request)
        plots.save(figure, target)
    typer.echo(f"wrote {target}")
