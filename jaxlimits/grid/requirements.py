"""Requirements as a grid file states them: ``[require.NAME]`` tables, read and checked.

A requirement asks for the value of one field that brings a metric to a target, at every point of
the grid. Which way the field helps is not stated anywhere: it follows from the metric's values.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from jaxlimits import schema, units
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.axes import Axis, read_range, read_value
from jaxlimits.grid.constraints import CONSTRAINTS
from jaxlimits.grid.file import AxisTable, Raw, RequirementTable
from jaxlimits.model.fields import Quantity
from jaxlimits.model.metrics import Limit
from jaxlimits.values import parse_number

REASONS: Mapping[str, int] = {
    "not_computed": -1,
    "unreachable_memory": int(Limit.MEMORY),
    "unreachable_compute": int(Limit.COMPUTE),
    "unreachable_sync": int(Limit.SYNC),
    "unreachable_capacity": int(Limit.CAPACITY),
    "unreachable_excluded": 4,
    "met": 5,
    "met_everywhere": 6,
    "met_where_it_fits": 7,
}
"""Codes of what came of a requirement. Unreachable: by what binds where the metric comes nearest,
or because the point's other fields admit no value of the bracket. Met: up to the target; by all
values; by all that fit in memory, so that the answer is the last that does."""

SCANNED = ("prefill_chunk", "draft_length")
"""Unknowns of which some value between the ends is the best: longer drafts give more tokens and
cost more, shorter chunks share a step with more decoding and read the weights more often."""

METRICS = tuple(name for name in schema.OUTPUTS if name not in schema.FLAGS)
"""Metrics that can have a target, as their sensitivities can: all but the codes."""

_SIZES_UP_TO = 65536.0
_PLAIN_UP_TO = 1e15
_SMALLEST, _LARGEST = 1e-6, 1e9


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Requirement:
    """A requirement, checked.

    Parameters
    ----------
    name
        Name of its main variable.
    field
        The unknown.
    metric
        What it has to bring to the target.
    target, at_least
        The target in SI units; whether the metric must be at least that, or at most.
    low, high
        The bracket in which the unknown is sought, in SI units.
    candidates
        Its only values, ascending, where they are tried one by one; none where it is bisected.
    """

    name: str
    field: str
    metric: str
    target: float
    at_least: bool
    low: float
    high: float
    candidates: tuple[float, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the unknown is a whole number."""
        return schema.FIELDS[self.field].whole

    @property
    def is_scanned(self) -> bool:
        """Whether values between the ends may be better than both, and are scanned first."""
        return self.field in SCANNED

    @property
    def is_constrained(self) -> bool:
        """Whether other fields of the point may forbid some values of the unknown."""
        return any(self.field in constraint.fields for constraint in CONSTRAINTS)

    @property
    def reached(self) -> str:
        """Name of the variable with the metric that is reached."""
        return f"{self.name}_{self.metric}"

    @property
    def place(self) -> str:
        """Name of the variable with the value at which the metric is best."""
        return f"{self.name}_{self.field}_best"

    @property
    def reason(self) -> str:
        """Name of the variable with the reason."""
        return schema.reason_name(self.name)

    @property
    def aim(self) -> str:
        """Name under which the engine is given the target, a number like any other."""
        return f"{self.name}_target"

    def without_target(self) -> "Requirement":
        """Return what a program is made for: it serves every target."""
        return dataclasses.replace(self, target=0.0)

    @property
    def quantities(self) -> dict[str, Quantity]:
        """What its variables mean, by their names."""
        field, metric = schema.FIELDS[self.field], schema.output(self.metric)
        relation = "at least" if self.at_least else "at most"
        target = units.show(self.target, metric.unit, digits=6)
        asked = f"{self.metric} {relation} {target}"
        reason = Quantity(unit="1", display="1", meaning=f"whether {self.field} gives {asked}")
        return {
            self.name: dataclasses.replace(field, meaning=f"{field.meaning} that gives {asked}"),
            self.reached: dataclasses.replace(
                metric, meaning=f"{metric.meaning} with the {self.field} that gives {asked}"
            ),
            self.reason: reason,
        }


def read_requirement(
    name: str, table: RequirementTable, *, every: bool = False, where: str = "", key: str = ""
) -> Requirement:
    """Check a requirement.

    Parameters
    ----------
    name, table
        Its name, and what is written of it.
    every
        Whether whole numbers without an order are all tried, not powers of two alone, where the
        table does not say which.
    where, key
        What to name in an error.

    Raises
    ------
    InputError
        An unknown field or metric, a metric that is a code, no target or two, a target or a
        bracket with a wrong unit, ends that are reversed, a bracket and candidates at once.
    """
    if table.unknown not in schema.FIELDS:
        raise unknown_name(
            "field", table.unknown, schema.FIELDS, where=where, key=_under(key, "for")
        )
    check_metric(table.of, where=where, key=_under(key, "of"))
    given = [side for side in ("at_least", "at_most") if getattr(table, side) is not None]
    if len(given) != 1:
        problem = "has no target" if not given else "has two targets"
        example = units.example(schema.output(table.of).unit)
        remedy = f"write at_least = '{example}' or at_most = '{example}'"
        raise InputError(problem, where=where, key=key, remedy=remedy)
    target = read_target(table.of, getattr(table, given[0]), where=where, key=_under(key, given[0]))
    low, high, candidates = _values(table, every=every, where=where, key=key)
    return Requirement(
        name=name,
        field=table.unknown,
        metric=table.of,
        target=target,
        at_least=given == ["at_least"],
        low=low,
        high=high,
        candidates=candidates,
    )


def _under(key: str, name: str) -> str:
    """The key of one entry of a table; a table of no name stands alone."""
    return f"{key}.{name}" if key else name


def read_target(metric: str, raw: Raw, *, where: str = "", key: str) -> float:
    """Return a target in SI units; a bare number of tokens per second will do."""
    info = schema.output(metric)
    if info.unit == "token/s" and _is_plain(raw):
        raw = f"{raw} token/s"
    return parse_number(info, raw, where=where, key=key)


def _is_plain(raw: Raw) -> bool:
    try:
        float(raw)
    except ValueError:
        return False
    return not isinstance(raw, bool)


def check_metric(metric: str, *, where: str = "", key: str) -> None:
    """Raise unless a metric can have a target."""
    if metric in schema.FLAGS:
        remedy = f"choose a metric with an order: {', '.join(METRICS[:6])}, …"
        raise InputError(
            "a category has no target", where=where, key=key, value=metric, remedy=remedy
        )
    if metric not in METRICS and schema.sensitivity(metric) is None:
        raise unknown_name("metric", metric, METRICS, where=where, key=key)


def _values(
    table: RequirementTable, *, every: bool, where: str, key: str
) -> tuple[float, float, tuple[float, ...]]:
    """Ends of the bracket, and the candidates where they are tried one by one."""
    field = table.unknown
    forms = [form for form in ("among", "pow2") if getattr(table, form) is not None]
    bounded = [end for end in ("low", "high") if getattr(table, end) is not None]
    if len(forms) + bool(bounded) > 1:
        remedy = "write among, or pow2, or from and to"
        raise InputError("has its values in two ways", where=where, key=key, remedy=remedy)
    if forms:
        form = {"among": "values"}.get(forms[0], forms[0])
        values = AxisTable.model_validate({form: getattr(table, forms[0])})
        found = tuple(sorted(read_range(field, values, where=where, key=_under(key, forms[0]))))
        return found[0], found[-1], found
    low, high = _bracket(table, where=where, key=key)
    tried = _tried(field, low, high, every=every or bool(bounded))
    return (tried[0], tried[-1], tried) if tried else (low, high, tried)


def _bracket(table: RequirementTable, *, where: str, key: str) -> tuple[float, float]:
    low, high = default_bracket(table.unknown)
    if table.low is not None:
        low = read_value(table.unknown, table.low, where=where, key=_under(key, "from"))
    if table.high is not None:
        high = read_value(table.unknown, table.high, where=where, key=_under(key, "to"))
    if not low < high:
        unit = schema.FIELDS[table.unknown].unit
        shown = f"from {units.show(low, unit)} to {units.show(high, unit)}"
        remedy = "write the lower end first, and two that differ"
        raise InputError(f"is not a bracket, {shown}", where=where, key=key, remedy=remedy)
    return low, high


def default_bracket(field: str) -> tuple[float, float]:
    """Return where a field is sought if nobody says: every value that could mean anything."""
    info = schema.FIELDS[field]
    one = 1.0 if info.unit in ("1", "token") else units.convert(1.0, info.display, info.unit)
    low = one * _SMALLEST if info.positive else info.lower
    if info.whole:
        low = 1.0 if info.upper > 1.0 else 0.0
    high = _PLAIN_UP_TO if info.unit in ("1", "token") else one * _LARGEST
    return low, min(high, info.upper)


def _tried(field: str, low: float, high: float, *, every: bool) -> tuple[float, ...]:
    """Candidates of a field that is not bisected: its values, whole numbers, or powers of two."""
    info = schema.FIELDS[field]
    if info.allowed:
        return tuple(sorted(value for value in info.allowed if low <= value <= high))
    splits = any(field in rule.fields for rule in CONSTRAINTS if not rule.ordered)
    if not info.whole or not (splits or info.upper < _PLAIN_UP_TO):
        return ()
    high = min(high, _SIZES_UP_TO)
    if every or high <= 2.0:
        return tuple(map(float, range(int(low), int(high) + 1)))
    return tuple(2.0**power for power in range(int(_SIZES_UP_TO).bit_length()))


def refuse_taken_names(
    requirements: Iterable[Requirement], axes: Iterable[Axis], *, where: str
) -> None:
    """Raise where the variables of a requirement would have a name that something else has."""
    taken: dict[str, Any] = dict.fromkeys(schema.OUTPUTS, "an output")
    for axis in axes:
        taken |= dict.fromkeys((axis.name, *axis.linked), "an axis")
    for asked in requirements:
        key = f"require.{asked.name}"
        if not asked.name.isidentifier() or schema.is_output(asked.name):
            problem = f"{asked.name!r} cannot name a variable"
            remedy = "choose a name of letters and digits that is not an axis or output"
            raise InputError(problem, where=where, key=key, remedy=remedy)
        for name in asked.quantities:
            if name in taken:
                problem = f"would write {name!r}, which is {taken[name]}"
                raise InputError(problem, where=where, key=key, remedy="choose another name")
            taken[name] = f"a variable of {key}"


def output(name: str, requirements: Iterable[Requirement]) -> Quantity:
    """Return the meaning of an output, or of a requirement's variable; else ``KeyError``."""
    own = {key: info for asked in requirements for key, info in asked.quantities.items()}
    return own[name] if name in own else schema.output(name)


def is_output(name: str, requirements: Iterable[Requirement]) -> bool:
    """Whether a name is an output or a requirement's variable."""
    return schema.is_output(name) or any(name in asked.quantities for asked in requirements)


def codes(name: str) -> Mapping[str, int]:
    """Return the codes that an output may have, by their meanings; none where it is a number."""
    return REASONS if schema.is_reason(name) else schema.FLAGS.get(name, {})
