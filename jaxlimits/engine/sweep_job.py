"""The job of a sweep: everything that determines its chunks, and how the grid is cut into them."""

import dataclasses
from collections.abc import Iterable

from jaxlimits import schema
from jaxlimits.engine.chunk_sizes import (
    EVERYWHERE,
    IN_FLIGHT,
    Room,
    chunk_points,
    device_room,
    point_bytes,
    stored_bytes,
)
from jaxlimits.engine.reduction import Reduction
from jaxlimits.errors import InputError
from jaxlimits.grid.plan import Plan, make_plan
from jaxlimits.grid.requirements import Requirement
from jaxlimits.grid.scenario import Scenario

_FEWEST_POINTS = 1 << 12
"""Points of a chunk that is not halved any more: below, it is not the chunk that fills memory."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Everything that determines the chunks of a sweep.

    Parameters
    ----------
    scenario, plan
        The grid as numbers, and how it is cut.
    outputs, reductions
        What is kept.
    requirements
        Unknowns to solve for, by which outputs may be named.
    precision
        ``"float32"`` or ``"float64"``.
    bits
        Bits of the mantissa that outputs keep; all where it is ``None``.
    ahead
        Chunks that are started on each device before the results of another are taken.
    portable
        Whether the plan is the same on every machine, so that chunks must not be halved on one.
    fast
        Whether compiled loops compute the chunks.
    """

    scenario: Scenario
    plan: Plan
    outputs: tuple[str, ...]
    reductions: tuple[Reduction, ...]
    precision: str
    requirements: tuple[Requirement, ...] = ()
    bits: int | None = None
    ahead: int = IN_FLIGHT
    portable: bool = False
    fast: bool = False


def make_job(
    scenario: Scenario,
    *,
    outputs: tuple[str, ...],
    requirements: tuple[Requirement, ...] = (),
    reductions: tuple[Reduction, ...] = (),
    precision: str = "float32",
    memory: float | None = None,
    digits: int | None = None,
    room: Room | None = None,
    portable: bool = False,
    fast: bool = False,
) -> Job:
    """Plan a sweep.

    Parameters
    ----------
    scenario, outputs, requirements, reductions, precision
        As of :class:`Job`.
    memory
        Memory budget for chunks in flight [B]; by default chosen from the device.
    digits
        Significant digits that outputs keep; by default all.
    room
        Of the devices that will compute; by default those of this process.
    portable
        Whether chunks are the same on every machine; ``memory`` then says how many are in flight.
    fast
        Whether compiled loops compute the chunks.
    """
    size = (None, EVERYWHERE) if portable else (memory, room or device_room())
    stored = stored_bytes(outputs, precision)
    on_cpu = size[1].platform == "cpu"
    bytes_a_point = point_bytes(
        outputs, reductions, precision, requirements, on_cpu=on_cpu, looped=fast
    )
    points = chunk_points(
        bytes_a_point,
        reduced=bool(reductions),
        stored=stored,
        memory=size[0],
        room=size[1],
        looped=fast,
    )
    fits = memory is None or not portable or memory >= IN_FLIGHT * points * bytes_a_point
    return Job(
        scenario=scenario,
        plan=make_plan(scenario, points=points, kept=kept_axes(scenario, reductions)),
        outputs=outputs,
        requirements=requirements,
        reductions=reductions,
        precision=precision,
        bits=None if digits is None else schema.mantissa_bits(digits, precision),
        ahead=IN_FLIGHT if fits else 0,
        portable=portable,
        fast=fast,
    )


def halved(job: Job) -> Job:
    """Return a sweep in chunks of half as many points, as it would have been planned with those.

    Raises
    ------
    InputError
        They are as small as is of use.
    """
    points = job.plan.points_per_chunk // 2
    if job.portable:
        problem = f"the device's memory has no room for {2 * points:,} points at once"
        remedy = "free its memory, or sweep without `portable=True`: only then are chunks halved"
        raise InputError(problem, remedy=remedy)
    if points < _FEWEST_POINTS:
        problem = f"the device's memory has no room for {2 * points:,} points at once"
        held = "another process may hold it (`nvidia-smi` lists them); end that"
        remedy = f"{held}, keep fewer outputs or reductions, or set JAX_PLATFORMS=cpu"
        raise InputError(problem, remedy=remedy)
    kept = kept_axes(job.scenario, job.reductions)
    return dataclasses.replace(job, plan=make_plan(job.scenario, points=points, kept=kept))


def kept_axes(scenario: Scenario, reductions: Iterable[Reduction]) -> set[int]:
    """Positions of the axes that every reduction keeps, of those that keep any."""
    rank = len(scenario.axes)
    kept = [set(axes) for reduction in reductions if (axes := reduction.kept(rank))]
    return set.intersection(*kept) if kept else set()
