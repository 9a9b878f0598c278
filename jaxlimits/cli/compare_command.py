"""``jaxlimits compare``: limit, prediction and measurement side by side."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxlimits.cli.options import (
    AsJson,
    Catalogs,
    Force,
    Result,
    check_picture,
    check_result,
    print_json,
    write_result,
)
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import Row, label, number, print_table, text
from jaxlimits.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

    from jaxlimits.calibration.comparison import Comparison, LeftOut, Peers, Summary


def compare(
    table: Annotated[
        str | None,
        typer.Argument(
            help="A CSV file of decode rates, or a shipped table: static_batch, measured (default)."
        ),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="The calibration to predict with, by its name in the catalog; by default that of "
            "each row's engine."
        ),
    ] = None,
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
    output: Result = None,
    board: Annotated[
        Path | None,
        typer.Option(
            "--board",
            help="Draw the measured frontier of every chip and model under its limit and its "
            "prediction, on one self-contained .html page; without a table, of the shipped ones.",
        ),
    ] = None,
    force: Force = False,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Compare the limit, a calibrated prediction and measured rates, row by row."""
    from jaxlimits.calibration import comparison
    from jaxlimits.calibration.labelled_comparison import label_comparison, label_peers
    from jaxlimits.calibration.measured_tables import table_path
    from jaxlimits.catalog.loader import load_catalog

    if picture is not None:
        check_picture(picture, force=force, where="--plot")
    check_result(output, force=force)
    if board is not None:
        _draw_board(table, board, catalogs or [], force=force)
        return
    if peers:
        if table is not None:
            remedy = "leave one of them out"
            raise InputError("the cases are not of a table", where="--peers", remedy=remedy)
        found = comparison.peers()
        if picture is not None:
            _draw_peers(label_peers(found), len(found.cases), picture)
        print_json(dataclasses.asdict(found)) if as_json else _print_peers(found)
        if output is not None:
            write_result(label_peers(found), output, force=force, quiet=as_json)
        return
    catalog = load_catalog(*(catalogs or []))
    path = table_path(table or "measured")
    rows, left_out = comparison.compare(path, catalog, calibration=calibration)
    summaries = comparison.summarise(rows)
    dataset = label_comparison(rows, left_out, table=path.stem, calibration=calibration)
    if picture is not None:
        _draw_rows(dataset, picture)
    if as_json:
        print_json(
            {
                "calibration": calibration,
                "rows": [{**dataclasses.asdict(r), "achieved": r.achieved} for r in rows],
                "left_out": [dataclasses.asdict(row) for row in left_out],
                "summary": [dataclasses.asdict(summary) for summary in summaries],
            }
        )
    else:
        _print_rows(rows, calibration or "predicted")
        _print_left_out(left_out)
        _print_summaries(summaries)
    if output is not None:
        write_result(dataset, output, force=force, quiet=as_json)


def _draw_board(
    table: str | None, board: Path, catalogs: "Sequence[str | Path]", *, force: bool
) -> None:
    from jaxlimits.calibration.board import draw_board
    from jaxlimits.calibration.measured_tables import table_path
    from jaxlimits.calibration.measurements import read_measurements
    from jaxlimits.catalog.loader import load_catalog
    from jaxlimits.store.netcdf import check_target, renamed_when_whole

    if board.suffix != ".html":
        raise InputError("is not an .html file", where="--board", value=str(board))
    check_target(board, force=force)
    catalog = load_catalog(*catalogs)
    paths = [table_path(each) for each in ([table] if table else ["static_batch", "serving"])]
    measurements = read_measurements(paths, catalog)
    with renamed_when_whole(board, force=force) as partial:
        count = draw_board(measurements, catalog, partial)
    typer.echo(f"wrote {board}: {count} frontiers")


def _draw_rows(dataset: "xr.Dataset", picture: Path) -> None:
    from jaxlimits import plot

    title = "Measured decode rates as shares of the limit"
    plot.save(plot.strip(dataset, write="{:.0%}".format, title=title), picture)


def _draw_peers(dataset: "xr.Dataset", cases: int, picture: Path) -> None:
    from jaxlimits import plot

    title = f"What other tools answer to {cases} cases"
    plot.save(plot.strip(dataset, write="{:.2f} ×".format, title=title), picture)


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
    typer.echo(f"\nleft out: {len(left_out)} rows that are not points of the model")
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
        "jaxlimits compare measured --plot achieved.svg",
        "jaxlimits compare static_batch --board board.html",
        "jaxlimits compare --peers",
    ),
)
