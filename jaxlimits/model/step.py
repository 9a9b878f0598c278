"""Steps: one decode step of a model and its draft, and the whole prefill of prompts."""

import dataclasses

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
from jaxlimits.model.ffn_groups import FFN_OPERATORS, is_apart
from jaxlimits.model.kv_cache import sequence_bytes
from jaxlimits.model.llm import LLM
from jaxlimits.model.mixed import (
    Carried,
    carries_chunks,
    carries_prompts,
    last_chunk,
    mean_share,
    mixed_operators,
    prompts_per_step,
    stalls,
    whole_chunks,
    with_prompt_tokens,
)
from jaxlimits.model.operators import Operators, step_operators
from jaxlimits.model.overlay import OverlayTimes, overlay_parts, timed
from jaxlimits.model.ping_pong import Busy, ping_pong_times
from jaxlimits.model.prefill import chunk_deployment, num_chunks, prefill_operators
from jaxlimits.model.prefix import reused_tokens, stored
from jaxlimits.model.request import Request
from jaxlimits.model.roofline import (
    StepTimes,
    as_one,
    mem_time,
    merged,
    stage_rates,
    step_times,
    tensor_time,
)
from jaxlimits.model.sharded import gather_time, is_sharded
from jaxlimits.model.speculation import draft_model, is_speculative, proposing, verifying
from jaxlimits.model.tiers import has_tiers, model_data, streaming_chip
from jaxlimits.model.volumes import Operator, added, repeated


class Step(eqx.Module):
    """Times and volumes of one step of one micro-batch; those of parts that follow each other add.

    Parameters
    ----------
    times
        Times of the limit [s].
    weight_traffic, kv_traffic, flops
        Read and computed by one replica, at the pace of its slowest rank, as the times count them
        [B, B, FLOP].
    tensor_time
        What that tensor work would take one chip [s].
    calibrated_t_step, calibrated_t_kernels, calibrated_t_sync
        Time that a calibration predicts, never less than the limit's, and of it latency of kernels
        and measured collectives [s].
    ffn
        Of those volumes, what chips for feed-forward parts alone read and compute; ``None`` where
        none may be.
    busy
        For how long one micro-batch keeps either kind of chips and their links busy, where such
        chips are [s]; ``None`` where none may be.
    """

    times: StepTimes
    weight_traffic: Scalar
    kv_traffic: Scalar
    flops: Scalar
    tensor_time: Scalar
    calibrated_t_step: Scalar
    calibrated_t_kernels: Scalar
    calibrated_t_sync: Scalar
    ffn: Operator | None = None
    busy: Busy | None = None


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
    sequences
        Those that an engine's host serves in the pass [1].
    headed
        Those that have a token before the LM head; ``None`` where it is every one of the
        deployment's [1].
    """

    operators: Operators
    chip: Chip
    llm: LLM
    deployment: Deployment
    sequences: Scalar
    headed: Scalar | None = None


def decode_passes(
    chip: Chip, llm: LLM, draft: LLM | None, deployment: Deployment, request: Request
) -> tuple[Pass, ...]:
    """The model's pass, and under speculation one of the draft's; parameters as decode_step.

    In mixed steps the model's pass carries a share of the prompts; a draft's prefill is left out.
    """
    carried = mean_share(verifying(deployment), request) if carries_prompts(deployment) else None
    return _passes(chip, llm, draft, deployment, request, carried)


def _passes(
    chip: Chip,
    llm: LLM,
    draft: LLM | None,
    deployment: Deployment,
    request: Request,
    carried: Carried | None,
) -> tuple[Pass, ...]:
    """The passes of a step that carries something of prompts, or nothing."""
    verified = step = verifying(deployment)
    headed = None
    if carried is not None:
        operators = mixed_operators(llm, verified, carried)
        if deployment.mixed_steps == "even":
            step = with_prompt_tokens(verified, carried)
            headed = deployment.batch_size + carried.prompts
    else:
        operators = step_operators(llm, verified)
    if not is_speculative(deployment):
        placed = _placed(chip, llm, deployment, operators, request)
        gathering = _gathering(placed, llm, deployment, operators)
        return (Pass(operators, gathering, llm, step, deployment.batch_size, headed),)
    small = draft_model(llm, draft, deployment)
    proposed = proposing(deployment)
    proposals = step_operators(small, proposed)
    chip = _placed(chip, llm, deployment, operators, request, draft=(small, proposals))
    gathering = _gathering(chip, llm, deployment, operators)
    own = Pass(operators, gathering, llm, step, deployment.batch_size, headed)
    return own, Pass(proposals, chip, small, proposed, 0.0)


def decode_step(
    chip: Chip,
    llm: LLM,
    draft: LLM | None,
    deployment: Deployment,
    request: Request,
    calibration: Calibration,
    fabric: Fabric,
) -> Step:
    r"""One decode step: the model's pass, and under speculation :math:`\gamma` of the draft's.

    Parameters
    ----------
    draft
        The named draft; unused unless ``speculation`` is ``draft``.
    request
        Whose prompts come with the step, or between two, as ``mixed_steps`` says.
    """
    if carries_chunks(deployment):
        return _with_chunks(chip, llm, draft, deployment, request, calibration, fabric)
    passes = decode_passes(chip, llm, draft, deployment, request)
    step = _in_turn(passes, deployment, calibration, fabric)
    if not stalls(deployment):
        return step
    prefill = prefill_step(chip, llm, deployment, request, calibration, fabric)
    times = prompts_per_step(deployment, request) / request.prefill_batch
    return jax.tree.map(lambda own, waits: own + times * waits, step, prefill)


def _with_chunks(
    chip: Chip,
    llm: LLM,
    draft: LLM | None,
    deployment: Deployment,
    request: Request,
    calibration: Calibration,
    fabric: Fabric,
) -> Step:
    """The mean of steps that carry whole chunks and of steps that carry nothing."""
    evenly = dataclasses.replace(deployment, mixed_steps="even")
    carried, share = whole_chunks(verifying(evenly), request)
    alone, carrying = (
        _in_turn(_passes(chip, llm, draft, evenly, request, what), evenly, calibration, fabric)
        for what in (None, carried)
    )
    return jax.tree.map(lambda own, other: own + share * (other - own), alone, carrying)


def _in_turn(
    passes: tuple[Pass, ...], deployment: Deployment, calibration: Calibration, fabric: Fabric
) -> Step:
    """The step of a model's pass, and of as many of its draft's as there are tokens proposed."""
    own, *proposals = (_pass(each, calibration, fabric) for each in passes)
    if not proposals:
        return own
    return jax.tree.map(lambda v, d: v + deployment.draft_length * d, own, *proposals)


def worst_step(
    chip: Chip,
    llm: LLM,
    draft: LLM | None,
    deployment: Deployment,
    request: Request,
    calibration: Calibration,
    fabric: Fabric,
) -> Step:
    """The decode step that carries a whole chunk, the last of its prompt; parameters as above.

    Whatever ``mixed_steps`` is: it says how prompts come in the mean, and this is one step.
    """
    evenly = dataclasses.replace(deployment, mixed_steps="even")
    carried = last_chunk(verifying(evenly), request)
    passes = _passes(chip, llm, draft, evenly, request, carried)
    return _in_turn(passes, evenly, calibration, fabric)


def prefill_step(
    chip: Chip,
    llm: LLM,
    deployment: Deployment,
    request: Request,
    calibration: Calibration,
    fabric: Fabric,
) -> Step:
    r"""The prefill of prompts that are prefilled together, which pass all stages in turn.

    .. math:: t = \max(t_\mathrm{compute}, t_\mathrm{mem}) + n\,t_\mathrm{sync}

    over the volumes of all :math:`n` chunks, as for a decode step: a mean chunk stands for all.
    Tiers of memory hold the weights and the prompts' cache as suits the prefill best (a bound).
    """
    chunk, chunks = chunk_deployment(deployment, request), num_chunks(deployment, request)
    operators = prefill_operators(llm, chunk, reused=reused_tokens(deployment, request))
    chip = _placed(chip, llm, chunk, operators, request)
    chip = _gathering(chip, llm, chunk, operators, times=chunks)
    each = Pass(operators, chip, llm, chunk, 0.0)
    return _pass(each, calibration, fabric, chunks=chunks)


def _pass(each: Pass, calibration: Calibration, fabric: Fabric, *, chunks: Scalar = 1.0) -> Step:
    """One pass over all its volumes; collectives and kernels start again for each chunk.

    What a calibration predicts is never less than the limit: it rests on the same operators, but
    constants of its own may still undercut a convention of the limit, as where fewer experts are
    touched or collectives were measured that are quicker than the chip's.
    """
    records = (each.operators, each.chip, each.llm, each.deployment)
    waiting = waits(each.chip, each.llm, each.deployment, headed=each.headed)
    consists = overlay_parts(*records, fabric=fabric, waiting=waiting, sequences=each.sequences)
    predicted = timed(consists, calibration)
    whole = merged(each.operators)
    times = _in_chunks(step_times(*records, waiting=waiting, whole=whole), chunks)
    step = Step(
        times=times,
        weight_traffic=whole.weight_traffic,
        kv_traffic=whole.kv_traffic,
        flops=whole.tensor_flops,
        tensor_time=_slowest_tensor_time(each, whole),
        calibrated_t_step=jnp.maximum(_repeating(predicted, chunks), times.t_step),
        calibrated_t_kernels=chunks * predicted.kernels,
        calibrated_t_sync=chunks * (predicted.collectives - consists.waiting),
    )
    return _in_groups(step, each, chunks=chunks) if each.deployment.ffn_groups else step


def _in_groups(step: Step, of: Pass, *, chunks: Scalar) -> Step:
    """The step of a pass whose feed-forward parts may lie on chips of their own.

    No calibration knows such an engine: what one predicts is NaN there.
    """
    apart = is_apart(of.deployment)
    times, busy = ping_pong_times(of.operators, of.chip, of.llm, of.deployment, chunks=chunks)
    ffn = as_one([getattr(of.operators, name) for name in FFN_OPERATORS])
    return Step(
        times=jax.tree.map(lambda a, b: jnp.where(apart, a, b), times, step.times),
        weight_traffic=step.weight_traffic,
        kv_traffic=step.kv_traffic,
        flops=step.flops,
        tensor_time=step.tensor_time,
        calibrated_t_step=jnp.where(apart, jnp.nan, step.calibrated_t_step),
        calibrated_t_kernels=jnp.where(apart, jnp.nan, step.calibrated_t_kernels),
        calibrated_t_sync=jnp.where(apart, jnp.nan, step.calibrated_t_sync),
        ffn=repeated(ffn, jnp.where(apart, 1.0, 0.0)),
        busy=busy,
    )


def _slowest_tensor_time(each: Pass, whole: Operator) -> Scalar:
    """What the tensor work of the slowest ranks would take one chip [s].

    Operator by operator where products have widths of their own: the sum of all has products of
    every width, whose rates one term after another would be rounded otherwise where a program is
    compiled otherwise.
    """
    rates = stage_rates(each.chip, each.deployment)
    if not each.deployment.part_widths:
        return tensor_time(whole, rates)
    return added(
        tensor_time(operator, rates) * operator.compute_pace for operator in each.operators.each()
    )


def _repeating(predicted: OverlayTimes, chunks: Scalar) -> Scalar:
    """Time of a pass whose kernels and collectives run so many times [s]."""
    if _once(chunks):
        return predicted.t_step
    return predicted.operators + chunks * (predicted.t_step - predicted.operators)


def _once(chunks: Scalar) -> bool:
    return isinstance(chunks, float) and chunks == 1.0


def _in_chunks(times: StepTimes, chunks: Scalar) -> StepTimes:
    """Times whose synchronisation is that of so many chunks."""
    if _once(chunks):
        return times
    return StepTimes(
        t_compute=times.t_compute,
        t_mem=times.t_mem,
        t_sync=chunks * times.t_sync,
        t_sync_latency=chunks * times.t_sync_latency,
        t_sync_payload=chunks * times.t_sync_payload,
        t_step=times.t_step + (chunks - 1.0) * times.t_sync,
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
    streaming = mem_time(whole, stage_rates(chip, deployment))
    gathering = times * gather_time(chip, llm, deployment, weights=weights)
    rate = memory_rate(chip) * streaming / jnp.maximum(streaming, gathering)
    return streaming_at(chip, rate)


def _placed(
    chip: Chip,
    llm: LLM,
    deployment: Deployment,
    operators: Operators,
    request: Request,
    *,
    draft: tuple[LLM, Operators] | None = None,
) -> Chip:
    """The chip as its tiers stream the data of a step, the draft's with them.

    Reads of the LM head that an MTP layer shares with its model count with the layer (a bound).
    """
    if not has_tiers(deployment):
        return chip

    def cache(model: LLM, running: Deployment) -> Scalar:
        kept = stored(lambda at: sequence_bytes(model, at), running, request)
        return capacity.kv_bytes(running, kept)

    data = model_data(llm, deployment, operators, cache=cache(llm, deployment))
    if draft is not None:
        small, proposals = draft
        proposed = proposing(deployment)
        data += model_data(
            small,
            proposed,
            proposals,
            cache=cache(small, proposed),
            times=deployment.draft_length,
            tables=deployment.speculation == "draft",
        )
    return streaming_chip(chip, deployment, data)
