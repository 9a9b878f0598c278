"""What a compiled loop serves, said before anything is computed."""

from collections.abc import Iterator

import jax
import numpy as np

from jaxlimits.engine.loop.chunks import loop_at
from jaxlimits.engine.loop.compiled import numba
from jaxlimits.engine.sweep_job import Job
from jaxlimits.errors import InputError

_WITHOUT = "sweep without `fast=True`"


def refuse_unserved(job: Job) -> None:
    """Raise where loops do not serve a sweep.

    Raises
    ------
    InputError
        With what it does not serve, or that its compiler is not installed.
    """
    numba()
    for problem, remedy in _unserved(job):
        raise InputError(problem, where=job.scenario.where, key="fast", remedy=remedy)
    for choice in np.ndindex(*(_choices(job))):
        try:
            loop_at(job, choice)
        except NotImplementedError as error:
            problem = f"the compiled loop has no {error}, on which an output rests"
            remedy = f"keep other metrics, or {_WITHOUT}"
            raise InputError(problem, where=job.scenario.where, key="fast", remedy=remedy) from None


def _unserved(job: Job) -> Iterator[tuple[str, str]]:
    """Yield each problem with its remedy."""
    if (platform := jax.default_backend()) != "cpu":
        problem = f"the compiled loop is for CPUs, and the device is a {platform}"
        yield problem, f"set JAX_PLATFORMS=cpu, or {_WITHOUT}"
    if job.requirements:
        unknowns = ", ".join(asked.name for asked in job.requirements)
        problem = f"the compiled loop searches for no unknown: {unknowns}"
        yield problem, f"leave [require] out, or {_WITHOUT}"
    for reduction in job.reductions:
        # XLA adds such a NaN to a mean; in a loop it says that a point does not count.
        if why := job.scenario.why_absent(reduction.of[0]):
            problem = f"the compiled loop cannot compute reduce.{reduction.name}"
            yield f"{problem}, as {reduction.of[0]} is absent: {why}", _WITHOUT
        if reduction.by_row(np.dtype(job.precision)) is None:
            problem = f"the compiled loop cannot compute reduce.{reduction.name}, {reduction.op}"
            yield f"{problem}: {reduction.not_by_row}", _WITHOUT


def _choices(job: Job) -> tuple[int, ...]:
    """One chunk for each choice of switches."""
    switched = job.scenario.choice_at((0,) * len(job.scenario.axes))
    counts = zip(job.scenario.axes, job.plan.counts, strict=True)
    return tuple(count if axis.name in switched else 1 for axis, count in counts)
