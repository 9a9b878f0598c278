"""What a study of uncertain inputs says of each of them, put in order: the entries of bars."""

import numpy as np
import xarray as xr

from jaxlimits.errors import InputError, unknown_name

SOBOL, MORRIS = "total_order", "_mu_star"
"""The variable of Sobol indices; how that of the effects on a metric ends."""


def measured_metrics(dataset: xr.Dataset) -> list[str]:
    """Return the metrics of which a result has indices or effects; none of any other result."""
    if SOBOL in dataset.data_vars:
        return [str(name) for name in np.atleast_1d(dataset["metric"].to_numpy())]
    names = map(str, dataset.data_vars)
    return [name.removesuffix(MORRIS) for name in names if name.endswith(MORRIS)]


def entries(dataset: xr.Dataset, metric: str | None, *, pairs: bool = False) -> xr.Dataset:
    """Return what each uncertain input does to a metric, the largest first.

    Parameters
    ----------
    dataset
        A result with Sobol indices or elementary effects.
    metric
        The metric; of Sobol indices ``None`` keeps all, along ``metric``.
    pairs
        Take pairs of inputs instead: what two of them add beyond what each explains alone.

    Returns
    -------
    xarray.Dataset
        Along ``entry``, whose values are the names of the inputs: ``whole`` and ``part``, which are
        the total and the first-order index, or size and deviation of the effects; ``whole_conf``,
        ``part_conf``, half their intervals, and ``mean``, the signed effect, where there are any.
        Inputs without a value are left out.

    Raises
    ------
    InputError
        An unknown metric; pairs of a result that has none.
    """
    known = measured_metrics(dataset)
    if metric is not None and metric not in known:
        raise unknown_name("metric", metric, known, where="plot", key="of")
    if pairs:
        found = _pairs(dataset, metric)
    elif SOBOL in dataset.data_vars:
        orders = {"whole": "total_order", "part": "first_order"}
        names = {f"{key}{end}": f"{name}{end}" for key, name in orders.items() for end in _ENDS}
        found = _of_metric(dataset[list(names.values())], metric).rename(
            {name: key for key, name in names.items()}
        )
    else:
        names = {"whole": "mu_star", "whole_conf": "mu_star_conf", "part": "sigma", "mean": "mu"}
        found = dataset[[f"{metric}_{name}" for name in names.values()]].rename(
            {f"{metric}_{name}": key for key, name in names.items()}
        )
    if not pairs:
        found = found.rename(input="entry")
    return _ranked(found)


_ENDS = ("", "_conf")


def _of_metric(dataset: xr.Dataset, metric: str | None) -> xr.Dataset:
    if metric is None or "metric" not in dataset.dims:
        return dataset
    return dataset.sel(metric=metric)


def _pairs(dataset: xr.Dataset, metric: str | None) -> xr.Dataset:
    """The upper triangle of the second-order indices, along ``entry``."""
    if "second_order" not in dataset.data_vars:
        problem = "the result has no indices of pairs of inputs"
        remedy = "ask for them by second_order = true in the study's file"
        raise InputError(problem, where="plot", key="pairs", remedy=remedy)
    names = [str(name) for name in dataset["input"].to_numpy()]
    rows, columns = np.triu_indices(len(names), k=1)
    words = [f"{names[row]} × {names[column]}" for row, column in zip(rows, columns, strict=True)]
    places = {"input": ("entry", rows), "other_input": ("entry", columns)}
    along = {name: xr.DataArray(place[1], dims=place[0]) for name, place in places.items()}
    found = _of_metric(dataset[[f"second_order{end}" for end in _ENDS]], metric).isel(along)
    found = found.drop_vars(["input", "other_input", "distribution"], errors="ignore")
    renamed = {f"second_order{end}": f"whole{end}" for end in _ENDS}
    return found.rename(renamed).assign_coords(entry=words)


def _ranked(found: xr.Dataset) -> xr.Dataset:
    others = [dim for dim in found["whole"].dims if dim != "entry"]
    size = abs(found["whole"]).max(others).to_numpy()
    order = np.argsort(-size, kind="stable")  # what has no value comes last
    return found.isel(entry=order[np.isfinite(size[order])])
