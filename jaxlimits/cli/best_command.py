"""``jaxlimits best``: the best points under a service target."""

from typing import TYPE_CHECKING, Annotated

import typer

from jaxlimits.cli import completion
from jaxlimits.cli.options import (
    AllowIdle,
    AsJson,
    Assume,
    Catalogs,
    Force,
    Result,
    Settings,
    check_result,
    overrides_of,
    print_json,
    write_result,
)
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import number, print_filled, print_table, unit_in_title

if TYPE_CHECKING:
    from jaxlimits.questions.labelled_points import Row


def best(
    source: Annotated[
        str,
        typer.Argument(
            help="A grid file, the name of a shipped grid, or a result.",
            autocompletion=completion.grids,
        ),
    ],
    maximise: Annotated[
        str | None,
        typer.Option("--maximise", "--maximize", metavar="METRIC", help="The metric to maximise."),
    ] = None,
    minimise: Annotated[
        str | None,
        typer.Option("--minimise", "--minimize", metavar="METRIC", help="The metric to minimise."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET",
            help="A target, as 'utps >= 50', or values of an axis, as 'tp_size <= 8'. Repeatable.",
        ),
    ] = None,
    count: Annotated[
        int, typer.Option("--top", help="How many points to show, the best first.")
    ] = 1,
    also: Annotated[
        list[str] | None, typer.Option(metavar="METRIC", help="Show this metric too. Repeatable.")
    ] = None,
    per: Annotated[
        list[str] | None,
        typer.Option(metavar="AXIS", help="Show the best of each value of this axis. Repeatable."),
    ] = None,
    frontier: Annotated[
        bool,
        typer.Option(
            "--frontier",
            help="Show the Pareto frontier of the metric and the first target, near that target.",
        ),
    ] = False,
    near: Annotated[
        float, typer.Option(help="With --frontier: how far from the target to look, as a factor.")
    ] = 2.0,
    overrides: Settings = None,
    assume: Assume = None,
    catalogs: Catalogs = None,
    allow_idle: AllowIdle = False,
    output: Result = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Find the best points that meet service targets, in a grid or in a result."""
    from jaxlimits.errors import placed
    from jaxlimits.questions import best as design
    from jaxlimits.questions.labelled_points import list_points
    from jaxlimits.questions.question import ask

    check_result(output, force=force)
    asked = {"overrides": overrides_of(overrides, assume), "catalog": tuple(catalogs or [])}
    asked |= {"allow_idle": allow_idle}
    with placed("best"):
        question = ask(
            maximise=maximise,
            minimise=minimise,
            where=where or (),
            count=count,
            also=also or (),
            per=per or (),
        )
        if frontier:
            points = design.frontier_near(source, question, factor=near, **asked)
        else:
            points = design.best(source, question, **asked)
    rows = list_points(points)
    bits = points.attrs.get("bits", "")
    remarks = points.attrs.get("remarks", "").splitlines()
    if as_json:
        print_json({"source": source, "bits": bits, "remarks": remarks, "points": rows})
    elif rows:
        _print_table(rows)
        if bits:
            print_filled(f"\n{bits}")
        for remark in remarks:
            print_filled(f"note: {remark}")
    else:
        typer.echo("no point keeps every target")
    if output is not None:
        write_result(points, output, force=force, quiet=as_json)
    if not rows:
        raise typer.Exit(1)


def _print_table(rows: "list[Row]") -> None:
    shown = {name: [_shown(name, row[name]) for row in rows] for name in rows[0]}
    titled = [unit_in_title(name, cells) for name, cells in shown.items()]
    columns = [number(title) for title, _ in titled]
    print_table(columns, zip(*(cells for _, cells in titled), strict=True), may_turn=True)


def _shown(name: str, value: float | int | str) -> str:
    from jaxlimits.schema import FIELDS, OUTPUTS
    from jaxlimits.units import show

    if isinstance(value, str):
        return value
    quantity = {**FIELDS, **OUTPUTS}.get(name)
    return f"{value:g}" if quantity is None else show(value, quantity.unit)


COMMAND = Command(
    run=best,
    panel=Panel.ASK,
    examples=(
        "jaxlimits best smoke.nc --where 'utps >= 50' --maximise stps",
        "jaxlimits best paper --where 'tp_size <= 32' --maximise stps --per chip",
        "jaxlimits best paper --where 'utps >= 100' --maximise stps_per_watt --frontier --near 1.2",
    ),
)
