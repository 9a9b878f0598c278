"""Calibration: the overlay's constants from measured decode rates, with honest errors.

The error that counts is that on machines that a fit has not seen: each group of rows, one machine
and model, is predicted from the others. It stands beside the error in sample, that of the bare
limit, and that of the paper's own form, which is fitted to the same rows.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from jaxlimits.calibration.cases import Rows
from jaxlimits.calibration.fit import SPARE_ROWS, Fit, fit_constants, predict
from jaxlimits.calibration.labelled import label_report
from jaxlimits.calibration.measurements import Measurement
from jaxlimits.calibration.paper_form import fit_paper_form
from jaxlimits.calibration.priors import FITTED, PRIORS
from jaxlimits.calibration.report import Errors, Report, mean_error, predicted
from jaxlimits.calibration.sample import Sample, members_of, take_sample
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError, unknown_name


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Calibrated:
    """A fit and its report.

    Parameters
    ----------
    fit
        Constants and covariance.
    spread_unseen
        Root mean square error of the logarithm of a time, each group left out [1].
    spread
        The same with what the constants' covariance adds, in the mean over the rows [1].
    layer_time
        The paper's form: time a layer [s].
    fabrics
        Names of the measured all-reduces that entered, by chip.
    report
        Rows and errors.
    """

    fit: Fit
    spread_unseen: float
    spread: float
    layer_time: float
    fabrics: Mapping[str, str]
    report: Report

    @property
    def rows(self) -> xr.Dataset:
        """Along ``row``: each measurement, what fit and limit say of it; the constants beside."""
        return label_report(self.report, self.fit)

    def __repr__(self) -> str:
        constants = ", ".join(f"{name}={value:.4g}" for name, value in self.fit.values.items())
        errors = self.report.errors
        error = f"{errors.calibrated:.1%}, {errors.calibrated_unseen:.1%} unseen"
        return f"Calibrated({constants}; mean error {error}, {len(self.report.measurements)} rows)"


def calibrate(
    measurements: Sequence[Measurement],
    catalog: Catalog,
    *,
    fabrics: Mapping[str, str],
    fields: Sequence[str] = FITTED,
) -> Calibrated:
    """Fit the overlay's constants to measured decode rates.

    Parameters
    ----------
    measurements
        Rows of at least two machines or models.
    catalog
        Chips, models and fabrics that they name.
    fabrics
        Names of measured all-reduces by chip; the limit's own collectives for the others.
    fields
        Constants to fit; the others keep the means of their priors.

    Raises
    ------
    InputError
        Unknown constants, one group only, too few rows, a rate beyond the limit of its machine.
    """
    _check_fields(fields)
    _check_rows(measurements, fields)
    sample = take_sample(measurements, catalog, fabrics)
    cases, times = sample.cases, sample.times
    fit = fit_constants(cases, times, fields=fields)
    unseen = _predicted_from_others(sample, fields)
    spread_unseen = float(np.sqrt(np.mean(np.log(unseen / times) ** 2)))
    layer_time, paper, paper_unseen = fit_paper_form(sample)
    prediction = predicted(
        cases, fit.values, fields=fit.fields, covariance=fit.covariance, spread=spread_unseen
    )
    errors = Errors(
        calibrated=mean_error(prediction.t_step, times),
        calibrated_unseen=mean_error(unseen, times),
        limit=mean_error(sample.limit_steps, times),
        paper=mean_error(paper, times),
        paper_unseen=mean_error(paper_unseen, times),
    )
    return Calibrated(
        fit=fit,
        spread_unseen=spread_unseen,
        spread=prediction.spread,
        layer_time=layer_time,
        fabrics=dict(fabrics),
        report=Report(
            measurements=measurements,
            limit=sample.limit_steps,
            prediction=prediction,
            unseen=unseen,
            errors=errors,
        ),
    )


def assess(
    measurements: Sequence[Measurement],
    catalog: Catalog,
    calibration: str,
    *,
    fabrics: Mapping[str, str],
) -> Report:
    """Put a calibration of the catalog beside measured decode rates; nothing is fitted to them.

    Parameters
    ----------
    measurements
        Rows, of one machine or several.
    catalog
        Chips, models, fabrics and the calibration.
    calibration
        Its name.
    fabrics
        As for :func:`calibrate`.
    """
    sample = take_sample(measurements, catalog, fabrics)
    values = catalog.values("calibration", calibration)
    fit = catalog.calibrations[calibration].fit
    prediction = predicted(
        sample.cases,
        values,
        fields=fit.get("fields", ()),
        covariance=np.array(fit.get("covariance", np.zeros((0, 0))), dtype=float),
        spread=float(fit.get("spread_unseen", 0.0)),
    )
    nothing = float("nan")
    return Report(
        measurements=measurements,
        limit=sample.limit_steps,
        prediction=prediction,
        unseen=np.full_like(sample.times, np.nan),
        errors=Errors(
            calibrated=mean_error(prediction.t_step, sample.times),
            calibrated_unseen=nothing,
            limit=mean_error(sample.limit_steps, sample.times),
            paper=nothing,
            paper_unseen=nothing,
        ),
    )


def _predicted_from_others(sample: Sample, fields: Sequence[str]) -> Rows:
    """Time of each row, predicted by a fit that left its machine and model out [s]."""
    times = np.full_like(sample.times, np.nan)
    for own in sample.members.values():
        weights = np.where(own, 0.0, 1.0)
        others = fit_constants(sample.cases, sample.times, fields=fields, weights=weights)
        times[own] = predict(sample.cases, others.values)[own]
    return times


def _check_fields(fields: Sequence[str]) -> None:
    for name in fields:
        if name not in PRIORS:
            raise unknown_name("constant", name, PRIORS, where="`fields`")
    if not fields or len(set(fields)) != len(fields):
        raise InputError("names no constant, or one twice", where="`fields`", value=list(fields))


def _check_rows(measurements: Sequence[Measurement], fields: Sequence[str]) -> None:
    """Refuse rows from which the error on unseen machines cannot be told."""
    where = measurements[0].where.rpartition(": line")[0]
    members = members_of(measurements)
    if len(members) < 2:
        remedy = "give rows of at least two, so that each can be predicted from the other"
        problem = f"all rows are of one machine and model, {measurements[0].group}"
        raise InputError(problem, where=where, remedy=remedy)
    needed = len(fields) + SPARE_ROWS
    for group, own in members.items():
        if (rest := int((~own).sum())) < needed:
            problem = (
                f"{len(measurements)} rows, {rest} without {group}, "
                f"are too few for {len(fields)} constants"
            )
            raise InputError(problem, where=where, remedy=f"leave at least {needed} in each case")
