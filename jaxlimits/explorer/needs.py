"""What it takes to reach the target: one field after another, by the solver's own search."""

import dataclasses
import math

from jaxlimits import schema, units
from jaxlimits.catalog.loader import Catalog
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import make_job
from jaxlimits.engine.take_apart import present_value
from jaxlimits.errors import InputError
from jaxlimits.explorer.points import PRECISION, point_of, scenario_of
from jaxlimits.explorer.state import WHERE, Side, State
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.file import RequirementTable
from jaxlimits.grid.requirements import REASONS, Requirement, read_requirement
from jaxlimits.grid.scenario import Scenario
from jaxlimits.model.metrics import OF_THE_PREFILL

ASKED = (
    *("mem_bw", "peak_flops", "mem_capacity", "sync_latency"),
    *("tp_size", "batch_size", "weight_bits"),
)
"""Fields that are asked for, one at a time, the others as they are."""

_RISES = ("token/s", "token/J", "token/USD", "Hz")
"""Units of metrics that a target bounds from below; it bounds the others from above."""

_MEANINGS = {code: reason for reason, code in REASONS.items()}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """What one field would have to be.

    Parameters
    ----------
    field
        The field.
    now, needed
        Its value, and the one that reaches the target [SI]; NaN where none does.
    reason
        As in :data:`jaxlimits.grid.requirements.REASONS`.
    """

    field: str
    now: float
    needed: float
    reason: str

    @property
    def is_open(self) -> bool:
        """Whether a value reaches the target."""
        return self.reason.startswith("met") and self.now > 0.0 and self.needed > 0.0

    @property
    def factor(self) -> float:
        """What is needed over what is there."""
        return self.needed / self.now

    @property
    def distance(self) -> float:
        """How far away it is: the logarithm of the factor, without end where there is no way."""
        return abs(math.log(self.factor)) if self.is_open else math.inf


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What it takes, the nearest first.

    Parameters
    ----------
    target
        The target in words: ``utps ≥ 2,000 token/s``.
    ways
        One for each field.
    reached
        Whether the machine reaches the target as it is.
    problem
        Why there is no answer, in words.
    """

    target: str
    ways: tuple[Way, ...] = ()
    reached: bool = False
    problem: str = ""


def requirements_of(state: State) -> tuple[Requirement, ...]:
    """Return what is asked of the solver; its fields are the same whatever the target."""
    side = "at_least" if schema.OUTPUTS[state.aim].unit in _RISES else "at_most"
    return tuple(
        read_requirement(
            f"need_{field}",
            RequirementTable.model_validate({"for": field, "of": state.aim, side: state.target}),
            where=WHERE,
        )
        for field in ASKED
    )


def needs_of(state: State, side: Side, catalog: Catalog) -> Needs:
    """Ask what one machine needs; what cannot be is words, not an exception."""
    try:
        asked = requirements_of(state)
        target = _words(asked[0])
        # Every term for every field would take half a minute to compile.
        scenario = dataclasses.replace(scenario_of(state, side, catalog), general=False)
        check_scenario(scenario)
    except InputError as error:
        return Needs(target=f"{state.aim} {state.target}", problem=str(error))
    ways = [_way(scenario, each) for each in asked]
    nearest = tuple(sorted(ways, key=lambda way: way.distance))
    return Needs(target=target, ways=nearest, reached=_reaches(state, side, catalog, asked[0]))


def _reaches(state: State, side: Side, catalog: Catalog, asked: Requirement) -> bool:
    metrics = point_of(state, side, catalog).metrics
    value = math.nan if metrics is None else float(getattr(metrics, asked.metric))
    return value >= asked.target if asked.at_least else value <= asked.target


def _way(scenario: Scenario, asked: Requirement) -> Way:
    """Solve for one field, in a program of its own: all in one would take longer to compile."""
    variables = (asked.name, asked.reason)
    job = make_job(scenario, outputs=variables, requirements=(asked,), precision=PRECISION)
    arrays, _ = collect(job)
    return Way(
        field=asked.field,
        now=present_value(scenario, asked.field),
        needed=arrays[asked.name].item(),
        reason=_MEANINGS[arrays[asked.reason].item()],
    )


def _words(asked: Requirement) -> str:
    relation = "≥" if asked.at_least else "≤"
    return (
        f"{asked.metric} {relation} {units.show(asked.target, schema.OUTPUTS[asked.metric].unit)}"
    )


def sentence(way: Way, target: str) -> str:
    """Say what a way takes: ``1.8× more memory bandwidth (8.64 TB/s) reaches utps ≥ 2,000 …``."""
    info = schema.FIELDS[way.field]
    if not way.is_open:
        binding = way.reason.removeprefix("unreachable_")
        why = {
            "capacity": "the memory is full first",
            "excluded": "the other fields admit no such value",
        }
        what = " the prefill" if target.split(maxsplit=1)[0] in OF_THE_PREFILL else ""
        return f"no {info.meaning} reaches {target}: {why.get(binding, f'{binding} binds{what}')}"
    needed = units.show(way.needed, info.unit)
    if math.isclose(way.factor, 1.0, rel_tol=5e-4):
        return f"the present {info.meaning} ({needed}) just reaches {target}"
    share = way.factor if way.factor > 1.0 else 1.0 / way.factor
    comparison = "more" if way.factor > 1.0 else "less"
    return f"{_short(share)}× {comparison} {info.meaning} ({needed}) reaches {target}"


def _short(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 100.0 else f"{factor:.3g}"
