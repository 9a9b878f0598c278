"""What is compiled: every shipped grid, each kind of reduction alone, and every metric at once."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from benchmarks.grids import METRICS, Axes, grid_text, spec_of
from jaxlimits.engine.chunk_sizes import point_bytes, points_on_accelerator, stored_bytes
from jaxlimits.engine.kernel import Inputs, chunks_reduced
from jaxlimits.engine.reductions import REDUCTIONS
from jaxlimits.engine.sweep_job import Job, kept_axes
from jaxlimits.grid.plan import make_plan
from jaxlimits.grid.scenario import bind
from jaxlimits.grid.spec import GridSpec
from jaxlimits.run.pipeline import load_grid, spec_job

GRIDS = Path(__file__).parents[2] / "grids"

_KEYS: Mapping[str, Mapping[str, object]] = {
    "argmin": {"over": ["tp_size", "batch_size"]},
    "argmax": {"over": ["tp_size", "batch_size"]},
    "count": {"of": "limit"},
    "crossing": {"over": ["mem_bw"], "target": "100 token/s"},
    "frontier": {"of": ["utps", "stps"]},
    "histogram": {"first": "1 token/s", "last": "100000 token/s", "bins": 50},
    "quantiles": {"at": [0.05, 0.5, 0.95]},
    "top": {"k": 100},
    "bottom": {"k": 10},
}
"""Keys of reductions that need some; the others reduce user speed over the whole grid."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One job to compile.

    Parameters
    ----------
    name
        Of the grid, or of the reduction.
    spec
        The grid.
    """

    name: str
    spec: GridSpec

    def job(self, memory: float) -> Job:
        """Plan it for a device with so much memory [B]."""
        scenario = bind(self.spec)
        job = spec_job(self.spec, scenario)
        asked = (job.outputs, job.reductions, job.precision, job.requirements)
        size = point_bytes(*asked, on_cpu=False)
        stored = stored_bytes(job.outputs, job.precision)
        points = points_on_accelerator(size, stored=stored, limit=memory)
        plan = make_plan(scenario, points=points, kept=kept_axes(scenario, job.reductions))
        return dataclasses.replace(job, plan=plan)


def cases() -> Iterator[Case]:
    """Yield every case in its order."""
    for path in sorted(GRIDS.glob("*.toml")):
        if "[axes]" in path.read_text(encoding="utf-8"):
            yield Case(name=path.stem, spec=load_grid(path))
    axes = Axes()
    for op in sorted(REDUCTIONS):
        reduction: dict[str, Any] = {"op": op, "of": "utps", **_KEYS.get(op, {})}
        yield Case(
            name=f"only {op}", spec=spec_of(grid_text(axes, reductions={"found": reduction}))
        )
    yield Case(name="every metric", spec=_every_metric(axes))


def _every_metric(axes: Axes) -> GridSpec:
    """The mean of each metric, so that nothing but their computation is left to cost."""
    numbers = [name for name in METRICS if name not in ("limit", "feasible")]
    means = {f"mean_{name}": {"op": "mean", "of": name} for name in numbers}
    return spec_of(grid_text(axes, reductions=means))


def lower(job: Job, mesh: Mesh, outputs: tuple[str, ...], reductions: tuple) -> Any:
    """Lower the program of a job's first chunk for the devices of a mesh."""
    scenario, plan = job.scenario, job.plan
    static = {**scenario.fixed_static(), **scenario.choice_at((0,) * len(plan.block))}
    places = jax.ShapeDtypeStruct(
        (mesh.size, len(plan.block)),
        np.int32,
        sharding=NamedSharding(mesh, PartitionSpec(mesh.axis_names[0])),
    )
    with jax.enable_x64(job.precision == "float64"):
        return chunks_reduced.lower(
            _inputs(job, mesh),
            places,
            outputs=outputs,
            reductions=reductions,
            static=tuple(sorted(static.items())),
            requirements=tuple(asked.without_target() for asked in job.requirements),
            plan=plan,
            bits=job.bits,
            mesh=mesh,
            rules=scenario.rules,
        )


def _inputs(job: Job, mesh: Mesh) -> Inputs:
    """Shapes of the numbers of a grid, which lie on devices that are not there."""
    scenario, plan = job.scenario, job.plan
    everywhere = NamedSharding(mesh, PartitionSpec())

    def shape(*sizes: int) -> Any:
        return jax.ShapeDtypeStruct(sizes, np.dtype(job.precision), sharding=everywhere)

    names = [*scenario.base, *(asked.aim for asked in job.requirements)]
    axes = tuple(
        {name: shape(count * size) for name in columns}
        for columns, count, size in zip(scenario.columns, plan.counts, plan.block, strict=True)
    )
    return Inputs({name: shape() for name in names}, axes)
