"""The deployment record: how many chips, how they are used, and by which conventions we count."""

from typing import Any

import equinox as eqx

from jaxlimits._types import Scalar
from jaxlimits.model.alpha_beta import ALGORITHMS_ON, ALL_REDUCES
from jaxlimits.model.fields import check_record, documented, optional_part, quantity, switch


def _size(meaning: str, *, upper: float = 65536.0) -> Any:
    return quantity("1", meaning, default=1.0, positive=True, whole=True, upper=upper)


def _part_of_models(meaning: str, *fields: str) -> Any:
    return optional_part(meaning, llm=fields, draft=fields)


@documented
class Deployment(eqx.Module):
    """One way to run a model on a number of chips, at one batch and one context.

    ``tp_size * pp_size * dp_size`` chips in all, and ``pp_size * ffn_chips`` beside them. The
    static fields choose between conventions; the defaults are those for real hardware, and the
    paper's are in ``grids/paper.toml``.
    The last fields name parts of the model that not every point uses. Left alone, the numbers
    decide whether a part is traced: see :func:`jaxlimits.model.records.without_unused_parts`.

    ``weight_bits`` sets the bits of every part of the weights, the draft's too, and ``kv_bits`` the
    ``cache_bits``, but for those in ``own_bits``: pairs of ``llm`` or ``draft`` and a field of its
    record, as ``expert_bits``.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> deployment = jl.Deployment(tp_size=8.0, batch_size=16.0, roofline="operator")
    >>> deployment.roofline
    'operator'
    """

    tp_size: Scalar = _size("chips that split every operator (tensor parallel)")
    pp_size: Scalar = _size("stages that split the layers (pipeline parallel)")
    ep_size: Scalar = _size("ranks that place the experts (expert parallel); 1 splits each over TP")
    dp_size: Scalar = _size("replicas (data parallel)")
    cp_size: Scalar = _size(
        "of the TP chips, those among which one head's KV cache is split along the sequence"
        " (context parallel)"
    )
    dense_tp_size: Scalar = quantity(
        "1",
        "chips that split dense feed-forward layers and the LM head where replicas share experts;"
        " 0 for tp_size",
        default=0.0,
        whole=True,
        upper=65536.0,
    )
    redundant_experts: Scalar = quantity(
        "1",
        "copies of experts beside one of each, on all ranks of expert parallelism together",
        default=0.0,
        whole=True,
        upper=65536.0,
    )
    ffn_chips: Scalar = quantity(
        "1",
        "chips of one pipeline stage that hold the feed-forward parts of all its replicas, beside "
        "those of attention; 0 where attention's chips hold them",
        default=0.0,
        whole=True,
        upper=65536.0,
    )
    ffn_micro_batches: Scalar = quantity(
        "1",
        "micro-batches that one replica has in flight in a stage whose feed-forward parts lie on "
        "chips of their own",
        default=2.0,
        positive=True,
        whole=True,
        upper=65536.0,
    )
    batch_size: Scalar = quantity(
        "1",
        "sequences in one micro-batch of one replica",
        default=1.0,
        positive=True,
        whole=True,
    )
    seq_len: Scalar = quantity(
        "token", "tokens of context of each sequence", default=4096.0, whole=True
    )
    query_tokens: Scalar = quantity(
        "token",
        "tokens of each sequence computed in one step",
        default=1.0,
        positive=True,
        whole=True,
    )
    collectives_per_layer: Scalar = quantity(
        "1", "exposed collectives in one layer where their number is fixed", default=3.0
    )
    weight_bits: Scalar = quantity(
        "1",
        "bits of one weight of every part, scales included; 0 as the model states its parts",
        default=0.0,
        positive=True,
        unset=0.0,
    )
    kv_bits: Scalar = quantity(
        "1",
        "bits of one element of the KV cache; 0 as the model states them",
        default=0.0,
        positive=True,
        unset=0.0,
    )
    compute_bits: Scalar = quantity(
        "1",
        "operand width that sets the tensor rate; 0 for each part's own",
        default=0.0,
        allowed=(4.0, 8.0, 16.0),
        unset=0.0,
    )
    index_bits: Scalar = quantity(
        "1", "bits of one element of an indexer's keys", default=8.0, positive=True
    )
    activation_bits: Scalar = quantity(
        "1", "bits of one activation that chips exchange", default=16.0, positive=True
    )
    mesh_rows: Scalar = quantity(
        "1",
        "rows of tensor-parallel chips in a mesh or a torus; 0 as square as powers of two make it",
        default=0.0,
        whole=True,
        upper=256.0,
    )
    draft_length: Scalar = quantity(
        "token", "tokens that a draft proposes in one step", default=4.0, whole=True
    )
    acceptance: Scalar = quantity(
        "1", "probability that the first proposed token is accepted", default=0.8, upper=1.0
    )
    acceptance_decay: Scalar = quantity(
        "1",
        "probability that a further proposed token is accepted over that of the one before",
        default=1.0,
        upper=1.0,
    )
    acceptance_length: Scalar = quantity(
        "token",
        "tokens that one step gives in the mean, as engines log them, the verification's own one "
        "included, so at most draft_length + 1; 0 for what acceptance and its decay give",
        default=0.0,
        lower=1.0,
        unset=0.0,
    )
    accounting: str = switch("which weights count", "full", "layers", "nominal")
    roofline: str = switch("where compute and memory overlap", "step", "operator")
    kv_sharding: str = switch("how the KV cache divides over TP chips", "heads", "split")
    mla_weights: str = switch("the form in which MLA weights are stored", "stored", "absorbed")
    attention_span: str = switch(
        "whether windowed, chunked, sparse and compressed layers keep their span", "model", "full"
    )
    chunk_read: str = switch("what a chunked layer reads of its chunk", "bound", "mean")
    vector_work: str = switch("whether work outside the tensor units counts", "on", "off")
    collectives: str = switch("how collectives are counted", "fixed", "derived")
    collective_algorithm: str = switch(
        "how chips exchange a payload, or a constant time whatever it is",
        "auto",
        "constant",
        *ALL_REDUCES,
        "best",
    )
    expert_exchange: str = switch(
        "how ranks of experts of one replica give their sums: by all-to-alls, by an all-reduce, or "
        "auto, the former in the limit and the latter in the calibrated overlay",
        "auto",
        "all-to-all",
        "all-reduce",
    )
    topology: str = switch("how chips are joined where they exchange a payload", *ALGORITHMS_ON)
    weight_placement: str = switch(
        "whether each replica keeps all weights, or a share of each layer", "resident", "sharded"
    )
    speculation: str = switch("what proposes tokens to be verified", "off", "draft", "mtp")
    power_model: str = switch(
        "whose power counts: what is provisioned for the machine, or what its activity takes",
        "provisioned",
        "activity",
    )
    mixed_steps: str = switch(
        "what decode steps carry of a request's prompts (continuous batching)",
        "off",
        "even",
        "bound",
        "stalls",
        "chunks",
    )
    memory_tiers: str = switch(
        "whether several kinds of memory stream at once or in turn", "overlap", "add"
    )

    routed_experts: bool = optional_part(
        "routed experts", llm=("num_moe_layers",), draft=("num_moe_layers",)
    )
    expert_parallel: bool = optional_part(
        "experts placed whole on ranks", deployment=("ep_size",), above=1.0
    )
    copied_experts: bool = optional_part(
        "copies of experts on other ranks", deployment=("redundant_experts",)
    )
    dense_groups: bool = optional_part(
        "dense parts that several replicas share", deployment=("dense_tp_size",)
    )
    ffn_groups: bool = optional_part(
        "feed-forward parts on chips of their own", deployment=("ffn_chips",)
    )
    context_parallel: bool = optional_part(
        "a KV cache split along the sequence", deployment=("cp_size",), above=1.0
    )
    sparse_attention: bool = optional_part(
        "layers that attend to the tokens an indexer selects",
        llm=("num_sparse_layers",),
        draft=("num_sparse_layers",),
    )
    compressed_layers: bool = _part_of_models(
        "layers that attend to all compressed entries", "num_compressed_layers"
    )
    compressed_sparse_layers: bool = _part_of_models(
        "layers that attend to the compressed entries an indexer selects",
        "num_compressed_sparse_layers",
    )
    shared_kv_heads: bool = _part_of_models(
        "heads that share one vector a token as key and as value", "shared_kv_head_dim"
    )
    hyper_connections: bool = _part_of_models("several streams of the residual", "hc_mult")
    recurrent_layers: bool = optional_part(
        "layers with a recurrent state",
        llm=("num_recurrent_layers",),
        draft=("num_recurrent_layers",),
    )
    partial_layers: bool = optional_part(
        "layers of a mixer alone, or of a feed-forward part alone",
        llm=("num_ffn_only_layers", "num_mixer_only_layers"),
        draft=("num_ffn_only_layers", "num_mixer_only_layers"),
    )
    latent_experts: bool = optional_part(
        "routed experts on a latent of another width",
        llm=("expert_hidden_size",),
        draft=("expert_hidden_size",),
    )
    value_heads: bool = _part_of_models(
        "value heads of another width than key heads", "value_head_dim", "windowed_value_head_dim"
    )
    attention_gates: bool = _part_of_models("gates of attention's output", "attention_gate_dim")
    windowed_heads: bool = _part_of_models(
        "heads of their own in windowed layers",
        *("windowed_num_heads", "windowed_num_kv_heads"),
        *("windowed_head_dim", "windowed_value_head_dim"),
    )
    shared_kv: bool = _part_of_models(
        "keys or values that a layer does not project itself",
        *("num_shared_kv_layers", "num_shared_kv_windowed_layers", "num_k_eq_v_layers"),
    )
    extra_weights: bool = _part_of_models(
        "weights beside those of the usual parts",
        *("extra_params", "extra_embedding_params", "extra_embedding_dim"),
    )
    stated_links: bool = optional_part("links whose rate the chip states", chip=("link_bw",))
    unstated_links: bool = optional_part(
        "links whose rate the chip does not state", absent=True, chip=("link_bw",)
    )
    sram_tier: bool = optional_part("a tier of SRAM beside the memory", chip=("sram_capacity",))
    lpddr_tier: bool = optional_part("a tier of LPDDR beside the memory", chip=("lpddr_capacity",))
    released_bits: bool = optional_part(
        "weights in the bits that the model states", absent=True, deployment=("weight_bits",)
    )
    released_cache: bool = optional_part(
        "a KV cache in the bits that the model states", absent=True, deployment=("kv_bits",)
    )
    part_widths: bool = optional_part(
        "products at the widths of their operands", absent=True, deployment=("compute_bits",)
    )
    stated_bits: bool = optional_part("bits of all weights at once", deployment=("weight_bits",))
    stated_cache: bool = optional_part("bits of the KV cache", deployment=("kv_bits",))
    stated_width: bool = optional_part("one width of all products", deployment=("compute_bits",))
    requests: bool = optional_part("a request, with its prefill", request=("input_len",))
    reused_prefixes: bool = optional_part(
        "prompts of which a share is reused", request=("prefix_share",)
    )

    own_bits: tuple[tuple[str, str], ...] = eqx.field(static=True, default=())

    def __check_init__(self) -> None:
        """Refuse concrete values outside their bounds, and algorithms without a path."""
        check_record(self)
        algorithm, known = self.collective_algorithm, ALGORITHMS_ON[self.topology]
        if algorithm in ALL_REDUCES and algorithm not in known:
            raise ValueError(f"{algorithm} has no path on {self.topology}, but {', '.join(known)}")
