r"""Sparse attention: a layer keeps every token and reads those that its indexer selects.

A sparse layer keeps one small key a token beside its KV cache. At every step the indexer's heads
score the keys of the *whole* context, and attention reads only the ``index_topk`` tokens with the
highest scores (DeepSeek Sparse Attention, DeepSeek-V3.2). What a layer saves in attention it
partly spends here; layers that use the selection of another spend nothing.

References
----------
DeepSeek-V3.2-Exp, technical report (equations 1 and 2) and inference code (published). Its place in
the limit model is ours.
"""

import jax.numpy as jnp

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.attention import full
from jaxlimits.model.attention.kind import Kind, Part, Span
from jaxlimits.model.attention.mla import query_rows
from jaxlimits.model.attention.windowed import window_pairs
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import cache_width, tensor_work
from jaxlimits.model.vector import RMS_NORM, ROTARY
from jaxlimits.model.volumes import Operator, counted_vector_flops

INDEX_SCORE = 3.0
"""Vector work: rectification, weight of the head, sum over heads — for each score of a head."""

SELECTION = 1.0
"""Vector work: one comparison with the least score still selected, for each indexed token."""


def selected(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Tokens that the indexer selects, :math:`\min(S, k)` [token].

    They are read once for all query tokens of a sequence: a bound, since each may select its own
    (ours). At the kink the derivative is the mean of both sides.
    """
    return jnp.minimum(deployment.seq_len, llm.index_topk)


def index_weights(llm: LLM) -> Scalar:
    r"""Weights of the indexer of one layer [1].

    .. math:: r\,h_I\,d_I + d\,d_I + d\,h_I

    Index heads from the query's latent :math:`r`, one key and the weights of the heads from the
    residual stream.

    References
    ----------
    DeepSeek-V3.2-Exp, inference code (published).
    """
    heads = query_rows(llm) * llm.index_n_heads * llm.index_head_dim
    return heads + llm.hidden_size * (llm.index_head_dim + llm.index_n_heads)


def index_pair_flops(llm: LLM) -> Scalar:
    r"""Tensor work of one query token on one indexed token in one layer [FLOP].

    .. math:: 2\,h_I\,d_I

    The products of all index heads with the one key; their weighted sum is vector work.
    """
    return 2.0 * llm.index_n_heads * llm.index_head_dim


def index_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the key's norm and of rotary embedding, a token and layer [FLOP].

    Index heads and key rotate as many elements as the model's own rotary part, under MLA. The
    rotations and scales of quantisation are left out, as elsewhere. Ours.
    """
    rotated = (llm.index_n_heads + 1.0) * llm.qk_rope_head_dim
    return RMS_NORM * llm.index_head_dim + ROTARY * rotated


def index_pair_vector_flops(llm: LLM) -> Scalar:
    """Vector work of an indexer, a query token and indexed token [FLOP]. Ours."""
    return INDEX_SCORE * llm.index_n_heads + SELECTION


def indexer_layers(llm: LLM) -> Scalar:
    """Sparse layers with an indexer of their own [1].

    All of them, unless the record says how many: each of the others attends to what the indexer of
    a layer before it selected (GLM-5's configuration, ``indexer_types``; published).
    """
    own = llm.num_indexer_layers
    return chosen(own > 0.0, own, llm.num_sparse_layers)


def index_span(llm: LLM, deployment: Deployment) -> Scalar:
    """Indexed tokens of one sequence, summed over indexers: all of its context [token]."""
    return indexer_layers(llm) * deployment.seq_len


def index_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Index keys of one sequence over all layers, copies included [B].

    .. math:: n\,S\,d_I\,b_I/8

    Stored, and read whole in each step. Where KV is sharded by ``heads``, every TP chip holds the
    keys, since all index heads read the same one (as the published code does).
    """
    copies = deployment.tp_size if deployment.kv_sharding == "heads" else 1.0
    key = llm.index_head_dim * copies * (deployment.index_bits / 8.0)
    return index_span(llm, deployment) * key


def decode(llm: LLM, deployment: Deployment) -> Operator:
    """Scores of the whole context against its index keys, read once for all query tokens."""
    pairs = deployment.batch_size * deployment.query_tokens * index_span(llm, deployment)
    keys = deployment.batch_size * index_bytes(llm, deployment)
    return _scores(llm, deployment, pairs=pairs, keys=keys)


def prefill(llm: LLM, deployment: Deployment) -> Operator:
    """Scores of every token against the keys of all before it, which every chunk reads."""
    prompts, length = deployment.batch_size, deployment.seq_len
    pairs = prompts * indexer_layers(llm) * 0.5 * length**2
    chunks = length / deployment.query_tokens
    keys = index_bytes(llm, deployment) * 0.5 * (chunks + 1.0)
    return _scores(llm, deployment, pairs=pairs, keys=prompts * keys)


def _scores(llm: LLM, deployment: Deployment, *, pairs: Scalar, keys: Scalar) -> Operator:
    product = (pairs * index_pair_flops(llm), cache_width(deployment.index_bits))
    return Operator(
        **tensor_work(deployment, product),
        vector_flops=counted_vector_flops(deployment, pairs * index_pair_vector_flops(llm)),
        weight_traffic=0.0,
        kv_traffic=keys,
    )


KIND = Kind(
    name="sparse",
    layers="num_sparse_layers",
    span=Span(
        stored=full.context,
        read=selected,
        # As within a window of as many tokens; each token of a chunk may select others, so that a
        # chunk reads all.
        causal_pairs=lambda llm, deployment: window_pairs(deployment.seq_len, llm.index_topk),
        prefill_read=full.prefill_read,
    ),
    part=Part(
        operator="indexer",
        weights=lambda llm: indexer_layers(llm) * index_weights(llm),
        vector_flops=lambda llm: indexer_layers(llm) * index_vector_flops(llm),
        sequence_bytes=index_bytes,
        decode=decode,
        prefill=prefill,
    ),
    flag="sparse_attention",
    at_least_one={"index_topk": "selects at least one token"},
    cache_formats=("index_bits",),
)
