"""Why a result has no value at a point: one code for figures, reports, the explorer and tables."""

import json
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits.results.reason_codes import WORDS, Reason

NAN_MEANS = "nan_means"
"""Attribute of a variable whose NaN may mean something else than that the point does not fit."""

_REASON = "_reason"
_VALID = "valid_layout"
"""Coordinate of a grid of which some layouts are valid at some points only."""
_PREDICTED = "calibrated_"
"""What a calibration predicts; none predicts feed-forward parts on chips of their own."""
_ONLY_STATED = ("power", "capital_cost", "cost_rate")
"""Metrics that a point has whether it fits or not, where what they rest on is stated."""


def reasons(dataset: xr.Dataset, of: str) -> xr.DataArray:
    """Return why a variable has no value, point by point.

    Parameters
    ----------
    dataset
        A result; what else it has (``feasible``, ``limit``, the codes of requirements) is made use
        of.
    of
        The variable.

    Returns
    -------
    xarray.DataArray
        Codes of :class:`~jaxlimits.results.reason_codes.Reason`, of the variable's shape, with
        their ``flag_values`` and ``flag_meanings``.
    """
    variable = dataset[of]
    if "flag_values" in variable.attrs:
        found = xr.where(variable == -1, Reason.NOT_COMPUTED, Reason.FITS)
    elif variable.dtype.kind != "f":
        found = xr.where(variable == "", _of_nothing(variable), Reason.FITS)
    else:
        found = xr.where(variable.isnull(), _why(dataset, of), Reason.FITS)
    if (valid := _valid(dataset, variable)) is not None:
        found = xr.where((found != Reason.FITS) & (valid == 0), Reason.CANNOT_BE, found)
    attributes = {
        "long_name": f"why there is no {of}",
        "flag_values": np.array([*Reason], dtype=np.int8),
        "flag_meanings": " ".join(each.name.lower() for each in Reason),
    }
    codes = found.astype(np.int8).transpose(*variable.dims)
    return codes.rename("reason").assign_attrs(attributes)


def _valid(dataset: xr.Dataset, variable: xr.DataArray) -> xr.DataArray | None:
    """Where the layout of a variable's points is valid; ``None`` where all are, or it has none."""
    valid = dataset.coords.get(_VALID)
    return valid if valid is not None and {*valid.dims} <= {*variable.dims} else None


def words_of(codes: np.ndarray) -> str:
    """Return the reason that most of some points without a value have, in words."""
    lacking = np.ravel(codes)[np.ravel(codes) != Reason.FITS]
    if not lacking.size:
        return WORDS[Reason.DOES_NOT_FIT]
    known, counts = np.unique(lacking, return_counts=True)
    return WORDS[int(known[counts.argmax()])]


def _of_nothing(variable: xr.DataArray) -> int:
    """What an empty word means: there is no winner, or nothing is reached."""
    reached = "target_not_reached" in variable.attrs.get(NAN_MEANS, "")
    return Reason.NOT_REACHED if reached else Reason.DOES_NOT_FIT


def _why(dataset: xr.Dataset, of: str) -> xr.DataArray | int:
    """The reason of each point at which a variable has no value."""
    solved = _requirement(dataset, of)
    if solved is not None:
        return _of_requirement(dataset, solved)
    variable = dataset[of]
    may_mean = variable.attrs.get(NAN_MEANS, "does_not_fit").split()
    if "target_not_reached" in may_mean:
        return Reason.NOT_REACHED
    fits = _fits(dataset, variable)
    found = xr.full_like(variable, Reason.DOES_NOT_FIT, dtype=np.int8)
    if "no_request" in may_mean:
        found = xr.where(_without_request(dataset, fits), Reason.NO_REQUEST, found)
    if "absent" in variable.attrs:
        found = xr.where(_not_stated(variable, fits), Reason.NOT_STATED, found)
    if of.startswith(_PREDICTED):
        apart = _stated(dataset, "ffn_chips", default=0.0) > 0.0
        found = xr.where(apart & (fits is None or fits == 1), Reason.CANNOT_BE, found)
    if fits is None:
        return found
    return xr.where(fits < 0, Reason.NOT_COMPUTED, found)


def _requirement(dataset: xr.Dataset, of: str) -> str | None:
    """The requirement that a variable belongs to, if it does."""
    named = (str(name).removesuffix(_REASON) for name in dataset if str(name).endswith(_REASON))
    return next((name for name in named if of == name or of.startswith(f"{name}_")), None)


def _of_requirement(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """Reasons by the codes of a requirement; a full memory does not count as a missed target."""
    codes = dataset[f"{name}{_REASON}"]
    meanings = codes.attrs["flag_meanings"].split()
    flags = dict(zip(meanings, np.asarray(codes.attrs["flag_values"]).tolist(), strict=True))
    found = xr.full_like(codes, Reason.NOT_REACHED)
    reached = [dataset[n] for n in dataset if str(n).startswith(f"{name}_") and n != codes.name]
    full = codes == flags["unreachable_capacity"]
    for metric in reached:
        full = full & metric.isnull()
    found = xr.where(full, Reason.DOES_NOT_FIT, found)
    found = xr.where(codes == flags["unreachable_excluded"], Reason.CANNOT_BE, found)
    return xr.where(codes == flags["not_computed"], Reason.NOT_COMPUTED, found)


def _fits(dataset: xr.Dataset, variable: xr.DataArray) -> xr.DataArray | None:
    """Whether points fit, 1 or 0, and -1 where that was not computed; ``None`` if nothing says."""
    found = None
    if "feasible" in dataset:
        found = dataset["feasible"]
    elif "limit" in dataset and "flag_meanings" in dataset["limit"].attrs:
        codes = dataset["limit"]
        meanings = codes.attrs["flag_meanings"].split()
        full = np.asarray(codes.attrs["flag_values"])[meanings.index("capacity")]
        found = xr.where(codes == -1, -1, xr.where(codes == full, 0, 1))
    else:
        timed = next((name for name in ("t_step", "utps", "stps", "tpot") if name in dataset), None)
        found = None if timed is None else dataset[timed].notnull().astype(np.int8)
    return found if found is not None and {*found.dims} <= {*variable.dims} else None


def _without_request(dataset: xr.Dataset, fits: xr.DataArray | None) -> xr.DataArray | bool:
    """Where no request is stated: by ``input_len``, or else where a point fits all the same."""
    stated = _stated(dataset, "input_len")
    if stated is not None:
        return stated == 0.0
    return False if fits is None else fits == 1


def _stated(dataset: xr.Dataset, field: str, *, default: float | None = None) -> Any:
    """A field of the points, along an axis or fixed; the default where the result lacks it."""
    if field in dataset.coords:
        return dataset[field]
    return json.loads(dataset.attrs.get("scenario", "{}")).get(field, default)


def _not_stated(variable: xr.DataArray, fits: xr.DataArray | None) -> xr.DataArray | bool:
    """Where what a metric rests on is not stated: for a chip that has it nowhere, if none fits."""
    if str(variable.name) in _ONLY_STATED:
        return True
    if fits is not None:
        return fits == 1
    others = [dim for dim in variable.dims if dim != "chip" and "chip" not in variable[dim].coords]
    return variable.isnull().all(others)
