r"""KV cache: how much of it is stored and how much one step reads."""

import jax.numpy as jnp

from jaxlimits._types import Scalar
from jaxlimits.model.deployment import Deployment
from jaxlimits.model.indexer import has_indexer, index_bytes
from jaxlimits.model.llm import LLM


def kv_elements(llm: LLM) -> Scalar:
    r"""Cached elements of one token in one layer: :math:`2\,n_\mathrm{kv}\,d_h` or :math:`c+\rho`.

    Grouped-query models cache keys and values, MLA models the latent and the rotary key; the other
    term is zero [1]. Published (v2).
    """
    return 2.0 * llm.num_kv_heads * llm.head_dim + llm.kv_lora_rank + llm.qk_rope_head_dim


def full_layers(llm: LLM, deployment: Deployment) -> Scalar:
    """Layers that attend to the whole context [1]."""
    layers = llm.num_layers - llm.num_windowed_layers - llm.num_chunked_layers
    return layers - llm.num_sparse_layers if has_indexer(deployment) else layers


def stored_span(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Cached tokens of one sequence, summed over the layers [token].

    A windowed or chunked layer keeps at most its window or chunk, unless ``attention_span`` is
    ``full`` (the paper's reading of every model). A sparse layer keeps all tokens: each may be
    selected later.
    """
    return _span(llm, deployment, chunk=llm.attention_chunk_size, selected=deployment.seq_len)


def read_span(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Cached tokens that one step reads for one sequence, summed over the layers [token].

    As stored, except that a chunked layer on average finds its chunk half full, ``(chunk + 1)/2``,
    where ``chunk_read`` is ``mean`` (ours); inside its first chunk too, so that a longer context
    never reads less. A sparse layer reads what its indexer selects, :math:`\min(S, k)`, once for
    all query tokens of a sequence: a bound, since each may select its own (ours). At the kink of a
    minimum the derivative is the mean of both sides.
    """
    chunk = llm.attention_chunk_size
    if deployment.chunk_read == "mean":
        chunk = 0.5 * (chunk + 1.0)
    selected = jnp.minimum(deployment.seq_len, llm.index_topk)
    return _span(llm, deployment, chunk=chunk, selected=selected)


def _span(llm: LLM, deployment: Deployment, *, chunk: Scalar, selected: Scalar) -> Scalar:
    """Tokens over all layers: of a chunked one at most ``chunk``, of a sparse one ``selected``."""
    seq_len = deployment.seq_len
    if deployment.attention_span == "full":
        return llm.num_layers * seq_len
    windowed = llm.num_windowed_layers * jnp.minimum(seq_len, llm.sliding_window)
    chunked = llm.num_chunked_layers * jnp.minimum(seq_len, chunk)
    dense = full_layers(llm, deployment) * seq_len + windowed + chunked
    return dense + llm.num_sparse_layers * selected if has_indexer(deployment) else dense


def kv_copies(llm: LLM, deployment: Deployment) -> Scalar:
    r"""Copies of the KV cache that the TP chips hold together [1].

    Where KV is ``split`` it divides by all chips, also beyond the KV heads: 1 (the paper; inferred
    firmly). By ``heads``, as engines do, chips beyond the KV heads hold copies:
    :math:`\mathrm{tp}/\min(\mathrm{tp}, n_\mathrm{kv})`.
    """
    if deployment.kv_sharding == "split":
        return jnp.ones_like(deployment.tp_size)
    return deployment.tp_size / jnp.minimum(deployment.tp_size, llm.num_kv_heads)


def kv_bytes_per_span(llm: LLM, deployment: Deployment) -> Scalar:
    """Bytes of one cached token in one layer, copies included [B]."""
    copies = kv_copies(llm, deployment)
    return kv_elements(llm) * copies * (deployment.kv_bits / 8.0)


def sequence_bytes(llm: LLM, deployment: Deployment) -> Scalar:
    """Bytes of KV cache and index keys that one sequence stores, over all layers [B]."""
    cache = stored_span(llm, deployment) * kv_bytes_per_span(llm, deployment)
    return cache + index_bytes(llm, deployment) if has_indexer(deployment) else cache
