"""The paper's form of a calibrated step: the limit without collectives, and a time a layer."""

import numpy as np

from jaxlimits.calibration.cases import Rows
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

    def layer_time(counted: np.ndarray) -> float:
        slope, rest = (layers / times)[counted], (1.0 - least / times)[counted]
        return float(slope @ rest / (slope @ slope))

    tau = layer_time(np.ones(len(times), dtype=bool))
    unseen = np.full_like(times, np.nan)
    for own in sample.members.values():
        unseen[own] = (least + layer_time(~own) * layers)[own]
    return tau, least + tau * layers, unseen
