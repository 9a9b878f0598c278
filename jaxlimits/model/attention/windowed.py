"""Sliding-window attention: a layer keeps and reads the last ``sliding_window`` tokens."""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.attention.kind import Kind, Span
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM


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
    growing = jnp.minimum(chunks, jnp.floor(1.0 + window / chunk))
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
)
