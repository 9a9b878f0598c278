"""Uncertainty bands: what the distributions of the inputs make of every metric, point by point."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.engine.stream import Chunk, stream
from jaxlimits.engine.sweep_job import Job
from jaxlimits.grid.derived import MEAN_CONTEXT, derived_coordinates
from jaxlimits.grid.plan import make_plan
from jaxlimits.store.template import Entry, axis_coordinates, finding_attributes
from jaxlimits.uncertainties.labels import label, metric_attributes, number_attributes
from jaxlimits.uncertainties.samplers import latin_shares
from jaxlimits.uncertainties.uncertain import Uncertain, check_rows, columns_at

_LENGTHS = {"input_len", "output_len"}
_LIMITS = {name: code for name, code in schema.FLAGS["limit"].items() if code >= 0}


def quantiles(samples: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return exact quantiles along the first axis, of what is not NaN.

    Between two samples they are interpolated linearly, as :func:`numpy.quantile` does; NaN where
    there is no sample.
    """
    ordered = np.sort(samples, axis=0)  # NaN last
    number = np.sum(~np.isnan(ordered), axis=0)
    place = shares.reshape(-1, *[1] * number.ndim) * np.maximum(number - 1, 0)
    lower = np.floor(place).astype(int)
    upper = np.minimum(lower + 1, np.maximum(number - 1, 0))
    below, above = (np.take_along_axis(ordered, index, axis=0) for index in (lower, upper))
    part = place - lower
    # An infinite value is no end to interpolate from.
    return np.where(part == 0.0, below, below + part * np.where(part == 0.0, 0.0, above - below))


def bands_dataset(uncertain: Uncertain) -> xr.Dataset:
    """Return quantiles, means and shares of a study as a labelled dataset, along its axes."""
    sampling, names = uncertain.sampling, [axis.name for axis in uncertain.spec.axes]
    check_rows(uncertain, sampling.samples)
    shares = latin_shares(len(uncertain.inputs), sampling.samples, seed=sampling.seed)
    job = _job(uncertain, columns_at(uncertain.inputs, shares))
    found = _reduced(job, np.array(sampling.shares))
    variables: dict[str, Entry] = {}
    for metric in uncertain.outputs:
        about = "quantiles of the {} over the samples that fit"
        along = ("quantile", *names)
        variables[metric] = (along, found[metric], metric_attributes(metric, about))
        about = metric_attributes(metric, "mean of the {} over the samples that fit")
        variables[f"{metric}_mean"] = (names, found[f"{metric}_mean"], about)
    about = number_attributes("share of the samples that fit in memory")
    variables["share_feasible"] = (names, found["share_feasible"], about)
    about = number_attributes("share of the samples by what sets the time of a step")
    variables["share_by_limit"] = (("limit", *names), found["share_by_limit"], about)
    coordinates: dict[str, Entry] = {
        name: entry
        for axis in uncertain.spec.axes
        for name, entry in axis_coordinates(axis).items()
    }
    coordinates["quantile"] = (
        ("quantile",),
        np.array(sampling.shares),
        number_attributes("share of the samples below"),
    )
    about = {"long_name": schema.OUTPUTS["limit"].meaning, "units": "1"}
    coordinates["limit"] = (("limit",), np.array(list(_LIMITS)), about)
    for derived in derived_coordinates(uncertain.central()):
        if derived.name == MEAN_CONTEXT and _LENGTHS.isdisjoint(uncertain.inputs):
            about = finding_attributes(derived, uncertain.spec)
            coordinates[MEAN_CONTEXT] = (derived.dims, derived.values, about)
    return label(
        uncertain,
        variables,
        coordinates,
        rows=sampling.samples * uncertain.spec.num_points,
        design="a Latin hypercube",
        comment="NaN: no sample fits in memory. The samples are the same at every point.",
    )


def _job(uncertain: Uncertain, columns: Mapping[str, np.ndarray]) -> Job:
    """Plan the samples at every point of the axes: a chunk has all samples of its points."""
    outputs = tuple(dict.fromkeys((*uncertain.outputs, "limit", "feasible")))
    job = uncertain.job(columns, outputs=outputs)
    points = max(job.plan.points_per_chunk, uncertain.sampling.samples)
    kept = range(1, len(job.scenario.axes))
    return dataclasses.replace(job, plan=make_plan(job.scenario, points=points, kept=kept))


def _reduced(job: Job, shares: np.ndarray) -> dict[str, np.ndarray]:
    """Reduce the samples of every chunk, and put the chunks together."""
    whole: dict[str, np.ndarray] = {}
    shape = job.plan.shape[1:]
    for chunk in stream(job):
        place = job.plan.slices(chunk.key)[1:]
        for name, part in _reduced_chunk(chunk, shares).items():
            leading = part.shape[: part.ndim - len(shape)]
            array = whole.setdefault(name, np.empty((*leading, *shape), part.dtype))
            array[(..., *place)] = part
    return whole


def _reduced_chunk(chunk: Chunk, shares: np.ndarray) -> dict[str, np.ndarray]:
    """Quantiles and means of each metric of a chunk over its samples, and the shares of codes."""
    arrays = dict(chunk.arrays)
    limit, feasible = arrays.pop("limit"), arrays.pop("feasible") == 1
    number = feasible.sum(axis=0)
    found = {
        "share_feasible": feasible.mean(axis=0),
        "share_by_limit": np.stack([np.mean(limit == code, axis=0) for code in _LIMITS.values()]),
    }
    for metric, values in arrays.items():
        usable = np.where(feasible, values.astype(np.float64), np.nan)
        found[metric] = quantiles(usable, shares)
        total = np.where(feasible, values, 0.0).sum(axis=0, dtype=np.float64)
        found[f"{metric}_mean"] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return {name: np.asarray(array) for name, array in found.items()}  # numpy makes scalars
