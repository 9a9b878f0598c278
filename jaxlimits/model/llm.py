"""The application record: the shape of one large language model."""

from typing import Any

import equinox as eqx

from jaxlimits._types import Scalar
from jaxlimits.model.fields import check_record, documented, quantity


def _count(meaning: str, *, default: float | None = 0.0, **bounds: Any) -> Any:
    return quantity("1", meaning, default=default, whole=True, **bounds)


def _bits(meaning: str) -> Any:
    words = f"bits of one weight of {meaning}, scales included"
    return quantity("1", words, default=8.0, positive=True)


def _total(meaning: str, *, default: float | None = 0.0, **bounds: Any) -> Any:
    """Declare a count of what all layers have together."""
    return _count(meaning, default=default, of_all_layers=True, **bounds)


@documented
class LLM(eqx.Module):
    """One model, whatever its architecture.

    Parts that a model lacks are zero and layer kinds are counts, so that different models stack on
    one axis and one trace serves them all. A grouped-query model has ``kv_lora_rank`` 0 and its
    heads in ``head_dim``; a multi-head latent (MLA) model has ``head_dim`` 0, its heads in the
    ``qk_*`` and ``v_head_dim`` fields, and ``num_kv_heads`` 1, because every head reads one latent.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> model = jl.load_catalog().llm("llama3-405b")
    >>> float(model.num_layers)
    126.0
    """

    num_layers: Scalar = _total("transformer layers", default=None, positive=True)
    hidden_size: Scalar = _count("width of the residual stream", default=None, positive=True)
    vocab_size: Scalar = _count("tokens in the vocabulary", default=None, positive=True)
    num_heads: Scalar = _count("query heads", default=None, positive=True)
    num_kv_heads: Scalar = _count("key-value heads", default=None, positive=True)
    head_dim: Scalar = _count("width of one head; 0 under MLA")
    q_lora_rank: Scalar = _count("MLA: rank of the query projection; 0 where it is full")
    kv_lora_rank: Scalar = _count("MLA: rank of the cached latent; 0 without MLA")
    qk_nope_head_dim: Scalar = _count("MLA: width of a query head without rotary embedding")
    qk_rope_head_dim: Scalar = _count("MLA: width of a query head with rotary embedding")
    v_head_dim: Scalar = _count("MLA: width of a value head")
    num_windowed_layers: Scalar = _total("layers with sliding-window attention")
    sliding_window: Scalar = _count("tokens a sliding-window layer attends to")
    num_chunked_layers: Scalar = _total("layers with chunked attention")
    attention_chunk_size: Scalar = _count("tokens in one attention chunk")
    num_sparse_layers: Scalar = _total("layers that attend to the tokens an indexer selects")
    index_n_heads: Scalar = _count("heads of a sparse layer's indexer")
    index_head_dim: Scalar = _count("width of an index head, and of the one key cached for all")
    index_topk: Scalar = _count("tokens that an indexer selects")
    intermediate_size: Scalar = _count("width of the dense gated feed-forward layer")
    num_moe_layers: Scalar = _total("layers whose feed-forward part is a mixture of experts")
    num_experts: Scalar = _count("routed experts in one such layer")
    experts_per_token: Scalar = _count("routed experts that one token uses")
    num_shared_experts: Scalar = _count("experts in one such layer that every token uses")
    moe_intermediate_size: Scalar = _count("width of one expert")
    tied_embeddings: Scalar = _count("1 if the LM head is the embedding table", upper=1.0)
    norm_params: Scalar = _count("norm weights in one layer, QK norms apart")
    qk_norm_params: Scalar = _count("query and key norm weights in one layer")
    bias_params: Scalar = _count("biases in one layer, those of experts apart")
    expert_bias_params: Scalar = _count("biases of one routed expert")
    nominal_params: Scalar = _total("parameters by the model's name; 0 where it states none")
    nominal_active_params: Scalar = _total("parameters active per token by the model's name")
    attention_bits: Scalar = _bits("the projections of attention")
    ffn_bits: Scalar = _bits("dense feed-forward layers and shared experts")
    expert_bits: Scalar = _bits("routed experts")
    embedding_bits: Scalar = _bits("the embedding table")
    head_bits: Scalar = _bits("the LM head, routers, norms and biases")
    cache_bits: Scalar = quantity(
        "1", "bits of one element of the KV cache", default=8.0, positive=True
    )
    operand_bits: Scalar = quantity(
        "1",
        "least operand width of products with weights: 16 where weights alone are quantised",
        default=4.0,
        allowed=(4.0, 8.0, 16.0),
    )

    def __check_init__(self) -> None:
        """Refuse concrete values outside their bounds."""
        check_record(self)
