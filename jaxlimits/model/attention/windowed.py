"""Sliding-window attention: a layer keeps and reads the last ``sliding_window`` tokens.

Such layers may have heads of their own: another number of query or KV heads, other widths (the
published configurations of Gemma 4, MiMo-V2-Flash and Step-3.5). All terms of heads are then those
of the record that :func:`with_own_heads` gives.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.attention.kind import Kind, OwnHeads, Span
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.whole import floor_quotient


def with_own_heads(llm: LLM) -> LLM:
    """The record with the heads of a windowed layer; what it does not state is as elsewhere."""
    stated = (
        (llm.windowed_num_heads, llm.num_heads),
        (llm.windowed_num_kv_heads, llm.num_kv_heads),
        (llm.windowed_head_dim, llm.head_dim),
        (llm.windowed_value_head_dim, llm.value_head_dim),
    )
    return eqx.tree_at(
        lambda m: (m.num_heads, m.num_kv_heads, m.head_dim, m.value_head_dim),
        llm,
        tuple(chosen(own > 0.0, own, other) for own, other in stated),
    )


def within_window(llm: LLM, deployment: Deployment) -> Scalar:
    """Tokens within the window; at the kink the derivative is the mean of both sides [token]."""
    return jnp.minimum(deployment.seq_len, llm.sliding_window)


def window_pairs(length: Scalar, window: Scalar) -> Scalar:
    r"""Pairs of a prompt of which each token sees :math:`w` [token^2].

    .. math:: w I - \tfrac{1}{2} w^2, \qquad w < I
    """
    within = jnp.minimum(length, window)
    return within * length - 0.5 * within**2


def prefill_read(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Cached tokens that :math:`n` chunks of :math:`c` tokens read [token].

    .. math:: \tfrac{1}{2} c\,m (m + 1) + (n - m) (w + c)

    A chunk reads at most :math:`w + c` tokens, which lies beyond the first
    :math:`m = \min(n, \lfloor 1 + w/c \rfloor)` chunks; these read all so far.
    """
    chunk, window = deployment.query_tokens, llm.sliding_window
    chunks = deployment.seq_len / chunk
    growing = jnp.minimum(chunks, 1.0 + floor_quotient(window, chunk))
    return 0.5 * chunk * growing * (growing + 1.0) + (chunks - growing) * (window + chunk)


KIND = Kind(
    name="windowed",
    layers="num_windowed_layers",
    span=Span(
        stored=within_window,
        read=within_window,
        causal_pairs=lambda llm, deployment: window_pairs(deployment.seq_len, llm.sliding_window),
        prefill_read=prefill_read,
    ),
    heads=OwnHeads(record=with_own_heads, flag="windowed_heads"),
    shared="num_shared_kv_windowed_layers",
)
