r"""Least squares with priors and bounds: the overlay's constants from measured times.

The residual of a row is the error of the logarithm of its time. Its spread :math:`\sigma` is one of
the unknowns: it is found in turn with the constants :math:`\theta`, which minimise

.. math::
    \sum_i w_i \left(\frac{\ln(\hat t_i/t_i)}{\sigma}\right)^2
    + \sum_j \left(\frac{\theta_j - \mu_j}{s_j}\right)^2

within their bounds. The trust-region solver is SciPy's, the Jacobian JAX's.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import least_squares

from jaxlimits._types import Scalar
from jaxlimits.calibration.cases import Cases, Rows
from jaxlimits.calibration.priors import PRIORS
from jaxlimits.engine.program_cache import keep_programs
from jaxlimits.errors import InputError
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.operators import step_operators
from jaxlimits.model.overlay import overlay_times

keep_programs()  # fits are compiled outside the engine

FIRST_SPREAD = 0.08
ROUNDS = 6
"""Rounds of constants and spread in turn: the spread stands to 1e-6 of itself after three."""

SPARE_ROWS = 2
"""Rows that a fit needs beyond its constants."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """Fitted constants.

    Parameters
    ----------
    fields
        Names of the constants that were fitted.
    values
        All constants of the record, in SI units.
    covariance
        Of the fitted constants, in SI units; priors included.
    spread
        Residual standard deviation of the logarithm of a time [1].
    """

    fields: tuple[str, ...]
    values: Mapping[str, float]
    covariance: Float[np.ndarray, "fields fields"]
    spread: float

    @property
    def errors(self) -> dict[str, float]:
        """Standard error of each fitted constant, in SI units."""
        deviations = np.sqrt(np.diag(self.covariance))
        return dict(zip(self.fields, deviations.tolist(), strict=True))


def calibrated_step_time(case: Cases, calibration: Calibration) -> Float[Array, ""]:
    """Predicted time of one point's step [s]."""
    operators = step_operators(case.llm, case.deployment)
    records = (operators, case.chip, case.llm, case.deployment)
    times = overlay_times(*records, calibration=calibration, fabric=case.fabric)
    return jnp.asarray(times.t_step)


def predict(cases: Cases, values: Mapping[str, float]) -> Rows:
    """Predicted times of several points [s].

    Parameters
    ----------
    cases
        The points.
    values
        Every constant, in SI units.
    """
    with jax.enable_x64(True):
        return np.exp(np.asarray(_log_times(np.zeros(0), cases, dict(values), names=())))


def log_gradient(
    cases: Cases, values: Mapping[str, float], fields: Sequence[str]
) -> Float[np.ndarray, "rows fields"]:
    """Derivative of the logarithm of each predicted time by some constants [1/SI]."""
    theta = np.array([values[name] for name in fields])
    with jax.enable_x64(True):
        return np.asarray(_log_jacobian(theta, cases, dict(values), names=tuple(fields)))


def fit_constants(
    cases: Cases,
    times: Rows,
    *,
    fields: Sequence[str],
    weights: Rows | None = None,
) -> Fit:
    """Fit some of the overlay's constants to measured times; the others keep their prior means.

    Parameters
    ----------
    cases, times
        The points, and the measured time of each [s].
    fields
        Constants to fit.
    weights
        1 for a row that counts, 0 for one that does not; by default all count.

    Raises
    ------
    InputError
        Fewer rows than the constants need.
    """
    names = tuple(fields)
    counted = np.ones_like(times) if weights is None else weights
    spare = counted.sum() - len(names)
    if spare < SPARE_ROWS:
        problem = f"{counted.sum():g} rows for {len(names)} constants"
        remedy = f"give at least {len(names) + SPARE_ROWS} rows, or fit fewer constants"
        raise InputError(problem, where="fit", remedy=remedy)
    held = {name: prior.mean for name, prior in PRIORS.items()}
    priors = [PRIORS[name] for name in names]
    mean, width = (np.array([getattr(p, n) for p in priors]) for n in ("mean", "width"))
    bounds = [
        (np.array([getattr(p, n) for p in priors]) - mean) / width for n in ("lower", "upper")
    ]
    spread, z = FIRST_SPREAD, np.zeros(len(names))
    with jax.enable_x64(True):

        def residuals(z: np.ndarray, spread: float) -> np.ndarray:
            predicted = _log_times(mean + width * z, cases, held, names=names)
            return np.concatenate([counted * (np.asarray(predicted) - np.log(times)) / spread, z])

        def jacobian(z: np.ndarray, spread: float) -> np.ndarray:
            by_value = np.asarray(_log_jacobian(mean + width * z, cases, held, names=names))
            scaled = counted[:, None] * by_value * width / spread
            return np.vstack([scaled, np.eye(len(names))])

        slopes: Any = jacobian  # SciPy's signature knows only its own three names
        for _ in range(ROUNDS):
            z = least_squares(residuals, z, slopes, bounds, args=(spread,)).x
            errors = residuals(z, 1.0)[: len(times)]
            spread = max(float(np.sqrt(np.sum(errors**2) / spare)), 1e-6)
        curvature = jacobian(z, spread)
    covariance = np.linalg.inv(curvature.T @ curvature) * np.outer(width, width)
    fitted = dict(zip(names, (mean + width * z).tolist(), strict=True))
    return Fit(fields=names, values={**held, **fitted}, covariance=covariance, spread=spread)


def _log_of(
    theta: Float[Array, " fields"], cases: Cases, held: Mapping[str, Scalar], names: tuple[str, ...]
) -> Float[Array, " rows"]:
    """Logarithm of the time of each point, with some constants from a vector."""
    fitted = {name: theta[place] for place, name in enumerate(names)}
    calibration = Calibration(**{**held, **fitted})
    return jnp.log(jax.vmap(lambda case: calibrated_step_time(case, calibration))(cases))


_log_times = jax.jit(_log_of, static_argnames="names")
_log_jacobian = jax.jit(jax.jacfwd(_log_of), static_argnames="names")
