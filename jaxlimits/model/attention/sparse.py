r"""Sparse attention: a layer keeps every token and reads those that an indexer selects.

A sparse layer keeps one small key a token beside its KV cache. At every step the indexer's heads
score the keys of the *whole* context, and attention reads only the ``index_topk`` tokens with the
highest scores (DeepSeek Sparse Attention, DeepSeek-V3.2). What a layer saves in attention it
partly spends here; layers that use the selection of another spend nothing.

Where ``index_block_size`` is set, tokens are selected by whole blocks of so many (MiniMax Sparse
Attention, MiniMax-M3). Each index head then selects for itself, by the largest score in a block,
and needs no weight. ``index_topk`` still counts tokens: blocks times their size. The block of the
query itself is always among them and is full only in its last token; that it counts as full is a
bound.

References
----------
DeepSeek-V3.2-Exp, technical report (equations 1 and 2) and inference code (published). MiniMax
Sparse Attention, arXiv:2606.13392, and the class of MiniMax-M3 in transformers (published). Their
place in the limit model is ours.
"""

import jax.numpy as jnp

from jaxlimits._types import Scalar, chosen
from jaxlimits.model.attention import full
from jaxlimits.model.attention.kind import Kind, Part, Span
from jaxlimits.model.attention.query import query_rows
from jaxlimits.model.attention.windowed import window_pairs
from jaxlimits.model.context_parallel import head_chips
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import cache_width, tensor_work
from jaxlimits.model.vector import RMS_NORM, ROTARY
from jaxlimits.model.volumes import Operator, counted_vector_flops

INDEX_SCORE = 3.0
"""Vector work: rectification, weight of the head, sum over heads — for each score of a head."""

KERNELS = 26.0
"""Time of an indexer's launches in that of kernels: two projections of queries and keys and one of
the heads' weights, norm, two rotary embeddings, two quantisations, cache write, scores, the scaling
of weights, the conversion of indices, and a selection in several passes that takes as long as the
rest. Ours: DeepSeek-V3.2 takes 146 us a layer more than V3 on eight B200 at batch 1 in vLLM."""

BLOCK_SCORE = 1.0
"""Vector work: comparison with the largest score of a block so far, for each score of a head."""

SELECTION = 1.0
"""Vector work: one comparison with the least score still selected, for each indexed token, or for
each block and head."""


def selected(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Tokens that the indexer selects, :math:`\min(S, k)` [token].

    They are read once for all query tokens of a sequence: a bound, since each may select its own
    (ours). At the kink the derivative is the mean of both sides.
    """
    return jnp.minimum(deployment.seq_len, llm.index_topk)


def index_weights(llm: LLM) -> Scalar:
    r"""Weights of the indexer of one layer [1].

    .. math:: r\,h_I\,d_I + d\,d_I + d\,h_I

    Its heads, and one key from the residual stream.

    References
    ----------
    DeepSeek-V3.2-Exp, inference code (published).
    """
    return index_head_weights(llm) + llm.hidden_size * llm.index_head_dim


def index_head_weights(llm: LLM) -> Scalar:
    r"""Weights of an indexer's heads, the key apart: :math:`r\,h_I\,d_I + d\,h_I` [1].

    Index heads come from the query's latent :math:`r`, the weights of the heads from the residual
    stream; heads that select blocks, each for itself, have none (published, both).
    """
    weighted = chosen(llm.index_block_size > 0.0, 0.0, llm.hidden_size)
    return llm.index_n_heads * (query_rows(llm) * llm.index_head_dim + weighted)


def index_pair_flops(llm: LLM) -> Scalar:
    r"""Tensor work of one query token on one indexed token in one layer [FLOP].

    .. math:: 2\,h_I\,d_I

    The products of all index heads with the one key; what becomes of them is vector work.
    """
    return 2.0 * llm.index_n_heads * llm.index_head_dim


def index_vector_flops(llm: LLM) -> Scalar:
    """Vector work of the key's norm and of rotary embedding, a token and layer [FLOP].

    Norms of index heads are left out, as those of query heads; the rotations and scales of
    quantisation too. Ours.
    """
    rotated = (llm.index_n_heads + 1.0) * rotated_dim(llm)
    return RMS_NORM * llm.index_head_dim + ROTARY * rotated


def rotated_dim(llm: LLM) -> Scalar:
    """Elements with rotary embedding in an index head or key [1].

    As many as in the model's own heads, if it has as many: the rotary part under MLA, else whole
    heads, as these count too.
    """
    of_heads = llm.qk_rope_head_dim + llm.head_dim + llm.shared_kv_head_dim
    return jnp.minimum(llm.index_head_dim, of_heads)


def index_pair_vector_flops(llm: LLM) -> Scalar:
    r"""Vector work of an indexer, a query token and indexed token [FLOP].

    :math:`3\,h_I + 1`; by blocks of :math:`b` tokens :math:`h_I\,(1 + 1/b)`. Ours.
    """
    block, heads = llm.index_block_size, llm.index_n_heads
    by_blocks = block > 0.0
    of_block = heads * (BLOCK_SCORE + SELECTION / chosen(by_blocks, block, 1.0))
    return chosen(by_blocks, of_block, INDEX_SCORE * heads + SELECTION)


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
    keys, since all index heads read the same one (as the published code does), but for those that
    divide the sequence.
    """
    return index_span(llm, deployment) * key_bytes(llm, deployment)


def key_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """Bytes of one index key, copies included [B]."""
    copies = head_chips(deployment) if deployment.kv_sharding == "heads" else 1.0
    return llm.index_head_dim * copies * (deployment.index_bits / 8.0)


def decode(llm: LLM, deployment: Deployment) -> Operator:
    """Scores of the whole context against its index keys, read once for all query tokens."""
    pairs = deployment.batch_size * deployment.query_tokens * index_span(llm, deployment)
    keys = deployment.batch_size * index_bytes(llm, deployment)
    return scores(llm, deployment, pairs=pairs, read=keys)


def prefill(llm: LLM, deployment: Deployment) -> Operator:
    """Scores of every token against the keys of all before it, which every chunk reads."""
    prompts, length = deployment.batch_size, deployment.seq_len
    pairs = prompts * indexer_layers(llm) * 0.5 * length**2
    chunks = length / deployment.query_tokens
    keys = index_bytes(llm, deployment) * 0.5 * (chunks + 1.0)
    return scores(llm, deployment, pairs=pairs, read=prompts * keys)


def scores(llm: LLM, deployment: Deployment, *, pairs: Scalar, read: Scalar) -> Operator:
    """Scores of so many pairs of a query token and an index key, and what is read for them.

    Parameters
    ----------
    pairs
        Over all layers [1].
    read
        Bytes of keys, and of what else the operator keeps of a sequence [B].
    """
    product = (pairs * index_pair_flops(llm), cache_width(deployment.index_bits))
    return Operator(
        **tensor_work(deployment, product),
        vector_flops=counted_vector_flops(deployment, pairs * index_pair_vector_flops(llm)),
        weight_traffic=0.0,
        kv_traffic=read,
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
        kernels=lambda llm: indexer_layers(llm) * KERNELS,
    ),
    flag="sparse_attention",
    at_least_one={"index_topk": "selects at least one token"},
    cache_formats=("index_bits",),
)
