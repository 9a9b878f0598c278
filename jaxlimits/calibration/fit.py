r"""One fit over all engines: shared constants, and offsets of engines that are drawn to them.

The residual of a row is the error of the logarithm of its time, :math:`r_i = \ln(\hat t_i/t_i)`.
Constants :math:`\theta` and logarithms :math:`b` of the engines' factors on some of them minimise

.. math::
    \sum_i w_i\, 2\left(\sqrt{1 + (r_i/\sigma)^2} - 1\right)
    + \sum_j \left(\frac{\theta_j - \mu_j}{s_j}\right)^2
    + \sum_{jk} \left(\frac{b_{jk}}{\tau_j}\right)^2

within their bounds: least squares for small errors, and no more than in proportion for large ones,
since a run that went wrong is no evidence of a constant. The spread :math:`\sigma` and the
deviations :math:`\tau` of engines are found in turn with them, from the residuals and from the
offsets with what is uncertain of these (partial pooling): few engines that agree stay near each
other, and an engine that is not in the rows has the population's constants. The trust-region solver
is SciPy's, the Jacobian JAX's; the model itself is evaluated once, before.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import least_squares

from jaxlimits.calibration.cases import Rows
from jaxlimits.calibration.mean_step import MeanParts, mean_times
from jaxlimits.calibration.priors import OFFSETS, PRIORS
from jaxlimits.errors import InputError
from jaxlimits.model.calibration import Calibration

FIRST_SPREAD = 0.08
ROUNDS = 4
"""Rounds of constants and deviations in turn: they stand to 1 % of themselves after three."""

SPARE_ROWS = 2
"""Rows that a fit needs beyond its constants."""

POPULATION = "engines"
"""The engine of a prediction for none of those that a fit knows."""

_ENGINE_SPREAD, _ENGINES_BEFORE = 0.3, 2.0
"""What is known of the deviation of engines before any is seen, and how many that weighs."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """Fitted constants.

    Parameters
    ----------
    fields
        Names of the constants that were fitted.
    values
        All constants of the record for the population of engines, in SI units.
    covariance
        Of the fitted constants, in SI units; priors included.
    spread
        Residual standard deviation of the logarithm of a time [1].
    factors
        By engine, what its constants are over the population's, by name [1].
    deviations
        Standard deviation of the logarithm of such a factor among engines, by name [1].
    """

    fields: tuple[str, ...]
    values: Mapping[str, float]
    covariance: Float[np.ndarray, "fields fields"]
    spread: float
    factors: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    deviations: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def errors(self) -> dict[str, float]:
        """Standard error of each fitted constant, in SI units."""
        deviations = np.sqrt(np.diag(self.covariance))
        return dict(zip(self.fields, deviations.tolist(), strict=True))

    def of_engine(self, engine: str) -> dict[str, float]:
        """Constants of an engine, in SI units: the population's for one that no row is of."""
        factors = self.factors.get(engine, {})
        return {name: value * factors.get(name, 1.0) for name, value in self.values.items()}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Unknowns:
    """Which numbers a fit looks for: constants in units of their priors, then engines' offsets."""

    names: tuple[str, ...]
    offsets: tuple[str, ...]
    engines: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.names) + len(self.offsets) * len(self.engines)

    def numbers(self, name: str) -> np.ndarray:
        """One number of each constant's prior."""
        return np.array([getattr(PRIORS[each], name) for each in self.names])


def predict(parts: MeanParts, values: Mapping[str, float]) -> Rows:
    """Predicted times of several points with one set of constants [s].

    Parameters
    ----------
    parts
        What their steps consist of.
    values
        Every constant, in SI units.
    """
    with jax.enable_x64(True):
        return np.exp(np.asarray(_log_times(np.zeros(0), parts, dict(values), names=())))


def predict_engines(parts: MeanParts, engines: np.ndarray, fit: Fit) -> Rows:
    """Predicted times of rows, each with the constants of its engine [s]."""
    times = np.full(len(engines), np.nan)
    for engine in dict.fromkeys(engines.tolist()):
        own = engines == engine
        times[own] = predict(parts, fit.of_engine(engine))[own]
    return times


def log_gradient(
    parts: MeanParts, values: Mapping[str, float], fields: Sequence[str]
) -> Float[np.ndarray, "rows fields"]:
    """Derivative of the logarithm of each predicted time by some constants [1/SI]."""
    theta = np.array([values[name] for name in fields])
    with jax.enable_x64(True):
        return np.asarray(_log_jacobian(theta, parts, dict(values), names=tuple(fields)))


def fit_constants(
    parts: MeanParts,
    times: Rows,
    *,
    fields: Sequence[str],
    engines: np.ndarray | None = None,
    weights: Rows | None = None,
    like: Fit | None = None,
) -> Fit:
    """Fit some of the overlay's constants to measured times; the others keep their prior means.

    Parameters
    ----------
    parts, times
        What the steps consist of, and the measured time of each [s].
    fields
        Constants to fit.
    engines
        Engine of each row; one engine for all by default.
    weights
        1 for a row that counts, 0 for one that does not; by default all count.
    like
        A fit to nearly the same rows, whose deviations are kept.

    Raises
    ------
    InputError
        Fewer rows than the constants need.
    """
    counted = np.ones_like(times) if weights is None else weights
    names = tuple(fields)
    spare = counted.sum() - len(names)
    if spare < SPARE_ROWS:
        problem = f"{counted.sum():g} rows for {len(names)} constants"
        remedy = f"give at least {len(names) + SPARE_ROWS} rows, or fit fewer constants"
        raise InputError(problem, where="fit", remedy=remedy)
    unknowns = _unknowns(names, engines, counted)
    labels = np.zeros((len(times), max(len(unknowns.engines), 1)))
    for place, engine in enumerate(unknowns.engines):
        labels[:, place] = engines == engine
    spread = FIRST_SPREAD if like is None else like.spread
    taus = np.full(len(unknowns.offsets), _ENGINE_SPREAD)
    if like is not None:
        taus = np.array([like.deviations.get(name, _ENGINE_SPREAD) for name in unknowns.offsets])
    x, covariance = np.zeros(unknowns.count), np.zeros((0, 0))
    with jax.enable_x64(True):
        for _ in range(ROUNDS if like is None else 1):
            x = _solved(x, parts, times, counted, labels, unknowns, spread=spread, taus=taus)
            residuals, slopes = _linearised(x, parts, times, counted, labels, unknowns)
            if like is None:
                free = counted.sum() - _spent(slopes, unknowns, spread, taus)
                spread = max(float(np.sqrt(np.sum(residuals**2) / free)), 1e-6)
            covariance = _covariance(residuals, slopes, counted, unknowns, spread, taus)
            if like is None:
                taus = _pooled(x, covariance, unknowns)
    return _fit(x, covariance, unknowns, spread=spread, taus=taus)


def _unknowns(names: tuple[str, ...], engines: np.ndarray | None, counted: Rows) -> _Unknowns:
    """Offsets are of constants that are fitted, and of engines of which rows count: of several."""
    known = [] if engines is None else list(dict.fromkeys(engines[counted > 0.0].tolist()))
    if len(known) < 2:
        return _Unknowns(names=names, offsets=(), engines=())
    offsets = tuple(name for name in OFFSETS if name in names)
    return _Unknowns(names=names, offsets=offsets, engines=tuple(known))


def _solved(
    x: np.ndarray,
    parts: MeanParts,
    times: Rows,
    counted: Rows,
    labels: np.ndarray,
    unknowns: _Unknowns,
    *,
    spread: float,
    taus: np.ndarray,
) -> np.ndarray:
    """The unknowns at given deviations."""
    scales = _scales(unknowns, taus)
    mean, width = unknowns.numbers("mean"), unknowns.numbers("width")
    bounds = [(unknowns.numbers(end) - mean) / width for end in ("lower", "upper")]
    free = np.full(unknowns.count - len(unknowns.names), np.inf)
    bounds = [
        np.concatenate([ends, sign * free]) for ends, sign in zip(bounds, (-1, 1), strict=True)
    ]

    def residuals(x: np.ndarray) -> np.ndarray:
        errors, _ = _linearised(x, parts, times, counted, labels, unknowns, slopes=False)
        return np.concatenate([_softened(errors / spread)[0], x / scales])

    def jacobian(x: np.ndarray) -> np.ndarray:
        errors, slopes = _linearised(x, parts, times, counted, labels, unknowns)
        factor = _softened(errors / spread)[1] / spread
        return np.vstack([factor[:, None] * slopes, np.diag(1.0 / scales)])

    slopes: Any = jacobian  # SciPy's signature knows only its own three names
    return least_squares(residuals, x, slopes, bounds, xtol=1e-10, ftol=1e-10, gtol=1e-10).x


def _softened(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Residuals whose squares are :math:`2(\sqrt{1+r^2}-1)`, and their derivatives."""
    root = np.sqrt(1.0 + errors**2)
    soft = errors * np.sqrt(2.0 / (1.0 + root))
    # d/dr of the square is 2 r / root
    slope = np.where(soft != 0.0, errors / root / np.where(soft != 0.0, soft, 1.0), 1.0)
    return soft, slope


def _linearised(
    x: np.ndarray,
    parts: MeanParts,
    times: Rows,
    counted: Rows,
    labels: np.ndarray,
    unknowns: _Unknowns,
    *,
    slopes: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the logarithms of the times that count, and their derivatives."""
    held = {name: prior.mean for name, prior in PRIORS.items()}
    mean, width = unknowns.numbers("mean"), unknowns.numbers("width")
    given = (x, parts, labels, held, mean, width)
    static = {"names": unknowns.names, "offsets": unknowns.offsets}
    errors = counted * (np.asarray(_log_engines(*given, **static)) - np.log(times))
    if not slopes:
        return errors, np.zeros((0, 0))
    return errors, counted[:, None] * np.asarray(_log_engines_jacobian(*given, **static))


def _scales(unknowns: _Unknowns, taus: np.ndarray) -> np.ndarray:
    """Prior deviation of each unknown, in its own unit."""
    return np.concatenate([np.ones(len(unknowns.names)), np.tile(taus, len(unknowns.engines))])


def _spent(slopes: np.ndarray, unknowns: _Unknowns, spread: float, taus: np.ndarray) -> float:
    """Rows that the unknowns use up: fewer than there are of these, as priors hold them too."""
    curvature = slopes.T @ slopes / spread**2
    return float(
        np.trace(np.linalg.solve(curvature + np.diag(_scales(unknowns, taus) ** -2.0), curvature))
    )


def _covariance(
    errors: np.ndarray,
    slopes: np.ndarray,
    counted: Rows,
    unknowns: _Unknowns,
    spread: float,
    taus: np.ndarray,
) -> np.ndarray:
    """Of the unknowns: of a softened fit's constants, priors included (Huber's sandwich)."""
    scaled = errors[counted > 0.0] / spread
    root = np.sqrt(1.0 + scaled**2)
    pull, bend = scaled / root, root**-3.0
    spent = spread**2 * float(np.mean(pull**2)) / float(np.mean(bend)) ** 2
    spent = max(spent, 1e-18)
    return np.linalg.inv(slopes.T @ slopes / spent + np.diag(_scales(unknowns, taus) ** -2.0))


def _pooled(x: np.ndarray, covariance: np.ndarray, unknowns: _Unknowns) -> np.ndarray:
    """Deviation of engines' factors from the offsets and their own uncertainty."""
    first, count = len(unknowns.names), len(unknowns.engines)
    if not count:
        return np.zeros(0)
    shape = (count, len(unknowns.offsets))
    offsets = x[first:].reshape(shape)
    variances = np.diag(covariance)[first:].reshape(shape)
    before = _ENGINES_BEFORE * _ENGINE_SPREAD**2
    total = before + np.sum(offsets**2 + variances, axis=0)
    return np.sqrt(total / (_ENGINES_BEFORE + count))


def _fit(
    x: np.ndarray,
    covariance: np.ndarray,
    unknowns: _Unknowns,
    *,
    spread: float,
    taus: np.ndarray,
) -> Fit:
    """The unknowns as constants in SI units."""
    mean, width = unknowns.numbers("mean"), unknowns.numbers("width")
    first, kinds = len(unknowns.names), len(unknowns.offsets)
    fitted = dict(zip(unknowns.names, (mean + width * x[:first]).tolist(), strict=True))
    held = {name: prior.mean for name, prior in PRIORS.items()}
    factors = {
        engine: dict(
            zip(
                unknowns.offsets,
                np.exp(x[first + place * kinds :][:kinds]).tolist(),
                strict=True,
            )
        )
        for place, engine in enumerate(unknowns.engines)
    }
    return Fit(
        fields=unknowns.names,
        values={**held, **fitted},
        covariance=covariance[:first, :first] * np.outer(width, width),
        spread=spread,
        factors=factors,
        deviations=dict(zip(unknowns.offsets, taus.tolist(), strict=True)),
    )


def _log_of(
    theta: Float[Array, " fields"],
    parts: MeanParts,
    held: Mapping[str, Array],
    names: tuple[str, ...],
) -> Float[Array, " rows"]:
    """Logarithm of the time of each point, with some constants from a vector."""
    fitted = {name: theta[place] for place, name in enumerate(names)}
    return _log_times_of_rows(parts, Calibration(**{**held, **fitted}))


def _log_times_of_rows(parts: MeanParts, calibration: Calibration) -> Float[Array, " rows"]:
    return jnp.log(jax.vmap(lambda own: jnp.asarray(mean_times(own, calibration).t_step))(parts))


def _log_of_engines(
    x: Float[Array, " unknowns"],
    parts: MeanParts,
    labels: Float[Array, "rows engines"],
    held: Mapping[str, Array],
    mean: Float[Array, " fields"],
    width: Float[Array, " fields"],
    names: tuple[str, ...],
    offsets: tuple[str, ...],
) -> Float[Array, " rows"]:
    """Logarithm of the time of each row with the constants of its engine."""
    theta = mean + width * x[: len(names)]
    shared = {name: theta[place] for place, name in enumerate(names)}
    by_engine = x[len(names) :].reshape(labels.shape[1], len(offsets))

    def of_row(own: MeanParts, label: Float[Array, " engines"]) -> Float[Array, ""]:
        fitted = dict(shared)
        for place, name in enumerate(offsets):
            fitted[name] = shared[name] * jnp.exp(label @ by_engine[:, place])
        return jnp.log(jnp.asarray(mean_times(own, Calibration(**{**held, **fitted})).t_step))

    return jax.vmap(of_row)(parts, labels)


_log_times = jax.jit(_log_of, static_argnames="names")
_log_jacobian = jax.jit(jax.jacfwd(_log_of), static_argnames="names")
_log_engines = jax.jit(_log_of_engines, static_argnames=("names", "offsets"))
_log_engines_jacobian = jax.jit(jax.jacfwd(_log_of_engines), static_argnames=("names", "offsets"))
