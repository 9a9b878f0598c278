"""Whether what a grid sets and varies changes anything that is kept of it.

An axis that changes nothing computes the same points again and again, and looks like an answer: it
is refused. A setting that changes nothing is said.
"""

import warnings
from collections.abc import Iterable, Iterator

from jaxlimits import schema
from jaxlimits.engine.idle import fields_that_differ, idle_in_words, remedy_of, used_in_grid
from jaxlimits.engine.read_reductions import read_reductions
from jaxlimits.engine.sweep_job import Job
from jaxlimits.errors import IdleSettingWarning, InputError
from jaxlimits.grid.constraints import CONSTRAINTS
from jaxlimits.grid.scenario import Scenario
from jaxlimits.grid.spec import GridSpec


def check_effects(spec: GridSpec, job: Job, *, allow_idle: bool = False) -> None:
    """Refuse an axis on which nothing depends that is kept of a grid; say which settings are idle.

    Parameters
    ----------
    spec, job
        The grid, as it is written and as it is computed: what either keeps counts.
    allow_idle
        Whether axes may be idle.

    Raises
    ------
    InputError
        An axis, or a column linked to one, of a field on which no output depends.

    Warns
    -----
    IdleSettingWarning
        A field of ``[base]`` or of the overrides on which no output depends.
    """
    keys = dict(_along_axes(spec))
    fields = {
        name: schema.scaled_field(name) or name
        for name in (*keys, *fields_that_differ(job.scenario, spec.base))
    }
    reductions = (*job.reductions, *read_reductions(spec))
    reduced = [name for reduction in reductions for name in (*reduction.of, *reduction.also)]
    outputs = {*job.outputs, *spec.outputs, *reduced, *(["feasible"] if reduced else [])}
    used = used_in_grid(
        job.scenario,
        outputs,
        requirements=spec.requirements,
        wanted=frozenset(fields.values()),
        precision=spec.precision,
    )
    idle = [name for name, field in fields.items() if field not in used]
    admitting = _admitting(job.scenario, used.intersection(fields.values())) if idle else set()
    axes = [axis.name for axis in spec.axes]
    for name in idle:
        remedy = remedy_of(name, job.scenario, precision=spec.precision)
        if name not in axes and fields[name] in admitting:
            continue
        if name not in keys:
            _warn(name, remedy, spec)
        elif not allow_idle:
            problem = "no output of this grid depends on it"
            advice = "take it out, or keep it with `allow_idle=True`"
            remedy = f"for it to count, {remedy}; else {advice}" if remedy else advice
            raise InputError(problem, where=spec.file.where, key=keys[name], remedy=remedy)


def warn_of_idle_inputs(
    scenario: Scenario, names: Iterable[str], outputs: Iterable[str], *, precision: str, where: str
) -> None:
    """Say which fields that are sampled change nothing, as :func:`check_effects` does of settings.

    Parameters
    ----------
    scenario
        The samples: the fields vary in it.
    names
        The fields and factors.
    outputs
        What is kept of each sample.
    precision
        That of the evaluation, whose programs then serve both.
    where
        What to name in the warning.

    Warns
    -----
    IdleSettingWarning
        A field on which no output depends, with what would give it effect.
    """
    fields = {name: schema.scaled_field(name) or name for name in names}
    wanted = frozenset(fields.values())
    used = used_in_grid(scenario, {*outputs}, wanted=wanted, precision=precision)
    for name, field in fields.items():
        if field not in used:
            words = idle_in_words(name, remedy_of(name, scenario, precision=precision))
            warnings.warn(f"{where}: {words}", IdleSettingWarning, stacklevel=4)


def _along_axes(spec: GridSpec) -> Iterator[tuple[str, str]]:
    """Numeric fields and factors that vary, and the keys under which they do."""
    for axis in spec.axes:
        key = f"{spec.file.axes_key}.{axis.name}"
        if schema.is_numeric(axis.name):
            yield axis.name, key
        yield from ((name, f"{key}.with.{name}") for name in axis.linked if schema.is_numeric(name))


def _admitting(scenario: Scenario, used: Iterable[str]) -> set[str]:
    """Fields that decide which values others of a grid can have, of those on which outputs depend.

    ``dp_size`` makes room for ranks of experts also where no output depends on it.
    """
    choices = list(scenario.choices())
    return {
        name
        for rule in CONSTRAINTS
        if any(rule.needs.items() <= choice.items() for choice in choices)
        for name in rule.fields
        if not {*rule.fields}.isdisjoint({*used} - {name})
    }


def _warn(name: str, remedy: str, spec: GridSpec) -> None:
    where = "`overrides`" if name in spec.overrides else f"{spec.file.where}: base"
    message = f"{where}: {idle_in_words(name, remedy)}"
    warnings.warn(message, IdleSettingWarning, stacklevel=4)
