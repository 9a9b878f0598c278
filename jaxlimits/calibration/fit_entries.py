"""Fits as entries of a catalog: text that any command reads with ``--catalog``."""

import datetime
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxlimits import units
from jaxlimits._version import __version__
from jaxlimits.calibration.calibrate import Calibrated
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
        raise InputError("is no name for an entry", where=where, value=name, remedy=remedy)
    if name in taken:
        raise InputError("the name is taken", where=where, value=name, remedy="choose another name")


def calibration_entry(
    name: str,
    fitted: Calibrated,
    table: Path,
    *,
    source: str = "",
    without: Mapping[str, str] | None = None,
) -> str:
    """Return a calibration as text: constants, covariance, errors, and what they rest on.

    Parameters
    ----------
    name
        Name of the entry.
    fitted
        The calibration.
    table
        The table that it was fitted to.
    source
        Where the measurements are from.
    without
        Values by column of the rows that were left out.
    """
    report, errors = fitted.report, fitted.report.errors
    words = {
        "title": (
            f"fitted to {len(report.measurements)} decode rates "
            f"of {len(report.groups)} machines and models"
        ),
        "source": source or f"{table.name}, as given to `jaxlimits calibrate`",
        "note": (
            f"Mean error of the time of a step: {errors.calibrated:.1%} in sample, "
            f"{errors.calibrated_unseen:.1%} with each machine and model left out "
            f"(bare limit {errors.limit:.1%}; the paper's form {errors.paper:.1%} and "
            f"{errors.paper_unseen:.1%})."
        ),
    }
    fit = {
        "fields": list(fitted.fit.fields),
        "covariance": [[float(f"{x:.6g}") for x in row] for row in fitted.fit.covariance],
        "spread_in_sample": round(fitted.fit.spread, 5),
        "spread_unseen": round(fitted.spread_unseen, 5),
        "error": round(errors.calibrated, 5),
        "error_unseen": round(errors.calibrated_unseen, 5),
        "limit_error": round(errors.limit, 5),
        "paper_error": round(errors.paper, 5),
        "paper_error_unseen": round(errors.paper_unseen, 5),
        "paper_layer_time": f"{fitted.layer_time * 1e6:.{_DIGITS}g} us",
        "rows": len(report.measurements),
        "groups": list(report.groups),
        "fabrics": [f"{chip} = {fabric}" for chip, fabric in fitted.fabrics.items()],
        "left_out": [f"{column} = {value}" for column, value in (without or {}).items()],
        **_made_from(table),
    }
    return _entry(
        "calibrations",
        name,
        words,
        values={**fitted.fit.values, "spread": fitted.spread},
        infos=quantities(Calibration),
        fit=fit,
    )


def fabric_entry(fitted: FabricFit, table: Path, *, source: str = "") -> str:
    """Return a fabric as text: latencies and rates, and how near they come to the table."""
    own = fitted.table
    words = {
        "title": f"All-reduces of {own.stack} on {own.chip}",
        "source": source or f"{table.name}, as given to `jaxlimits calibrate --all-reduce`",
        "note": (
            f"Mean error {fitted.error:.1%} on {len(own.times)} measured times, "
            f"at most {fitted.largest_error:.0%}."
        ),
    }
    fit = {
        "error": round(fitted.error, 5),
        "largest_error": round(fitted.largest_error, 5),
        "rows": len(own.times),
        **_made_from(table),
    }
    return _entry(
        "fabrics", own.name, words, values=fitted.values, infos=quantities(Fabric), fit=fit
    )


def _made_from(table: Path) -> dict[str, str]:
    return {
        "file": table.name,
        "sha256": hashlib.sha256(table.read_bytes()).hexdigest(),
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
