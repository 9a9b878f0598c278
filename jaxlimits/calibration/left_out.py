r"""What a fit says of rows that it has not seen, and intervals that hold as often as they state.

Each group of a split (a chip, an engine, ...) is predicted by a fit to all other groups. The errors
of the logarithms of these times, divided by a deviation

.. math:: d_i = \sqrt{\sigma^2 + (\kappa_i\,\tau)^2}

that grows with the share :math:`\kappa` of a step that is latency of kernels, which differs most
between versions and models, are scores. Their quantiles by level are the interval: conformal over
groups, with no assumption on how errors are distributed. Whether an interval holds is asked of each
group with the quantiles of the other groups alone. Rows of a group err together, so the answer is
as uncertain as if there were few rows: the standard error of a share of rows is that of a mean over
whole groups.

References
----------
Vovk et al., Algorithmic Learning in a Random World (published); Dunn, Wasserman, Ramdas,
arXiv:1809.07441, prediction sets for groups (published). Their place here is ours.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.optimize import nnls

from jaxlimits.calibration.cases import Rows
from jaxlimits.calibration.fit import Fit, fit_constants, log_gradient, predict_engines
from jaxlimits.calibration.sample import SPLITS, Sample
from jaxlimits.errors import InputError
from jaxlimits.model.calibration import INTERVAL

LEVELS = (0.5, 0.8, 0.95)
"""Levels of intervals."""

LEAST_WIDENING = 1.1
"""What is new is known less well than what is not, whatever few groups happen to show (ours)."""

KNOWN = "series"
"""The split whose left-out rows are of machines, engines and models that the others have."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """One split: what the fits to the other groups predict.

    Parameters
    ----------
    times
        Predicted time of each row [s].
    scores
        Errors of the logarithms over the deviations, by row [1].
    quantiles
        Of their sizes by level.
    coverage
        Share of rows within the interval that the other groups give, by level [1].
    coverage_errors
        Its standard error, since groups are few and unequal, by level [1].
    errors
        Mean absolute error of the time by group [1].
    rows
        Rows by group.
    """

    times: Rows
    scores: Rows
    quantiles: Mapping[float, float]
    coverage: Mapping[float, float]
    coverage_errors: Mapping[float, float]
    errors: Mapping[str, float]
    rows: Mapping[str, int]

    @property
    def error(self) -> float:
        """Mean absolute error of the time over all rows [1]."""
        counts = np.array([self.rows[group] for group in self.errors])
        return float(np.average(list(self.errors.values()), weights=counts))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Intervals:
    """How far a prediction may be off.

    Parameters
    ----------
    spread, kernel_spread
        Deviation of the logarithm of a time, and that of the latency of kernels, whose 1.96-fold
        holds 95 % of rows of what is known by its parts [1].
    widening
        By what is new, the factor on both [1].
    splits
        What they rest on.
    """

    spread: float
    kernel_spread: float
    widening: Mapping[str, float]
    splits: Mapping[str, LeftOut]

    def factor(self, share: Rows, new: Sequence[str] = ()) -> Rows:
        """Deviation of the logarithm of times, given their share of kernel latency [1]."""
        widened = 1.0 + sum(self.widening[what] ** 2 - 1.0 for what in new)
        return np.sqrt(widened * (self.spread**2 + (share * self.kernel_spread) ** 2))


def leave_out(sample: Sample, fit: Fit) -> Intervals:
    """Predict every group of every split from the others.

    Parameters
    ----------
    sample
        The rows.
    fit
        The fit to all of them.
    """
    splits = {split: _predicted(sample, fit, split) for split in SPLITS if _parts(sample, split)}
    share = kernel_shares(sample, fit)
    errors = {split: np.log(times / sample.times) for split, times in splits.items()}
    sigma, tau = _deviations(list(errors.values()), share)
    scale = np.sqrt(sigma**2 + (share * tau) ** 2)
    found = {split: _split(sample, split, splits[split], errors[split] / scale) for split in splits}
    widest = found[KNOWN].quantiles[LEVELS[-1]]
    return Intervals(
        spread=sigma * widest / INTERVAL,
        kernel_spread=tau * widest / INTERVAL,
        widening={
            split: max(one.quantiles[LEVELS[-1]] / widest, LEAST_WIDENING)
            for split, one in found.items()
            if split != KNOWN
        },
        splits=found,
    )


def kernel_shares(sample: Sample, fit: Fit) -> Rows:
    """Share of each step that is latency of kernels: the elasticity of its time by it [1]."""
    shares = np.zeros(len(sample.times))
    for engine, own in sample.members("engine").items():
        values = fit.of_engine(engine)
        slopes = log_gradient(sample.parts, values, ("kernel_latency",))[:, 0]
        shares[own] = (slopes * values["kernel_latency"])[own]
    return shares


def refuse_single_rows(sample: Sample) -> None:
    """Raise where a chip, an engine or a model has one row: nothing says how it varies."""
    for split, column in (("engine", "engine"), ("chip", "system"), ("model", "model")):
        for group, own in sample.members(split).items():
            if own.sum() == 1:
                each = sample.measurements[int(np.flatnonzero(own)[0])]
                problem = f"the one row of {split} {group}: no fit can tell it from an error"
                remedy = "give a second one, or leave it out (`without`)"
                raise InputError(problem, where=each.where, key=column, remedy=remedy)


def _parts(sample: Sample, split: str) -> bool:
    return len(set(sample.labels[split].tolist())) > 1


def _predicted(sample: Sample, fit: Fit, split: str) -> Rows:
    """Time of each row, predicted by a fit that left its group out [s].

    A series is a small part of the rows: the deviations of the whole fit are kept without it.
    """
    times = np.full_like(sample.times, np.nan)
    for own in sample.members(split).values():
        others = fit_constants(
            sample.parts,
            sample.times,
            fields=fit.fields,
            engines=sample.engines,
            weights=np.where(own, 0.0, 1.0),
            like=fit if split == KNOWN else None,
        )
        times[own] = predict_engines(sample.parts, sample.engines, others)[own]
    return times


def _deviations(errors: Sequence[Rows], share: Rows) -> tuple[float, float]:
    """Deviation of all errors, and what kernels add, in least squares of their squares."""
    squares = np.concatenate(errors) ** 2
    design = np.stack([np.ones_like(squares), np.tile(share, len(errors)) ** 2], axis=1)
    variances, _ = nnls(design, squares)
    least = 0.1 * float(np.mean(squares))
    return float(np.sqrt(max(variances[0], least))), float(np.sqrt(variances[1]))


def _split(sample: Sample, split: str, times: Rows, scores: Rows) -> LeftOut:
    sizes, members = np.abs(scores), sample.members(split)
    inside = {level: np.zeros(len(sizes), dtype=bool) for level in LEVELS}
    for own in members.values():
        for level, holds in inside.items():
            holds[own] = sizes[own] <= np.quantile(sizes[~own], level)
    off = np.abs(times / sample.times - 1.0)
    return LeftOut(
        times=times,
        scores=scores,
        quantiles={level: float(np.quantile(sizes, level)) for level in LEVELS},
        coverage={level: float(holds.mean()) for level, holds in inside.items()},
        coverage_errors={
            level: _error_over_groups(holds, members.values()) for level, holds in inside.items()
        },
        errors={group: float(off[own].mean()) for group, own in members.items()},
        rows={group: int(own.sum()) for group, own in members.items()},
    )


def _error_over_groups(holds: np.ndarray, members: Iterable[np.ndarray]) -> float:
    r"""Standard error of the share of rows that hold, with whole groups as what is drawn [1].

    .. math:: \sqrt{\frac{K}{K-1} \sum_g (n_g (c_g - c))^2} \Big/ \sum_g n_g

    Published: the cluster-robust error of a mean (Liang, Zeger, Biometrika 73, 1986).
    """
    mean = holds.mean()
    beyond = np.array([np.sum(holds[own] - mean) for own in members])
    groups = len(beyond)
    return float(np.sqrt(groups / (groups - 1.0) * np.sum(beyond**2)) / len(holds))
