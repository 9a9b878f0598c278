"""Every name a user can write: fields, switches and outputs, read off the model's records.

One quantity has one name: a record's field, an axis of a grid, an override, a dimension or variable
of the result. Nothing here is stated twice; units, bounds and wording come from the records.
"""

import dataclasses
from collections.abc import Mapping

import equinox as eqx

from jaxlimits.model.calibration import Calibration
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.fields import Quantity, Switch, defaults, quantities, switches
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import Limit, Metrics

RECORDS: Mapping[str, type[eqx.Module]] = {
    "chip": Chip,
    "llm": LLM,
    "deployment": Deployment,
    "calibration": Calibration,
    "fabric": Fabric,
}
"""Record types of a scenario by the word that names them in a grid file."""

REQUIRED = ("llm", "chip")
"""Records that a user must pick from the catalog by name."""

NAMED = (*REQUIRED, "calibration", "fabric")
"""Records that a user can pick; those of the calibrated overlay are neutral where none is named."""

SCALE_SUFFIX = "_scale"
"""``mem_bw_scale`` multiplies ``mem_bw``, whatever its base value."""

FIELDS: Mapping[str, Quantity] = {
    name: info for record in RECORDS.values() for name, info in quantities(record).items()
}
"""Every numeric field of every record."""

SWITCHES: Mapping[str, Switch] = switches(Deployment)
"""Every static field."""

OUTPUTS: Mapping[str, Quantity] = quantities(Metrics)
"""Every metric that the model gives."""

CALIBRATED = tuple(name for name in OUTPUTS if name.startswith("calibrated_"))
"""Metrics of the calibrated overlay; they say nothing where no calibration is named."""

OF_THE_LIMIT = tuple(name for name in OUTPUTS if name not in CALIBRATED)
"""Metrics of the limit itself."""

FLAGS: Mapping[str, Mapping[str, int]] = {
    "limit": {code.name.lower(): int(code) for code in Limit},
    "feasible": {"not_computed": -1, "does_not_fit": 0, "fits": 1},
}
"""Outputs that are codes, with their meanings; stored as int8."""

_FACTOR = Quantity(unit="1", display="1", meaning="", positive=True)


def describe(name: str) -> Quantity:
    """Return the meaning and bounds of a field, a scale factor or an output by its name."""
    if name in FIELDS:
        return FIELDS[name]
    if name in OUTPUTS:
        return OUTPUTS[name]
    field = scaled_field(name)
    if field is None:
        raise KeyError(name)
    return dataclasses.replace(_FACTOR, meaning=f"factor on the {FIELDS[field].meaning}")


def scaled_field(name: str) -> str | None:
    """Return the field that a scale factor multiplies, or ``None`` where the name is no factor."""
    field = name.removesuffix(SCALE_SUFFIX)
    return field if name.endswith(SCALE_SUFFIX) and field in FIELDS else None


def is_numeric(name: str) -> bool:
    """Whether a name is a numeric field or the scale factor of one."""
    return name in FIELDS or scaled_field(name) is not None


def writable() -> list[str]:
    """Return every name that an axis or an override can have (each field also as a factor)."""
    return [*NAMED, *FIELDS, *SWITCHES]


def record_defaults(record: str) -> dict[str, float]:
    """Return the default of each numeric field of a record that has one."""
    numeric = quantities(RECORDS[record])
    return {name: value for name, value in defaults(RECORDS[record]).items() if name in numeric}


def unnamed_defaults() -> dict[str, float]:
    """Return the fields that need no name: the deployment's, and those of a neutral overlay."""
    records = [record for record in RECORDS if record not in REQUIRED]
    return {name: value for each in records for name, value in record_defaults(each).items()}


def switch_defaults() -> dict[str, str]:
    """Return the default choice of each switch."""
    return {name: info.choices[0] for name, info in SWITCHES.items()}
