"""Measurements as a dataset: which they are, and what a calibration and the limit say of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.calibration.fit import Fit
from jaxlimits.calibration.report import Report
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.fields import quantities
from jaxlimits.store.answers import answer_attributes
from jaxlimits.store.template import Entry, field_attributes, quantity_attributes
from jaxlimits.units import cf_unit

_RATE, _SHARE = "token/s", "1"
_MEANINGS: Mapping[str, tuple[str, str]] = {
    "measured_utps": ("measured tokens per second of one user", _RATE),
    "calibrated_utps": ("predicted tokens per second of one user", _RATE),
    "lower_utps": ("lower end of the prediction's 95 % interval", _RATE),
    "upper_utps": ("upper end of the prediction's 95 % interval", _RATE),
    "limit_utps": ("limit of the tokens per second of one user", _RATE),
    "error": ("error of the predicted time of a step", _SHARE),
    "error_unseen": ("error of the time that the other machines and models predict", _SHARE),
    "achieved": ("achieved share of the limit", _SHARE),
    "predicted": ("predicted share of the limit", _SHARE),
}
"""What is said of each row, and its unit; anything else says which row it is."""

REFERENCE = {"reference": "the limit"}
"""Attribute of shares of the limit: what a share of 1 is."""


def report_rows(report: Report) -> list[dict[str, Any]]:
    """Return what a calibration says of each measurement, by names."""
    prediction = report.prediction
    rows = []
    for place, each in enumerate(report.measurements):
        t_step = float(prediction.t_step[place])
        limit = 1.0 / float(report.limit[place])
        rows.append(
            {
                "line": int(each.where.rpartition("line ")[2]),
                "file": each.where.rpartition(": line")[0],
                "group": each.group,
                "chip": each.chip,
                "llm": each.llm,
                "engine": each.engine,
                "ep_size": 1.0,
                **each.settings,
                "input_len": each.input_len if each.served else 0.0,
                "output_len": each.output_len,
                "measured_utps": each.utps,
                "calibrated_utps": 1.0 / t_step,
                "lower_utps": 1.0 / float(prediction.upper[place]),
                "upper_utps": 1.0 / float(prediction.lower[place]),
                "limit_utps": limit,
                "error": t_step / each.t_step - 1.0,
                "error_unseen": float(report.unseen[place]) / each.t_step - 1.0,
                "achieved": each.utps / limit,
                "predicted": 1.0 / t_step / limit,
                "new": ", ".join(prediction.new[place]),
            }
        )
    return rows


def label_report(report: Report, fit: Fit | None = None, *, calibration: str = "") -> xr.Dataset:
    """Return a report along ``row``.

    Parameters
    ----------
    report
        What a calibration says of measurements.
    fit
        Constants that were fitted to them: variables without a dimension, and their standard
        errors, as ``mem_efficiency_error``.
    calibration
        Name of the calibration where nothing was fitted.
    """
    found = along_rows(report_rows(report), predicted_by=calibration or "the fit")
    done = f"compared {calibration} with" if calibration else "fitted a calibration to"
    attributes = answer_attributes(
        f"{len(report.measurements)} measured decode rates beside a calibration and the limit",
        question="shares of the limit that the measured rates achieve",
        done=f"{done} {len(report.measurements)} rows",
    )
    return found.assign({} if fit is None else _constants(fit)).assign_attrs(attributes)


def _constants(fit: Fit) -> dict[str, Entry]:
    infos = quantities(Calibration)
    found: dict[str, Entry] = {}
    for name, value in fit.values.items():
        attributes = quantity_attributes(infos[name])
        found[name] = ((), np.array(value), attributes)
        if name in fit.errors:
            meaning = {"long_name": f"standard error of {name}"}
            found[f"{name}_error"] = ((), np.array(fit.errors[name]), {**attributes, **meaning})
    return found


def along_rows(rows: Sequence[Mapping[str, Any]], *, predicted_by: str) -> xr.Dataset:
    """Return rows along ``row``: what is said of each as variables, which it is as coordinates.

    ``predicted_by`` names the prediction.
    """
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return xr.Dataset(
        {
            name: ("row", columns[name], _said(name, predicted_by))
            for name in _MEANINGS
            if name in columns
        },
        {
            name: ("row", values, _attributes(name))
            for name, values in columns.items()
            if name not in _MEANINGS
        },
    )


def _attributes(name: str) -> dict[str, Any]:
    """Attributes of what says which row it is."""
    return field_attributes(name) if schema.is_numeric(name) or name in schema.NAMED else {}


def _said(name: str, predicted_by: str) -> dict[str, str]:
    """Attributes of what is said of each row."""
    meaning, unit = _MEANINGS[name]
    shown = {"units": cf_unit(unit), "si_unit": unit, "display_unit": unit}
    short = {"achieved": meaning, "predicted": f"predicted by {predicted_by}"}
    named = {"short_name": short[name], **REFERENCE} if name in short else {}
    return {"long_name": meaning, **shown, **named}
