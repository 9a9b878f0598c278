"""What a calibration says of measured times: predictions with intervals, and their errors."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits.calibration.cases import Cases, Rows
from jaxlimits.calibration.mean_step import MeanParts, mean_of, mean_times
from jaxlimits.calibration.measurements import Measurement
from jaxlimits.calibration.sample import Sample, groups_of, measured_times, members_of
from jaxlimits.model.calibration import INTERVAL, Calibration
from jaxlimits.model.overlay import predicted_spread


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """Times that a calibration predicts for several points [s].

    Parameters
    ----------
    t_step
        The prediction, never less than the limit.
    spread
        Standard deviation of its logarithm [1].
    new
        Of each point, what no measured rates stand behind: ``chip``, ``model``, ``attention``,
        ``engine``; and ``fabric`` where its collectives are inferred.
    """

    t_step: Rows
    spread: Rows
    new: Sequence[tuple[str, ...]]

    @property
    def lower(self) -> Rows:
        """Lower end of the 95 % interval [s]."""
        return self.t_step / np.exp(INTERVAL * self.spread)

    @property
    def upper(self) -> Rows:
        """Upper end of the 95 % interval [s]."""
        return self.t_step * np.exp(INTERVAL * self.spread)

    def inside(self, times: Rows) -> np.ndarray:
        """Which of some times lie within the 95 % interval."""
        return (self.lower <= times) & (times <= self.upper)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Errors:
    """Mean absolute errors of the time of a step, as shares of the measured time [1].

    Parameters
    ----------
    calibrated, calibrated_unseen
        Of the overlay, in sample and with each machine, model and engine left out; the latter is
        NaN for a calibration that was fitted elsewhere.
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
        Time of each row predicted from the other machines, models and engines [s]; NaN where
        nothing was fitted.
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


def predicted(sample: Sample, values: Mapping[str, Mapping[str, float]]) -> Prediction:
    """Predict the times of rows, each with the constants of its engine.

    Parameters
    ----------
    sample
        The rows.
    values
        Constants by engine, intervals among them, in SI units; those of an engine that is not there
        are the ones named ``""``.
    """
    times, spread = np.full_like(sample.times, np.nan), np.full_like(sample.times, np.nan)
    for engine, own in sample.members("engine").items():
        constants = dict(values.get(engine, values[""]))
        with jax.enable_x64(True):
            found = _predicted(sample.parts, sample.cases, sample.limit_steps, constants)
        times[own], spread[own] = (np.asarray(column)[own] for column in found)
    return Prediction(t_step=times, spread=spread, new=whats_new(sample, values))


def whats_new(sample: Sample, values: Mapping[str, Mapping[str, float]]) -> list[tuple[str, ...]]:
    """Return of each row what no measured rates stand behind; parameters as above."""
    flags = {
        "chip": np.asarray(sample.cases.chip.measured_chip) < 1.0,
        "model": np.asarray(sample.cases.llm.measured_model) < 1.0,
        "attention": np.asarray(sample.cases.llm.measured_attention) < 1.0,
        "fabric": np.asarray(sample.cases.fabric.fabric_spread) > 0.0,
        "engine": np.array([engine not in values for engine in sample.engines.tolist()]),
    }
    return [
        tuple(what for what, where in flags.items() if where[row])
        for row in range(len(sample.times))
    ]


def mean_error(predicted_times: Rows, times: Rows) -> float:
    """Mean absolute error of predicted times, as a share of the measured ones [1]."""
    return float(np.mean(np.abs(predicted_times / times - 1.0)))


def _prediction_of(
    parts: MeanParts, cases: Cases, limit: jax.Array, values: Mapping[str, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    def of_row(own: MeanParts, case: Cases, least: jax.Array) -> tuple[jax.Array, jax.Array]:
        calibration = Calibration(**values)
        times = mean_times(own, calibration)
        t_step = jnp.maximum(times.t_step, least)
        spread = predicted_spread(
            *(case.chip, case.llm, calibration, case.fabric),
            t_step=t_step,
            t_kernels=times.kernels,
            t_sync=times.collectives - mean_of(own, lambda step: step.waiting),
        )
        return t_step, jnp.asarray(spread)

    return jax.vmap(of_row)(parts, cases, limit)


_predicted = jax.jit(_prediction_of)
