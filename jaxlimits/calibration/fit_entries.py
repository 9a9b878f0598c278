"""Fits as entries of a catalog: text that a catalog reads."""

import datetime
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxlimits import units
from jaxlimits._version import __version__
from jaxlimits.calibration.calibrate import Calibrated
from jaxlimits.calibration.engines import ENGINES
from jaxlimits.calibration.fabrics import FabricFit
from jaxlimits.catalog.text_files import toml_text
from jaxlimits.errors import InputError
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.fields import Quantity, quantities

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_DIGITS = 4


def check_name(name: str, taken: Iterable[str], *, where: str) -> None:
    """Raise unless an entry can have a name."""
    if not _NAME.fullmatch(name):
        remedy = "use letters, digits, - and _"
        raise InputError("is not a name for an entry", where=where, value=name, remedy=remedy)
    if name in taken:
        raise InputError("the name is taken", where=where, value=name, remedy="choose another name")


def calibration_entries(
    name: str,
    fitted: Calibrated,
    tables: Sequence[Path],
    *,
    source: str = "",
    without: Mapping[str, str] | None = None,
    left_out: Mapping[str, int] | None = None,
) -> str:
    """Return calibrations as text: constants, covariance, errors, and what they rest on.

    One for the population of engines, and ``NAME-ENGINE`` for each of several.

    Parameters
    ----------
    name
        Name of the entry.
    fitted
        The calibration.
    tables
        The tables that it was fitted to.
    source
        Where the measurements are from.
    without
        Values by column of the rows that were left out.
    left_out
        Rows that are not plain decode, by the reason.
    """
    fit = _fit_table(fitted, tables, without=without or {}, left_out=left_out or {})
    errors, rows = fitted.report.errors, len(fitted.report.measurements)
    note = (
        f"Mean error of the time of a step: {errors.calibrated:.1%} in sample, "
        f"{errors.calibrated_unseen:.1%} with each machine, model and engine left out "
        f"(bare limit {errors.limit:.1%}; the paper's form {errors.paper:.1%} and "
        f"{errors.paper_unseen:.1%})."
    )
    files = " and ".join(table.name for table in tables)
    source = source or f"{files}, as given to `jaxlimits calibrate`"
    of = "engines" if fitted.engines else f"machines and models ({len(fitted.report.groups)})"
    words = {"title": f"fitted to {rows} decode rates of {of}", "source": source, "note": note}
    infos = quantities(Calibration)
    entries = [_entry("calibrations", name, words, values=fitted.values(), infos=infos, fit=fit)]
    for engine in fitted.engines:
        own = {**words, "title": f"{ENGINES.get(engine, engine)}, out of a fit to {rows} rates"}
        values, table = fitted.values(engine), {key: fit[key] for key in _SHARED}
        entries.append(
            _entry("calibrations", f"{name}-{engine}", own, values=values, infos=infos, fit=table)
        )
    return "\n".join(entries)


_SHARED = (
    "fields",
    "covariance",
    "chips",
    "llms",
    "attention",
    "file",
    "sha256",
    "date",
    "version",
)


def _fit_table(
    fitted: Calibrated,
    tables: Sequence[Path],
    *,
    without: Mapping[str, str],
    left_out: Mapping[str, int],
) -> dict[str, Any]:
    """What a fit rests on, and how it predicts."""
    report, errors, labels = fitted.report, fitted.report.errors, fitted.sample.labels
    splits = fitted.intervals.splits
    return {
        "fields": list(fitted.fit.fields),
        "covariance": [[float(f"{x:.6g}") for x in row] for row in fitted.fit.covariance],
        "engines": {
            engine: {name: round(value, 5) for name, value in factors.items()}
            for engine, factors in fitted.fit.factors.items()
        },
        "deviations": {name: round(value, 5) for name, value in fitted.fit.deviations.items()},
        "spread_in_sample": round(fitted.fit.spread, 5),
        "error": round(errors.calibrated, 5),
        "error_unseen": round(errors.calibrated_unseen, 5),
        "limit_error": round(errors.limit, 5),
        "paper_error": round(errors.paper, 5),
        "paper_error_unseen": round(errors.paper_unseen, 5),
        "paper_layer_time": f"{fitted.layer_time * 1e6:.{_DIGITS}g} us",
        "left_out_errors": {split: round(one.error, 5) for split, one in splits.items()},
        "coverage": {
            split: {f"{level:.0%}".rstrip("%"): round(share, 4) for level, share in found.items()}
            for split, one in splits.items()
            for found in (one.coverage,)
        },
        "rows": len(report.measurements),
        "chips": sorted(set(labels["chip"].tolist())),
        "llms": sorted(set(labels["model"].tolist())),
        "attention": sorted(set(labels["attention"].tolist())),
        "groups": list(report.groups),
        "fabrics": sorted({f"{chip} = {name}" for (_, chip), name in fitted.fabrics.items()}),
        "left_out": [
            *(f"{column} = {value}" for column, value in without.items()),
            *(f"{count} rows: {why}" for why, count in left_out.items()),
        ],
        **_made_from(tables),
    }


def fabric_entry(fitted: FabricFit, table: Path, *, source: str = "") -> str:
    """Return a fabric as text: latencies and rates, and how near they come to the table."""
    own = fitted.table
    words = {
        "title": f"All-reduces of {own.stack} on {own.chip}",
        "source": source or f"{table.name}, as given to the fit of all-reduces",
        "note": (
            f"Mean error {fitted.error:.1%} on {len(own.times)} measured times, "
            f"at most {fitted.largest_error:.0%}."
        ),
    }
    fit = {
        "error": round(fitted.error, 5),
        "largest_error": round(fitted.largest_error, 5),
        "rows": len(own.times),
        **_made_from([table]),
    }
    return _entry(
        "fabrics", own.name, words, values=fitted.values, infos=quantities(Fabric), fit=fit
    )


def _made_from(tables: Sequence[Path]) -> dict[str, str]:
    digests = (hashlib.sha256(table.read_bytes()).hexdigest() for table in tables)
    return {
        "file": ", ".join(table.name for table in tables),
        "sha256": ", ".join(digests),
        "date": datetime.date.today().isoformat(),
        "version": __version__,
    }


def _entry(
    kind: str,
    name: str,
    words: Mapping[str, str],
    *,
    values: Mapping[str, float],
    infos: Mapping[str, Quantity],
    fit: Mapping[str, Any],
) -> str:
    fields = {field: _written(value, infos[field]) for field, value in values.items()}
    return toml_text({kind: {name: {**words, **fields, "fit": fit}}})


def _written(value: float, info: Quantity) -> float | str:
    """Return a value as a catalog states it, in the unit in which people read it."""
    if info.unit == "1":
        return float(f"{value:.{_DIGITS}g}")
    scale = units.parse(f"1 {info.display}", info.unit)
    return f"{value / scale:.{_DIGITS}g} {info.display}"
