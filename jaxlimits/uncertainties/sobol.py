"""Sobol indices: which inputs the variance of a metric comes from."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy.special import ndtri

from jaxlimits.engine.indices import SobolIndices, sobol_indices
from jaxlimits.store.template import Entry
from jaxlimits.uncertainties.distributions import Distribution
from jaxlimits.uncertainties.labels import (
    input_coordinates,
    label,
    metric_attributes,
    number_attributes,
)
from jaxlimits.uncertainties.samplers import saltelli_shares
from jaxlimits.uncertainties.uncertain import Function, Sampling, Uncertain, check_rows, columns_at

_LEAST_BLOCKS = 2

_MEANINGS = {
    "first": "share of the variance that the input explains alone",
    "total": "share of the variance that the input takes part in",
    "second": "share of the variance that two inputs add beyond what each explains alone",
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Variance:
    """What the variance of one metric comes from.

    Parameters
    ----------
    indices
        Shares of it by input; NaN where the metric does not vary.
    mean, deviation
        Of the metric, over the blocks that count.
    dropped
        Share of the blocks in which a row has no value; they do not count.
    """

    indices: SobolIndices
    mean: float
    deviation: float
    dropped: float


def sobol_variances(
    function: Function, inputs: Mapping[str, Distribution], sampling: Sampling
) -> dict[str, Variance]:
    """Estimate Sobol indices of every metric of a function.

    Parameters
    ----------
    function
        From columns of inputs to columns of metrics.
    inputs
        Distributions by name.
    sampling
        How many blocks, from which seed.

    Returns
    -------
    dict
        By metric. A block counts for a metric where all its rows have a finite value.
    """
    shares = saltelli_shares(
        len(inputs), sampling.samples, seed=sampling.seed, second_order=sampling.second_order
    )
    values = function(columns_at(inputs, shares))
    return {metric: _variance(array, sampling) for metric, array in values.items()}


def block_rows(inputs: int, *, second_order: bool) -> int:
    """Return the rows of one block."""
    return (2 * inputs if second_order else inputs) + 2


def sobol_dataset(uncertain: Uncertain) -> xr.Dataset:
    """Return the Sobol indices of a study as a labelled dataset."""
    sampling, names = uncertain.sampling, list(uncertain.inputs)
    rows = sampling.samples * block_rows(len(names), second_order=sampling.second_order)
    check_rows(uncertain, rows)
    found = sobol_variances(uncertain.evaluate, uncertain.inputs, sampling)
    metrics = np.array(list(found))
    dims = {"first": ("input",), "total": ("input",), "second": ("input", "other_input")}
    coordinates: dict[str, Entry] = {
        "metric": (("metric",), metrics, {"long_name": "metric", "units": "1"}),
        **input_coordinates(uncertain),
    }
    orders = ["first", "total"]
    if sampling.second_order:
        orders.append("second")
        about = {"long_name": "the other of two uncertain inputs", "units": "1"}
        coordinates["other_input"] = (("other_input",), np.array(names), about)
    interval = f"half the width of the {sampling.confidence:.0%} confidence interval"
    variables: dict[str, Entry] = {}
    for order in orders:
        along = ("metric", *dims[order])
        meaning = _MEANINGS[order]
        for suffix, about in (("", meaning), ("_conf", f"{interval} of the {meaning}")):
            parts = [getattr(found[metric].indices, f"{order}{suffix}") for metric in found]
            variables[f"{order}_order{suffix}"] = (along, np.stack(parts), number_attributes(about))
    dropped = np.array([variance.dropped for variance in found.values()])
    about = "share of the blocks that were dropped: a row of them has no value"
    variables["share_dropped"] = (("metric",), dropped, number_attributes(about))
    for metric, variance in found.items():
        mean, deviation = np.array(variance.mean), np.array(variance.deviation)
        variables[f"{metric}_mean"] = ((), mean, metric_attributes(metric, "mean of the {}"))
        about = metric_attributes(metric, "standard deviation of the {}")
        variables[f"{metric}_deviation"] = ((), deviation, about)
    return label(
        uncertain,
        variables,
        coordinates,
        rows=rows,
        design="Saltelli's blocks of a scrambled Sobol' sequence",
        comment=(
            "NaN: the metric does not vary, or of two inputs only one order is given. Blocks with "
            "a row that does not fit in memory are dropped; share_dropped says how many."
        ),
    )


def _variance(values: np.ndarray, sampling: Sampling) -> Variance:
    blocks = values.reshape(sampling.samples, -1)
    complete = blocks[np.isfinite(blocks).all(axis=1)].astype(np.float64)
    dropped = 1.0 - len(complete) / len(blocks)
    inputs = (blocks.shape[1] - 2) // (2 if sampling.second_order else 1)
    if len(complete) < _LEAST_BLOCKS or np.ptp(complete) == 0.0:
        mean, deviation = (float(complete.flat[0]), 0.0) if len(complete) else (np.nan, np.nan)
        indices = _undefined(inputs, second_order=sampling.second_order)
        return Variance(indices=indices, mean=mean, deviation=deviation, dropped=dropped)
    number = len(complete)
    draws = np.random.default_rng(sampling.seed).integers(number, size=(number, sampling.resamples))
    indices = sobol_indices(
        complete,
        draws.T,
        second_order=sampling.second_order,
        width=float(ndtri(0.5 + sampling.confidence / 2.0)),
    )
    return Variance(
        indices=indices, mean=complete.mean(), deviation=complete.std(), dropped=dropped
    )


def _undefined(inputs: int, *, second_order: bool) -> SobolIndices:
    none = np.full(inputs, np.nan)
    pairs = np.full((inputs, inputs), np.nan) if second_order else None
    return SobolIndices(none, none, none, none, pairs, pairs)
