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


def _matrices(of: str) -> Any:
    words = f"weight matrices of {of}: 3 with a gate, 2 without"
    return quantity("1", words, default=3.0, allowed=(2.0, 3.0))


def _ratio(of: str) -> Any:
    words = f"tokens for each compressed entry that {of} keeps"
    return _count(words, default=1.0, positive=True)


def _total(meaning: str, *, default: float | None = 0.0, **bounds: Any) -> Any:
    """Declare a count of what all layers have together."""
    return _count(meaning, default=default, of_all_layers=True, **bounds)


def _windowed(meaning: str) -> Any:
    return _count(f"{meaning} of a sliding-window layer; 0 as in the other layers")


@documented
class LLM(eqx.Module):
    """One model, whatever its architecture.

    Parts that a model lacks are zero and layer kinds are counts, so that different models stack on
    one axis and one trace serves them all. A grouped-query model has ``kv_lora_rank`` 0 and its
    heads in ``head_dim``; a multi-head latent (MLA) model has ``head_dim`` 0, its heads in the
    ``qk_*`` and ``v_head_dim`` fields, and ``num_kv_heads`` 1, because every head reads one latent;
    so it is where all heads share one vector as key and value, ``shared_kv_head_dim`` wide.
    A layer is a mixer (attention, or a recurrent state) and a feed-forward part, unless it is
    counted among those that have one of the two alone.
    Windowed layers may have heads of their own, in the ``windowed_*`` fields.

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
    value_head_dim: Scalar = _count("width of a value head beside head_dim; 0 where it is the same")
    q_lora_rank: Scalar = _count("rank of the query projection; 0 where it is full")
    kv_lora_rank: Scalar = _count("MLA: rank of the cached latent; 0 without MLA")
    qk_nope_head_dim: Scalar = _count("MLA: width of a query head without rotary embedding")
    qk_rope_head_dim: Scalar = _count("MLA: width of a query head with rotary embedding")
    v_head_dim: Scalar = _count("MLA: width of a value head")
    attention_gate_dim: Scalar = _count("elements that gate the output of one query head; 0 none")
    shared_kv_head_dim: Scalar = _count(
        "width of the one vector of a token that all heads read as key and as value; 0 without"
    )
    o_groups: Scalar = _count("groups of such heads, each with an output projection to a latent")
    o_lora_rank: Scalar = _count("rank of a group's output latent; 0 for one full projection")
    num_windowed_layers: Scalar = _total("layers with sliding-window attention")
    sliding_window: Scalar = _count("tokens a sliding-window layer attends to")
    windowed_num_heads: Scalar = _windowed("query heads")
    windowed_num_kv_heads: Scalar = _windowed("key-value heads")
    windowed_head_dim: Scalar = _windowed("width of one head")
    windowed_value_head_dim: Scalar = _windowed("width of a value head")
    num_chunked_layers: Scalar = _total("layers with chunked attention")
    attention_chunk_size: Scalar = _count("tokens in one attention chunk")
    num_sparse_layers: Scalar = _total("layers that attend to the tokens an indexer selects")
    index_n_heads: Scalar = _count("heads of a layer's indexer")
    index_head_dim: Scalar = _count("width of an index head, and of the one key cached for all")
    index_topk: Scalar = _count("tokens or compressed entries that an indexer selects")
    index_block_size: Scalar = _count(
        "tokens of the blocks that a sparse layer's indexer selects whole; 0 for single tokens"
    )
    num_indexer_layers: Scalar = _total(
        "sparse layers with an indexer of their own, whose selection the others use; 0 for all"
    )
    num_shared_kv_layers: Scalar = _total("full layers that read another layer's KV cache")
    num_shared_kv_windowed_layers: Scalar = _total(
        "sliding-window layers that read another layer's KV cache"
    )
    num_k_eq_v_layers: Scalar = _total("full layers whose values are their projected keys")
    num_compressed_layers: Scalar = _total("layers that attend to all compressed entries")
    compression_ratio: Scalar = _ratio("a compressed layer")
    num_compressed_sparse_layers: Scalar = _total(
        "layers that attend to the compressed entries an indexer selects"
    )
    sparse_compression_ratio: Scalar = _ratio("a compressed sparse layer")
    num_recurrent_layers: Scalar = _total("layers with a recurrent state in place of heads")
    recurrent_params: Scalar = _count("weights of one such layer's mixer, those of norms apart")
    recurrent_norm_params: Scalar = _count("norms and gate biases of one such layer's mixer")
    num_state_heads: Scalar = _count("heads of a recurrent state")
    state_key_dim: Scalar = _count("rows of one head's state: key width, or Mamba's head width")
    state_value_dim: Scalar = _count("columns of one head's state: value width, or Mamba's d_state")
    state_flops: Scalar = _count(
        "work on one element of the state a token: 6 for a delta rule, 5 for Mamba-2", default=6.0
    )
    state_chunk: Scalar = _count(
        "tokens that a prefill takes through the state at once", default=64.0, positive=True
    )
    conv_channels: Scalar = _count("channels of the convolution before a recurrent state")
    conv_columns: Scalar = _count("columns that it keeps: one fewer than its kernel is long")
    num_ffn_only_layers: Scalar = _total("layers of a feed-forward part alone")
    num_mixer_only_layers: Scalar = _total("layers of attention or a recurrent mixer alone")
    intermediate_size: Scalar = quantity(
        "1", "width of the dense feed-forward layer, in the mean over these layers", default=0.0
    )
    ffn_matrices: Scalar = _matrices("a dense feed-forward layer")
    num_moe_layers: Scalar = _total("layers whose feed-forward part is a mixture of experts")
    num_experts: Scalar = _count("routed experts in one such layer")
    experts_per_token: Scalar = _count("routed experts that one token uses")
    num_shared_experts: Scalar = _count("experts in one such layer that every token uses")
    moe_intermediate_size: Scalar = _count("width of one expert")
    expert_matrices: Scalar = _matrices("an expert, routed or shared")
    expert_hidden_size: Scalar = _count(
        "latent width that routed experts take and give; 0 for the residual stream's"
    )
    shared_intermediate_size: Scalar = _count(
        "width of one shared expert; 0 for that of a routed one"
    )
    hc_mult: Scalar = _count("streams of the residual under hyper-connections; 0 without")
    tied_embeddings: Scalar = _count("1 if the LM head is the embedding table", upper=1.0)
    norm_params: Scalar = _count("norm weights in one layer, QK norms apart")
    qk_norm_params: Scalar = _count("query and key norm weights in one layer that has heads")
    bias_params: Scalar = _count("biases in one layer, those of experts apart")
    expert_bias_params: Scalar = _count("biases of one routed expert")
    extra_params: Scalar = _total("further weights that every token is multiplied by")
    extra_embedding_params: Scalar = _total("weights of further tables that tokens look up")
    extra_embedding_dim: Scalar = _total("elements that one token looks up in further tables")
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
    state_bits: Scalar = quantity(
        "1",
        "bits of one element of a recurrent or a compressor's state",
        default=32.0,
        positive=True,
    )
    operand_bits: Scalar = quantity(
        "1",
        "least operand width of products with weights: 16 where weights alone are quantised",
        default=4.0,
        allowed=(4.0, 8.0, 16.0),
    )

    measured_model: Scalar = quantity(
        "1",
        "whether measured decode rates of this model stand behind a calibration: 1 where they do",
        default=0.0,
        upper=1.0,
    )
    measured_attention: Scalar = quantity(
        "1",
        "whether measured rates of such kinds of attention stand behind one: 1 where they do",
        default=0.0,
        upper=1.0,
    )

    def __check_init__(self) -> None:
        """Refuse concrete values outside their bounds."""
        check_record(self)
