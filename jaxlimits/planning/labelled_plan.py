"""A plan as a dataset: its choices side by side, what bounds them in the attributes."""

import json

import numpy as np
import xarray as xr

from jaxlimits._version import __version__
from jaxlimits.planning.choice import Choice
from jaxlimits.planning.plan import Plan
from jaxlimits.planning.targets import OF_THE_FLEET, SEEN
from jaxlimits.results.strict import strict
from jaxlimits.schema import output
from jaxlimits.store.template import output_attributes


def label(plan: Plan) -> xr.Dataset:
    """Return the choices of a plan along ``choice``, the least first.

    Each has what all its machines come to and what a request sees; what is built is text, one line
    a choice: ``2 x h200 tp4 (serve), batch 112``.
    """
    columns = {
        **{name: [choice.totals[name] for choice in plan.choices] for name in OF_THE_FLEET},
        **{name: [getattr(choice, name) for choice in plan.choices] for name in SEEN},
        "request_rate": [choice.rate for choice in plan.choices],
    }
    kinds = [choice.kind for choice in plan.choices]
    built = [in_words(choice) for choice in plan.choices]
    return xr.Dataset(
        {
            name: ("choice", np.array(values, np.float64), output_attributes(name))
            for name, values in columns.items()
        },
        {
            "built": ("choice", np.array(built, dtype=None if built else "U1"), _words("machines")),
            "kind": (
                "choice",
                np.array(kinds, dtype=None if kinds else "U1"),
                _words("whether machines prefill and decode apart"),
            ),
        },
        attrs=_attributes(plan),
    )


def in_words(choice: Choice) -> str:
    """What a choice builds, in a line."""
    return "; ".join(
        f"{group.count} x {group.chip} {group.layout.name} ({group.role}), "
        f"batch {group.batch_size:.0f}"
        for group in choice.groups
    )


def _words(meaning: str) -> dict[str, str]:
    return {"long_name": meaning, "units": "1"}


def _attributes(plan: Plan) -> dict[str, object]:
    unit = output(plan.minimised).unit
    prices = {name: strict(value) for name, value in plan.prices.items()}
    return {
        "Conventions": "CF-1.11",
        "title": f"Machines that serve {plan.llm}",
        "source": f"jaxlimits {__version__}, limit model of arXiv:2507.14397",
        "llm": plan.llm,
        "workload": repr(plan.workload),
        "targets": "; ".join(target.words for target in plan.targets),
        "minimised": plan.minimised,
        "bound": float(plan.least),
        "bound_units": unit,
        "prices": json.dumps(prices),
        "layouts_tried": plan.layouts,
    }
