"""Labels of what is said about uncertain inputs: coordinates and attributes of the datasets."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits.store.template import Entry, global_attributes, output_attributes
from jaxlimits.uncertainties.samplers import sampler_version
from jaxlimits.uncertainties.uncertain import Uncertain

_OF_SWEEPS = ("memory", "digits", "content_hash")
"""Attributes by which a sweep is made again."""


def label(
    uncertain: Uncertain,
    variables: Mapping[str, Entry],
    coordinates: Mapping[str, Entry],
    *,
    rows: int,
    design: str,
    comment: str,
) -> xr.Dataset:
    """Return a dataset that says what it was made from.

    Parameters
    ----------
    uncertain
        The study.
    variables, coordinates
        What was found.
    rows
        Samples at which the model was evaluated.
    design
        What the sampler makes.
    comment
        How to read the values.
    """
    attributes = global_attributes(uncertain.spec, uncertain.central())
    for name in _OF_SWEEPS:
        del attributes[name]
    name = uncertain.spec.file.stem
    return xr.Dataset(
        dict(variables),
        dict(coordinates),
        attrs={
            **attributes,
            "title": uncertain.spec.file.tables.title
            or f"Uncertainty of LLM inference limits: {name}",
            "history": attributes["history"].replace("swept the grid", "sampled the study"),
            "comment": comment,
            "method": uncertain.method,
            "sampler": f"{sampler_version()}: {design}",
            "samples": uncertain.sampling.samples,
            "rows": rows,
            "seed": uncertain.sampling.seed,
            "confidence": uncertain.sampling.confidence,
            "resamples": uncertain.sampling.resamples,
            "uncertain": json.dumps({n: d.text for n, d in uncertain.inputs.items()}),
        },
    )


def input_coordinates(uncertain: Uncertain) -> dict[str, Entry]:
    """Return the inputs by name, with their distributions beside them."""
    names = np.array(list(uncertain.inputs))
    texts = np.array([distribution.text for distribution in uncertain.inputs.values()])
    return {
        "input": (("input",), names, {"long_name": "uncertain input", "units": "1"}),
        "distribution": (("input",), texts, {"long_name": "distribution of the input"}),
    }


def number_attributes(meaning: str) -> dict[str, Any]:
    """Return the attributes of a plain number."""
    return {"long_name": meaning, "units": "1", "si_unit": "1", "display_unit": "1"}


def metric_attributes(metric: str, meaning: str) -> dict[str, Any]:
    """Return the attributes of a number in the unit of a metric; ``{}`` stands for its meaning."""
    attributes = output_attributes(metric)
    return {**attributes, "long_name": meaning.format(attributes["long_name"])}
