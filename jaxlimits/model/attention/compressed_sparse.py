r"""Compressed sparse attention: of one entry for every :math:`m` tokens, an indexer selects some.

As :mod:`~jaxlimits.model.attention.compressed`, but attention reads only the ``index_topk`` entries
that an indexer scores highest, beside the window. The indexer has a compressor of its own: one key
an entry, which its heads score whole at every step. Both compressors have overlapping windows.
DeepSeek-V4 has :math:`m = 4`.

References
----------
DeepSeek-V4, technical report, section 2.3.1, equations 9 to 17 (published). Its place in the limit
model is ours.
"""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.attention import compressed, full, sparse, windowed
from jaxlimits.model.attention.compressor import (
    Compressor,
    decode_traffic,
    element_bytes,
    prefill_traffic,
)
from jaxlimits.model.attention.kind import Kind, Part, Span
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.llm import LLM
from jaxlimits.model.vector import ROTARY
from jaxlimits.model.volumes import Operator

SERIES = 2.0
"""A token gives a vector to its own entry and one to the next (published)."""


def compressors(llm: LLM) -> tuple[Compressor, Compressor]:
    """The compressors of one layer: of entries, and of the indexer's keys."""
    ratio = llm.sparse_compression_ratio
    entries = Compressor(width=llm.shared_kv_head_dim, ratio=ratio, series=SERIES)
    return entries, Compressor(width=llm.index_head_dim, ratio=ratio, series=SERIES)


def entries(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Entries of one sequence in one layer: :math:`S/m` [token] (published)."""
    return deployment.seq_len / llm.sparse_compression_ratio


def stored(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Window and entries: :math:`\min(S, w) + S/m` [token] (published)."""
    return windowed.within_window(llm, deployment) + entries(llm, deployment)


def read(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Window and selected entries: :math:`\min(S, w) + \min(S/m, k)` [token] (published).

    They are read once for all query tokens of a sequence: a bound, as in a sparse layer (ours).
    """
    selected = jnp.minimum(entries(llm, deployment), llm.index_topk)
    return windowed.within_window(llm, deployment) + selected


def causal_pairs(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Pairs with tokens of the window and with selected entries [token^2].

    The latter as within a window of as many entries, each of which :math:`m` tokens find the last.
    """
    window = windowed.window_pairs(deployment.seq_len, llm.sliding_window)
    selected = windowed.window_pairs(entries(llm, deployment), llm.index_topk)
    return window + llm.sparse_compression_ratio * selected


def prefill_read(llm: LLM, deployment: Deployment) -> Scalar:
    """Tokens of windows and entries so far that all chunks of a prompt read [token].

    Each token of a chunk may select other entries, so that a chunk reads all.
    """
    so_far = full.prefill_read(llm, deployment) / llm.sparse_compression_ratio
    return windowed.prefill_read(llm, deployment) + so_far


def weights(llm: LLM) -> Scalar:
    """Compressors and index heads of one layer [1] (published)."""
    own, keys = compressors(llm)
    return own.weights(llm) + keys.weights(llm) + sparse.index_head_weights(llm)


def vector_flops(llm: LLM) -> Scalar:
    """Vector work of compressors, and of rotary embedding of index heads, a token [FLOP]. Ours."""
    own, keys = compressors(llm)
    rotated = llm.index_n_heads * sparse.rotated_dim(llm)
    return own.vector_flops() + keys.vector_flops() + ROTARY * rotated


def norms(llm: LLM) -> Scalar:
    """Norms of entries and keys, and biases of their gates [1] (published)."""
    own, keys = compressors(llm)
    return own.norms() + keys.norms()


def state(llm: LLM) -> Scalar:
    """Elements of the states of one sequence, over all layers [1]."""
    own, keys = compressors(llm)
    return llm.num_compressed_sparse_layers * (own.state() + keys.state())


def index_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """Index keys of one sequence over all layers, one an entry, copies included [B]."""
    keys = llm.num_compressed_sparse_layers * entries(llm, deployment)
    return keys * sparse.key_bytes(llm, deployment)


def sequence_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """Index keys and states of one sequence over all layers, copies included [B]."""
    return index_bytes(llm, deployment) + state(llm) * element_bytes(llm, deployment)


def decode(llm: LLM, deployment: Deployment) -> Operator:
    """Scores of all entries against their index keys, read once for all queries, and states."""
    layers = llm.num_compressed_sparse_layers
    tokens = deployment.batch_size * deployment.query_tokens
    own, of_keys = compressors(llm)
    row = layers * (own.row + of_keys.row)
    keys = deployment.batch_size * index_bytes(llm, deployment)
    pairs = tokens * layers * entries(llm, deployment)
    read = keys + decode_traffic(llm, deployment, row)
    return sparse.scores(llm, deployment, pairs=pairs, read=read)


def prefill(llm: LLM, deployment: Deployment) -> Operator:
    """Scores of every token against the keys of all entries before it, and states once a chunk."""
    prompts, length = deployment.batch_size, deployment.seq_len
    layers, ratio = llm.num_compressed_sparse_layers, llm.sparse_compression_ratio
    chunks = length / deployment.query_tokens
    keys = prompts * index_bytes(llm, deployment) * 0.5 * (chunks + 1.0)
    pairs = prompts * layers * 0.5 * length**2 / ratio
    read = keys + prefill_traffic(llm, deployment, state(llm))
    return sparse.scores(llm, deployment, pairs=pairs, read=read)


KIND = Kind(
    name="compressed-sparse",
    layers="num_compressed_sparse_layers",
    span=Span(stored=stored, read=read, causal_pairs=causal_pairs, prefill_read=prefill_read),
    part=Part(
        operator="compressed_indexer",
        weights=lambda llm: llm.num_compressed_sparse_layers * weights(llm),
        vector_flops=lambda llm: llm.num_compressed_sparse_layers * vector_flops(llm),
        sequence_bytes=sequence_bytes,
        decode=decode,
        prefill=prefill,
        norms=lambda llm: llm.num_compressed_sparse_layers * norms(llm),
    ),
    flag="compressed_sparse_layers",
    has_state=True,
    at_least_one={**compressed.KIND.at_least_one, **sparse.KIND.at_least_one},
    cache_formats=sparse.KIND.cache_formats,
)
