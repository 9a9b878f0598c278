r"""The anatomy of a step: what each operator computes and reads, and how long each part takes.

All figures are those of the chip that has most to do. Nothing here is new physics: volumes and
times are those of :mod:`jaxlimits.model.roofline`, operator by operator.
"""

import functools

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.chip import Chip, memory_rate
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.ffn_groups import FFN_OPERATORS, chips_of_ffn
from jaxlimits.model.fields import documented, metric
from jaxlimits.model.llm import LLM
from jaxlimits.model.request import Request
from jaxlimits.model.roofline import mem_time, stage_rates, tensor_time
from jaxlimits.model.step import Pass, decode_passes
from jaxlimits.model.volumes import Operator

DRAFT = "draft "
"""Before the names of the draft's operators."""


@documented
class Part(eqx.Module):
    """One operator in one step, on the chip that has most to do."""

    tensor_flops: Scalar = metric("FLOP", "tensor work of one chip in one step", display="GFLOP")
    vector_flops: Scalar = metric(
        "FLOP", "work beside the tensor units of one chip in one step", display="GFLOP"
    )
    traffic: Scalar = metric("B", "bytes that one chip reads in one step", display="GB")
    t_tensor: Scalar = metric("s", "time of the tensor work", display="us")
    t_vector: Scalar = metric("s", "time of the work beside the tensor units", display="us")
    t_mem: Scalar = metric("s", "time to stream the bytes", display="us")


@documented
class Roofs(eqx.Module):
    """What one chip can do at most, as a step uses it."""

    tensor_roof: Scalar = metric("FLOP/s", "tensor rate of one chip", display="TFLOP/s")
    vector_roof: Scalar = metric(
        "FLOP/s", "rate of one chip beside its tensor units", display="TFLOP/s"
    )
    memory_roof: Scalar = metric("B/s", "rate at which one chip's bytes stream", display="TB/s")


class Anatomy(eqx.Module):
    """Every operator of a step with its name, and the roofs above them."""

    parts: tuple[Part, ...]
    roofs: Roofs
    names: tuple[str, ...] = eqx.field(static=True)


def step_anatomy(
    chip: Chip, llm: LLM, draft: LLM | None, deployment: Deployment, request: Request
) -> Anatomy:
    """Take one decode step apart.

    Under speculation the draft's operators, over all its passes, stand beside the model's. The
    rate of memory is that of the model's pass: of all tiers, or of links where weights come over
    them.
    """
    own, *proposals = decode_passes(chip, llm, draft, deployment, request)
    parts = {name: _part(each, _working(name, own)) for name, each in own.operators.named().items()}
    for proposal in proposals:
        for name, each in proposal.operators.named().items():
            parts[DRAFT + name] = _part(each, proposal, times=deployment.draft_length)
    roofs = Roofs(
        tensor_roof=_tensor_roof(own),
        vector_roof=own.chip.peak_vector_flops,
        memory_roof=memory_rate(own.chip),
    )
    return Anatomy(parts=tuple(parts.values()), roofs=roofs, names=tuple(parts))


def _tensor_roof(of: Pass) -> Scalar:
    """The tensor rate of one chip: that of the operator whose products are the narrowest."""
    of_stage = stage_rates(of.chip, of.deployment)
    rates = (
        jnp.where(some := op.tensor_flops > 0.0, op.tensor_flops, 0.0)
        / jnp.where(some, tensor_time(op, of_stage), 1.0)
        for op in of.operators.each()
    )
    return functools.reduce(jnp.maximum, rates)


def _working(name: str, of: Pass) -> Pass:
    """A pass on the chips that work on one of its operators."""
    if not of.deployment.ffn_groups or name not in FFN_OPERATORS:
        return of
    chips = chips_of_ffn(of.deployment)
    return eqx.tree_at(lambda p: p.deployment.tp_size, of, chips)


def _part(operator: Operator, of: Pass, *, times: Scalar = 1.0) -> Part:
    rates = stage_rates(of.chip, of.deployment)
    share = times / of.deployment.tp_size
    tensor = operator.tensor_flops * operator.compute_pace * share
    beside = operator.vector_flops * operator.compute_pace * share
    read = (operator.weight_traffic + operator.kv_traffic) * operator.traffic_pace * share
    return Part(
        tensor_flops=tensor,
        vector_flops=beside,
        traffic=read,
        t_tensor=tensor_time(operator, rates) * operator.compute_pace * share,
        t_vector=beside / of.chip.peak_vector_flops,
        t_mem=mem_time(operator, rates) * times,
    )
