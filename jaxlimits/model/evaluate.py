"""The model's one entry point: chip, LLM, deployment, site and request in, one record out.

Evaluation has two halves. :func:`jaxlimits.model.terms.step_terms` is nearly all the arithmetic,
but its terms depend on few fields each; :func:`metrics_of` is a handful of operations on these
terms. A grid computes the terms on small axes and only the second half at every point.
"""

import jax.numpy as jnp

from jaxlimits._types import Code, Flag, Scalar
from jaxlimits.model.binding import binding_limit, limit_factor, next_limit
from jaxlimits.model.calibration import Calibration
from jaxlimits.model.chip import Chip
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.fabric import Fabric
from jaxlimits.model.llm import LLM
from jaxlimits.model.metrics import REQUESTED, Limit, Metrics
from jaxlimits.model.records import named_records, without_unused_parts
from jaxlimits.model.request import NO_REQUEST, Request
from jaxlimits.model.roofline import StepTimes
from jaxlimits.model.site import DEFAULT_SITE, Site
from jaxlimits.model.terms import StepTerms, step_terms

_NEUTRAL = Calibration()
_UNMEASURED = Fabric()


def metrics_of(terms: StepTerms) -> Metrics:
    r"""Combine the terms of a point.

    .. math:: \mathrm{utps} = n/t_\mathrm{step},
              \qquad \mathrm{stps} = \mathrm{dp}\,\mathrm{pp}\,B\,n/t_\mathrm{step}

    with :math:`n` tokens of one user a step, 1 without speculation.

    Utilisations are means over a step with every stage of the pipeline busy.
    """
    held = terms.filled
    feasible = held <= terms.capacity
    possible = _nan_unless(feasible, terms.times)
    stps = terms.step_tokens / possible.t_step
    traffic = terms.weight_traffic + terms.kv_traffic
    calibrated_t_step = jnp.where(feasible, terms.calibrated_t_step, jnp.nan)
    calibrated_utps = terms.user_tokens / calibrated_t_step
    return Metrics(
        t_compute=possible.t_compute,
        t_mem=possible.t_mem,
        t_sync=possible.t_sync,
        t_sync_latency=possible.t_sync_latency,
        t_sync_payload=possible.t_sync_payload,
        t_step=possible.t_step,
        utps=terms.user_tokens / possible.t_step,
        stps=stps,
        tpot=possible.t_step / terms.user_tokens,
        weight_bytes=terms.weight_bytes,
        kv_bytes=terms.kv_bytes,
        bytes_per_chip=held / terms.replica_chips,
        weight_traffic=terms.weight_traffic,
        kv_traffic=terms.kv_traffic,
        flops=terms.flops,
        tp_collectives=terms.exchanges.tp_collectives,
        ep_collectives=terms.exchanges.ep_collectives,
        pp_hops=terms.exchanges.pp_hops,
        tp_volume=terms.exchanges.tp_volume,
        ep_volume=terms.exchanges.ep_volume,
        pp_volume=terms.exchanges.pp_volume,
        batch_capacity=terms.batch_capacity,
        max_batch_size=terms.max_batch_size,
        feasible=feasible,
        limit=binding_limit(terms.times, feasible=feasible),
        next_limit=next_limit(terms.times, feasible=feasible),
        limit_factor=limit_factor(terms.times, stored=held, capacity=terms.capacity),
        compute_to_memory=possible.t_compute / possible.t_mem,
        sync_to_work=possible.t_sync / jnp.maximum(possible.t_compute, possible.t_mem),
        capacity_utilisation=held / terms.capacity,
        bandwidth_utilisation=traffic / (terms.stage_bw * possible.t_step),
        flops_utilisation=terms.flops / (terms.stage_flops * possible.t_step),
        num_chips=terms.num_chips,
        users=terms.users,
        stps_per_chip=stps / terms.num_chips,
        power=terms.power,
        energy_per_token=terms.power / stps,
        stps_per_watt=stps / terms.power,
        capital_cost=terms.capital_cost,
        cost_rate=terms.cost_rate,
        dollars_per_token=terms.serving_cost / stps,
        stps_per_dollar=stps / terms.serving_cost,
        calibrated_t_step=calibrated_t_step,
        calibrated_utps=calibrated_utps,
        calibrated_utps_lower=calibrated_utps / terms.calibrated_factor,
        calibrated_utps_upper=calibrated_utps * terms.calibrated_factor,
        calibrated_stps=terms.step_tokens / calibrated_t_step,
        **_request_metrics(terms),
    )


def evaluate(
    chip: Chip,
    llm: LLM,
    deployment: Deployment,
    site: Site = DEFAULT_SITE,
    request: Request = NO_REQUEST,
    draft: LLM | None = None,
    calibration: Calibration = _NEUTRAL,
    fabric: Fabric = _UNMEASURED,
) -> Metrics:
    r"""Evaluate the limit model at one point.

    .. math:: t_\mathrm{step} = \max(t_\mathrm{compute}, t_\mathrm{mem}) + t_\mathrm{sync}

    Pure: no jit or vmap inside; differentiable in every numeric field. Parts of the model that
    plain numbers show to be unused are not traced: close over the records that do not vary, and
    replace the fields that do. A whole record that ``jit`` takes as an argument is traced whole,
    unless the deployment's static fields promise that a part is not used.

    Parameters
    ----------
    chip, llm, deployment
        What one chip offers, what runs, and how. Scalars in SI units.
    site
        What years and electricity cost; metrics in dollars alone rest on it.
    request
        What a user asks. Where it is stated, decode steps are at its mean context, and it fits at
        its full length: the deployment's ``seq_len`` counts only where none is. Its own metrics
        are NaN where none is stated.
    draft
        The model that proposes tokens where ``speculation`` is ``draft``.
    calibration, fabric
        An engine's constants and measured collectives, for the ``calibrated_*`` metrics alone; the
        limit itself by default.

    Returns
    -------
    Metrics
        Times, rates, stored and read bytes, utilisations, power and cost. A point that does not fit
        has NaN times, rates and per-token figures.

    Raises
    ------
    TypeError
        A record of another kind than is due at its place.

    References
    ----------
    arXiv:2507.14397, step time (published).
    """
    records = named_records(chip, llm, deployment, site, request, draft, calibration, fabric)
    return metrics_of(step_terms(**without_unused_parts(records)))


def fits_request(terms: StepTerms) -> Flag:
    """Whether there is a request, and it fits in memory at its whole length."""
    feasible = terms.filled <= terms.capacity
    if terms.request is None:
        return jnp.zeros_like(feasible)
    return feasible & terms.request.stated


def prefill_limit(terms: StepTerms) -> Code:
    """What sets the time of a prefill, as ``limit`` does for a step; capacity where none fits."""
    if terms.request is None:
        return jnp.full_like(terms.times.t_step, Limit.NOT_COMPUTED, dtype=jnp.int8)
    return binding_limit(terms.request.prefill, feasible=fits_request(terms))


def _request_metrics(terms: StepTerms) -> dict[str, Scalar]:
    """The metrics of a request: NaN where none is stated, or its whole length does not fit."""
    request = terms.request
    if request is None:
        nothing = jnp.full_like(terms.times.t_step, jnp.nan)
        return dict.fromkeys(REQUESTED, nothing)
    served = fits_request(terms)
    times = (request.ttft, request.latency, request.rate, request.input_time, request.output_time)
    ttft, latency, rate, of_input, of_output, worst = (
        jnp.where(served, value, jnp.nan) for value in (*times, request.worst_token)
    )
    return {
        "ttft": ttft,
        "request_latency": latency,
        "prefill_share": ttft / latency,
        "request_rate": rate,
        "dollars_per_request": terms.serving_cost / rate,
        "dollars_per_input_token": terms.serving_cost * of_input,
        "dollars_per_output_token": terms.serving_cost * of_output,
        "worst_tpot": worst,
    }


def _nan_unless(feasible: Flag, times: StepTimes) -> StepTimes:
    """Return the times where the point fits, NaN where it does not."""
    return StepTimes(
        t_compute=jnp.where(feasible, times.t_compute, jnp.nan),
        t_mem=jnp.where(feasible, times.t_mem, jnp.nan),
        t_sync=jnp.where(feasible, times.t_sync, jnp.nan),
        t_sync_latency=jnp.where(feasible, times.t_sync_latency, jnp.nan),
        t_sync_payload=jnp.where(feasible, times.t_sync_payload, jnp.nan),
        t_step=jnp.where(feasible, times.t_step, jnp.nan),
    )
