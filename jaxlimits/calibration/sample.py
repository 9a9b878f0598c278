"""Measured decode rates beside the points of the model that they are of."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jaxlimits.calibration.cases import Cases, Rows, limit_times, make_cases
from jaxlimits.calibration.measurements import Measurement
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError
from jaxlimits.model.roofline import StepTimes


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Measurements, and what the model says of their points before anything is fitted.

    Parameters
    ----------
    measurements
        The rows.
    cases
        Their points.
    times
        Measured time of one step of each row [s].
    limit
        Times of the bare limit [s].
    """

    measurements: Sequence[Measurement]
    cases: Cases
    times: Rows
    limit: StepTimes

    @property
    def least(self) -> Rows:
        """Time of each step that memory and compute need without collectives [s]."""
        return np.maximum(np.asarray(self.limit.t_mem), np.asarray(self.limit.t_compute))

    @property
    def limit_steps(self) -> Rows:
        """Time of each whole step at the limit [s]."""
        return np.asarray(self.limit.t_step)

    @property
    def members(self) -> dict[str, np.ndarray]:
        """Which rows are of each machine and model."""
        return members_of(self.measurements)


def take_sample(
    measurements: Sequence[Measurement], catalog: Catalog, fabrics: Mapping[str, str]
) -> Sample:
    """Look up the points of several measurements and evaluate their limit.

    Parameters
    ----------
    measurements, catalog, fabrics
        As for :func:`jaxlimits.calibration.cases.make_cases`.

    Raises
    ------
    InputError
        A rate beyond the limit of its machine.
    """
    cases = make_cases(measurements, catalog, fabrics)
    sample = Sample(
        measurements=measurements,
        cases=cases,
        times=measured_times(measurements),
        limit=limit_times(cases),
    )
    _refuse_beyond_the_limit(sample)
    return sample


def measured_times(measurements: Sequence[Measurement]) -> Rows:
    """Measured time of one step of each row [s]."""
    return np.array([each.t_step for each in measurements])


def groups_of(measurements: Sequence[Measurement]) -> tuple[str, ...]:
    """Machines and models, in the order of the rows."""
    return tuple(dict.fromkeys(each.group for each in measurements))


def members_of(measurements: Sequence[Measurement]) -> dict[str, np.ndarray]:
    """Which rows are of each machine and model."""
    groups = np.array([each.group for each in measurements])
    return {group: groups == group for group in groups_of(measurements)}


def _refuse_beyond_the_limit(sample: Sample) -> None:
    """Raise where a measurement beats the memory and compute times of its machine."""
    for each, floor, time in zip(sample.measurements, sample.least, sample.times, strict=True):
        if time < floor:
            problem = f"is {floor / time:.2f} times the limit of {each.chip} on {each.llm}"
            remedy = "check the unit, the precision and whether tokens were drafted"
            raise InputError(problem, where=each.where, key="utps", value=each.utps, remedy=remedy)
