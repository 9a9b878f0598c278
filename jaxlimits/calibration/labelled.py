"""Measurements as a dataset: which they are, and what a calibration and the limit say of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from jaxlimits.calibration.report import Report

_RATE, _SHARE = "token/s", "1"
_MEANINGS: Mapping[str, tuple[str, str]] = {
    "measured_utps": ("measured tokens per second of one user", _RATE),
    "calibrated_utps": ("predicted tokens per second of one user", _RATE),
    "lower_utps": ("lower end of the prediction's 95 % interval", _RATE),
    "upper_utps": ("upper end of the prediction's 95 % interval", _RATE),
    "limit_utps": ("limit of the tokens per second of one user", _RATE),
    "error": ("error of the predicted time of a step", _SHARE),
    "error_unseen": ("error of the time that the other machines and models predict", _SHARE),
    "achieved": ("measured rate as a share of the limit", _SHARE),
}
"""What is said of each row, and its unit; anything else says which row it is."""


def report_rows(report: Report) -> list[dict[str, Any]]:
    """Return what a calibration says of each measurement, by names."""
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


def labelled_report(report: Report) -> xr.Dataset:
    """Return a report along ``row``."""
    return along_rows(report_rows(report))


def along_rows(rows: Sequence[Mapping[str, Any]]) -> xr.Dataset:
    """Return rows along ``row``: what is said of each as variables, which it is as coordinates."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return xr.Dataset(
        {
            name: ("row", columns[name], {"long_name": meaning, "units": unit})
            for name, (meaning, unit) in _MEANINGS.items()
            if name in columns
        },
        {name: ("row", values) for name, values in columns.items() if name not in _MEANINGS},
    )
