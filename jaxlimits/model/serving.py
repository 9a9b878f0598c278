r"""Serving: what a request takes, from its prompt to its last token.

The prefill gives the first token of an answer; :math:`O - 1` more come of decode steps, whose
contexts run from :math:`I + 1` to :math:`I + O - 1` tokens: :math:`I + O/2` in the mean. Since a
step's volumes grow linearly with the context, but for windows, steps at the mean context stand for
all. What has to fit is each request at its full length, :math:`I + O`. Where no request is stated,
both are the context of the deployment. Ours.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Flag, Scalar
from jaxlimits.model import capacity
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.ffn_groups import micro_batches
from jaxlimits.model.llm import LLM
from jaxlimits.model.prefill import num_chunks
from jaxlimits.model.prefix import at_context, stored
from jaxlimits.model.request import Request
from jaxlimits.model.roofline import StepTimes
from jaxlimits.model.speculation import stored_sequence_bytes


class RequestTerms(eqx.Module):
    """What the metrics of a request are made of, whether or not it fits.

    Parameters
    ----------
    ttft, latency
        Time to the first token, and to the last one, with no wait for other requests [s].
    rate
        Requests that the system completes in a second [1/s].
    input_time, output_time
        Time of the whole system that one token of a prompt, and of an answer, takes [s/token].
    worst_token
        Time of one token of a step that carries a whole chunk of a prompt [s].
    prefill
        Times of the prefill on all stages in turn [s].
    stated
        Whether there is a request at all.
    """

    ttft: Scalar
    latency: Scalar
    rate: Scalar
    input_time: Scalar
    output_time: Scalar
    worst_token: Scalar
    prefill: StepTimes
    stated: Flag


def decoding(deployment: Deployment, request: Request) -> Deployment:
    """The deployment at the context of a request's decode steps in the mean: :math:`I + O/2`."""
    if not deployment.requests:
        return deployment
    mean = request.input_len + 0.5 * request.output_len
    return at_context(deployment, _of_request(request, mean, deployment))


def at_full_length(deployment: Deployment, request: Request) -> Deployment:
    """The deployment at the context for which a request needs room: :math:`I + O`."""
    if not deployment.requests:
        return deployment
    longest = request.input_len + request.output_len
    return at_context(deployment, _of_request(request, longest, deployment))


def _of_request(request: Request, length: Scalar, deployment: Deployment) -> Scalar:
    return jnp.where(is_stated(request), length, deployment.seq_len)


def is_stated(request: Request) -> Flag:
    """Whether there is a request at all."""
    return request.input_len > 0.0


def prompts_kv_bytes(
    llm: LLM, draft: LLM | None, deployment: Deployment, request: Request
) -> Scalar:
    r"""KV cache of the prompts that a replica prefills together [B].

    .. math:: \mathrm{pp}\,b\,K_I

    or, of prompts with a common prefix, what each keeps of its own and the prefix once.
    """
    held = eqx.tree_at(
        lambda d: (d.batch_size, d.seq_len),
        deployment,
        (request.prefill_batch, request.input_len),
    )
    kept = stored(lambda at: stored_sequence_bytes(llm, draft, at), held, request)
    cache = capacity.kv_bytes(held, kept)
    return jnp.where(is_stated(request), cache, 0.0)


def first_token_time(deployment: Deployment, request: Request, *, prefill: Scalar) -> Scalar:
    r"""Time to the first token [s].

    .. math:: t \cdot \frac{n + \mathrm{pp} - 1}{n\,\mathrm{pp}}

    The chunks of a prompt follow each other through the stages of a pipeline; a prompt in one
    chunk passes all of them in turn.

    Parameters
    ----------
    prefill
        Time for all stages in turn [s].
    """
    chunks, stages = jnp.maximum(num_chunks(deployment, request), 1.0), deployment.pp_size
    return prefill * (chunks + stages - 1.0) / (chunks * stages)


def request_terms(
    deployment: Deployment,
    request: Request,
    *,
    prefill: StepTimes,
    token: Scalar,
    token_alone: Scalar,
    worst_token: Scalar,
) -> RequestTerms:
    r"""Latency and rate of requests on machines that prefill and decode in turn, or in one step.

    .. math::
        t = t_\mathrm{first} + \max\!\left(1, \frac{N}{\mathrm{dp\,pp}\,B}\right)(O - 1)\,\tau,
        \qquad
        r = \frac{\mathrm{dp}\,\mathrm{pp}}{t_\mathrm{prefill}/b + N (O - 1)\,\tau / B}

    with :math:`\tau` the time of one token. All :math:`N` answers of a request are decoded at once
    where the batch has room, from one prefill; the cache of the prompt is kept for each of them.
    What a request costs divides into its prefill, by token of the prompt, and its decode steps, by
    token of the answers. In mixed steps, where every token of an answer comes of a step,

    .. math:: r = \frac{\mathrm{dp}\,\mathrm{pp}\,B}{N\,O\,\tau},

    the prompt's tokens do not wait for those of others before them, and the cost divides as the two
    parts would take time apart. Where feed-forward parts lie on chips of their own, as many times
    :math:`\mathrm{pp}` as there are micro-batches in flight in a stage take its place: prompts are
    prefilled in turn by both kinds of chips as tokens are decoded.

    Parameters
    ----------
    prefill, token
        Times of the prefill on all stages in turn, and of one more token of an answer [s].
    token_alone
        Time of one more token where no prompt is mixed with its step [s].
    worst_token
        Time of one more token whose step carries a whole chunk of a prompt [s].
    """
    ttft = first_token_time(deployment, request, prefill=prefill.t_step)
    decode = (request.output_len - 1.0) * token
    lanes = deployment.dp_size * micro_batches(deployment)
    rounds = jnp.maximum(request.calls_per_answer / (lanes * deployment.batch_size), 1.0)
    reading = prefill.t_step / request.prefill_batch
    answers = request.calls_per_answer / deployment.batch_size
    writing = answers * (request.output_len - 1.0) * token_alone
    busy = reading + writing
    if deployment.mixed_steps != "off":
        mixed = answers * request.output_len * token
        share = reading / jnp.where(busy > 0.0, busy, 1.0)
        reading, writing, busy = share * mixed, (1.0 - share) * mixed, mixed
    prompt = jnp.where(is_stated(request), request.input_len, 1.0)
    return RequestTerms(
        ttft=ttft,
        latency=ttft + rounds * decode,
        rate=lanes / jnp.where(busy > 0.0, busy, 1.0),
        input_time=reading / (lanes * prompt),
        output_time=writing / (lanes * request.calls_per_answer * request.output_len),
        worst_token=worst_token,
        prefill=prefill,
        stated=is_stated(request),
    )
