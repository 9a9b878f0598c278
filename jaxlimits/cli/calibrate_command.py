"""``jaxlimits calibrate``: constants of real engines from measured decode rates."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli.options import AsJson, Catalogs, Force, print_json, write_result
from jaxlimits.cli.pairs import pairs
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import Row, label, number, print_table, text
from jaxlimits.errors import InputError

if TYPE_CHECKING:
    from jaxlimits.calibration.calibrate import Calibrated
    from jaxlimits.calibration.report import Report
    from jaxlimits.calibration.selection import Selection
    from jaxlimits.catalog.loader import Catalog


def calibrate(
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE]...",
            help="CSV files of measurements, fitted together, or shipped tables: static_batch, "
            "serving, all_reduce. Without a table, --report takes the first two.",
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE", help="Leave out the rows with this value. Repeatable."
        ),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--fit",
            metavar="CONSTANT",
            help="A constant to fit; by default eight of them. Repeatable.",
        ),
    ] = None,
    stack: Annotated[
        str,
        typer.Option(
            help="Use the all-reduces measured with this software, the fabrics STACK-CHIP, for "
            "rows whose engine has none."
        ),
    ] = "vllm",
    fabric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHIP=NAME", help="Use the all-reduces of this fabric for a chip. Repeatable."
        ),
    ] = None,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Show a report card: errors and coverage with each chip, engine, model and kind "
            "of attention left out.",
        ),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Fit nothing, and show how well this calibration predicts the table.",
        ),
    ] = None,
    all_reduce: Annotated[
        bool, typer.Option("--all-reduce", help="Fit fabrics, to a table of measured all-reduces.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The catalog file to write the fit to, or a .nc file for the rows beside fit and "
            "limit; by default none.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="The name of the calibration in that file.")] = "fitted",
    source: Annotated[
        str, typer.Option(help="Where the measurements come from, for that file.")
    ] = "",
    catalogs: Catalogs = None,
    as_json: AsJson = False,
    force: Force = False,
) -> None:
    """Fit constants of real engines to measured decode rates."""
    from jaxlimits.calibration.cases import choose_fabrics
    from jaxlimits.calibration.fit_entries import check_name
    from jaxlimits.calibration.measured_tables import table_path
    from jaxlimits.calibration.measurements import read_measurements
    from jaxlimits.calibration.selection import select
    from jaxlimits.catalog.loader import load_catalog
    from jaxlimits.store.netcdf import check_target

    rows_alone = output is not None and output.suffix == ".nc"
    unfitted = bool((output and not rows_alone) or fields or all_reduce)
    _refuse(
        nothing_fitted=against is not None and unfitted,
        no_catalog=all_reduce and rows_alone,
        no_table=not tables and not report,
    )
    catalog = load_catalog(*(catalogs or []))
    paths = [table_path(table) for table in tables or DATA]
    left_out = pairs(without, "--without", example="model=llama3-8b")
    if output is not None:
        check_target(output, force=force)
    if all_reduce:
        (path, *others) = paths
        if others:
            raise InputError("takes one table", where="--all-reduce", value=str(others[0]))
        _fit_fabrics(path, catalog, left_out, output, source=source, as_json=as_json, force=force)
        return
    found = select(read_measurements(paths, catalog, without=left_out))
    if not found.kept:
        raise InputError("has no row of plain decode", where=", ".join(map(str, paths)))
    measurements = found.kept
    named = pairs(fabric, "--fabric", example="h100=vllm-h100")
    fabrics = choose_fabrics(measurements, catalog, stack=stack, named=named, where="--fabric")
    if against is not None:
        from jaxlimits.calibration.calibrate import assess

        beside = assess(measurements, catalog, against, fabrics=fabrics)
        _show_rows(beside, against, output, as_json=as_json, force=force)
        return
    check_name(name, catalog.calibrations, where="--name")
    from jaxlimits.calibration.calibrate import FITTED
    from jaxlimits.calibration.calibrate import calibrate as fit_calibration
    from jaxlimits.calibration.fit_entries import calibration_entries

    fitted = fit_calibration(measurements, catalog, fabrics=fabrics, fields=tuple(fields or FITTED))
    if report:
        _show_card(fitted, found, catalog, as_json=as_json)
    else:
        print_json(_fitted(fitted)) if as_json else _print_fit(fitted)
    if rows_alone and output is not None:
        write_result(fitted.rows, output, force=force, quiet=as_json)
    elif output is not None:
        entry = calibration_entries(
            *(name, fitted, paths), source=source, without=left_out, left_out=found.reasons
        )
        _write(entry, output, force=force, quiet=as_json)


DATA = ("static_batch", "serving")
"""Shipped tables of decode rates to fit."""


def _refuse(*, nothing_fitted: bool, no_catalog: bool, no_table: bool) -> None:
    """Refuse options that contradict each other."""
    if nothing_fitted:
        problem = "nothing is fitted, so there is nothing to fit or write"
        remedy = "leave out --fit, --all-reduce, and -o unless it is a .nc file"
        raise InputError(problem, where="--against", remedy=remedy)
    if no_catalog:
        problem = "fabrics are entries of a catalog"
        raise InputError(problem, where="--output", remedy="end it in .toml")
    if no_table:
        remedy = "name a CSV file of measurements, or static_batch, serving, all_reduce"
        raise InputError("no table is named", where="TABLE", remedy=remedy)


def _show_rows(
    report: "Report", calibration: str, output: Path | None, *, as_json: bool, force: bool
) -> None:
    from jaxlimits.calibration.labelled import label_report

    print_json(_report(report)) if as_json else _print_rows(report)
    if output is not None:
        dataset = label_report(report, calibration=calibration)
        write_result(dataset, output, force=force, quiet=as_json)


def _fit_fabrics(
    path: Path,
    catalog: "Catalog",
    without: dict[str, str],
    output: Path | None,
    *,
    source: str,
    as_json: bool,
    force: bool,
) -> None:
    from jaxlimits.calibration.fabrics import fit_fabric, read_all_reduces
    from jaxlimits.calibration.fit_entries import fabric_entry

    fits = [fit_fabric(own) for own in read_all_reduces(path, catalog, without=without)]
    if as_json:
        listed = [
            {"name": f.table.name, "values": f.values, "error": f.error, "rows": len(f.table.times)}
            for f in fits
        ]
        print_json({"fabrics": listed})
    else:
        columns = (label("fabric"), label("stack"), number("rows"))
        errors = (number("mean error"), number("largest error"))
        rows = [
            [
                *(f.table.name, f.table.stack, f"{len(f.table.times)}"),
                *(f"{f.error:.1%}", f"{f.largest_error:.0%}"),
            ]
            for f in fits
        ]
        print_table((*columns, *errors), rows)
    if output is not None:
        entries = "\n".join(fabric_entry(f, path, source=source) for f in fits)
        _write(entries, output, force=force, quiet=as_json)


def _write(text: str, output: Path, *, force: bool, quiet: bool) -> None:
    from jaxlimits.store.netcdf import renamed_when_whole

    with renamed_when_whole(output, force=force) as partial:
        partial.write_text(text, encoding="utf-8")
    if not quiet:
        typer.echo(f"wrote {output}")


def _print_fit(fitted: "Calibrated") -> None:
    _print_rows(fitted.report)
    typer.echo("\nconstants")
    print_table((label(), number(), label(), text()), _constants(fitted), indent=2)
    typer.echo("\nmean absolute error of the time of a step")
    print_table((label(), number()), _errors(fitted), indent=2)
    typer.echo("\nall-reduces")
    rows = [(chip, engine or "–", name) for (engine, chip), name in sorted(fitted.fabrics.items())]
    print_table((label(), label(), text()), rows, indent=2)


def _show_card(
    fitted: "Calibrated", found: "Selection", catalog: "Catalog", *, as_json: bool
) -> None:
    import dataclasses

    from jaxlimits.calibration.report_card import PUBLISHED, report_card

    card = report_card(fitted, found, catalog)
    if as_json:
        print_json({**dataclasses.asdict(card), "published": dict(PUBLISHED)})
        return
    typer.echo(
        f"{card.rows} rows; mean absolute error of the time of a step: {card.in_sample:.1%} in "
        f"sample, bare limit {card.limit:.1%}, the paper's form {card.paper:.1%}\n"
    )
    columns = (label("left out"), number("groups"), number("error"), number("50 %"), number("80 %"))
    columns += (number("95 %"), number("paper's form"), text("what its rows stand for"))
    print_table(
        columns,
        [
            (
                *(one.split, f"{one.groups}", f"{one.error:.1%}"),
                *(
                    f"{share:.1%} ± {one.coverage_errors[level]:.0%}"
                    for level, share in one.coverage.items()
                ),
                *(f"{one.paper:.1%}", one.meaning),
            )
            for one in card.splits
        ],
    )
    typer.echo(
        "\nunder 50, 80, 95 %: rows within the interval that the other groups give; ± is the"
    )
    typer.echo("standard error of their share, since rows of a group err together\n")
    for one in card.splits[1:]:
        groups = (f"{name} {error:.1%}" for name, error in one.by_group.items())
        typer.echo(f"each {one.split}: {', '.join(groups)}")
    typer.echo("\nrows that were not fitted, since their steps hold prompts")
    columns = (label("prompt tokens"), number("rows"), number("error"), number("bias"))
    print_table(
        (*columns, number("within 95 %")),
        [
            (o.name, f"{o.rows}", f"{o.error:.1%}", f"{o.bias:+.1%}", f"{o.inside:.1%}")
            for o in card.others
        ],
        indent=2,
    )
    typer.echo("\nthe worst systems, each predicted from the others")
    columns = (label("system"), number("rows"), number("error"), number("bias"))
    print_table(
        (*columns, text("likely cause")),
        [(o.system, f"{o.rows}", f"{o.error:.1%}", f"{o.bias:+.1%}", o.cause) for o in card.worst],
        indent=2,
    )
    typer.echo("\nother tools, as published, on data of their own")
    print_table((label(), text()), list(PUBLISHED.items()), indent=2)
    typer.echo("\nleft out")
    print_table((number(), text()), [(f"{n}", why) for why, n in card.left_out.items()], indent=2)


def _constants(fitted: "Calibrated") -> Iterator[Row]:
    from jaxlimits.model.calibration import Calibration
    from jaxlimits.model.fields import quantities
    from jaxlimits.units import show

    infos, errors = quantities(Calibration), fitted.fit.errors
    for field, value in fitted.fit.values.items():
        unit = infos[field].unit
        deviation = f"± {show(errors[field], unit)}" if field in errors else "held"
        yield field, show(value, unit), deviation, infos[field].meaning


def _errors(fitted: "Calibrated") -> list[Row]:
    from jaxlimits.units import show

    found, layer = fitted.report.errors, show(fitted.layer_time, "s")
    return [
        *(
            (f"calibrated, each {split} left out", f"{one.error:.1%}")
            for split, one in fitted.intervals.splits.items()
        ),
        ("calibrated, in sample", f"{found.calibrated:.1%}"),
        ("the bare limit, nothing fitted", f"{found.limit:.1%}"),
        ("the paper's form, left out", f"{found.paper_unseen:.1%}"),
        (f"the paper's form, in sample ({layer} a layer)", f"{found.paper:.1%}"),
    ]


def _print_rows(report: "Report") -> None:
    typer.echo("rates in token/s of one user; errors are those of the time of a step\n")
    unseen = (number("unseen"),) if report.fitted else ()
    columns = (
        *(number("row"), number("batch"), number("measured"), number("calibrated")),
        *(number("95 % interval"), number("error"), *unseen, number("limit")),
    )
    print_table(columns, _shown_rows(report))
    if not report.fitted:
        typer.echo("\nmean absolute error of the time of a step, nothing fitted to these rows")
        by_group = report.group_errors(report.prediction.t_step).items()
        rows = [
            *((f"{error:.1%}", group) for group, error in by_group),
            (f"{report.errors.calibrated:.1%}", "all rows"),
            (f"{report.errors.limit:.1%}", "all rows, the bare limit"),
        ]
        print_table((number(), text()), rows, indent=2)


def _shown_rows(report: "Report") -> Iterator[Row]:
    """Rows under the name of their group."""
    from jaxlimits.calibration.labelled import report_rows

    for group, rows in itertools.groupby(report_rows(report), key=lambda row: row["group"]):
        yield group
        for row in rows:
            unseen = (f"{row['error_unseen']:+.1%}",) if report.fitted else ()
            yield (
                *(f"{row['line']}", f"{row['batch_size']:.0f}", f"{row['measured_utps']:.1f}"),
                *(f"{row['calibrated_utps']:.1f}", _interval(row), f"{row['error']:+.1%}"),
                *(*unseen, f"{row['limit_utps']:.1f}"),
            )


def _interval(row: dict[str, Any]) -> str:
    return f"{row['lower_utps']:.1f} - {row['upper_utps']:.1f}"


def _report(report: "Report") -> dict[str, Any]:
    import dataclasses

    from jaxlimits.calibration.labelled import report_rows

    by_group = report.group_errors(report.unseen if report.fitted else report.prediction.t_step)
    return {
        "errors": dataclasses.asdict(report.errors),
        "group_errors": by_group,
        "rows": report_rows(report),
    }


def _fitted(fitted: "Calibrated") -> dict[str, Any]:
    return {
        "values": fitted.fit.values,
        "standard_errors": fitted.fit.errors,
        "fields": fitted.fit.fields,
        "covariance": fitted.fit.covariance.tolist(),
        "engines": {engine: fitted.values(engine) for engine in fitted.engines},
        "spread": fitted.intervals.spread,
        "widening": fitted.intervals.widening,
        "paper_layer_time": fitted.layer_time,
        "fabrics": {f"{e} {chip}".strip(): name for (e, chip), name in fitted.fabrics.items()},
        **_report(fitted.report),
    }


COMMAND = Command(
    run=calibrate,
    panel=Panel.COMPARE,
    examples=(
        "jaxlimits calibrate static_batch --report --name mine -o mine.toml",
        "jaxlimits calibrate static_batch --without 'model=DeepSeek-V3.2 (DSA)'",
    ),
)
