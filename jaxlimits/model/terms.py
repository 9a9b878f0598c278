"""The terms of a point: nearly all of the model's arithmetic, each term from few of the fields.

A grid computes them on small axes; :mod:`jaxlimits.model.evaluate` combines them at every point.
"""

import dataclasses

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model import capacity, cost
from jaxlimits.model.calibration import INTERVAL, Calibration
from jaxlimits.model.chip import Chip
from jaxlimits.model.communication import Exchanges, exchanges
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.ffn_groups import micro_batches, num_chips, stage_chips
from jaxlimits.model.llm import LLM
from jaxlimits.model.overlay import predicted_spread
from jaxlimits.model.ping_pong import Busy
from jaxlimits.model.power import system_power
from jaxlimits.model.prefix import stored
from jaxlimits.model.request import Request
from jaxlimits.model.roofline import StepTimes, tensor_rate
from jaxlimits.model.serving import (
    RequestTerms,
    at_full_length,
    decoding,
    prompts_kv_bytes,
    request_terms,
)
from jaxlimits.model.site import Site
from jaxlimits.model.speculation import (
    stored_sequence_bytes,
    stored_weight_bytes,
    tokens_per_step,
)
from jaxlimits.model.step import Step, decode_step, prefill_step, worst_step
from jaxlimits.model.tiers import peak_bandwidth


class StepTerms(eqx.Module):
    """What the metrics of a point are made of.

    Parameters
    ----------
    times
        Times of one step, whether or not it fits [s].
    weight_bytes, kv_bytes, capacity
        Stored by one replica, requests at their full length, and the memory it has for it [B].
    held
        Where feed-forward parts may lie on chips of their own, what is stored by the kind of chips
        of which ``capacity`` is the memory and ``replica_chips`` the number: the fuller ones; else
        ``None`` for all of it [B].
    busy
        There, for how long one micro-batch keeps either kind of chips and their links busy [s].
    weight_traffic, kv_traffic, flops
        Read and computed by one replica in one step [B, B, FLOP].
    exchanges
        Collectives of one step, and the bytes that they send for a token.
    batch_capacity, max_batch_size
        Micro-batch that fills the memory, and the largest whole one that fits [1].
    replica_chips, num_chips, users
        Chips of one replica and of the system; sequences in flight in the system [1].
    user_tokens, step_tokens
        Tokens that one user, and the whole system, gets in one step [1].
    stage_bw, stage_flops
        Bandwidth and tensor rate of the chips that share a stage, for each of a replica's
        micro-batches in flight there [B/s, FLOP/s].
    power
        Power of the system, provisioned or by its activity [W].
    capital_cost, cost_rate, serving_cost
        Price of the system; its cost by time, and by time in which it serves [USD, USD/s, USD/s].
    calibrated_t_step
        Time of one step that the calibration predicts, whether or not it fits [s].
    calibrated_factor
        By which the ends of the prediction's 95 % interval differ from it [1].
    request
        What a request takes; nothing where none is stated.
    """

    times: StepTimes
    weight_bytes: Scalar
    kv_bytes: Scalar
    capacity: Scalar
    weight_traffic: Scalar
    kv_traffic: Scalar
    flops: Scalar
    exchanges: Exchanges
    batch_capacity: Scalar
    max_batch_size: Scalar
    replica_chips: Scalar
    num_chips: Scalar
    users: Scalar
    user_tokens: Scalar
    step_tokens: Scalar
    stage_bw: Scalar
    stage_flops: Scalar
    power: Scalar
    capital_cost: Scalar
    cost_rate: Scalar
    serving_cost: Scalar
    calibrated_t_step: Scalar
    calibrated_factor: Scalar
    request: RequestTerms | None
    held: Scalar | None = None
    busy: Busy | None = None

    @property
    def filled(self) -> Scalar:
        """Bytes that ``capacity`` must hold [B]."""
        return self.weight_bytes + self.kv_bytes if self.held is None else self.held


def step_terms(
    chip: Chip,
    llm: LLM,
    deployment: Deployment,
    site: Site,
    request: Request,
    draft: LLM | None,
    calibration: Calibration,
    fabric: Fabric,
) -> StepTerms:
    """Compute the terms of one point; each rests on few of the fields."""
    engine = (request, calibration, fabric)
    step = decode_step(chip, llm, draft, decoding(deployment, request), *engine)
    weights = stored_weight_bytes(llm, draft, deployment)
    longest = at_full_length(deployment, request)
    kept = stored(lambda at: stored_sequence_bytes(llm, draft, at), longest, request)
    room = capacity.replica_capacity(chip, deployment)
    held, chips = None, deployment.tp_size * deployment.pp_size
    own = weights
    if deployment.ffn_groups:
        own = capacity.attention_weight_bytes(llm, deployment, weights=weights)
    filled = capacity.batch_capacity(deployment, capacity=room, weights=own, stored=kept)
    tokens = tokens_per_step(deployment)
    sequences = deployment.dp_size * micro_batches(deployment) * deployment.batch_size
    cache = capacity.kv_bytes(deployment, kept)
    power = system_power(
        *(chip, deployment),
        traffic=step.weight_traffic + step.kv_traffic,
        flops=step.flops,
        t_step=step.times.t_step,
        ffn=step.ffn,
    )
    if deployment.requests:
        prompts = prompts_kv_bytes(llm, draft, deployment, request)
        cache = jnp.maximum(cache, prompts)
        filled = jnp.where(own + prompts <= room, filled, 0.0)
    if deployment.ffn_groups:
        beside = capacity.ffn_fill(chip, llm, deployment)
        filled = jnp.where(beside.held <= beside.capacity, filled, 0.0)
        of_attention = capacity.Fill(held=own + cache, capacity=room, chips=chips)
        fullest = capacity.fuller(beside, of_attention)
        held, room, chips = fullest.held, fullest.capacity, fullest.chips
    return StepTerms(
        times=step.times,
        weight_bytes=weights,
        kv_bytes=cache,
        capacity=room,
        weight_traffic=step.weight_traffic,
        kv_traffic=step.kv_traffic,
        flops=step.flops,
        exchanges=exchanges(llm, draft, deployment),
        batch_capacity=filled,
        max_batch_size=jnp.floor(filled),
        replica_chips=chips,
        num_chips=num_chips(deployment),
        users=sequences,
        user_tokens=tokens,
        step_tokens=sequences * tokens,
        stage_bw=stage_chips(deployment) * peak_bandwidth(chip, deployment),
        stage_flops=stage_chips(deployment) * _mean_rate(chip, deployment, step),
        power=power,
        capital_cost=cost.capital_cost(chip, deployment),
        cost_rate=cost.cost_rate(chip, deployment, site, power=power),
        serving_cost=cost.serving_cost(chip, deployment, site, power=power),
        calibrated_t_step=step.calibrated_t_step,
        calibrated_factor=jnp.exp(
            INTERVAL
            * predicted_spread(
                *(chip, llm, calibration, fabric),
                t_step=step.calibrated_t_step,
                t_kernels=step.calibrated_t_kernels,
                t_sync=step.calibrated_t_sync,
            )
        ),
        request=_request_terms(chip, llm, draft, deployment, *engine, step=step)
        if deployment.requests
        else None,
        held=held,
        busy=step.busy,
    )


def _mean_rate(chip: Chip, deployment: Deployment, step: Step) -> Scalar:
    """Tensor rate of one chip over the work of a step, whose parts may have rates of their own."""
    if not deployment.part_widths:
        return tensor_rate(chip, deployment)
    return step.flops / step.tensor_time


def _request_terms(
    chip: Chip,
    llm: LLM,
    draft: LLM | None,
    deployment: Deployment,
    request: Request,
    calibration: Calibration,
    fabric: Fabric,
    *,
    step: Step,
) -> RequestTerms:
    """Prefill a prompt, and decode by steps at its mean context."""
    engine = (request, calibration, fabric)
    alone = step
    if deployment.mixed_steps != "off":
        unmixed = decoding(dataclasses.replace(deployment, mixed_steps="off"), request)
        alone = decode_step(chip, llm, draft, unmixed, *engine)
    tokens = tokens_per_step(deployment)
    return request_terms(
        deployment,
        request,
        prefill=prefill_step(chip, llm, deployment, *engine).times,
        token=step.times.t_step / tokens,
        token_alone=alone.times.t_step / tokens,
        worst_token=worst_step(
            chip, llm, draft, decoding(deployment, request), *engine
        ).times.t_step
        / tokens,
    )
