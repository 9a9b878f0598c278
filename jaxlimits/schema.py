"""Every name a user can write: fields, switches and outputs, read off the model's records.

One quantity has one name: a record's field, an axis of a grid, an override, a dimension or variable
of the result. Nothing here is stated twice; units, bounds and wording come from the records.
"""

import dataclasses
import functools
import math
from collections.abc import Collection, Mapping

from jaxlimits import units
from jaxlimits.model.chip import LINK_FIELDS
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fields import (
    OptionalPart,
    Quantity,
    Switch,
    defaults,
    optional_parts,
    quantities,
    switches,
)
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import REQUESTED, Limit, Metrics
from jaxlimits.model.precision import ALONE, SET_BY
from jaxlimits.model.records import RECORDS

REQUIRED = ("llm", "chip")
"""Records that a user must pick from the catalog by name."""

OVERLAID: Mapping[str, tuple[str, ...]] = {
    "interconnect": LINK_FIELDS,
    "proposer": ("acceptance", "acceptance_decay"),
}
"""Names that a user can pick for some fields of another record, in place of that record's own."""

OVERLAID_RECORDS: Mapping[str, str] = {"interconnect": "chip", "proposer": "deployment"}
"""The record of which each of them states fields."""

INPUTS: Mapping[str, tuple[str, ...]] = {
    "base_power": ("base_power", "die_area", "power_density", "mem_energy"),
    "chip_price": ("chip_price", "mem_price"),
}
"""What a chip's power and its price follow from, by the field that is NaN where none is stated."""

STATED_BY: Mapping[str, tuple[str, ...]] = {
    "base_power": ("base_power", "die_area"),
    "chip_price": ("chip_price",),
}
"""Fields of which one states a chip's power, or its price."""

ASSUMED: Mapping[str, tuple[str, ...]] = {
    "assume": tuple(field for fields in INPUTS.values() for field in fields)
}
"""Names that a user can pick for fields that another record's entry does not state."""

PARTIAL: Mapping[str, tuple[str, ...]] = {**OVERLAID, **ASSUMED}
"""Names that stand for some fields of another record."""

NAMED = (*REQUIRED, "draft", "calibration", "fabric", *PARTIAL)
"""What a user can pick by name; the calibrated overlay is neutral where none is named."""

LAYOUT = "layout"
"""A name that states several sizes of a deployment at once, as ``tp4 pp2``."""

LAYOUT_SIZES = ("tp_size", "pp_size", "ep_size", "dp_size", "cp_size", "ffn_chips")
LAYOUT_SIZES += ("ffn_micro_batches",)
"""The fields that it states; the last one only where it is named."""

PREFIXES: Mapping[str, str] = {"draft": "draft_"}
"""Before the names of a record's fields, where another record has fields of the same kind."""

_ENTRIES_OF: Mapping[str, str] = {"draft": "llm", "assume": "assumption"}


def entry_kind(record: str) -> str:
    """Return the kind of entry of the catalog from which a record is picked: drafts are LLMs."""
    return f"{_ENTRIES_OF.get(record, record)}s"


SCALE_SUFFIX = "_scale"
"""``mem_bw_scale`` multiplies ``mem_bw``, whatever its base value."""


def field_names(record: str) -> dict[str, str]:
    """Return the name that users write for each numeric field of a record, by its own name."""
    prefix = PREFIXES.get(record, "")
    return {name: f"{prefix}{name}" for name in quantities(RECORDS[record])}


def _record_fields(record: str) -> dict[str, Quantity]:
    infos = quantities(RECORDS[record])
    if record not in PREFIXES:
        return dict(infos)
    return {
        field: dataclasses.replace(infos[name], meaning=f"of the {record}: {infos[name].meaning}")
        for name, field in field_names(record).items()
    }


def merged(tables: Mapping[str, Mapping[str, Quantity]]) -> dict[str, Quantity]:
    """Return the fields of several records as one table.

    Raises
    ------
    ValueError
        Two records have a field of one name, so that one would be set where the other is meant.
    """
    owners: dict[str, str] = {}
    for record, fields in tables.items():
        for name in fields:
            if name in owners:
                problem = f"field {name!r} is one of {owners[name]!r} and of {record!r}"
                remedy = "rename one of the two, or give one record a prefix in schema.PREFIXES"
                raise ValueError(f"{problem}: no name may mean two things; {remedy}")
            owners[name] = record
    return {name: info for fields in tables.values() for name, info in fields.items()}


def refuse_shared_names(kinds: Mapping[str, Collection[str]]) -> None:
    """Raise where two kinds of things that users write have a name in common.

    Parameters
    ----------
    kinds
        Names by what they are.

    Raises
    ------
    ValueError
        With the name and both kinds.
    """
    seen: dict[str, str] = {}
    for kind, names in kinds.items():
        for name in names:
            if name in seen:
                problem = f"{name!r} is a {seen[name]} and a {kind}"
                raise ValueError(f"{problem}: no name may mean two things; rename one of the two")
            seen[name] = kind


FIELDS: Mapping[str, Quantity] = merged({record: _record_fields(record) for record in RECORDS})
"""Every numeric field of every record."""

STATED_BITS: Mapping[str, tuple[str, str]] = {
    field: (record, name)
    for record, kind in RECORDS.items()
    if kind is LLM
    for name, field in field_names(record).items()
    if name in (*SET_BY, *ALONE)
}
"""Bits of one part of a model, of its cache or its states: the record and its own name, by what
users write.
"""

PART_BITS: Mapping[str, tuple[str, str]] = {
    field: place for field, place in STATED_BITS.items() if place[1] in SET_BY
}
"""Those of them that a field of the deployment sets together."""

SETTERS: Mapping[str, str] = {field: SET_BY[name] for field, (_, name) in PART_BITS.items()}
"""The field that sets the bits of each part, where they are not set beside it."""

SWITCHES: Mapping[str, Switch] = switches(Deployment)
"""Every static field."""

OPTIONAL_PARTS: Mapping[str, OptionalPart] = optional_parts(Deployment)
"""Parts of the model that not every point uses."""

OUTPUTS: Mapping[str, Quantity] = quantities(Metrics)
"""Every metric that the model gives."""

_LIMITS = {code.name.lower(): int(code) for code in Limit}
CALIBRATED = tuple(name for name in OUTPUTS if name.startswith("calibrated_"))
"""Metrics of the calibrated overlay; they say nothing where no calibration is named."""

OF_THE_LIMIT = tuple(name for name in OUTPUTS if name not in (*CALIBRATED, *REQUESTED))
"""Metrics of the limit of a step: all that a point has without a calibration or a request."""

CONDITIONAL: Mapping[str, tuple[str, ...]] = {"calibration": CALIBRATED, "input_len": REQUESTED}
"""Metrics that say nothing unless a name is set, by that name."""

_POWER = ("power", "energy_per_token", "stps_per_watt")
_COST = ("cost_rate", "dollars_per_token", "stps_per_dollar", "dollars_per_request")
_COST += ("dollars_per_input_token", "dollars_per_output_token")
RESTS_ON: Mapping[str, tuple[str, ...]] = {
    "base_power": (*_POWER, *_COST),
    "chip_price": ("capital_cost", *_COST),
}
"""Metrics that are absent where an input of a chip is not stated, by the input."""

RENTED: Mapping[str, tuple[str, ...]] = {"chip_hour_price": _COST}
"""Metrics that rest on none of these inputs where a rent is stated, by the field that states it."""

FLAGS: Mapping[str, Mapping[str, int]] = {
    "limit": _LIMITS,
    "next_limit": _LIMITS,
    "feasible": {"not_computed": -1, "does_not_fit": 0, "fits": 1},
}
"""Outputs that are codes, with their meanings; stored as int8."""

CONTINUOUS: tuple[str, ...] = tuple(
    name for name in OUTPUTS if name not in FLAGS and name != "max_batch_size"
)
"""Metrics that have derivatives: all but the codes and the largest batch, which is a count."""

SENSITIVITIES: Mapping[str, int] = {"elasticity": 2, "derivative": 2, "doubling": 1}
"""Kinds of sensitivity, and by how many fields each may be."""

_AND = "_and_"
_REASON = "_reason"

_FACTOR = Quantity(unit="1", display="1", meaning="", positive=True)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sensitivity:
    """How a metric answers to a field, or how it answers to one depends on another.

    Parameters
    ----------
    metric
        The metric.
    by
        One field, or two for a second derivative.
    kind
        ``derivative``; ``elasticity``, that of the logarithms; ``doubling``, the metric at twice
        the field over the metric.
    """

    metric: str
    by: tuple[str, ...]
    kind: str

    @property
    def name(self) -> str:
        """The name of the output: ``utps_elasticity_mem_bw``."""
        return f"{self.metric}_{self.kind}_{_AND.join(self.by)}"


def sensitivity(name: str) -> Sensitivity | None:
    """Return what a name of the form ``<metric>_elasticity_<field>`` means, if it does.

    ``_derivative_`` in the middle gives the derivative in SI units, ``_doubling_`` the metric at
    twice the field over the metric; two fields joined by ``_and_`` give the second derivative by
    both.
    """
    for kind, most in SENSITIVITIES.items():
        metric, found, rest = name.partition(f"_{kind}_")
        by = tuple(rest.split(_AND))
        known = metric in CONTINUOUS and all(field in FIELDS for field in by)
        if found and known and len(by) <= most:
            return Sensitivity(metric=metric, by=by, kind=kind)
    return None


@functools.cache
def part_fields(part: str) -> tuple[str, ...]:
    """Return the names that users write for the fields on which a part of the model rests."""
    rests_on = OPTIONAL_PARTS[part].rests_on
    return tuple(field_names(record)[own] for record, own in rests_on)


def is_output(name: str) -> bool:
    """Whether a name is a metric, or a sensitivity of one."""
    return name in OUTPUTS or sensitivity(name) is not None


def output(name: str) -> Quantity:
    """Return the meaning of a metric or a sensitivity; ``KeyError`` where the name is neither."""
    asked = sensitivity(name)
    if asked is None:
        return OUTPUTS[name]
    fields = " and ".join(FIELDS[field].meaning for field in asked.by)
    metric = OUTPUTS[asked.metric]
    order = "second " if len(asked.by) == 2 else ""
    unit = "1"
    if asked.kind == "derivative":
        unit = units.quotient(metric.unit, *(FIELDS[field].unit for field in asked.by))
    meaning = f"{order}{asked.kind} of the {metric.meaning} by the {fields}"
    if asked.kind == "doubling":
        meaning = f"gain of the {metric.meaning} from twice the {fields}"
    return Quantity(unit=unit, display=unit, meaning=meaning, lower=-math.inf)


def reason_name(name: str) -> str:
    """Return the name of the codes that say what came of a requirement."""
    return f"{name}{_REASON}"


def is_reason(name: str) -> bool:
    """Whether a name is that of a requirement's codes."""
    return name.endswith(_REASON)


def is_code(name: str) -> bool:
    """Whether the values of an output are codes, stored as int8."""
    return name in FLAGS or is_reason(name)


def describe(name: str) -> Quantity:
    """Return the meaning and bounds of a field, a scale factor or an output by its name."""
    if name in FIELDS:
        return FIELDS[name]
    if is_output(name):
        return output(name)
    field = scaled_field(name)
    if field is None:
        raise KeyError(name)
    return dataclasses.replace(_FACTOR, meaning=f"factor on the {FIELDS[field].meaning}")


refuse_shared_names(
    {
        "field": FIELDS,
        "scale factor": [f"{name}{SCALE_SUFFIX}" for name in FIELDS],
        "switch": SWITCHES,
        "metric": OUTPUTS,
        "name of a record": NAMED,
        "name of several fields": (LAYOUT,),
    }
)


def scaled_field(name: str) -> str | None:
    """Return the field that a factor multiplies, or ``None`` where the name is not a factor."""
    field = name.removesuffix(SCALE_SUFFIX)
    return field if name.endswith(SCALE_SUFFIX) and field in FIELDS else None


def is_numeric(name: str) -> bool:
    """Whether a name is a numeric field or the scale factor of one."""
    return name in FIELDS or scaled_field(name) is not None


def writable() -> list[str]:
    """Return every name that an axis or an override can have (each field also as a factor)."""
    return [*NAMED, LAYOUT, *FIELDS, *SWITCHES]


def inputs_of(name: str) -> tuple[str, ...]:
    """Return which of :data:`INPUTS` a metric, or a sensitivity of one, rests on."""
    asked = sensitivity(name)
    metric = name if asked is None else asked.metric
    return tuple(field for field, metrics in RESTS_ON.items() if metric in metrics)


def mantissa_bits(digits: int, precision: str) -> int:
    """Return the bits of a mantissa that hold a number of significant decimal digits.

    A value rounded to them is within half a unit of its last digit: 5·10⁻⁵ of it for 4 digits.
    """
    return min(math.ceil(digits * math.log2(10.0)), {"float32": 23, "float64": 52}[precision])


def unstated_metrics(named: Collection[str]) -> tuple[str, ...]:
    """Return the metrics that say nothing where only some names are set."""
    return tuple(
        metric for name, metrics in CONDITIONAL.items() if name not in named for metric in metrics
    )


def record_defaults(record: str) -> dict[str, float]:
    """Return the default of each numeric field of a record that has one."""
    numeric = quantities(RECORDS[record])
    return {name: value for name, value in defaults(RECORDS[record]).items() if name in numeric}


def base_defaults() -> dict[str, float]:
    """Return the fields that need no name: the deployment's, the site's, a neutral overlay's.

    A draft that is not named has nothing: zero everywhere.
    """
    records = [record for record in RECORDS if record not in (*REQUIRED, *PREFIXES)]
    stated = {name: value for each in records for name, value in record_defaults(each).items()}
    return stated | {name: 0.0 for each in PREFIXES for name in field_names(each).values()}


def switch_defaults() -> dict[str, str]:
    """Return the default choice of each switch."""
    return {name: info.choices[0] for name, info in SWITCHES.items()}
