"""What users write beside entries: fields, metrics and switches, read off the model's records."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

Facts = dict[str, Any]


class KindOfNames(NamedTuple):
    """A kind of names that are not entries of the catalog.

    Parameters
    ----------
    singular
        What one of them is called.
    known
        Every name, in the model's order.
    facts
        What one means: its unit, default, values, where it belongs or what it needs.
    """

    singular: str
    known: Callable[[], Iterable[str]]
    facts: Callable[[str], Facts]

    def all_facts(self) -> list[Facts]:
        """Return what each name means, in the model's order."""
        return [self.facts(name) for name in self.known()]


def _fields() -> Iterable[str]:
    from jaxlimits.schema import FIELDS

    return FIELDS


def _metrics() -> Iterable[str]:
    from jaxlimits.schema import OUTPUTS

    return OUTPUTS


def _switches() -> Iterable[str]:
    from jaxlimits.schema import SWITCHES

    return SWITCHES


def _field(name: str) -> Facts:
    from jaxlimits import schema
    from jaxlimits.model.records import RECORDS
    from jaxlimits.units import show

    info = schema.FIELDS[name]
    record = next(r for r in RECORDS if name in schema.field_names(r).values())
    own = {field: key for key, field in schema.field_names(record).items()}[name]
    defaults = schema.record_defaults(record)
    default = show(defaults[own], info.unit) if own in defaults else "stated by each entry"
    facts = {
        "name": name,
        "meaning": info.meaning,
        "record": record,
        "unit": info.unit,
        "default": default,
        "values": info.bounds,
        "factor": f"{name}{schema.SCALE_SUFFIX} multiplies it",
    }
    setter = schema.SETTERS.get(name)
    return facts if setter is None else {**facts, "set by": f"{setter}, where not set itself"}


def _metric(name: str) -> Facts:
    from jaxlimits import schema

    info, codes = schema.OUTPUTS[name], schema.FLAGS.get(name)
    facts: Facts = {"name": name, "meaning": info.meaning, "unit": info.unit}
    if codes is not None:
        facts["codes"] = [f"{code} {meaning}" for meaning, code in codes.items()]
    needed = [setting for setting, metrics in schema.CONDITIONAL.items() if name in metrics]
    inputs = [" or ".join(schema.STATED_BY[field]) for field in schema.inputs_of(name)]
    if needed or inputs:
        facts["needs"] = ", ".join([*needed, *(f"{words} of the chip" for words in inputs)])
    return facts


def _switch(name: str) -> Facts:
    from jaxlimits import schema

    info = schema.SWITCHES[name]
    default, *_ = info.choices
    return {
        "name": name,
        "meaning": info.meaning,
        "default": default,
        "choices": list(info.choices),
    }


NAMES: Mapping[str, KindOfNames] = {
    "fields": KindOfNames("field", _fields, _field),
    "metrics": KindOfNames("metric", _metrics, _metric),
    "switches": KindOfNames("switch", _switches, _switch),
}
"""Every kind of names that are not entries of the catalog."""
