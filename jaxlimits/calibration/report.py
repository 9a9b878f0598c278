"""What a calibration says of measured times: predictions with intervals, and their errors."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jaxlimits.calibration.cases import Cases, Rows
from jaxlimits.calibration.fit import log_gradient, predict
from jaxlimits.calibration.measurements import Measurement
from jaxlimits.calibration.sample import groups_of, measured_times, members_of
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
        return groups_of(self.measurements)

    def group_errors(self, times: Rows) -> dict[str, float]:
        """Mean absolute error of predicted times by group [1]."""
        error = np.abs(times / measured_times(self.measurements) - 1.0)
        return {
            group: float(error[own].mean()) for group, own in members_of(self.measurements).items()
        }


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
    cases, values
        As for :func:`jaxlimits.calibration.fit.predict`.
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


def mean_error(predicted_times: Rows, times: Rows) -> float:
    """Mean absolute error of predicted times, as a share of the measured ones [1]."""
    return float(np.mean(np.abs(predicted_times / times - 1.0)))
