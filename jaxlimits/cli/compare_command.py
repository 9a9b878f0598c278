"""``jaxlimits compare``: limit, prediction and measurement side by side."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxlimits.cli.options import AsJson, Catalogs, Force, check_picture, print_json
from jaxlimits.errors import InputError

if TYPE_CHECKING:
    from jaxlimits.calibration.comparison import Comparison, LeftOut, Peers


def compare(
    table: Annotated[
        str | None, typer.Argument(help="CSV of decode rates, or static_batch, measured.")
    ] = None,
    calibration: Annotated[
        str, typer.Option(help="Calibration to predict with, by its name in the catalog.")
    ] = "vllm",
    peers: Annotated[
        bool, typer.Option("--peers", help="Sixteen cases beside eleven other tools instead.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the shares of the limit too: .svg, .png or .pdf."),
    ] = None,
    force: Force = False,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Put the limit, a calibrated prediction and measured rates side by side."""
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
    typer.echo("\nmedian share of the limit, mean absolute error of the prediction")
    for each in summaries:
        typer.echo(
            f"  {each.achieved:>6.1%} {each.error:>8.1%}  {each.rows:>3} rows  "
            f"{each.system} {each.engine}".rstrip()
        )


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
    typer.echo(
        f"{'line':>5} {'batch':>6} {'context':>8} {'measured':>9} {'limit':>9} {'achieved':>9} "
        f"{calibration[:10]:>10} {'95 % interval':>17}   tokens/s of one user"
    )
    previous = ""
    for row in rows:
        group = f"{row.system} {row.model} {row.engine}".rstrip()
        if group != previous:
            typer.echo(group)
        previous = group
        interval = f"{row.lower:.1f} - {row.upper:.1f}"
        typer.echo(
            f"{row.line:>5} {row.batch_size:>6.0f} {row.seq_len:>8.0f} {row.measured:>9.1f} "
            f"{row.limit:>9.1f} {row.achieved:>9.1%} {row.calibrated:>10.1f} {interval:>17}"
        )


def _print_left_out(left_out: "list[LeftOut]") -> None:
    if left_out:
        typer.echo(f"\nleft out: {len(left_out)} rows that are no points of the model")
    for row in left_out:
        typer.echo(f"{row.line:>5} {row.system} {row.model}: {row.why}")


def _print_peers(peers: "Peers") -> None:
    typer.echo("milliseconds a token; – where a tool has no answer\n")
    tools = list(peers.assumptions)
    typer.echo(
        f"{'':<18} {'jaxlimits':>9} {'by hand':>9}"
        + "".join(f"{i + 1:>8}" for i in range(len(tools)))
    )
    for case in peers.cases:
        answers = (case.answers[tool] for tool in tools)
        cells = "".join(f"{_time(answer):>8}" for answer in answers)
        hand = "–" if case.by_hand is None else f"{case.by_hand:.2f}"
        typer.echo(f"{case.name:<18} {_time(case.ours):>9} {hand:>9}{cells}")
    typer.echo("\nwhy they differ")
    for number, (tool, assumptions) in enumerate(peers.assumptions.items(), start=1):
        typer.echo(f"{number:>3} {tool}: {assumptions}")


def _time(answer: float | str) -> str:
    return "–" if isinstance(answer, str) or math.isnan(answer) else f"{answer:.2f}"
