"""The kernel: the model mapped over the axes of a grid, in one compiled program.

One nested ``vmap`` an axis keeps every term as small as the axes it depends on: the weights of an
LLM are computed once a model, not once a point. So do the metrics that are reduced: a reduction
walks through the memory traffic once a model and batch, whatever the latencies beside it. The
numbers of the whole grid lie on the devices; a chunk is a place in them, so that starting one costs
next to nothing and all share one program.

On a CPU reductions are a program of their own, which reads a chunk's metrics as they lie in memory.
In one program with the model XLA would compute the metrics again for each of them, and in the order
in which a reduction walks through the points, which costs the vector units. An accelerator has more
arithmetic than memory: there model and reductions are one program, and no metric is ever written
but those that are asked for whole.
"""

import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxlimits.engine.counted import USABLE, Counted, Traced, as_counted
from jaxlimits.engine.over_axes import over_axes
from jaxlimits.engine.program import FEW, UNFUSED
from jaxlimits.engine.reduction import Reduction
from jaxlimits.engine.sensitivity import Static, Values, outputs_at
from jaxlimits.grid.plan import Key, Plan
from jaxlimits.grid.requirements import Requirement
from jaxlimits.grid.rules import NO_RULES, Rules
from jaxlimits.grid.scenario import Scenario

Results = tuple[dict[str, jax.Array], dict[str, Traced]]
"""Outputs by name, and the parts of each reduction by its name."""

_DEVICES = "device"


class Inputs(NamedTuple):
    """The numbers of a whole grid, on every device of a mesh.

    Parameters
    ----------
    base
        Fields and scale factors that do not vary, and targets of requirements [SI].
    axes
        For each dimension, in order, the fields that vary along it [SI], padded to whole chunks;
        none for a switch.
    """

    base: Values
    axes: tuple[Values, ...]


def make_mesh(devices: Sequence[Any]) -> Mesh:
    """Return the devices in a row: each computes a chunk of its own."""
    return Mesh(np.asarray(devices), (_DEVICES,))


def place_inputs(
    scenario: Scenario,
    plan: Plan,
    *,
    requirements: Iterable[Requirement] = (),
    precision: str,
    mesh: Mesh,
    only: Collection[str] | None = None,
) -> Inputs:
    """Send the numbers of a grid to every device, once for all chunks.

    Parameters
    ----------
    scenario, plan
        The grid, and how it is cut.
    requirements
        Unknowns to solve for; their targets go with the numbers that do not vary.
    precision
        ``"float32"`` or ``"float64"``.
    mesh
        The devices.
    only
        Names of the numbers to send; by default all.
    """
    dtype = np.dtype(precision)
    numbers = {**scenario.base, **{asked.aim: asked.target for asked in requirements}}
    sent = {*numbers, *itertools.chain(*scenario.columns)} if only is None else {*only}
    axes = tuple(
        {
            name: _padded(column.astype(dtype), count * size)
            for name, column in columns.items()
            if name in sent
        }
        for columns, count, size in zip(scenario.columns, plan.counts, plan.block, strict=True)
    )
    with jax.enable_x64(precision == "float64"):
        everywhere = NamedSharding(mesh, PartitionSpec())
        base = {
            name: _placed(float(value), dtype, everywhere)
            for name, value in numbers.items()
            if name in sent
        }
        return Inputs(base, jax.device_put(axes, everywhere))


@functools.lru_cache(maxsize=1 << 13)
def _placed(value: float, dtype: np.dtype, everywhere: NamedSharding) -> jax.Array:
    """A number on every device: of two points that differ in little, most numbers are there."""
    return jax.device_put(np.asarray(value, dtype), everywhere)


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    return np.pad(values, (0, length - len(values)), mode="edge")


def run_chunks(
    inputs: Inputs,
    plan: Plan,
    keys: Sequence[Key],
    *,
    static: Mapping[str, Any],
    outputs: tuple[str, ...],
    requirements: tuple[Requirement, ...] = (),
    reductions: tuple[Reduction, ...] = (),
    precision: str = "float32",
    bits: int | None = None,
    mesh: Mesh,
    rules: Rules = NO_RULES,
) -> list[Results]:
    """Start the evaluation of one chunk on each device; the results arrive later.

    Parameters
    ----------
    inputs
        As :func:`place_inputs`.
    plan
        How the grid is cut.
    keys
        Which chunks: at most as many as there are devices, alike in every switch.
    static
        Every static field of the deployment.
    outputs
        Names of the outputs to return whole.
    requirements
        Unknowns by which outputs may be named.
    reductions
        What to reduce.
    precision
        ``"float32"`` or ``"float64"``.
    bits
        Bits of the mantissa that outputs keep; by default all.
    mesh
        The devices.
    rules
        Prices that stand for fields, and budgets that reductions keep.

    Returns
    -------
    list
        For each key its outputs, of the chunk's shape, and the parts of each reduction.
    """
    idle = mesh.size - len(keys)
    places = np.array([*keys, *[keys[-1]] * idle], dtype=np.int32).reshape(mesh.size, -1)
    common: dict[str, Any] = {
        "static": tuple(sorted(static.items())),
        "requirements": tuple(asked.without_target() for asked in requirements),
        "plan": plan,
        "bits": bits,
        "mesh": mesh,
        "rules": rules,
    }
    run = _in_one_program if in_one_program(mesh) else _one_after_another
    with jax.enable_x64(precision == "float64"):
        # Sent by name: under a guard of transfers, whatever else crosses is an error.
        sent = jax.device_put(places, NamedSharding(mesh, PartitionSpec(_DEVICES)))
        arrays, parts = run(inputs, sent, outputs, reductions, common)
    if mesh.size == 1:
        return [(arrays, parts)]
    # A device's share is taken as it is: indexing would start a program for it.
    return [
        jax.tree.map(lambda array, n=number: array.addressable_shards[n].data, (arrays, parts))
        for number in range(len(keys))
    ]


def in_one_program(mesh: Mesh) -> bool:
    """Whether the devices of a mesh run model and reductions as one program."""
    return mesh.devices.flat[0].platform != "cpu"


def _one_after_another(
    inputs: Inputs,
    places: jax.Array,
    outputs: tuple[str, ...],
    reductions: tuple[Reduction, ...],
    common: Mapping[str, Any],
) -> Results:
    """Metrics by one program, and reductions that read them by others."""
    plan, mesh = common["plan"], common["mesh"]
    is_small = math.prod(plan.shape) <= FEW
    arrays, counted, lengths = (_few_points if is_small else _chunks)(
        inputs, places, outputs=outputs, counted=_metrics_of(reductions), **common
    )
    parts: dict[str, Traced] = {}
    for together in programs(reductions):
        parts |= _reduced(
            {name: counted[name] for name in (USABLE, *_metrics_of(together))},
            lengths,
            reductions=together,
            block=plan.block,
            mesh=mesh,
        )
    return arrays, parts


def _in_one_program(
    inputs: Inputs,
    places: jax.Array,
    outputs: tuple[str, ...],
    reductions: tuple[Reduction, ...],
    common: Mapping[str, Any],
) -> Results:
    """Metrics and reductions by one program; one more for each reduction that may grow."""
    arrays: Traced = {}
    parts: dict[str, Traced] = {}
    for place, together in enumerate(programs(reductions) or [()]):
        whole = () if place else outputs
        found = chunks_reduced(inputs, places, outputs=whole, reductions=together, **common)
        arrays, parts = arrays | found[0], parts | found[1]
    return arrays, parts


@functools.partial(
    jax.jit,
    static_argnames=(
        *("static", "outputs", "requirements", "reductions"),
        *("plan", "bits", "mesh", "rules"),
    ),
)
def chunks_reduced(
    inputs: Inputs,
    places: jax.Array,
    *,
    outputs: tuple[str, ...],
    reductions: tuple[Reduction, ...],
    **common: Any,
) -> Results:
    """One chunk on each device: outputs, and what reductions keep, in one program.

    Parameters
    ----------
    inputs, outputs, reductions
        As for :func:`run_chunks`.
    places
        The chunk of each device.
    **common
        The arguments that all programs of chunks share.
    """
    arrays, counted, lengths = _chunk_on_each(
        inputs, places, outputs=outputs, counted=_metrics_of(reductions), **common
    )
    if not reductions:
        return arrays, {}
    block, mesh = common["plan"].block, common["mesh"]
    return arrays, _reduced(counted, lengths, reductions=reductions, block=block, mesh=mesh)


def _metrics_of(reductions: Iterable[Reduction]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for reduction in reductions for name in reduction.of))


def _chunk_on_each(
    inputs: Inputs,
    places: jax.Array,
    *,
    static: Static,
    outputs: tuple[str, ...],
    requirements: tuple[Requirement, ...],
    counted: tuple[str, ...],
    plan: Plan,
    bits: int | None,
    mesh: Mesh,
    rules: Rules,
) -> tuple[Traced, Traced, jax.Array]:
    """One chunk on each device: metrics as they are, as reductions count them, and its lengths."""

    def chunk(inputs: Inputs, places: jax.Array) -> tuple[Traced, Traced, jax.Array]:
        block, shape = (jnp.array(sizes, places.dtype) for sizes in (plan.block, plan.shape))
        place = places[0] * block
        lengths = jnp.minimum(block, shape - place)
        kept = {"feasible", *(budget.of for budget in rules.budgets)} if counted else set()
        point = functools.partial(
            outputs_at,
            static=static,
            names={*outputs, *counted, *kept},
            requirements=requirements,
            rules=rules,
        )
        metrics = _metrics(inputs, place, point, plan)
        whole = {
            name: _rounded(jnp.broadcast_to(metrics[name], plan.block), bits) for name in outputs
        }
        solved = {name for asked in requirements for name in asked.quantities}
        reduced = as_counted(metrics, counted, lengths, plan, rules=rules, regardless=solved)
        return whole, reduced, lengths

    return _on_each(chunk, mesh, shared=1)(inputs, places)


_chunks, _few_points = (
    jax.jit(
        _chunk_on_each,
        static_argnames=(
            *("static", "outputs", "requirements", "counted"),
            *("plan", "bits", "mesh", "rules"),
        ),
        compiler_options=options,
    )
    for options in (None, UNFUSED)
)


def programs(reductions: Iterable[Reduction]) -> list[tuple[Reduction, ...]]:
    """Reductions to compile together: all but those that may be compiled again with more room."""
    growing = [reduction for reduction in reductions if reduction.grows]
    others = tuple(reduction for reduction in reductions if not reduction.grows)
    return [*([others] if others else []), *((reduction,) for reduction in growing)]


@functools.partial(jax.jit, static_argnames=("reductions", "block", "mesh"))
def _reduced(
    metrics: Traced,
    lengths: jax.Array,
    *,
    reductions: tuple[Reduction, ...],
    block: tuple[int, ...],
    mesh: Mesh,
) -> dict[str, Traced]:
    """What reductions keep of the chunk on each device, by the name of each."""

    def local(metrics: Traced, lengths: jax.Array) -> dict[str, Traced]:
        mine = {name: array[0] for name, array in metrics.items()}
        chunk = Counted(metrics=mine, lengths=lengths[0], block=block)
        return {reduction.name: reduction.local(chunk) for reduction in reductions}

    return _on_each(local, mesh, shared=0)(metrics, lengths)


def _on_each(function: Callable[..., Any], mesh: Mesh, *, shared: int) -> Callable[..., Any]:
    """Run a function on every device; all arguments but the first few are split among them."""

    def alone(*arguments: Any) -> Any:
        return jax.tree.map(lambda array: array[None], function(*arguments))

    def together(*arguments: Any) -> Any:
        whole, share = PartitionSpec(), PartitionSpec(_DEVICES)
        specs = (*[whole] * shared, *[share] * (len(arguments) - shared))
        run = jax.shard_map(alone, mesh=mesh, in_specs=specs, out_specs=share, check_vma=False)
        return run(*arguments)

    return together


def _metrics(
    inputs: Inputs, place: jax.Array, outputs: Callable[[Values], Traced], plan: Plan
) -> Traced:
    """Outputs of the chunk that starts at a place, from the function of one point.

    An output has length 1 along the axes that it does not depend on.
    """
    return over_axes(outputs, inputs.base, cut_axes(inputs, place, plan))


def cut_axes(inputs: Inputs, place: jax.Array, plan: Plan) -> list[dict[str, jax.Array]]:
    """Return the numbers of the chunk that starts at a place, for each axis."""
    return [
        {name: _cut(column, start, size) for name, column in axis.items()}
        for axis, start, size in zip(inputs.axes, place, plan.block, strict=True)
    ]


def _cut(column: jax.Array, start: jax.Array, size: int) -> jax.Array:
    return column if len(column) == size else jax.lax.dynamic_slice_in_dim(column, start, size)


def _rounded(array: jax.Array, bits: int | None) -> jax.Array:
    """Round to so many bits of the mantissa, ties to even: zeros behind them compress well."""
    if bits is None or not jnp.issubdtype(array.dtype, jnp.floating):
        return array
    exponent = jnp.finfo(array.dtype).nexp
    return jax.lax.reduce_precision(array, exponent_bits=exponent, mantissa_bits=bits)
