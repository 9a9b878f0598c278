"""What a point requires, as a dataset: the point with the value that was found, and as it is."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits import schema, units
from jaxlimits.grid.requirements import REASONS
from jaxlimits.questions.solve import Solution
from jaxlimits.store.answers import answer_attributes, single_coordinates
from jaxlimits.store.template import Entry, field_attributes, output_attributes

NEEDED, NOW = "needed", "now"
"""The two points: with the value that was found, and as it is."""


def label_solution(found: Solution) -> xr.Dataset:
    """Return a solution along ``case``: ``needed``, with the value that was found, and ``now``.

    The field and every metric are variables; a metric that is NaN in both is left out, and where no
    value reaches the target the needed ones are NaN, but for what the target's metric comes to at
    best. The rest of the point are coordinates without a dimension.
    """
    cases = ("case", [NEEDED, NOW], {"long_name": "the point with the value found, and as it is"})
    rest = {name: value for name, value in found.point.items() if name != found.asked.field}
    return xr.Dataset(
        {**dict(_variables(found)), **_whole(found)},
        {"case": cases, **single_coordinates(rest)},
        attrs=_attributes(found),
    )


def _variables(found: Solution) -> Iterator[tuple[str, Entry]]:
    """The field, the metric that is asked for, and the other metrics, each in both cases."""
    asked = found.asked
    unmet = {} if found.is_met else {"nan_means": "target_not_reached"}
    attributes = {**field_attributes(asked.field), **unmet}
    yield asked.field, (("case",), _pair(found.value, found.now), attributes)
    reached = _pair(found.reached, getattr(found.metrics_now, asked.metric, np.nan))
    yield asked.metric, (("case",), reached, output_attributes(asked.metric))
    for name, now in vars(found.metrics_now).items():
        if name == asked.metric:
            continue
        missing = schema.FLAGS[name]["not_computed"] if schema.is_code(name) else np.nan
        needed = missing if found.metrics is None else getattr(found.metrics, name)
        values = _pair(needed, now, dtype=np.int8 if schema.is_code(name) else np.float64)
        if schema.is_code(name) or not np.isnan(values).all():
            yield name, (("case",), values, {**output_attributes(name), **unmet})


def _pair(needed: float | int, now: float | int, dtype: Any = np.float64) -> np.ndarray:
    return np.array([needed, now], dtype)


def _whole(found: Solution) -> dict[str, Entry]:
    """What came of the search, and what is needed over what is there."""
    flags = {
        "long_name": f"what came of {found.asked.field}",
        "flag_values": np.array(list(REASONS.values()), dtype=np.int8),
        "flag_meanings": " ".join(REASONS),
    }
    factor = {"long_name": f"{found.asked.field} needed over what it is now", "units": "1"}
    plain = {"si_unit": "1", "display_unit": "1"}
    return {
        "reason": ((), np.array(REASONS[found.reason], np.int8), flags),
        "factor": ((), np.array(found.factor), {**factor, **plain}),
    }


def _attributes(found: Solution) -> dict[str, Any]:
    asked = found.asked
    relation = ">=" if asked.at_least else "<="
    target = (
        f"{asked.metric} {relation} {units.show(asked.target, schema.output(asked.metric).unit)}"
    )
    who = f"{found.point['llm']} on {found.point['chip']}"
    unit = schema.FIELDS[asked.field].unit
    needed = units.show(found.value, unit) if found.is_met else "unreachable"
    question = f"{who}, {target}: {asked.field} {needed}, now {units.show(found.now, unit)}"
    return {
        **answer_attributes(
            f"{asked.field} of {who} for {target}",
            question=question,
            done=f"solved for {asked.field}",
            comment="A limit study, not a prediction. NaN: no value reaches the target, the point "
            "does not fit in memory, or what a metric rests on is not stated.",
        ),
        "solved_for": asked.field,
        "target": target,
        "searched_from": asked.low,
        "searched_to": asked.high,
        "binds": found.binds or "",
        "binds_now": found.binds_now,
    }
