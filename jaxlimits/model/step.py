"""Steps: one decode step of a model and its draft, and the whole prefill of prompts."""

import equinox as eqx
import jax
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model import capacity
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.chip import Chip, memory_rate, streaming_at
from jaxlimits.model.collectives import waits
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import Operators, step_operators
from jaxlimits.model.overlay import overlay_times
from jaxlimits.model.prefill import chunk_deployment, num_chunks, prefill_operators
from jaxlimits.model.request import Request
from jaxlimits.model.roofline import StepTimes, mem_time, merged, step_times, tensor_time
from jaxlimits.model.sharded import gather_time, is_sharded
from jaxlimits.model.speculation import draft_model, is_speculative, proposing, verifying
from jaxlimits.model.tiers import has_tiers, model_data, streaming_chip


class Step(eqx.Module):
    """Times and volumes of one step of one micro-batch; those of parts that follow each other add.

    Parameters
    ----------
    times
        Times of the limit [s].
    weight_traffic, kv_traffic, flops
        Read and computed by one replica [B, B, FLOP].
    tensor_time
        What the tensor work would take one chip [s].
    calibrated_t_step
        Time that a calibration predicts [s].
    """

    times: StepTimes
    weight_traffic: Scalar
    kv_traffic: Scalar
    flops: Scalar
    tensor_time: Scalar
    calibrated_t_step: Scalar


class Pass(eqx.Module):
    """One pass of a model, or of its draft, through its operators.

    Parameters
    ----------
    operators
        Volumes.
    chip
        The chip with the bandwidth at which the data of this pass stream.
    llm, deployment
        Whose pass it is, and over which tokens.
    """

    operators: Operators
    chip: Chip
    llm: LLM
    deployment: Deployment


def decode_passes(
    chip: Chip, llm: LLM, draft: LLM | None, deployment: Deployment
) -> tuple[Pass, ...]:
    """The model's pass, and under speculation one of the draft's; parameters as decode_step."""
    verified = verifying(deployment)
    operators = step_operators(llm, verified)
    if not is_speculative(deployment):
        chip = _gathering(_placed(chip, llm, deployment, operators), llm, deployment, operators)
        return (Pass(operators, chip, llm, deployment),)
    small = draft_model(llm, draft, deployment)
    proposed = proposing(deployment)
    proposals = step_operators(small, proposed)
    chip = _placed(chip, llm, deployment, operators, draft=(small, proposals))
    gathering = _gathering(chip, llm, deployment, operators)
    own = Pass(operators, gathering, llm, verified)
    return own, Pass(proposals, chip, small, proposed)


def decode_step(
    chip: Chip,
    llm: LLM,
    draft: LLM | None,
    deployment: Deployment,
    calibration: Calibration,
    fabric: Fabric,
) -> Step:
    r"""One decode step: the model's pass, and under speculation :math:`\gamma` of the draft's.

    Parameters
    ----------
    draft
        The named draft; unused unless ``speculation`` is ``draft``.
    """
    own, *proposals = (
        _pass(each, calibration, fabric) for each in decode_passes(chip, llm, draft, deployment)
    )
    if not proposals:
        return own
    return jax.tree.map(lambda v, d: v + deployment.draft_length * d, own, *proposals)


def prefill_time(chip: Chip, llm: LLM, deployment: Deployment, request: Request) -> Scalar:
    r"""Time in which the prompts that are prefilled together pass all stages in turn [s].

    .. math:: t = \max(t_\mathrm{compute}, t_\mathrm{mem}) + n\,t_\mathrm{sync}

    over the volumes of all :math:`n` chunks, as for a decode step: a mean chunk stands for all.
    Tiers of memory hold the weights and the prompts' cache as suits the prefill best (a bound).
    """
    chunk = chunk_deployment(deployment, request)
    operators = prefill_operators(llm, chunk)
    chip = _placed(chip, llm, chunk, operators)
    chip = _gathering(chip, llm, chunk, operators, times=num_chunks(request))
    times = step_times(operators, chip, llm, chunk)
    return times.t_step + (num_chunks(request) - 1.0) * times.t_sync


def _pass(each: Pass, calibration: Calibration, fabric: Fabric) -> Step:
    operators = each.operators
    records = (operators, each.chip, each.llm, each.deployment)
    on = (each.chip, each.deployment)
    waiting = waits(each.chip, each.llm, each.deployment)
    overlay = overlay_times(*records, calibration=calibration, fabric=fabric, waiting=waiting)
    return Step(
        times=step_times(*records, waiting=waiting),
        weight_traffic=operators.total("weight_traffic"),
        kv_traffic=operators.total("kv_traffic"),
        flops=operators.total("tensor_flops"),
        tensor_time=sum((tensor_time(op, *on) for op in operators.each()), start=0.0),
        calibrated_t_step=overlay.t_step,
    )


def _gathering(
    chip: Chip,
    llm: LLM,
    deployment: Deployment,
    operators: Operators,
    *,
    times: Scalar = 1.0,
) -> Chip:
    """The chip with the bandwidth that is left where weights come over its links."""
    if not is_sharded(deployment):
        return chip
    weights = capacity.weight_bytes(llm, deployment)
    whole = merged(operators)
    streaming = mem_time(whole, chip, deployment)
    gathering = times * gather_time(chip, llm, deployment, weights=weights)
    rate = memory_rate(chip) * streaming / jnp.maximum(streaming, gathering)
    return streaming_at(chip, rate)


def _placed(
    chip: Chip,
    llm: LLM,
    deployment: Deployment,
    operators: Operators,
    *,
    draft: tuple[LLM, Operators] | None = None,
) -> Chip:
    """The chip as its tiers stream the data of a step, the draft's with them.

    Reads of the LM head that an MTP layer shares with its model count with the layer (a bound).
    """
    if not has_tiers(deployment):
        return chip
    sequences = deployment.pp_size * deployment.batch_size
    data = model_data(llm, deployment, operators, sequences=sequences)
    if draft is not None:
        small, proposals = draft
        data += model_data(
            small,
            proposing(deployment),
            proposals,
            sequences=sequences,
            times=deployment.draft_length,
            tables=deployment.speculation == "draft",
        )
    return streaming_chip(chip, deployment, data)
