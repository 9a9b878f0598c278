r"""Prefill: the work and the time of a prompt before its first token.

The prompt's :math:`I` tokens, but for a prefix that is reused (:mod:`jaxlimits.model.prefix`), are
computed in chunks of :math:`c`. Every chunk reads the weights again, and the keys and values of all
tokens so far, its own included. A prompt that is not a whole number of chunks has a fractional
number of them (a limit). All of it is ours, on the published roofline.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model import heads
from jaxlimits.model.attention import parts
from jaxlimits.model.attention.kind import Work
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.head_groups import Group, head_groups, over_groups
from jaxlimits.model.kv_cache import kv_bytes_per_span, over_layers
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import Operators, head_operator, weight_operators
from jaxlimits.model.precision import cache_bits, cache_width, part_bits, product_width, tensor_work
from jaxlimits.model.prefix import beyond_prefix, computed_tokens, without_prefix
from jaxlimits.model.request import Request
from jaxlimits.model.volumes import Operator, added, counted_vector_flops, repeated
from jaxlimits.model.weights import count_weights


def chunk_tokens(deployment: Deployment, request: Request) -> Scalar:
    """Tokens of one chunk of what is computed; 1 where there is no prompt [token]."""
    whole = jnp.maximum(computed_tokens(deployment, request), 1.0)
    return jnp.where(request.prefill_chunk > 0.0, jnp.minimum(request.prefill_chunk, whole), whole)


def num_chunks(deployment: Deployment, request: Request) -> Scalar:
    r"""Chunks of one prompt: :math:`n = (1 - h) I/c`, at least 1 where there is a prompt [1]."""
    return computed_tokens(deployment, request) / chunk_tokens(deployment, request)


def chunk_deployment(deployment: Deployment, request: Request) -> Deployment:
    """The deployment while it computes one chunk of each prompt that is prefilled together."""
    return eqx.tree_at(
        lambda d: (d.batch_size, d.seq_len, d.query_tokens),
        deployment,
        (request.prefill_batch, request.input_len, chunk_tokens(deployment, request)),
    )


def causal_pairs(group: Group, deployment: Deployment) -> Scalar:
    """Pairs of a token and one that it attends to, in one prompt, over all layers [token^2]."""
    return over_layers(group, deployment, lambda span: span.causal_pairs)


def cached_span(group: Group, deployment: Deployment) -> Scalar:
    """Cached tokens that all chunks of one prompt read together, over all layers [token]."""
    return over_layers(group, deployment, lambda span: span.prefill_read)


def prefill_operators(
    llm: LLM, deployment: Deployment, *, reused: Scalar | None = None
) -> Operators:
    """Volumes of every operator over all chunks of the prompts that are prefilled together.

    Weights are read once a chunk, and of experts those that its tokens touch. The LM head works on
    the last position alone and is read once.

    Parameters
    ----------
    deployment
        That of one chunk: see :func:`chunk_deployment`.
    reused
        First tokens of each prompt, which are not computed; ``None`` for none [token].
    """
    computed = without_prefix(deployment.seq_len, reused)
    chunks = computed / deployment.query_tokens
    prompts, tokens = deployment.batch_size, deployment.batch_size * computed
    weights = count_weights(llm, deployment)
    once = weight_operators(llm, deployment, weights)
    kinds = parts(deployment)
    return Operators(
        **{name: repeated(each, chunks) for name, each in once.items()},
        own=tuple(new_tokens(part.prefill, llm, deployment, reused) for part in kinds),
        own_names=tuple(part.operator for part in kinds),
        attention=new_tokens(causal_attention, llm, deployment, reused),
        lm_head=head_operator(llm, deployment, weights, scored=prompts, embedded=tokens),
    )


def new_tokens(work: Work, llm: LLM, deployment: Deployment, reused: Scalar | None) -> Operator:
    """What is computed and read of prompts beyond their prefix; parameters as above."""
    return beyond_prefix(lambda prompt: work(llm, prompt), deployment, reused)


def causal_attention(llm: LLM, deployment: Deployment) -> Operator:
    """Scores and values of the prompts that are prefilled together; parameters as above."""
    prompts, tokens = deployment.batch_size, deployment.batch_size * deployment.seq_len
    groups = head_groups(llm, deployment)
    pairs = [(g.llm, prompts * causal_pairs(g, deployment)) for g in groups]
    flops = added(number * heads.prefill_pair_flops(own, deployment) for own, number in pairs)
    scores = added(number * heads.score_vector_flops(own) for own, number in pairs)
    decompression = over_groups(
        llm, deployment, lambda g: g.count * heads.decompression_flops(g.llm, deployment)
    )
    width = product_width(part_bits(llm, deployment).attention, llm)
    products = (flops, cache_width(cache_bits(llm, deployment))), (tokens * decompression, width)
    return Operator(
        **tensor_work(deployment, *products),
        vector_flops=counted_vector_flops(deployment, scores),
        weight_traffic=0.0,
        kv_traffic=added(
            prompts * cached_span(g, deployment) * kv_bytes_per_span(g.llm, deployment)
            for g in groups
        ),
    )
