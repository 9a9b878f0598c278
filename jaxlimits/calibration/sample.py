"""Measured decode rates beside the points of the model that they are of."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jaxlimits.calibration.cases import Cases, Rows, limit_times, make_cases, parts_of
from jaxlimits.calibration.mean_step import MeanParts
from jaxlimits.calibration.measurements import Measurement
from jaxlimits.catalog.attention_kinds import attention_kinds
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError
from jaxlimits.model.roofline import StepTimes

SPLITS: Mapping[str, str] = {
    "series": "a system that is known by its parts",
    "chip": "a chip without measured rates",
    "engine": "an engine without measured rates",
    "model": "a model without measured rates",
    "attention": "a kind of attention without measured rates",
}
"""What is left out of a fit to see how it predicts, and what the left-out rows then stand for."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Measurements, and what the model says of their points before anything is fitted.

    Parameters
    ----------
    measurements
        The rows.
    cases, parts
        Their points, and what the steps of each consist of.
    times
        Measured time of one step of each row [s].
    limit
        Times of the bare limit [s].
    labels
        Of each row, what it belongs to in each of :data:`SPLITS`.
    """

    measurements: Sequence[Measurement]
    cases: Cases
    parts: MeanParts
    times: Rows
    limit: StepTimes
    labels: Mapping[str, np.ndarray]

    @property
    def engines(self) -> np.ndarray:
        """Engine of each row."""
        return self.labels["engine"]

    @property
    def least(self) -> Rows:
        """Time of each step that memory and compute need without collectives [s]."""
        return np.maximum(np.asarray(self.limit.t_mem), np.asarray(self.limit.t_compute))

    @property
    def limit_steps(self) -> Rows:
        """Time of each whole step at the limit [s]."""
        return np.asarray(self.limit.t_step)

    def where(self, mask: np.ndarray) -> "Sample":
        """Some of the rows."""
        rows = np.flatnonzero(mask)
        return Sample(
            measurements=[self.measurements[row] for row in rows.tolist()],
            cases=jax.tree.map(lambda column: column[rows], self.cases),
            parts=jax.tree.map(lambda column: column[rows], self.parts),
            times=self.times[rows],
            limit=jax.tree.map(lambda column: column[rows], self.limit),
            labels={name: column[rows] for name, column in self.labels.items()},
        )

    def members(self, split: str) -> dict[str, np.ndarray]:
        """Which rows are of each group of a split."""
        labels = self.labels[split]
        return {group: labels == group for group in dict.fromkeys(labels.tolist())}


def take_sample(
    measurements: Sequence[Measurement],
    catalog: Catalog,
    fabrics: Mapping[tuple[str, str], str],
    *,
    check: bool = True,
) -> Sample:
    """Look up the points of several measurements and evaluate their limit.

    Parameters
    ----------
    measurements, catalog, fabrics
        As for :func:`jaxlimits.calibration.cases.make_cases`.
    check
        Whether a rate beyond the limit is refused.

    Raises
    ------
    InputError
        A rate beyond the limit of its machine.
    """
    cases = make_cases(measurements, catalog, fabrics)
    sample = Sample(
        measurements=measurements,
        cases=cases,
        parts=parts_of(cases),
        times=measured_times(measurements),
        limit=limit_times(cases),
        labels=labels_of(measurements, catalog),
    )
    if check:
        _refuse_beyond_the_limit(sample)
    return sample


def labels_of(measurements: Sequence[Measurement], catalog: Catalog) -> dict[str, np.ndarray]:
    """Return what each row belongs to, by split."""
    kinds = {
        name: "+".join(attention_kinds(catalog.values("llm", name)))
        for name in {each.llm for each in measurements}
    }
    columns = {
        "series": [f"{each.group} {each.settings['weight_bits']:g} bit" for each in measurements],
        "chip": [each.chip for each in measurements],
        "engine": [each.engine or "vllm" for each in measurements],
        "model": [each.llm for each in measurements],
        "attention": [kinds[each.llm] for each in measurements],
    }
    return {name: np.array(column) for name, column in columns.items()}


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
