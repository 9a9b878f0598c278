"""``jaxlimits compare``: limit, prediction and measurement side by side."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxlimits.cli.options import AsJson, Catalogs, Force, check_picture, print_json
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import Row, label, number, print_table, text
from jaxlimits.errors import InputError

if TYPE_CHECKING:
    from jaxlimits.calibration.comparison import Comparison, LeftOut, Peers, Summary


def compare(
    table: Annotated[
        str | None,
        typer.Argument(
            help="A CSV file of decode rates, or a shipped table: static_batch, measured (default)."
        ),
    ] = None,
    calibration: Annotated[
        str, typer.Option(help="The calibration to predict with: its name in the catalog.")
    ] = "vllm",
    peers: Annotated[
        bool,
        typer.Option(
            "--peers", help="Show sixteen cases beside the answers of eleven other tools instead."
        ),
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option("--plot", help="Also draw the shares of the limit: .svg, .png or .pdf."),
    ] = None,
    force: Force = False,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Compare the limit, a calibrated prediction and measured rates, row by row."""
    from jaxlimits.calibration import comparison
    from jaxlimits.calibration.measured_tables import table_path
    from jaxlimits.catalog.loader import load_catalog

    if picture is not None:
        check_picture(picture, force=force, where="--plot")
    if peers:
        if table is not None:
            remedy = "leave one of them out"
            raise InputError("the cases are not of a table", where="--peers", remedy=remedy)
        found = comparison.peers()
        if picture is not None:
            _draw_peers(found, picture)
        print_json(dataclasses.asdict(found)) if as_json else _print_peers(found)
        return
    catalog = load_catalog(*(catalogs or []))
    path = table_path(table or "measured")
    rows, left_out = comparison.compare(path, catalog, calibration=calibration)
    summaries = comparison.summarise(rows)
    if picture is not None:
        _draw_rows(rows, calibration, picture)
    if as_json:
        print_json(
            {
                "calibration": calibration,
                "rows": [{**dataclasses.asdict(r), "achieved": r.achieved} for r in rows],
                "left_out": [dataclasses.asdict(row) for row in left_out],
                "summary": [dataclasses.asdict(summary) for summary in summaries],
            }
        )
        return
    _print_rows(rows, calibration)
    _print_left_out(left_out)
    _print_summaries(summaries)


def _draw_rows(rows: "list[Comparison]", calibration: str, picture: Path) -> None:
    from jaxlimits import plot
    from jaxlimits.calibration.comparison import labelled_rows

    figure = plot.strip(
        labelled_rows(rows, calibration),
        of="achieved",
        by="group",
        beside="predicted",
        reference=("the limit", 1.0),
        write="{:.0%}".format,
        title="Measured decode rates as shares of the limit",
    )
    plot.save(figure, picture)


def _draw_peers(found: "Peers", picture: Path) -> None:
    from jaxlimits import plot
    from jaxlimits.calibration.comparison import labelled_peers

    figure = plot.strip(
        labelled_peers(found),
        of="ratio",
        by="tool",
        reference=("the limit", 1.0),
        write="{:.2f} ×".format,
        title=f"What other tools answer to {len(found.cases)} cases",
    )
    plot.save(figure, picture)


def _print_rows(rows: "list[Comparison]", calibration: str) -> None:
    typer.echo("rates in token/s of one user\n")
    columns = (
        *(number("line"), number("batch"), number("context"), number("measured")),
        *(number("limit"), number("achieved"), number(calibration), number("95 % interval")),
    )
    print_table(columns, _shown_rows(rows))


def _shown_rows(rows: "list[Comparison]") -> Iterator[Row]:
    """Rows under what they were measured on."""
    for group, own in itertools.groupby(rows, key=_group):
        yield group
        for row in own:
            yield (
                *(f"{row.line}", f"{row.batch_size:.0f}", f"{row.seq_len:.0f}"),
                *(f"{row.measured:.1f}", f"{row.limit:.1f}", f"{row.achieved:.1%}"),
                *(f"{row.calibrated:.1f}", f"{row.lower:.1f} - {row.upper:.1f}"),
            )


def _group(row: "Comparison") -> str:
    return f"{row.system} {row.model} {row.engine}".rstrip()


def _print_left_out(left_out: "list[LeftOut]") -> None:
    if not left_out:
        return
    typer.echo(f"\nleft out: {len(left_out)} rows that are no points of the model")
    rows = [(str(row.line), f"{row.system} {row.model}", row.why) for row in left_out]
    print_table((number("line"), text("measured on"), text("why")), rows)


def _print_summaries(summaries: "list[Summary]") -> None:
    typer.echo("\nby machine and engine")
    columns = (label(), number("rows"), number("median share of the limit"), number("mean error"))
    rows = [
        [
            *(f"{each.system} {each.engine}".rstrip(), f"{each.rows}"),
            *(f"{each.achieved:.1%}", f"{each.error:.1%}"),
        ]
        for each in summaries
    ]
    print_table(columns, rows, indent=2)


def _print_peers(peers: "Peers") -> None:
    typer.echo("milliseconds a token; – where a tool has no answer\n")
    tools = list(peers.assumptions)
    columns = (label("case"), number("jaxlimits"), number("by hand"))
    numbered = [number(str(place)) for place in range(1, len(tools) + 1)]
    rows = [
        [
            case.name,
            _time(case.ours),
            "–" if case.by_hand is None else f"{case.by_hand:.2f}",
            *(_time(case.answers[tool]) for tool in tools),
        ]
        for case in peers.cases
    ]
    print_table((*columns, *numbered), rows)
    typer.echo("\nwhy they differ")
    why = enumerate(peers.assumptions.items(), start=1)
    print_table((number(), label(), text()), [(str(i), tool, words) for i, (tool, words) in why])


def _time(answer: float | str) -> str:
    return "–" if isinstance(answer, str) or math.isnan(answer) else f"{answer:.2f}"


COMMAND = Command(
    run=compare,
    panel=Panel.COMPARE,
    examples=(
        "jaxlimits compare measured",
        "jaxlimits compare measured --plot achieved.svg",
        "jaxlimits compare --peers",
    ),
)
