"""The paper's form of a calibrated step: the limit without collectives, and a time a layer."""

import numpy as np

from jaxlimits.calibration.cases import Rows
from jaxlimits.calibration.left_out import KNOWN
from jaxlimits.calibration.sample import Sample


def fit_paper_form(sample: Sample) -> tuple[float, Rows, Rows]:
    r"""Fit the time a layer; predict in sample and with each group left out.

    .. math:: t = \max(t_\mathrm{mem}, t_\mathrm{compute}) + L\,\tau

    with :math:`\tau` the mean of what each row asks for, weighted for relative errors.

    Parameters
    ----------
    sample
        Measured steps.

    Returns
    -------
    tuple
        Time a layer [s]; times of the rows in sample, and from the other groups [s].

    References
    ----------
    arXiv:2507.14397v2, fitted layer time (published form).
    """
    least, times = sample.least, sample.times
    layers = np.asarray(sample.cases.llm.num_layers)
    tau = _layer_time(sample, np.ones(len(times), dtype=bool))
    return tau, least + tau * layers, left_out_of_paper_form(sample, KNOWN)


def left_out_of_paper_form(sample: Sample, split: str) -> Rows:
    """Time of each row by the paper's form, fitted to the other groups of a split [s]."""
    layers = np.asarray(sample.cases.llm.num_layers)
    unseen = np.full_like(sample.times, np.nan)
    for own in sample.members(split).values():
        unseen[own] = (sample.least + _layer_time(sample, ~own) * layers)[own]
    return unseen


def _layer_time(sample: Sample, counted: np.ndarray) -> float:
    layers, times = np.asarray(sample.cases.llm.num_layers), sample.times
    slope, rest = (layers / times)[counted], (1.0 - sample.least / times)[counted]
    return float(slope @ rest / (slope @ slope))
