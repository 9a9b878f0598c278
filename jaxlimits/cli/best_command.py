"""``jaxlimits best``: the best points under a service target."""

from typing import TYPE_CHECKING, Annotated

import typer

from jaxlimits.cli import completion
from jaxlimits.cli.options import AsJson, Catalogs, Settings, print_json

if TYPE_CHECKING:
    from jaxlimits.questions.labelled_points import Row


def best(
    source: Annotated[
        str,
        typer.Argument(help="A grid, or a result that is there.", autocompletion=completion.grids),
    ],
    maximise: Annotated[str | None, typer.Option(help="Metric of which more is better.")] = None,
    minimise: Annotated[str | None, typer.Option(help="Metric of which less is better.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="TARGET", help="What a point must keep: 'utps >= 50'. Repeatable."),
    ] = None,
    count: Annotated[int, typer.Option("--top", help="How many points, best first.")] = 1,
    also: Annotated[
        list[str] | None, typer.Option(help="Show this metric too. Repeatable.")
    ] = None,
    frontier: Annotated[
        bool, typer.Option("--frontier", help="The frontier of metric and first target, near it.")
    ] = False,
    near: Annotated[float, typer.Option(help="How far from the target, as a factor.")] = 2.0,
    settings: Settings = None,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Find the best point that keeps a service target, in a grid or in a result."""
    from jaxlimits.errors import placed
    from jaxlimits.grid.spec import parse_overrides
    from jaxlimits.questions import best as design
    from jaxlimits.questions.labelled_points import list_points
    from jaxlimits.questions.question import ask

    asked = {"overrides": parse_overrides(settings or []), "catalog": tuple(catalogs or [])}
    with placed("best"):
        question = ask(
            maximise=maximise, minimise=minimise, where=where or (), count=count, also=also or ()
        )
        if frontier:
            points = design.frontier_near(source, question, factor=near, **asked)
        else:
            points = design.best(source, question, **asked)
    rows = list_points(points)
    if as_json:
        print_json({"source": source, "points": rows})
    elif rows:
        _print_table(rows)
    else:
        typer.echo("no point keeps every target")
    if not rows:
        raise typer.Exit(1)


def _print_table(rows: "list[Row]") -> None:
    cells = [[_shown(name, value) for name, value in row.items()] for row in rows]
    widths = [max(map(len, column)) for column in zip(list(rows[0]), *cells, strict=True)]
    for line in ([*rows[0]], *cells):
        typer.echo("  ".join(f"{c:>{w}}" for c, w in zip(line, widths, strict=True)).rstrip())


def _shown(name: str, value: float | int | str) -> str:
    from jaxlimits.schema import FIELDS, OUTPUTS
    from jaxlimits.units import show

    if isinstance(value, str):
        return value
    quantity = {**FIELDS, **OUTPUTS}.get(name)
    return f"{value:g}" if quantity is None else show(value, quantity.unit)
