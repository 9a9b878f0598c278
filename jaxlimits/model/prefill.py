r"""Prefill: the work and the time of a prompt before its first token.

The prompt's :math:`I` tokens are computed in chunks of :math:`c`. Every chunk reads the weights
again, and the keys and values of all tokens so far, its own included. A prompt that is no whole
number of chunks has a fractional number of them (a limit). All of it is ours, on the published
roofline.
"""

import equinox as eqx
import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model import vector
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.indexer import has_indexer, index_bytes, index_flops_per_span
from jaxlimits.model.kv_cache import full_layers, kv_bytes_per_span
from jaxlimits.model.llm import LLM
from jaxlimits.model.operators import (
    Operator,
    Operators,
    counted_vector_flops,
    head_operator,
    step_operators,
)
from jaxlimits.model.request import Request
from jaxlimits.model.weights import count_weights


def chunk_tokens(request: Request) -> Scalar:
    """Tokens of one chunk of the prompt; 1 where there is no prompt [token]."""
    whole = jnp.maximum(request.input_len, 1.0)
    return jnp.where(request.prefill_chunk > 0.0, jnp.minimum(request.prefill_chunk, whole), whole)


def num_chunks(request: Request) -> Scalar:
    r"""Chunks of one prompt: :math:`n = I/c`, at least 1 where there is a prompt [1]."""
    return request.input_len / chunk_tokens(request)


def chunk_deployment(deployment: Deployment, request: Request) -> Deployment:
    """The deployment while it computes one chunk of each prompt that is prefilled together."""
    return eqx.tree_at(
        lambda d: (d.batch_size, d.seq_len, d.query_tokens),
        deployment,
        (request.prefill_batch, request.input_len, chunk_tokens(request)),
    )


def causal_pairs(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Pairs of a token and one that it attends to, in one prompt, over all layers [token^2].

    .. math::
        \tfrac{1}{2} I^2, \qquad
        w I - \tfrac{1}{2} w^2, \qquad
        \tfrac{1}{2}\left(\lfloor I/a \rfloor\, a^2 + (I \bmod a)^2\right)

    in a layer that attends to all earlier tokens (half of the square), within a window :math:`w <
    I`, or within a chunk :math:`a < I` of attention. A sparse layer attends to the tokens that its
    indexer selects, as within a window of as many.
    """
    length = deployment.seq_len
    whole = 0.5 * length**2
    if deployment.attention_span == "full":
        return llm.num_layers * whole
    windowed = llm.num_windowed_layers * _window_pairs(length, llm.sliding_window)
    chunked = llm.num_chunked_layers * _chunk_pairs(length, llm.attention_chunk_size)
    dense = full_layers(llm, deployment) * whole + windowed + chunked
    if not has_indexer(deployment):
        return dense
    return dense + llm.num_sparse_layers * _window_pairs(length, llm.index_topk)


def _window_pairs(length: Scalar, window: Scalar) -> Scalar:
    within = jnp.minimum(length, window)
    return within * length - 0.5 * within**2


def _chunk_pairs(length: Scalar, chunk: Scalar) -> Scalar:
    size = jnp.where(chunk > 0.0, chunk, 1.0)  # no chunked layer states no size
    whole = jnp.floor(length / size)
    return 0.5 * (whole * size**2 + (length - whole * size) ** 2)


def cached_span(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Cached tokens that all chunks of one prompt read together, over all layers [token].

    .. math::
        \tfrac{1}{2} I (n + 1), \qquad
        \tfrac{1}{2} c\,m (m + 1) + (n - m) (w + c), \qquad
        \tfrac{1}{2} n \left(\max(\min(a, I), c) + c\right)

    A chunk reads all tokens so far; within a window :math:`w` at most :math:`w + c` of them, which
    lies beyond the first :math:`m = \min(n, \lfloor 1 + w/c \rfloor)` chunks; within a chunk
    :math:`a` of attention what lies in it, half of it in the mean. In a sparse layer each token of
    a chunk may select others, so that all are read.
    """
    length, chunk = deployment.seq_len, deployment.query_tokens
    chunks = length / chunk
    whole = 0.5 * length * (chunks + 1.0)
    if deployment.attention_span == "full":
        return llm.num_layers * whole
    growing = jnp.minimum(chunks, jnp.floor(1.0 + llm.sliding_window / chunk))
    window = 0.5 * chunk * growing * (growing + 1.0)
    window += (chunks - growing) * (llm.sliding_window + chunk)
    inside = jnp.maximum(jnp.minimum(llm.attention_chunk_size, length), chunk)
    chunked = 0.5 * chunks * (inside + chunk)
    full = llm.num_layers - llm.num_windowed_layers - llm.num_chunked_layers
    return full * whole + llm.num_windowed_layers * window + llm.num_chunked_layers * chunked


def prefill_flops_per_pair(llm: LLM) -> Scalar:
    r"""Tensor work of one token on one that it attends to, in one layer [FLOP].

    .. math:: 4\,h\,d_h \quad\text{or, for MLA,}\quad 2\,h\,(n + \rho + v)

    MLA prefills in its decompressed form, with keys and values of every head (DeepSeek-V2).
    """
    decompressed = llm.qk_nope_head_dim + llm.qk_rope_head_dim + llm.v_head_dim
    return llm.num_heads * (4.0 * llm.head_dim + 2.0 * decompressed)


def decompression_flops(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Work to decompress the latent of one token in all layers: :math:`2\,c\,h\,(n + v)` [FLOP].

    Zero where MLA weights count as ``stored``: they hold the very matrix, which is counted with
    them. ``absorbed`` weights do not.
    """
    if deployment.mla_weights == "stored":
        return 0.0
    width = llm.qk_nope_head_dim + llm.v_head_dim
    return llm.num_layers * 2.0 * llm.kv_lora_rank * llm.num_heads * width


def prefill_operators(llm: LLM, deployment: Deployment) -> Operators:
    """Volumes of every operator over all chunks of the prompts that are prefilled together.

    Weights are read once a chunk, and of experts those that its tokens touch. The LM head works on
    the last position alone and is read once.

    Parameters
    ----------
    deployment
        That of one chunk: see :func:`chunk_deployment`.
    """
    chunks = deployment.seq_len / deployment.query_tokens
    once = step_operators(llm, deployment)
    prompts, tokens = deployment.batch_size, deployment.batch_size * deployment.seq_len
    return Operators(
        projections=_repeated(once.projections, chunks),
        indexer=None if once.indexer is None else _index_scores(llm, deployment),
        attention=_causal_attention(llm, deployment),
        output=_repeated(once.output, chunks),
        router=_repeated(once.router, chunks),
        experts=_repeated(once.experts, chunks),
        ffn=_repeated(once.ffn, chunks),
        lm_head=head_operator(
            llm, deployment, count_weights(llm, deployment), scored=prompts, embedded=tokens
        ),
    )


def _repeated(operator: Operator, times: Scalar) -> Operator:
    """An operator that runs several times, its pace unchanged."""
    return Operator(
        tensor_flops=times * operator.tensor_flops,
        vector_flops=times * operator.vector_flops,
        weight_traffic=times * operator.weight_traffic,
        kv_traffic=times * operator.kv_traffic,
        compute_pace=operator.compute_pace,
        traffic_pace=operator.traffic_pace,
    )


def _causal_attention(llm: LLM, deployment: Deployment) -> Operator:
    prompts, tokens = deployment.batch_size, deployment.batch_size * deployment.seq_len
    pairs = prompts * causal_pairs(llm, deployment)
    scores = pairs * prefill_flops_per_pair(llm)
    return Operator(
        tensor_flops=scores + tokens * decompression_flops(llm, deployment),
        vector_flops=counted_vector_flops(deployment, pairs * vector.score_vector_flops(llm)),
        weight_traffic=0.0,
        kv_traffic=prompts * cached_span(llm, deployment) * kv_bytes_per_span(llm, deployment),
    )


def _index_scores(llm: LLM, deployment: Deployment) -> Operator:
    """Scores of every token against the keys of all before it, which every chunk reads."""
    prompts, length = deployment.batch_size, deployment.seq_len
    pairs = prompts * llm.num_sparse_layers * 0.5 * length**2
    chunks = length / deployment.query_tokens
    keys = index_bytes(llm, deployment) * 0.5 * (chunks + 1.0)
    return Operator(
        tensor_flops=pairs * index_flops_per_span(llm),
        vector_flops=counted_vector_flops(deployment, pairs * vector.index_score_vector_flops(llm)),
        weight_traffic=0.0,
        kv_traffic=prompts * keys,
    )
