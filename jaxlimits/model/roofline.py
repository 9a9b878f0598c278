r"""Roofline: from the volumes of a step to its times."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Flag, Scalar
from jaxlimits.model.chip import Chip, memory_rate
from jaxlimits.model.collectives import Waits, waits
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import Operators
from jaxlimits.model.topology import Exposed
from jaxlimits.model.volumes import Operator


class StepTimes(eqx.Module):
    """Times of one step [s]; ``t_step`` overlaps compute with memory and adds synchronisation.

    ``t_sync_latency`` and ``t_sync_payload`` are the parts of ``t_sync``.
    """

    t_compute: Scalar
    t_mem: Scalar
    t_sync: Scalar
    t_sync_latency: Scalar
    t_sync_payload: Scalar
    t_step: Scalar


class WidthRates(eqx.Module):
    """Tensor rates of one chip by the width of a product's operands.

    Parameters
    ----------
    usual
        That of 8 bits [FLOP/s].
    wide, narrow
        Those of 16 and of 4 bits over it [1].
    count
        Whether products run at them, and not all at the deployment's ``compute_bits``.
    """

    usual: Scalar
    wide: Scalar
    narrow: Scalar
    count: Flag


class Rates(eqx.Module):
    """What the chips of one stage do in a second, found once for all operators.

    Parameters
    ----------
    stated
        Tensor rate of one chip at the deployment's ``compute_bits`` [FLOP/s].
    own
        Those of products at their own widths; ``None`` where none has one for certain.
    vector
        Vector rate of one chip [FLOP/s].
    memory
        Bandwidth of the stage [B/s].
    chips
        Chips of the stage [1].
    """

    stated: Scalar
    own: WidthRates | None
    vector: Scalar
    memory: Scalar
    chips: Scalar


def tensor_rate(chip: Chip, deployment: Deployment) -> Scalar:
    """Dense tensor rate of one chip at the deployment's ``compute_bits`` [FLOP/s]."""
    bits = deployment.compute_bits
    narrow = jnp.where(bits <= 4.0, chip.flops_ratio_4bit, 1.0)
    return chip.peak_flops * jnp.where(bits > 8.0, chip.flops_ratio_16bit, narrow)


def stage_rates(chip: Chip, deployment: Deployment) -> Rates:
    """Rates of the chips of one stage."""
    return Rates(
        stated=tensor_rate(chip, deployment),
        own=_width_rates(chip, deployment) if deployment.part_widths else None,
        vector=chip.peak_vector_flops,
        memory=deployment.tp_size * memory_rate(chip),
        chips=deployment.tp_size,
    )


def _width_rates(chip: Chip, deployment: Deployment) -> WidthRates:
    """Operands of 4 bits are multiplied as ones of 16 where there is no rate for them (ours)."""
    has_narrow = chip.flops_ratio_4bit > 1.0
    return WidthRates(
        usual=chip.peak_flops,
        wide=chip.flops_ratio_16bit,
        narrow=jnp.where(has_narrow, chip.flops_ratio_4bit, chip.flops_ratio_16bit),
        count=deployment.compute_bits <= 0.0 if deployment.stated_width else True,
    )


def tensor_time(operator: Operator, rates: Rates) -> Scalar:
    r"""Time of one operator's tensor work on one chip alone [s].

    .. math:: F / P \quad \text{or} \quad F_8/P_8 + F_{16}/P_{16} + F_4/P_4

    by the deployment's ``compute_bits``, or each product at its own width where that is 0.
    """
    if rates.own is None:
        return operator.tensor_flops / rates.stated
    wide, narrow = operator.wide_flops, operator.narrow_flops
    usual = operator.tensor_flops - wide - narrow
    by_width = (usual + wide / rates.own.wide + narrow / rates.own.narrow) / rates.own.usual
    if rates.own.count is True:
        return by_width
    return jnp.where(rates.own.count, by_width, operator.tensor_flops / rates.stated)


def compute_time(operator: Operator, rates: Rates) -> Scalar:
    r"""Time of one operator's arithmetic on the chips of one stage [s].

    .. math:: \max(F_\mathrm{tensor}/P_\mathrm{tensor},\; F_\mathrm{vector}/P_\mathrm{vector})
              \cdot \text{pace}/\mathrm{tp}

    Tensor and vector units overlap (ours); without vector work this is the paper's compute time
    (published).
    """
    beside = operator.vector_flops / rates.vector
    return jnp.maximum(tensor_time(operator, rates), beside) * operator.compute_pace / rates.chips


def mem_time(operator: Operator, rates: Rates) -> Scalar:
    r"""Time to stream one operator's bytes from the memories of one stage [s].

    .. math:: t_\mathrm{mem} = B \cdot \text{pace} / (\mathrm{tp}\; W)

    A lower bound: every byte is read once, at peak bandwidth. A token passes every pipeline stage
    in turn, so stages do not shorten it (published for TP; PP and pace ours).
    """
    traffic = (operator.weight_traffic + operator.kv_traffic) * operator.traffic_pace
    return traffic / rates.memory


def merged(operators: Operators) -> Operator:
    """All operators as one, each volume taken at the pace of its slowest rank."""
    return as_one(operators.each())


def as_one(each: Sequence[Operator]) -> Operator:
    """Some operators as one, each volume taken at the pace of its slowest rank."""
    return Operator(
        tensor_flops=sum((op.tensor_flops * op.compute_pace for op in each), start=0.0),
        vector_flops=sum((op.vector_flops * op.compute_pace for op in each), start=0.0),
        weight_traffic=sum((op.weight_traffic * op.traffic_pace for op in each), start=0.0),
        kv_traffic=sum((op.kv_traffic * op.traffic_pace for op in each), start=0.0),
        wide_flops=sum((op.wide_flops * op.compute_pace for op in each), start=0.0),
        narrow_flops=sum((op.narrow_flops * op.compute_pace for op in each), start=0.0),
    )


def step_times(
    operators: Operators,
    chip: Chip,
    llm: LLM,
    deployment: Deployment,
    *,
    waiting: Waits | None = None,
    whole: Operator | None = None,
) -> StepTimes:
    r"""Times of one step by the deployment's ``roofline``.

    .. math:: t_\mathrm{step} = \max(t_\mathrm{compute}, t_\mathrm{mem}) + t_\mathrm{sync}

    over the whole step (``step``; the paper's looser bound, published), or with the maximum taken
    operator by operator and summed (``operator``, the paper's second reading), each operator taken
    over all its layers at once: never less, and equal when one resource binds throughout. At the
    kink the derivative is the mean of both sides.

    Parameters
    ----------
    waiting
        The step's synchronisation, where it is known: it takes longest to trace.
    whole
        All operators as one, where that is known.
    """
    if deployment.roofline == "step":
        parts = (merged(operators) if whole is None else whole,)
    else:
        parts = operators.each()
    exposed = (waiting or waits(chip, llm, deployment)).whole
    return of_parts(parts, stage_rates(chip, deployment), exposed)


def of_parts(parts: Sequence[Operator], rates: Rates, exposed: Exposed) -> StepTimes:
    """Times of some operators, each of which overlaps compute with memory, one after another.

    Parameters
    ----------
    exposed
        Synchronisation beside them.
    """
    compute = [compute_time(part, rates) for part in parts]
    mem = [mem_time(part, rates) for part in parts]
    overlapped = [jnp.maximum(c, m) for c, m in zip(compute, mem, strict=True)]
    return StepTimes(
        t_compute=sum(compute, start=0.0),
        t_mem=sum(mem, start=0.0),
        t_sync=exposed.total,
        t_sync_latency=exposed.latency,
        t_sync_payload=exposed.payload,
        t_step=sum(overlapped, start=0.0) + exposed.total,
    )
