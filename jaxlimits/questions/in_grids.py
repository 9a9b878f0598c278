"""Points of a grid that answer a question: only what keeps the targets enters the reduction."""

import dataclasses
from typing import Any

from jaxlimits.engine.findings import find
from jaxlimits.engine.reduction import Reduction
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import Job, make_job
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.scenario import bind, refuse_absent
from jaxlimits.grid.spec import GridSpec
from jaxlimits.grid.stated import refuse_unstated
from jaxlimits.questions.labelled_points import Row, in_order, rows_of
from jaxlimits.questions.parts import parts_of_grid
from jaxlimits.questions.question import Question
from jaxlimits.run.effects import check_effects


def points_of_grid(
    spec: GridSpec,
    question: Question,
    kind: type[Reduction],
    *,
    allow_idle: bool,
    order: str = "",
    **own: Any,
) -> list[Row]:
    """Reduce each part of a grid to points; ``order`` is the metric by which each is sorted."""
    check_scenario(bind(spec))
    check_effects(spec, _job_of(spec, question, kind, **own), allow_idle=allow_idle)
    found = []
    for part in parts_of_grid(spec, question):
        rows = _of_grid(part, _job_of(part, question, kind, **own), question)
        found += in_order(rows, order) if order else rows
    return found


def _job_of(
    spec: GridSpec, question: Question, kind: type[Reduction], *, of: tuple[str, ...], **own: Any
) -> Job:
    """Plan the reduction of a grid to points, within the targets."""
    refuse_unstated(question.metrics, spec.named, where=spec.file.where, key="best")
    names = [axis.name for axis in spec.axes]
    scenario = bind(spec)
    rules = dataclasses.replace(scenario.rules, budgets=question.targets)
    scenario = dataclasses.replace(scenario, rules=rules)
    refuse_absent((*of, *(budget.of for budget in question.targets)), scenario, key="best")
    also = tuple(name for name in question.metrics if name not in of)
    everywhere = tuple(range(len(names)))
    reduction = kind(name="best", of=of, over=everywhere, also=also, **own)
    return make_job(scenario, outputs=(), reductions=(reduction,), precision=spec.precision)


def _of_grid(spec: GridSpec, job: Job, question: Question) -> list[Row]:
    """Reduce a grid to points."""
    _, states = collect(job)
    (reduction,), names = job.reductions, [axis.name for axis in spec.axes]
    found = {f.name: f.values for f in find(job, reduction, states["best"])}
    if "best" in found:  # a frontier has a name for each metric
        found[f"best_{question.objective}"] = found.pop("best")
    columns = {name: found[f"best_{name}"] for name in (*names, *question.metrics)}
    return [row for row in rows_of(columns) if row[question.objective] == row[question.objective]]
