"""Calibration: the overlay's constants from measured decode rates, with honest errors.

The error that counts is that on machines that a fit has not seen: each group of rows, one machine
and model, is predicted from the others. It stands beside the error in sample, that of the bare
limit, and that of the paper's own form, which is fitted to the same rows.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jaxlimits.calibration.cases import limit_times, make_cases, measured_times
from jaxlimits.calibration.fit import (
    SPARE_ROWS,
    Cases,
    Fit,
    Rows,
    fit_constants,
    log_gradient,
    predict,
)
from jaxlimits.calibration.measurements import Measurement
from jaxlimits.calibration.priors import FITTED, PRIORS
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.model.evaluate import INTERVAL


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """Times that a calibration predicts for several points [s].

    Parameters
    ----------
    t_step
        The prediction.
    lower, upper
        Its 95 % interval: the constants' covariance, and the spread on unseen machines.
    """

    t_step: Rows
    lower: Rows
    upper: Rows

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of a time, in the mean over the points [1]."""
        deviations = np.log(self.upper / self.t_step) / INTERVAL
        return float(np.sqrt(np.mean(deviations**2)))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Errors:
    """Mean absolute errors of the time of a step, as shares of the measured time [1].

    Parameters
    ----------
    calibrated, calibrated_unseen
        Of the overlay, in sample and with each group left out; the latter is NaN for a calibration
        that was fitted elsewhere.
    limit
        Of the bare limit: nothing fitted.
    paper, paper_unseen
        Of the paper's form, the limit's step without synchronisation plus a time a layer.
    """

    calibrated: float
    calibrated_unseen: float
    limit: float
    paper: float
    paper_unseen: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a calibration says of a table of measurements.

    Parameters
    ----------
    measurements
        The rows.
    limit
        Time of the bare limit of each row [s].
    prediction
        What the calibration predicts of each row, in sample where it was fitted to them.
    unseen
        Time of each row predicted from the other groups [s]; NaN where nothing was fitted.
    errors
        Mean errors.
    """

    measurements: Sequence[Measurement]
    limit: Rows
    prediction: Prediction
    unseen: Rows
    errors: Errors

    @property
    def fitted(self) -> bool:
        """Whether the calibration was fitted to these rows."""
        return bool(np.all(np.isfinite(self.unseen)))

    @property
    def groups(self) -> tuple[str, ...]:
        """Machines and models, in the order of the rows."""
        return _groups(self.measurements)

    def group_errors(self, times: Rows) -> dict[str, float]:
        """Mean absolute error of predicted times by group [1]."""
        error = np.abs(times / measured_times(self.measurements) - 1.0)
        return {
            group: float(error[own].mean()) for group, own in _members(self.measurements).items()
        }


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
    cases, times = make_cases(measurements, catalog, fabrics), measured_times(measurements)
    limit = _checked_limit(measurements, cases, times)
    fit = fit_constants(cases, times, fields=fields)
    unseen = np.full_like(times, np.nan)
    for own in _members(measurements).values():
        others = fit_constants(cases, times, fields=fields, weights=np.where(own, 0.0, 1.0))
        unseen[own] = predict(cases, others.values)[own]
    spread_unseen = float(np.sqrt(np.mean(np.log(unseen / times) ** 2)))
    layer_time, paper, paper_unseen = _paper_form(measurements, cases, times)
    prediction = predicted(
        cases, fit.values, fields=fit.fields, covariance=fit.covariance, spread=spread_unseen
    )
    errors = Errors(
        calibrated=_mean_error(prediction.t_step, times),
        calibrated_unseen=_mean_error(unseen, times),
        limit=_mean_error(limit, times),
        paper=_mean_error(paper, times),
        paper_unseen=_mean_error(paper_unseen, times),
    )
    return Calibrated(
        fit=fit,
        spread_unseen=spread_unseen,
        spread=prediction.spread,
        layer_time=layer_time,
        fabrics=dict(fabrics),
        report=Report(
            measurements=measurements,
            limit=limit,
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
    cases, times = make_cases(measurements, catalog, fabrics), measured_times(measurements)
    limit = _checked_limit(measurements, cases, times)
    values = catalog.values("calibration", calibration)
    fit = catalog.calibrations[calibration].fit
    prediction = predicted(
        cases,
        values,
        fields=fit.get("fields", ()),
        covariance=np.array(fit.get("covariance", np.zeros((0, 0))), dtype=float),
        spread=float(fit.get("spread_unseen", 0.0)),
    )
    nothing = float("nan")
    return Report(
        measurements=measurements,
        limit=limit,
        prediction=prediction,
        unseen=np.full_like(times, np.nan),
        errors=Errors(
            calibrated=_mean_error(prediction.t_step, times),
            calibrated_unseen=nothing,
            limit=_mean_error(limit, times),
            paper=nothing,
            paper_unseen=nothing,
        ),
    )


def predicted(
    cases: Cases,
    values: Mapping[str, float],
    *,
    fields: Sequence[str],
    covariance: np.ndarray,
    spread: float,
) -> Prediction:
    r"""Predict times with their 95 % intervals.

    .. math:: \ln t \pm 1.96 \sqrt{g^\top \Sigma\, g + s^2}

    with g the gradient of the logarithm by the fitted constants, :math:`\Sigma` their covariance
    and s the spread on unseen machines.

    Parameters
    ----------
    cases
        The points.
    values
        Every constant, in SI units.
    fields, covariance
        The fitted constants and their covariance, in SI units.
    spread
        Standard deviation of the logarithm of a time on an unseen machine [1].
    """
    times = predict(cases, values)
    variance = np.full_like(times, spread**2)
    if len(fields):
        slopes = log_gradient(cases, values, fields)
        variance += np.einsum("ri,ij,rj->r", slopes, covariance, slopes)
    factor = np.exp(INTERVAL * np.sqrt(variance))
    return Prediction(t_step=times, lower=times / factor, upper=times * factor)


def _mean_error(predicted_times: Rows, times: Rows) -> float:
    return float(np.mean(np.abs(predicted_times / times - 1.0)))


def _groups(measurements: Sequence[Measurement]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.group for each in measurements))


def _members(measurements: Sequence[Measurement]) -> dict[str, np.ndarray]:
    """Which rows are a group's own."""
    groups = np.array([each.group for each in measurements])
    return {group: groups == group for group in _groups(measurements)}


def _check_fields(fields: Sequence[str]) -> None:
    for name in fields:
        if name not in PRIORS:
            raise unknown_name("constant", name, PRIORS, where="--fit")
    if not fields or len(set(fields)) != len(fields):
        raise InputError("names no constant, or one twice", where="--fit", value=list(fields))


def _check_rows(measurements: Sequence[Measurement], fields: Sequence[str]) -> None:
    """Refuse rows from which the error on unseen machines cannot be told."""
    where = measurements[0].where.rpartition(": line")[0]
    members = _members(measurements)
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


def _checked_limit(measurements: Sequence[Measurement], cases: Cases, times: Rows) -> Rows:
    """Times of the bare limit; a measurement cannot beat its memory and compute times."""
    limit = limit_times(cases)
    least = np.maximum(np.asarray(limit.t_mem), np.asarray(limit.t_compute))
    for each, floor, time in zip(measurements, least, times, strict=True):
        if time < floor:
            problem = f"is {floor / time:.2f} times the limit of {each.chip} on {each.llm}"
            remedy = "check the unit, the precision and whether tokens were drafted"
            raise InputError(problem, where=each.where, key="utps", value=each.utps, remedy=remedy)
    return np.asarray(limit.t_step)


def _paper_form(
    measurements: Sequence[Measurement], cases: Cases, times: Rows
) -> tuple[float, Rows, Rows]:
    r"""The paper's form, fitted to the same rows: time a layer, predictions in sample and unseen.

    .. math:: t = \max(t_\mathrm{mem}, t_\mathrm{compute}) + L\,\tau

    with :math:`\tau` the mean of what each row asks for, weighted for relative errors.
    """
    limit = limit_times(cases)
    least = np.maximum(np.asarray(limit.t_mem), np.asarray(limit.t_compute))
    layers = np.asarray(cases.llm.num_layers)

    def layer_time(counted: np.ndarray) -> float:
        slope, rest = (layers / times)[counted], (1.0 - least / times)[counted]
        return float(slope @ rest / (slope @ slope))

    tau = layer_time(np.ones(len(times), dtype=bool))
    unseen = np.full_like(times, np.nan)
    for own in _members(measurements).values():
        unseen[own] = (least + layer_time(~own) * layers)[own]
    return tau, least + tau * layers, unseen
