"""``jaxlimits plot``: a figure of any result."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.cli.options import Force, check_picture


def plot(
    result: Annotated[Path, typer.Argument(help="A file that `jaxlimits sweep` wrote.")],
    kind: Annotated[
        str,
        typer.Argument(
            help="heat-map, lines, frontier, breakdown, capacity, elasticities or roofline."
        ),
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
        list[float] | None,
        typer.Option(help="Draw an iso-line at this value, not at round ones. Repeatable."),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Keep one value of an axis, or several by repeating it."
        ),
    ] = None,
    rows: Annotated[
        str | None, typer.Option(help="Axis of which each value is a row of panels.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Axis of which each value is a column of panels.")
    ] = None,
    title: Annotated[str, typer.Option(help="What is shown.")] = "",
    force: Force = False,
) -> None:
    """Draw a result: axes with units, as the grid has them; what does not fit is hatched."""
    from jaxlimits import plots
    from jaxlimits.plot import draw
    from jaxlimits.results.tables import selection
    from jaxlimits.store.results import open_result

    target = output or result.parent / f"{result.stem}.svg"
    check_picture(target, force=force, where="--output")
    request = {"x": x, "y": y, "of": of, "by": by, "levels": tuple(level or ()), "title": title}
    with open_result(result) as dataset:
        chosen = selection(dataset, select or [], ())
        figure = draw(chosen, kind, where=str(result), rows=rows, columns=columns, **request)
        plots.save(figure, target)
    typer.echo(f"wrote {target}")
