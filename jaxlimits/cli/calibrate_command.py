"""``jaxlimits calibrate``: constants of real engines from measured decode rates."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli.options import AsJson, Catalogs, Force, print_json
from jaxlimits.errors import InputError

if TYPE_CHECKING:
    from jaxlimits.calibration.calibrate import Calibrated
    from jaxlimits.calibration.report import Report
    from jaxlimits.catalog.loader import Catalog


def calibrate(
    table: Annotated[
        str, typer.Argument(help="CSV of measurements, or a shipped one: static_batch.")
    ],
    without: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Leave rows out by a column. Repeatable."),
    ] = None,
    fit: Annotated[
        list[str] | None,
        typer.Option(metavar="CONSTANT", help="Fit this constant; four by default. Repeatable."),
    ] = None,
    stack: Annotated[
        str, typer.Option(help="Take each chip's measured all-reduces from STACK-CHIP.")
    ] = "vllm",
    fabric: Annotated[
        list[str] | None,
        typer.Option(metavar="CHIP=NAME", help="Take a chip's all-reduces from here. Repeatable."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Fit nothing: how well does this calibration predict?"),
    ] = None,
    all_reduce: Annotated[
        bool, typer.Option("--all-reduce", help="The table measures all-reduces: fit fabrics.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Catalog file to write the fit to.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the calibration in that file.")] = "fitted",
    source: Annotated[str, typer.Option(help="Where the measurements are from.")] = "",
    catalogs: Catalogs = None,
    as_json: AsJson = False,
    force: Force = False,
) -> None:
    """Fit constants of engines to measured decode rates, with their error on unseen machines."""
    from jaxlimits.calibration.cases import choose_fabrics
    from jaxlimits.calibration.fit_entries import check_name
    from jaxlimits.calibration.measured_tables import table_path
    from jaxlimits.calibration.measurements import read_measurements
    from jaxlimits.catalog.loader import load_catalog
    from jaxlimits.store.netcdf import check_target

    if against is not None and (output or fit or all_reduce):
        problem = "nothing is fitted, so there is nothing to fit or write"
        raise InputError(problem, where="--against", remedy="leave out -o, --fit, --all-reduce")
    catalog = load_catalog(*(catalogs or []))
    path, left_out = table_path(table), _pairs(without, "--without")
    if output is not None:
        check_target(output, force=force)
    if all_reduce:
        _fit_fabrics(path, catalog, left_out, output, source=source, as_json=as_json, force=force)
        return
    measurements = read_measurements(path, catalog, without=left_out)
    chips = (each.chip for each in measurements)
    named = _pairs(fabric, "--fabric")
    fabrics = choose_fabrics(chips, catalog, stack=stack, named=named, where="--fabric")
    if against is not None:
        from jaxlimits.calibration.calibrate import assess

        report = assess(measurements, catalog, against, fabrics=fabrics)
        print_json(_report(report)) if as_json else _print_rows(report)
        return
    check_name(name, catalog.calibrations, where="--name")
    from jaxlimits.calibration.calibrate import FITTED
    from jaxlimits.calibration.calibrate import calibrate as fit_calibration
    from jaxlimits.calibration.fit_entries import calibration_entry

    fitted = fit_calibration(measurements, catalog, fabrics=fabrics, fields=tuple(fit or FITTED))
    print_json(_fitted(fitted)) if as_json else _print_fit(fitted)
    if output is not None:
        entry = calibration_entry(name, fitted, path, source=source, without=left_out)
        _write(entry, output, force=force, quiet=as_json)


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
        for f in fits:
            error = f"{f.error:>6.1%} mean, {f.largest_error:.0%} largest error"
            typer.echo(
                f"{f.table.name:<16} {f.table.stack:<18} {len(f.table.times):>4} rows {error}"
            )
    if output is not None:
        text = "\n".join(fabric_entry(f, path, source=source) for f in fits)
        _write(text, output, force=force, quiet=as_json)


def _pairs(texts: Iterable[str] | None, option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts or ():
        left, equals, right = (part.strip() for part in text.partition("="))
        if not (left and equals and right):
            raise InputError("must be two names with = between", where=option, value=text)
        if left in pairs:
            raise InputError("is given twice", where=option, key=left, value=right)
        pairs[left] = right
    return pairs


def _write(text: str, output: Path, *, force: bool, quiet: bool) -> None:
    from jaxlimits.store.netcdf import renamed_when_whole

    with renamed_when_whole(output, force=force) as partial:
        partial.write_text(text, encoding="utf-8")
    if not quiet:
        typer.echo(f"wrote {output}")


def _print_fit(fitted: "Calibrated") -> None:
    from jaxlimits.model.calibration import Calibration
    from jaxlimits.model.fields import quantities
    from jaxlimits.units import show

    infos, errors = quantities(Calibration), fitted.fit.errors
    _print_rows(fitted.report)
    typer.echo("\nconstants")
    for field, value in fitted.fit.values.items():
        unit = infos[field].unit
        deviation = f"± {show(errors[field], unit)}" if field in errors else "held"
        typer.echo(f"  {field:<18} {show(value, unit):>10} {deviation:<12} {infos[field].meaning}")
    found = fitted.report.errors
    typer.echo("\nmean absolute error of the time of a step")
    typer.echo(f"  calibrated, each machine and model left out  {found.calibrated_unseen:>7.1%}")
    typer.echo(f"  calibrated, in sample                        {found.calibrated:>7.1%}")
    typer.echo(f"  the bare limit, nothing fitted               {found.limit:>7.1%}")
    layer = show(fitted.layer_time, "s")
    typer.echo(f"  the paper's form, left out                   {found.paper_unseen:>7.1%}")
    typer.echo(f"  the paper's form, in sample ({layer} a layer) {found.paper:>6.1%}")
    for chip in sorted({each.chip for each in fitted.report.measurements}):
        name = fitted.fabrics.get(chip, "the limit's: no measured ones are named")
        typer.echo(f"  all-reduces of {chip}: {name}")


def _print_rows(report: "Report") -> None:
    typer.echo(
        f"{'row':>5} {'batch':>6} {'measured':>9} {'calibrated':>10} {'95 % interval':>17} "
        f"{'error':>7} {'unseen':>7} {'limit':>8}   tokens/s of one user; errors of the step's time"
    )
    previous = ""
    for row in _rows(report):
        if row["group"] != previous:
            typer.echo(row["group"])
        previous = row["group"]
        interval = f"{row['lower_utps']:.1f} - {row['upper_utps']:.1f}"
        unseen = f"{row['error_unseen']:>+7.1%}" if report.fitted else f"{'':>7}"
        typer.echo(
            f"{row['line']:>5} {row['batch_size']:>6.0f} {row['measured_utps']:>9.1f} "
            f"{row['calibrated_utps']:>10.1f} {interval:>17} {row['error']:>+7.1%} {unseen} "
            f"{row['limit_utps']:>8.1f}"
        )
    if not report.fitted:
        typer.echo("\nmean absolute error of the time of a step, nothing fitted to these rows")
        for group, error in report.group_errors(report.prediction.t_step).items():
            typer.echo(f"  {error:>7.1%}  {group}")
        typer.echo(
            f"  {report.errors.calibrated:>7.1%}  all rows; bare limit {report.errors.limit:.1%}"
        )


def _rows(report: "Report") -> list[dict[str, Any]]:
    prediction = report.prediction
    rows = []
    for place, each in enumerate(report.measurements):
        t_step = float(prediction.t_step[place])
        rows.append(
            {
                "line": int(each.where.rpartition("line ")[2]),
                "group": each.group,
                "chip": each.chip,
                "llm": each.llm,
                **each.settings,
                "measured_utps": each.utps,
                "calibrated_utps": 1.0 / t_step,
                "lower_utps": 1.0 / float(prediction.upper[place]),
                "upper_utps": 1.0 / float(prediction.lower[place]),
                "limit_utps": 1.0 / float(report.limit[place]),
                "error": t_step / each.t_step - 1.0,
                "error_unseen": float(report.unseen[place]) / each.t_step - 1.0,
            }
        )
    return rows


def _report(report: "Report") -> dict[str, Any]:
    import dataclasses

    by_group = report.group_errors(report.unseen if report.fitted else report.prediction.t_step)
    return {
        "errors": dataclasses.asdict(report.errors),
        "group_errors": by_group,
        "rows": _rows(report),
    }


def _fitted(fitted: "Calibrated") -> dict[str, Any]:
    return {
        "values": fitted.fit.values,
        "standard_errors": fitted.fit.errors,
        "fields": fitted.fit.fields,
        "covariance": fitted.fit.covariance.tolist(),
        "spread": fitted.fit.spread,
        "spread_unseen": fitted.spread_unseen,
        "paper_layer_time": fitted.layer_time,
        "fabrics": fitted.fabrics,
        **_report(fitted.report),
    }
