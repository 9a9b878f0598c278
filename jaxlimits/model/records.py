"""Records of a point: what the model takes, in which order, and what it then need not trace."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import equinox as eqx

from jaxlimits.model.calibration import Calibration
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.fields import OptionalPart, optional_parts
from jaxlimits.model.llm import LLM
from jaxlimits.model.request import Request
from jaxlimits.model.site import Site

RECORDS: Mapping[str, type[eqx.Module]] = {
    "chip": Chip,
    "llm": LLM,
    "deployment": Deployment,
    "site": Site,
    "request": Request,
    "draft": LLM,
    "calibration": Calibration,
    "fabric": Fabric,
}
"""Record types of a point, in the order in which the model takes them."""


def named_records(*given: Any) -> dict[str, Any]:
    """Name the records of a point, which stand in the order of :data:`RECORDS`.

    Raises
    ------
    TypeError
        A record of another kind than is due at its place; there may be no draft.
    """
    named = dict(zip(RECORDS, given, strict=False))
    for name, record in named.items():
        missing = name == "draft" and record is None
        if not missing and not isinstance(record, RECORDS[name]):
            due, order = RECORDS[name].__name__, ", ".join(RECORDS)
            raise TypeError(
                f"{name} is of type {type(record).__name__}: must be {due}; "
                f"give the records as evaluate({order})"
            )
    return named


def without_unused_parts(records: Mapping[str, Any]) -> dict[str, Any]:
    """The records, the deployment without the parts that the numbers show to be unused.

    Each :func:`~jaxlimits.model.fields.optional_part` of the deployment states the fields on which
    it rests. Where these are plain numbers they decide. A number that is traced may be anything:
    the part is then traced too.
    """
    unused = {
        name: False
        for name, part in optional_parts(Deployment).items()
        if not any(part.may_be_used(number) for number in _numbers(part, records))
    }
    return {**records, "deployment": dataclasses.replace(records["deployment"], **unused)}


def _numbers(part: OptionalPart, records: Mapping[str, Any]) -> Iterator[Any]:
    """The numbers on which a part rests; a record that is not there has none."""
    for record, field in part.rests_on:
        if records[record] is not None:
            yield getattr(records[record], field)
