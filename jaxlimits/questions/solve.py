"""What one point requires: the value of a field that brings a metric to a target.

The same search as a grid's ``[require]`` tables, at one point, with what stands around the answer.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from jaxlimits import schema, units
from jaxlimits.catalog.loader import Catalog
from jaxlimits.engine.idle import depends_on
from jaxlimits.engine.sensitivity import PREFILL_LIMIT
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import make_job
from jaxlimits.engine.take_apart import present_value
from jaxlimits.errors import InputError, placed
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.checks import admitted, check_scenario
from jaxlimits.grid.file import RequirementTable
from jaxlimits.grid.requirements import REASONS, Requirement, check_metric, read_requirement
from jaxlimits.grid.scenario import Scenario, own_parts, refuse_absent
from jaxlimits.grid.stated import refuse_unstated
from jaxlimits.model.chip import Chip
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import OF_THE_PREFILL, Limit, Metrics
from jaxlimits.points.named_point import (
    point_scenario,
    scenario_metrics,
    warn_of_idle,
    who_a_point_is,
)
from jaxlimits.values import as_written

_TARGET = re.compile(r"\s*(?P<metric>\w+)\s*(?P<relation><=|>=|=)\s*(?P<value>.+)")
_NAMES_A_METRIC = re.compile(r"\s*[A-Za-z_]")
_SIDES = {">=": "at_least", "<=": "at_most"}
_NAME = "value"
_FEW = 32
"""Candidates up to which trying them one after another takes no longer than an axis of them."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """What a point requires.

    Parameters
    ----------
    asked
        The requirement: field, metric, target, bracket or candidates.
    value
        What the field must be [its SI unit]: the least where more of it helps, else the largest.
        NaN where no value reaches the target.
    reason
        ``met``, ``met_everywhere``, ``met_where_it_fits``, or ``unreachable_`` with what binds.
    reached, reached_at
        The metric there; the best that it comes to where the target is unreachable, and the value
        at which it does: that of the answer where there is one.
    now
        The field's value at the point as it is.
    metrics, metrics_now
        Everything the model says with the value, and of the point as it is; the former is ``None``
        where there is no value.
    binds, binds_now
        What binds with the value, and as the point is: of a metric of the prefill what binds that,
        else what binds a decode step. The former is ``None`` where there is no value.
    point
        Names, sizes and what was set of the point, in SI units.
    depends
        Whether the metric depends on the field at all.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> paper = dict(tp_size=128, accounting="nominal", vector_work="off", weight_bits=8)
    >>> paper |= dict(kv_sharding="split", collective_algorithm="constant")
    >>> point = ("llama3-405b", "xpu-hbm4")
    >>> found = jl.solve(*point, solve_for="sync_latency", target="utps=2000", **paper)
    >>> found.is_met, found.value < found.now
    (True, True)
    """

    def __repr__(self) -> str:
        asked = self.asked
        field, metric = schema.FIELDS[asked.field].unit, schema.output(asked.metric).unit
        relation = ">=" if asked.at_least else "<="
        aim = f"{asked.metric} {relation} {units.show(asked.target, metric)}"
        value, now = units.show(self.value, field), units.show(self.now, field)
        found = f"Solution({asked.field}={value} for {aim}: {self.reason}; now {now}"
        return f"{found})" if self.depends else f"{found}; {asked.metric} does not depend on it)"

    asked: Requirement
    value: float
    reason: str
    reached: float
    reached_at: float
    now: float
    metrics: Metrics | None
    metrics_now: Metrics
    binds: str | None
    binds_now: str
    point: Mapping[str, str | float]
    depends: bool = True

    @property
    def dataset(self) -> xr.Dataset:
        """The point along ``case``: ``needed``, with the value that was found, and ``now``."""
        from jaxlimits.questions.labelled_solution import label_solution  # noqa: PLC0415  it takes this record

        return label_solution(self)

    @property
    def is_met(self) -> bool:
        """Whether a value reaches the target."""
        return self.metrics is not None

    @property
    def is_of_the_prefill(self) -> bool:
        """Whether no decode step has a part in the metric."""
        asked = schema.sensitivity(self.asked.metric)
        return (asked.metric if asked else self.asked.metric) in OF_THE_PREFILL

    @property
    def factor(self) -> float:
        """What is needed over what is there; NaN where there is nothing of it."""
        return self.value / self.now if self.now else float("nan")


@placed("solve")
def solve(
    llm: str | LLM,
    chip: str | Chip,
    *,
    solve_for: str,
    target: object,
    of: str | None = None,
    low: object = None,
    high: object = None,
    among: Iterable[object] | None = None,
    catalog: Catalog | None = None,
    **settings: object,
) -> Solution:
    """Find what a field must be so that a metric reaches a target, in float64.

    Parameters
    ----------
    llm, chip
        Names from the catalog, or records.
    solve_for
        The field: any numeric one.
    target
        ``"utps=2000"``, ``"utps >= 2000 token/s"``, ``"tpot <= 20 ms/token"``: a metric, at least
        or at most a value. A plain ``=`` means at least, for rates of tokens only. A number, in SI
        units, or a quantity of pint is what ``of`` must be at least.
    of
        The metric of such a number, one of tokens per second; by default ``utps``.
    low, high
        Ends of the bracket in which to search; by default every sensible value.
    among
        The only values to try, one by one.
    catalog, **settings
        As for :func:`jaxlimits.evaluate`.

    Returns
    -------
    Solution
        An unreachable target is data, with its reason.

    Raises
    ------
    InputError
        What cannot be read, and a bracket that holds no solution where there is one outside.

    Warns
    -----
    IdleSettingWarning
        A setting that changes no metric of the point.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> paper = dict(tp_size=128, accounting="nominal", vector_work="off", weight_bits=8)
    >>> paper |= dict(kv_sharding="split", collective_algorithm="constant")
    >>> point = ("llama3-405b", "xpu-hbm4")
    >>> found = jl.solve(*point, solve_for="sync_latency", target="utps=2000", **paper)
    >>> f"{1e6 * found.value:.3f} us, {found.reason}"
    '0.899 us, met'
    >>> jl.solve(*point, solve_for="sync_latency", target=2000, **paper).value == found.value
    True
    """
    metric, side, value = parse_target(_target_text(target, of))
    ends: dict[str, object] = {
        name: as_written(raw, key=name)
        for name, raw in (("from", low), ("to", high))
        if raw is not None
    }
    if among is not None:
        ends["among"] = [as_written(raw, key="among") for raw in among]
    table = RequirementTable.model_validate({"for": solve_for, "of": metric, side: value, **ends})
    asked = read_requirement(_NAME, table, every=True)
    refuse_unstated([metric], {*settings, asked.field}, key="target")
    scenario = point_scenario(llm, chip, dict(settings), catalog=catalog, beside=(asked.field,))
    if asked.field not in schema.inputs_of(metric):
        refuse_absent([metric], scenario, key="target")
    check_scenario(scenario)
    point = who_a_point_is(llm, chip, settings, scenario)
    found = _solved(scenario, asked, point)
    if low is not None or high is not None:
        anywhere = table.model_copy(update={"low": None, "high": None})
        widest = _solved(scenario, read_requirement(_NAME, anywhere, every=True), point)
        _refuse_empty_bracket(found, widest)
    moving = (asked.field,)
    warn_of_idle(scenario, settings, catalog=catalog, moving=moving, precision="float64")
    return found


def _target_text(target: object, of: str | None) -> str:
    """A target as text; a number, in SI units, and a quantity are of the metric ``of``."""
    written, metric = as_written(target, key="target"), of or "utps"
    if not isinstance(written, str):
        check_metric(metric, key="of")
        return f"{metric}={written!r} {schema.output(metric).unit}"
    if not _NAMES_A_METRIC.match(written):
        return f"{metric}={written}"
    if of is not None:
        problem = f"names a metric of its own, beside of = {of!r}"
        remedy = "leave of out, or give a number"
        raise InputError(problem, key="target", value=written, remedy=remedy)
    return written


def parse_target(text: str, *, key: str = "target") -> tuple[str, str, str]:
    """Split ``utps >= 2000 token/s`` into metric, ``at_least`` or ``at_most``, and value.

    ``key`` is the argument that errors name.

    Raises
    ------
    InputError
        Text of another form, an unknown metric, ``=`` for a metric that is not a rate of tokens.
    """
    parts = _TARGET.fullmatch(text)
    if parts is None:
        remedy = "write utps=2000, or 'tpot<=20 ms/token'"
        raise InputError("is not a target", key=key, value=text, remedy=remedy)
    metric, relation, value = parts["metric"], parts["relation"], parts["value"].strip()
    check_metric(metric, key=key)
    if relation == "=" and not schema.output(metric).unit.startswith("token"):
        remedy = f"write '{metric}<={value}' or '{metric}>={value}'"
        problem = f"must {metric} be at most that, or at least?"
        raise InputError(problem, key=key, value=text, remedy=remedy)
    return metric, _SIDES.get(relation, "at_least"), value


def _solved(scenario: Scenario, asked: Requirement, point: Mapping[str, str | float]) -> Solution:
    variables = (asked.name, asked.reached, asked.reason, asked.place)
    tried = _that_matter(scenario, asked)
    job = make_job(scenario, outputs=variables, requirements=(tried,), precision="float64")
    arrays, _ = collect(job)
    value, reached, code, place = (arrays[name].item() for name in variables)
    reason = next(meaning for meaning, number in REASONS.items() if number == code)
    factor = f"{asked.field}{schema.SCALE_SUFFIX}"
    kept = {name: number for name, number in scenario.base.items() if name != factor}
    there = dataclasses.replace(scenario, base={**kept, asked.field: value})
    there = dataclasses.replace(there, own=there.own | own_parts([asked.field]))
    metrics = scenario_metrics(there, "float64") if reason.startswith("met") else None
    now = scenario_metrics(scenario, "float64")
    return Solution(
        asked=asked,
        value=value,
        reason=reason,
        reached=reached,
        reached_at=value if reason.startswith("met") else place,
        now=present_value(scenario, asked.field),
        metrics=metrics,
        metrics_now=now,
        binds=None if metrics is None else _binding(there, metrics, asked.metric),
        binds_now=_binding(scenario, now, asked.metric),
        point=point,
        depends=reason == "met"
        or depends_on(scenario, asked.metric, asked.field, precision="float64"),
    )


def _that_matter(scenario: Scenario, asked: Requirement) -> Requirement:
    """The requirement with those of its candidates on which the answer rests.

    All are evaluated as an axis. What is left has the same best, worst, least and largest, and a
    value of each kind that the answer tells apart, so that trying these alone gives the same.
    """
    if len(asked.candidates) <= _FEW:
        return asked
    values = np.array(asked.candidates)
    axis = Axis(name=asked.field, values=asked.candidates, linked={})
    replaced = (asked.field, f"{asked.field}{schema.SCALE_SUFFIX}")
    along = dataclasses.replace(
        scenario,
        base={name: value for name, value in scenario.base.items() if name not in replaced},
        axes=(axis,),
        columns=({asked.field: values},),
        own=scenario.own | own_parts([asked.field]),
    )
    found, _ = collect(make_job(along, outputs=(asked.metric, "feasible"), precision="float64"))
    allowed, fits = admitted(along, asked.field), found["feasible"] == 1
    sign = 1.0 if asked.at_least else -1.0
    score = np.where(allowed & fits, sign * found[asked.metric], np.nan)
    kinds = {"met": score >= sign * asked.target, "allowed": allowed, "unfit": allowed & ~fits}
    kinds |= {"missed": score < sign * asked.target, "excluded": ~allowed}
    places = {0, len(values) - 1}
    for kind in kinds.values():
        places |= {int(place) for place in np.flatnonzero(kind)[[0, -1]]} if kind.any() else set()
    if not np.isnan(score).all():
        best = int(np.nanargmax(score))
        places |= {best, best - 1, best + 1, int(np.nanargmin(score))}
    kept = sorted(place for place in places if 0 <= place < len(values))
    return dataclasses.replace(asked, candidates=tuple(asked.candidates[place] for place in kept))


def _refuse_empty_bracket(found: Solution, widest: Solution) -> None:
    """Raise where a bracket that somebody gave lies beside the solution."""
    asked = found.asked
    inside = asked.low <= widest.value <= asked.high
    if not widest.is_met or (found.is_met and (inside or widest.reason != "met")):
        return
    unit = schema.FIELDS[asked.field].unit
    says = "every value reaches the target" if found.is_met else "no value reaches the target"
    bracket = f"from {units.show(asked.low, unit)} to {units.show(asked.high, unit)}"
    remedy = f"move the bracket: {asked.field} = {units.show(widest.value, unit)} reaches it"
    raise InputError(f"{bracket} {says}", key=asked.field, remedy=remedy)


def _binding(scenario: Scenario, metrics: Metrics, metric: str) -> str:
    """What binds at a point, in a word: its prefill, where a metric is of that alone."""
    code, asked = metrics.limit, schema.sensitivity(metric)
    if (asked.metric if asked else metric) in OF_THE_PREFILL:
        found, _ = collect(make_job(scenario, outputs=(PREFILL_LIMIT,), precision="float64"))
        code = found[PREFILL_LIMIT].item()
    return Limit(int(code)).name.lower()
