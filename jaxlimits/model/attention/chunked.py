"""Chunked attention: a layer attends within the current chunk of ``attention_chunk_size``."""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.attention.kind import Kind, Span
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.whole import floor_quotient


def stored(llm: LLM, deployment: Deployment) -> Scalar:
    """At most one chunk; at the kink the derivative is the mean of both sides [token]."""
    return jnp.minimum(deployment.seq_len, llm.attention_chunk_size)


def read(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Tokens that one step reads: the chunk, or its mean fill [token].

    A layer on average finds its chunk half full, :math:`(a + 1)/2`, where ``chunk_read`` is
    ``mean`` (ours); inside its first chunk too, so that a longer context never reads less.
    """
    if deployment.chunk_read == "bound":
        return stored(llm, deployment)
    return jnp.minimum(deployment.seq_len, 0.5 * (llm.attention_chunk_size + 1.0))


def causal_pairs(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Pairs within whole chunks of :math:`a` tokens and the rest of the prompt [token^2].

    .. math:: \tfrac{1}{2}\left(\lfloor I/a \rfloor\, a^2 + (I \bmod a)^2\right)
    """
    length, chunk = deployment.seq_len, llm.attention_chunk_size
    size = jnp.where(chunk > 0.0, chunk, 1.0)  # a model without such layers states no size
    whole = floor_quotient(length, size)
    return 0.5 * (whole * size**2 + (length - whole * size) ** 2)


def prefill_read(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Cached tokens that :math:`n` chunks of :math:`c` tokens of the prompt read [token].

    .. math:: \tfrac{1}{2} n \left(\max(\min(a, I), c) + c\right)

    Each reads what lies in its chunk of attention, half of it in the mean.
    """
    length, chunk = deployment.seq_len, deployment.query_tokens
    inside = jnp.maximum(jnp.minimum(llm.attention_chunk_size, length), chunk)
    return 0.5 * (length / chunk) * (inside + chunk)


KIND = Kind(
    name="chunked",
    layers="num_chunked_layers",
    span=Span(stored=stored, read=read, causal_pairs=causal_pairs, prefill_read=prefill_read),
)
