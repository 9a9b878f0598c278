r"""Mixed steps: decode steps that carry a share of the prompts (continuous batching).

In the steady state a replica prefills as many requests as it finishes. With :math:`B` sequences
that decode, :math:`k` tokens a step and user, prompts of :math:`I` and :math:`N` answers of
:math:`O` tokens each step carries in the mean

.. math:: m = \frac{B\,k}{N\,O} \text{ prompts}, \qquad p = m\,(1 - h)\,I \text{ tokens of them}

with a share :math:`h` of each prompt reused. Four forms, by ``mixed_steps``, none with a constant
that is fitted:

``even``
    Every step carries its :math:`p` tokens. Weights are read once for all tokens of the step, and
    :math:`B + p` tokens touch the experts: an estimate.
``chunks``
    A step carries a whole chunk of a prompt or nothing, as engines schedule them: with :math:`b/n`
    prompts in one of the :math:`n` chunks (:math:`b` are prefilled together) a share
    :math:`m/\max(m, b/n)` of the steps has prompts. Weights are read once for all tokens of such a
    step, and what prompts take of it does not hide behind the weights of the other steps: an
    estimate.
``bound``
    A lower bound on the mean step of any schedule. Volumes that grow in proportion to the tokens
    are those of the mean step, and so is what is read for the prompts; those that are concave in
    the tokens (experts touched, the slowest rank's share, the payload under the quickest algorithm)
    are those of the :math:`B` sequences alone, since prompts that come in few steps add less to
    them in the mean (Jensen's inequality).
``stalls``
    Decode steps wait for each prefill: :math:`t_\mathrm{decode} + m\,t_\mathrm{prefill}`.

Engines lie between ``bound`` and ``stalls``. Beside the mean stands the worst step of a chunked
prefill: the one that carries a whole chunk, the last of its prompt, which attends to all of it.
All of it is ours.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.attention import parts
from jaxlimits.model.attention.kind import Work
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.experts import routed_tokens
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import (
    Operators,
    head_operator,
    routed_pace,
    step_operators,
    weight_operators,
)
from jaxlimits.model.prefill import causal_attention, chunk_deployment, new_tokens, num_chunks
from jaxlimits.model.prefix import computed_tokens, reused_tokens
from jaxlimits.model.request import Request
from jaxlimits.model.speculation import tokens_per_step
from jaxlimits.model.volumes import Operator, repeated
from jaxlimits.model.weights import count_weights


def carries_prompts(deployment: Deployment) -> bool:
    """Whether the volumes of a decode step hold a share of the prompts."""
    return deployment.requests and deployment.mixed_steps in ("even", "bound")


def carries_chunks(deployment: Deployment) -> bool:
    """Whether a decode step holds a whole chunk of a prompt, or nothing of any."""
    return deployment.requests and deployment.mixed_steps == "chunks"


def stalls(deployment: Deployment) -> bool:
    """Whether decode steps wait for the prefill of prompts."""
    return deployment.requests and deployment.mixed_steps == "stalls"


def prompts_per_step(deployment: Deployment, request: Request) -> Scalar:
    """Prompts that one step of a micro-batch prefills in the mean; 0 where none is stated [1]."""
    answers = request.calls_per_answer * request.output_len
    finished = deployment.batch_size * tokens_per_step(deployment) / answers
    return jnp.where(request.input_len > 0.0, finished, 0.0)


class Carried(eqx.Module):
    """What one step carries of prompts, beside the tokens that it decodes.

    Parameters
    ----------
    prompts
        How many of them, perhaps in the mean; each gives its first token [1].
    tokens
        Tokens of them all that the step computes [token].
    chunk
        The deployment while it computes one chunk of one prompt.
    reused
        Tokens of each prompt that are there before; ``None`` where none are for certain [token].
    """

    prompts: Scalar
    tokens: Scalar
    chunk: Deployment
    reused: Scalar | None


def mean_share(deployment: Deployment, request: Request) -> Carried:
    """What a step carries in the mean of many, the prompts in whole."""
    return _carried(deployment, request, prompts_per_step(deployment, request))


def whole_chunks(deployment: Deployment, request: Request) -> tuple[Carried, Scalar]:
    """What a step with prompts carries in whole chunks, and the share of steps that have some.

    One mean chunk, or as many in every step as arrive where that is more than one.
    """
    arriving = prompts_per_step(deployment, request)
    one = request.prefill_batch / jnp.maximum(num_chunks(deployment, request), 1.0)
    prompts = jnp.maximum(arriving, one)
    return _carried(deployment, request, prompts), arriving / prompts


def last_chunk(deployment: Deployment, request: Request) -> Carried:
    """The last chunk of every prompt that is prefilled together: what a step carries at worst."""
    chunk, prompts = _of_one_prompt(deployment, request), request.prefill_batch
    before = jnp.maximum(chunk.seq_len - chunk.query_tokens, 0.0)
    return Carried(prompts=prompts, tokens=prompts * chunk.query_tokens, chunk=chunk, reused=before)


def _carried(deployment: Deployment, request: Request, prompts: Scalar) -> Carried:
    """So many prompts, or parts of one, each token as costly as its mean."""
    return Carried(
        prompts=prompts,
        tokens=prompts * computed_tokens(deployment, request),
        chunk=_of_one_prompt(deployment, request),
        reused=reused_tokens(deployment, request),
    )


def _of_one_prompt(deployment: Deployment, request: Request) -> Deployment:
    return eqx.tree_at(lambda d: d.batch_size, chunk_deployment(deployment, request), 1.0)


def with_prompt_tokens(deployment: Deployment, carried: Carried) -> Deployment:
    """The deployment with the tokens of a whole even step, the prompts' beside those decoded."""
    batch = deployment.batch_size + carried.tokens / deployment.query_tokens
    return eqx.tree_at(lambda d: d.batch_size, deployment, batch)


def mixed_operators(llm: LLM, deployment: Deployment, carried: Carried) -> Operators:
    """Volumes of every operator in one step, with what it carries of prompts.

    Parameters
    ----------
    deployment
        That of the decode step, at its mean context.
    carried
        Of the prompts; what their caches are read for is by their chunks.
    """
    alone = step_operators(llm, deployment)
    whole = with_prompt_tokens(deployment, carried)
    weights = count_weights(llm, deployment)
    prompts = carried.prompts
    dense = weight_operators(llm, whole, weights)
    if deployment.mixed_steps == "bound":
        dense["experts"] = _bunched(alone.experts, dense["experts"], llm, deployment)
    decoded = deployment.batch_size * deployment.query_tokens

    def beside(own: Operator, work: Work) -> Operator:
        of_one = new_tokens(work, llm, carried.chunk, carried.reused)
        return _beside(own, repeated(of_one, prompts))

    kinds = parts(deployment)
    return Operators(
        **dense,
        own=tuple(beside(own, part.prefill) for own, part in zip(alone.own, kinds, strict=True)),
        own_names=alone.own_names,
        attention=beside(alone.attention, causal_attention),
        lm_head=head_operator(
            llm,
            deployment,
            weights,
            scored=decoded + prompts,
            embedded=decoded + carried.tokens,
        ),
    )


def _beside(one: Operator, other: Operator) -> Operator:
    """Two operators of one step that read what sequences keep, at the same pace."""
    return Operator(
        tensor_flops=one.tensor_flops + other.tensor_flops,
        vector_flops=one.vector_flops + other.vector_flops,
        weight_traffic=one.weight_traffic + other.weight_traffic,
        kv_traffic=one.kv_traffic + other.kv_traffic,
        wide_flops=one.wide_flops + other.wide_flops,
        narrow_flops=one.narrow_flops + other.narrow_flops,
    )


def _bunched(alone: Operator, whole: Operator, llm: LLM, deployment: Deployment) -> Operator:
    """Routed experts as if the prompts came in few large steps: spread evenly, and read then.

    Copies take what they can of the mean load: where they take it of each step they take no more.
    """
    if not deployment.routed_experts:
        return whole
    some = whole.tensor_flops > 0.0
    share = alone.tensor_flops / chosen(some, whole.tensor_flops, 1.0)
    return Operator(
        tensor_flops=whole.tensor_flops,
        vector_flops=whole.vector_flops,
        weight_traffic=alone.weight_traffic,
        kv_traffic=whole.kv_traffic,
        compute_pace=routed_pace(llm, deployment, routed_tokens(deployment), share=share),
        traffic_pace=alone.traffic_pace,
        wide_flops=whole.wide_flops,
        narrow_flops=whole.narrow_flops,
    )
