"""From a state to numbers: one point for each machine, and the map around it.

All values are traced: a move runs a program that is already compiled, for every tab the same one.
What compiles anew is another metric, another field on an axis, or another switch.
"""

import dataclasses
import math
from collections.abc import Collection, Mapping

import numpy as np

from jaxlimits import schema
from jaxlimits.catalog.loader import Catalog
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import make_job
from jaxlimits.errors import InputError, placed
from jaxlimits.explorer.state import Side, Span, State, ends
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.constraints import CONSTRAINTS
from jaxlimits.grid.scenario import Scenario, own_parts
from jaxlimits.model.metrics import REQUESTED, Limit, Metrics
from jaxlimits.points.named_point import point_scenario, scenario_metrics
from jaxlimits.results.reason_codes import Reason

SIZE = 512
"""Points along each axis of the map."""

EXCLUDED = 4
"""Code of a point whose values exclude each other, beside those of :class:`Limit`."""

PRECISION = "float32"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One machine at one point.

    Parameters
    ----------
    metrics
        What the model says; ``None`` where the point cannot be.
    values
        Every field's value [SI]; none where a name is not known.
    problem
        Why it cannot be, in words.
    reasons
        Why metrics have no value, by their names.
    """

    metrics: Metrics | None
    values: dict[str, float]
    problem: str = ""
    reasons: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Map:
    """The metric over both axes.

    Parameters
    ----------
    x, y
        Values of the axes [SI]; whole numbers stand several times where a span has few.
    values
        The metric, (y, x) [SI]; NaN where the point does not fit or cannot be.
    codes
        What binds, (y, x); :data:`EXCLUDED` where the point cannot be.
    reasons
        Why there is no value, (y, x).
    problem
        Why there is no map, in words.
    rules
        What excludes values on it, in words.
    """

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray
    codes: np.ndarray
    reasons: np.ndarray
    problem: str = ""
    rules: tuple[str, ...] = ()


def scenario_of(
    state: State, side: Side, catalog: Catalog, beside: Collection[str] = ()
) -> Scenario:
    """Resolve one machine to numbers; ``beside`` are fields that something else gives.

    Raises
    ------
    InputError
        An unknown name, a value that its field cannot take.
    """
    settings: dict[str, object] = {**state.of(side)}
    llm, chip = (str(settings.pop(name, "")) for name in schema.REQUIRED)
    where = f"machine {side.upper()}"
    with placed(where):
        scenario = point_scenario(llm, chip, settings, catalog=catalog, beside=beside)
    return dataclasses.replace(scenario, where=where, general=True)


def values_of(state: State, side: Side, catalog: Catalog) -> dict[str, float]:
    """Return every field's value [SI]; none where a name is not known.

    What a chip does not state is left out.
    """
    try:
        scenario = scenario_of(state, side, catalog)
    except InputError:
        return {}
    return _known(scenario)


def _known(scenario: Scenario) -> dict[str, float]:
    values = {name: float(scenario.effective(name)) for name in schema.FIELDS}
    return {name: value for name, value in values.items() if not math.isnan(value)}


def point_of(state: State, side: Side, catalog: Catalog) -> Point:
    """Evaluate one machine; what cannot be is words, not an exception."""
    values: dict[str, float] = {}
    try:
        scenario = scenario_of(state, side, catalog)
        values = _known(scenario)
        check_scenario(scenario)
        calibrated = "calibration" in state.of(side)
        metrics = scenario_metrics(scenario, PRECISION, calibrated=calibrated)
    except InputError as error:
        return Point(metrics=None, values=values, problem=str(error))
    reasons = {
        name: int(_reasons(name, value, np.asarray(metrics.limit), scenario))
        for name in schema.OUTPUTS
        if np.isnan(value := np.asarray(getattr(metrics, name), float))
    }
    return Point(metrics=metrics, values=values, reasons=reasons)


def map_of(state: State, side: Side, catalog: Catalog) -> Map:
    """Evaluate the map of one machine."""
    x, y = (axis_values(span) for span in (state.x, state.y))
    try:
        scenario = map_scenario(state, side, catalog)
    except InputError as error:
        shape = (len(y), len(x))
        nothing, codes = np.full(shape, np.nan, np.float32), np.full(shape, EXCLUDED, np.int8)
        reasons = np.full(shape, Reason.CANNOT_BE, np.int8)
        return Map(x=x, y=y, values=nothing, codes=codes, reasons=reasons, problem=str(error))
    job = make_job(scenario, outputs=(state.metric, "limit"), precision=PRECISION)
    arrays, _ = collect(job)
    values, codes = arrays[state.metric], arrays["limit"]
    excluded = exclusions(scenario)
    if excluded.any():
        values = np.where(excluded, np.float32(np.nan), values)
        codes = np.where(excluded, np.int8(EXCLUDED), codes)
    # What a metric is where the step does not fit, as its bytes, is no answer to a question here.
    values = np.where(codes == Limit.CAPACITY, np.float32(np.nan), values)
    return Map(
        x=x, y=y, values=values, codes=codes,
        reasons=_reasons(state.metric, values, codes, scenario), rules=tuple(broken(scenario)),
    )  # fmt: skip


def _reasons(metric: str, values: np.ndarray, codes: np.ndarray, scenario: Scenario) -> np.ndarray:
    """Why a metric has no value, point by point, by the same codes as a result's."""
    lacking = Reason.NOT_STATED if scenario.is_absent(metric) else Reason.NOT_COMPUTED
    without = scenario.effective("input_len") == 0.0 if metric in REQUESTED else np.False_
    found = np.where(without, Reason.NO_REQUEST, lacking)
    found = np.where(codes == Limit.CAPACITY, Reason.DOES_NOT_FIT, found)
    found = np.where(codes == EXCLUDED, Reason.CANNOT_BE, found)
    return np.where(np.isnan(values), found, Reason.FITS).astype(np.int8)


def map_scenario(state: State, side: Side, catalog: Catalog) -> Scenario:
    """Lay the axes of the map over one machine."""
    point = scenario_of(state, side, catalog, beside=(state.x.name, state.y.name))
    axes = {span.name: axis_values(span) for span in (state.y, state.x)}
    factors = {f"{name}{schema.SCALE_SUFFIX}" for name in axes}
    return dataclasses.replace(
        point,
        base={n: value for n, value in point.base.items() if n not in {*axes, *factors}},
        axes=tuple(
            Axis(name=name, values=tuple(column.tolist()), linked={})
            for name, column in axes.items()
        ),
        columns=tuple({name: column} for name, column in axes.items()),
        own=point.own | own_parts(axes),
    )


def axis_values(span: Span) -> np.ndarray:
    """Return the values along an axis of the map: whole where the field is, allowed ones alone."""
    first, last = ends(span)
    info = schema.FIELDS[span.name]
    spaced = np.geomspace if span.spacing == "geometric" else np.linspace
    values = spaced(first, last, SIZE)
    if info.allowed:
        allowed = np.array(sorted(info.allowed))
        return allowed[np.abs(values[:, None] - allowed).argmin(axis=1)]
    return np.rint(values) if info.whole else values


def exclusions(scenario: Scenario) -> np.ndarray:
    """Return where the values of a grid exclude each other, of a shape that broadcasts to it."""
    excluded = np.zeros((1,) * len(scenario.axes), bool)
    for where in broken(scenario).values():
        excluded = excluded | where
    return excluded


def broken(scenario: Scenario) -> dict[str, np.ndarray]:
    """Return the conditions between fields that some points break, in words, and where."""
    found: dict[str, np.ndarray] = {}
    for rule in CONSTRAINTS:
        if rule.needs.items() <= scenario.switches.items():
            holds = rule.holds({name: scenario.effective(name) for name in rule.fields})
            if not np.all(holds):
                found[rule.says] = ~np.asarray(holds)
    return found
