"""Elementary effects: a screening of inputs by Morris's method, with few evaluations."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy.special import ndtri

from jaxlimits.engine.indices import Effects, elementary_effects
from jaxlimits.store.template import Entry
from jaxlimits.uncertainties.distributions import Distribution
from jaxlimits.uncertainties.labels import (
    input_coordinates,
    label,
    metric_attributes,
    number_attributes,
)
from jaxlimits.uncertainties.samplers import morris_shares
from jaxlimits.uncertainties.uncertain import Function, Sampling, Uncertain, check_rows, columns_at

OUTER_SHARE = 0.01
"""Morris's lattice has 0 and 1, where tails have no end: inputs move between these quantiles."""

_LEAST_TRAJECTORIES = 2

_MEANINGS = {
    "mu": "mean effect of the input on the {}, by its whole range of quantiles",
    "mu_star": "mean size of the effect of the input on the {}, by its whole range of quantiles",
    "sigma": "standard deviation of the effect of the input on the {}",
    "mu_star_conf": "half the confidence interval of the mean size of the effect on the {}",
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Screening:
    """Effects of the inputs on one metric, and the share of the trajectories that do not count."""

    effects: Effects
    dropped: float


def morris_effects(
    function: Function, inputs: Mapping[str, Distribution], sampling: Sampling
) -> dict[str, Screening]:
    """Estimate elementary effects of the inputs on every metric of a function.

    Parameters
    ----------
    function
        As for :func:`jaxlimits.uncertainties.sobol.sobol_variances`.
    inputs
        Distributions by name; each moves between its 1 % and its 99 % quantile.
    sampling
        How many trajectories, from which seed.

    Returns
    -------
    dict
        By metric. A trajectory counts for a metric where all its rows have a finite value.
    """
    shares = morris_shares(
        len(inputs), sampling.samples, seed=sampling.seed, levels=sampling.levels
    )
    inner = OUTER_SHARE + (1.0 - 2.0 * OUTER_SHARE) * shares
    values = function(columns_at(inputs, inner))
    return {metric: _screening(shares, array, sampling) for metric, array in values.items()}


def morris_dataset(uncertain: Uncertain) -> xr.Dataset:
    """Return the elementary effects of a study as a labelled dataset."""
    rows = uncertain.sampling.samples * (len(uncertain.inputs) + 1)
    check_rows(uncertain, rows)
    found = morris_effects(uncertain.evaluate, uncertain.inputs, uncertain.sampling)
    metrics = np.array(list(found))
    variables: dict[str, Entry] = {
        f"{metric}_{name}": (("input",), values, metric_attributes(metric, _MEANINGS[name]))
        for metric, screening in found.items()
        for name, values in screening.effects._asdict().items()
    }
    dropped = np.array([screening.dropped for screening in found.values()])
    about = "share of the trajectories that were dropped: a row of them has no value"
    variables["share_dropped"] = (("metric",), dropped, number_attributes(about))
    coordinates: dict[str, Entry] = {
        "metric": (("metric",), metrics, {"long_name": "metric", "units": "1"}),
        **input_coordinates(uncertain),
    }
    return label(
        uncertain,
        variables,
        coordinates,
        rows=rows,
        design=f"Morris's trajectories on {uncertain.sampling.levels} levels",
        comment=(
            f"An input moves between its {OUTER_SHARE:.0%} and its {1 - OUTER_SHARE:.0%} quantile. "
            "Trajectories with a row that does not fit in memory are dropped; share_dropped says "
            "how many. NaN: too few are left."
        ),
    )


def _screening(shares: np.ndarray, values: np.ndarray, sampling: Sampling) -> Screening:
    inputs = shares.shape[1]
    paths, steps = (
        values.reshape(sampling.samples, -1),
        shares.reshape(sampling.samples, -1, inputs),
    )
    complete = np.isfinite(paths).all(axis=1)
    number = int(complete.sum())
    dropped = 1.0 - number / sampling.samples
    if number < _LEAST_TRAJECTORIES:
        none = np.full(inputs, np.nan)
        return Screening(effects=Effects(none, none, none, none), dropped=dropped)
    random = np.random.default_rng(sampling.seed)
    draws = [random.integers(number, size=(sampling.resamples, number)) for _ in range(inputs)]
    effects = elementary_effects(
        steps[complete],
        paths[complete],
        np.stack(draws),
        step=sampling.levels / (2.0 * (sampling.levels - 1.0)),
        width=float(ndtri(0.5 + sampling.confidence / 2.0)),
    )
    return Screening(effects=effects, dropped=dropped)
