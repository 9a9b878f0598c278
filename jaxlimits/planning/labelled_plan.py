"""A plan as a dataset: its choices, its bound, what each target of the time of a token takes."""

import json
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits import schema
from jaxlimits.planning.choice import Choice
from jaxlimits.planning.frontier import Frontier
from jaxlimits.planning.plan import Plan
from jaxlimits.planning.targets import OF_THE_FLEET, SEEN
from jaxlimits.results.strict import strict
from jaxlimits.store.answers import answer_attributes, single_coordinates
from jaxlimits.store.template import Entry, output_attributes

_MEANINGS = {
    "bound": "what no schedule can do without",
    "aggregated": "least that machines take which prefill and decode in one",
    "disaggregated": "least that machines take which prefill or decode alone",
    "predicted": "least that an engine takes by the calibration",
}


def label_plan(plan: Plan) -> xr.Dataset:
    """Return the choices of a plan along ``choice``, the least first.

    Each has what all its machines come to and what a request sees; what is built is text, one line
    a choice: ``2 x h200 tp4 (serve), batch 112``. Where the frontier was asked for, it lies along
    ``tpot_target``: ``least_bound``, ``least_aggregated``, ``least_disaggregated`` and, with a
    calibration, ``least_predicted``; and within the targets along ``rate``, the requests that come:
    ``least_bound_at_rate`` and so on. Model, chips where there is one kind, and the lengths of
    requests in the mean are coordinates without a dimension.
    """
    variables: dict[str, Entry] = {
        name: (("choice",), *each) for name, each in _columns(plan).items()
    }
    coordinates: dict[str, Entry] = dict(single_coordinates(_who(plan)))
    coordinates["built"] = _words([in_words(choice) for choice in plan.choices], "machines")
    kinds = [choice.kind for choice in plan.choices]
    coordinates["kind"] = _words(kinds, "whether machines prefill and decode apart")
    if plan.frontier is not None:
        variables |= _frontier(plan.frontier, plan.minimised, along="tpot_target")
        meaning = "target of the time of a token"
        attributes = {**output_attributes("tpot"), "long_name": meaning}
        coordinates["tpot_target"] = (("tpot_target",), plan.frontier.levels, attributes)
    if plan.by_rate is not None:
        variables |= _frontier(plan.by_rate, plan.minimised, along="rate", suffix="_at_rate")
        attributes = {**output_attributes("request_rate"), "long_name": "requests that come"}
        coordinates["rate"] = (("rate",), plan.by_rate.levels, attributes)
    unit = output_attributes(plan.minimised)
    variables["bound"] = ((), np.array(plan.least), {**unit, "long_name": _MEANINGS["bound"]})
    return xr.Dataset(variables, coordinates, attrs=_attributes(plan))


def in_words(choice: Choice) -> str:
    """What a choice builds, in a line."""
    return "; ".join(
        f"{group.count} x {group.chip} {group.layout.name} ({group.role}), "
        f"batch {group.batch_size:.0f}"
        for group in choice.groups
    )


def _columns(plan: Plan) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
    columns = {
        **{name: [choice.totals[name] for choice in plan.choices] for name in OF_THE_FLEET},
        **{name: [getattr(choice, name) for choice in plan.choices] for name in SEEN},
        "request_rate": [choice.rate for choice in plan.choices],
    }
    first = {plan.minimised: columns[plan.minimised], **columns}
    return {
        name: (np.array(values, np.float64), output_attributes(name))
        for name, values in first.items()
    }


def _frontier(found: Frontier, minimised: str, *, along: str, suffix: str = "") -> dict[str, Entry]:
    unit = output_attributes(minimised)
    known = {name: getattr(found, name) for name in _MEANINGS}
    return {
        f"least_{name}{suffix}": (
            (along,),
            values,
            {**unit, "long_name": _MEANINGS[name], "nan_means": "target_not_reached"},
        )
        for name, values in known.items()
        if values is not None
    }


def _who(plan: Plan) -> dict[str, str | float | int]:
    """What tells the plan from others: names, and the lengths of requests where all are alike."""
    chips = {"chip": plan.machines_of[0]} if len(plan.machines_of) == 1 else {}
    alike = len(plan.workload.shares) == 1
    return {"llm": plan.llm, **chips, **(plan.workload.mean_request if alike else {})}


def _words(values: list[str], meaning: str) -> Entry:
    array = np.array(values, dtype=None if values else "U1")
    return ("choice",), array, {"long_name": meaning, "units": "1"}


def _attributes(plan: Plan) -> dict[str, Any]:
    prices = {name: strict(value) for name, value in plan.prices.items()}
    targets = "; ".join(target.words for target in plan.targets)
    asked = f"{plan.llm}, {plan.workload.words}"
    return {
        **answer_attributes(
            f"Machines that serve {plan.llm}",
            question=f"{asked}: {targets}" if targets else asked,
            done="planned machines",
            comment="A limit study, not a prediction: the bound is what no schedule can do "
            "without, choices are machines as engines run them, at the limit of the hardware.",
        ),
        "chips": ", ".join(plan.machines_of),
        "workload": repr(plan.workload),
        "rate": plan.workload.rate,
        "targets": targets,
        **{f"{t.metric}_limit": t.limit for t in plan.targets if t.metric in SEEN},
        "minimised": plan.minimised,
        "in_fractions": float(plan.bound.value),
        "bound_units": schema.output(plan.minimised).unit,
        "binds": plan.binds,
        "prices": json.dumps(prices),
        "layouts_tried": plan.layouts,
        "layouts_apart": plan.layouts_apart,
    }
