"""Shapes of published architectures: from the keys of a ``config.json`` to fields of the record.

What the record has no field for is named, or refused where the shape would be wrong without it.
Classes of the configurations and their defaults: ``transformers`` (Apache-2.0).
"""

from collections.abc import Callable, Mapping
from typing import Any

from jaxlimits.errors import InputError

Fields = dict[str, int]

_GEMMA = {"head_dim": 256, "tie_word_embeddings": True}

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "gemma2": {**_GEMMA, "vocab_size": 256_000},
    "gemma3_text": {
        **_GEMMA,
        "vocab_size": 262_208,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
    },
}
"""What published files leave out because their class has it, by ``model_type``."""


class Config:
    """A configuration whose missing keys are told by file and name.

    Parameters
    ----------
    values
        The keys of the language model.
    where
        The file.
    """

    def __init__(self, values: Mapping[str, Any], *, where: str):
        self.values = values
        self.where = where
        self.left_out: list[str] = []

    def __getitem__(self, key: str) -> int:
        """Return a count that must be there."""
        value = self.values.get(key)
        if value is None:
            remedy = "is this the configuration of a language model?"
            raise InputError("is missing", where=self.where, key=key, remedy=remedy)
        return self._count(key, value)

    def count(self, key: str, default: int = 0) -> int:
        """Return a count, or its default where the key is missing or null."""
        value = self.values.get(key)
        return default if value is None else self._count(key, value)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return a yes or no."""
        value = self.values.get(key)
        return default if value is None else bool(value)

    def refuse(self, key: str, why: str) -> InputError:
        """Return the error for a part that the record cannot hold."""
        remedy = "write an entry by hand: see jaxlimits/catalog/llms.toml"
        return InputError(why, where=self.where, key=key, value=self.values[key], remedy=remedy)

    def _count(self, key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise InputError("must be a whole number", where=self.where, key=key, value=value)
        if value < 0:
            raise InputError("must not be negative", where=self.where, key=key, value=value)
        return int(value)


def common_fields(config: Config) -> Fields:
    """Return width, depth and grouped-query heads: what nearly all have."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    return {
        "num_layers": config["num_hidden_layers"],
        "hidden_size": hidden,
        "vocab_size": config["vocab_size"],
        "num_heads": heads,
        "num_kv_heads": config.count("num_key_value_heads", heads),
        "head_dim": config.count("head_dim", hidden // heads),
        "intermediate_size": config.count("intermediate_size"),
        "tied_embeddings": int(config.flag("tie_word_embeddings")),
        "norm_params": 2 * hidden,
    }


def _biases(config: Config, *, qkv: bool, output: bool) -> int:
    """Biases of one layer's attention."""
    shape = common_fields(config)
    heads = shape["num_heads"] + 2 * shape["num_kv_heads"]
    return qkv * heads * shape["head_dim"] + output * shape["hidden_size"]


def _windows(config: Config, *, pattern: int | None = None, sliding: bool = True) -> Fields:
    """Layers with windows: by ``layer_types``; else all but each last of a pattern; else all."""
    window, layers = config.count("sliding_window"), config["num_hidden_layers"]
    kinds = config.values.get("layer_types")
    if kinds is not None:
        allowed = {"sliding_attention", "full_attention", "chunked_attention"}
        if not set(kinds) <= allowed:
            raise config.refuse("layer_types", "has layers that are neither full nor windowed")
        windowed = list(kinds).count("sliding_attention")
    elif pattern is not None:
        windowed = layers - layers // pattern
    else:
        windowed = layers
    if not (sliding and window and windowed):
        return {}
    return {"num_windowed_layers": windowed, "sliding_window": window}


def _llama(config: Config) -> Fields:
    biased = config.flag("attention_bias")
    shape = common_fields(config)
    mlp = config.flag("mlp_bias") * (2 * shape["intermediate_size"] + shape["hidden_size"])
    return {"bias_params": _biases(config, qkv=biased, output=biased) + mlp}


def _mistral(config: Config) -> Fields:
    return _windows(config)


def _qwen2(config: Config) -> Fields:
    sliding = config.flag("use_sliding_window")
    windows = _windows(config, sliding=sliding)
    if windows and "layer_types" not in config.values:
        full = min(config.count("max_window_layers", 28), config["num_hidden_layers"])
        windows["num_windowed_layers"] -= full
    return {"bias_params": _biases(config, qkv=True, output=False), **windows}


def _qwen3(config: Config) -> Fields:
    biased = config.flag("attention_bias")
    return {
        "bias_params": _biases(config, qkv=biased, output=biased),
        "qk_norm_params": 2 * common_fields(config)["head_dim"],
        **_windows(config, sliding=config.flag("use_sliding_window")),
    }


def _qwen_experts(config: Config) -> Fields:
    """Experts in every ``decoder_sparse_step``-th layer but those of ``mlp_only_layers``."""
    layers, step = config["num_hidden_layers"], config.count("decoder_sparse_step", 1)
    dense = set(config.values.get("mlp_only_layers") or [])
    sparse = [i for i in range(layers) if i not in dense and (i + 1) % step == 0]
    width = config["moe_intermediate_size"]
    shared = config.count("shared_expert_intermediate_size")
    if shared % width:
        raise config.refuse(
            "shared_expert_intermediate_size", "is no multiple of an expert's width"
        )
    if shared:
        config.left_out.append("the shared expert's gate (one row a layer)")
    return {
        "num_moe_layers": len(sparse),
        "num_experts": config["num_experts"],
        "experts_per_token": config["num_experts_per_tok"],
        "num_shared_experts": shared // width,
        "moe_intermediate_size": width,
        "intermediate_size": config["intermediate_size"] if len(sparse) < layers else 0,
    }


def _qwen2_moe(config: Config) -> Fields:
    return {**_qwen2(config), **_qwen_experts(config)}


def _qwen3_moe(config: Config) -> Fields:
    return {**_qwen3(config), **_qwen_experts(config)}


def _mixtral(config: Config) -> Fields:
    return {**_windows(config), **_every_layer_of_experts(config)}


def _every_layer_of_experts(config: Config) -> Fields:
    return {
        "num_moe_layers": config["num_hidden_layers"],
        "num_experts": config["num_local_experts"],
        "experts_per_token": config["num_experts_per_tok"],
        "moe_intermediate_size": config["intermediate_size"],
        "intermediate_size": 0,
    }


def _minimax_m2(config: Config) -> Fields:
    shape = common_fields(config)
    heads = shape["num_heads"] + shape["num_kv_heads"]
    if config.values.get("qk_norm_type", "per_layer") != "per_layer":
        raise config.refuse("qk_norm_type", "is no norm that is known")
    normed = config.flag("use_qk_norm") * heads * shape["head_dim"]
    if any(kind != 1 for kind in config.values.get("attn_type_list") or []):
        raise config.refuse("attn_type_list", "has layers of linear attention")
    return {"qk_norm_params": normed, **_every_layer_of_experts(config)}


def _minimax_linear(config: Config) -> Fields:
    key = "attn_type_list" if "attn_type_list" in config.values else "model_type"
    raise config.refuse(key, "has layers of linear attention, whose state is no cache of tokens")


def _gpt_oss(config: Config) -> Fields:
    heads, experts = config["num_attention_heads"], config["num_local_experts"]
    biased = config.flag("attention_bias", default=True)
    sinks_and_router = heads + experts
    return {
        **_windows(config, pattern=2),
        **_every_layer_of_experts(config),
        "bias_params": _biases(config, qkv=biased, output=biased) + sinks_and_router,
        "expert_bias_params": 2 * config["intermediate_size"] + config["hidden_size"],
    }


def _leading_dense(config: Config) -> Fields:
    """Routed experts in all layers but the first few, as DeepSeek and GLM have them."""
    layers, dense = config["num_hidden_layers"], config.count("first_k_dense_replace")
    every = config.count("moe_layer_freq", 1)
    experts = sum(1 for i in range(dense, layers) if i % every == 0)
    return {
        "num_moe_layers": experts,
        "num_experts": config["n_routed_experts"],
        "experts_per_token": config["num_experts_per_tok"],
        "num_shared_experts": config.count("n_shared_experts"),
        "moe_intermediate_size": config["moe_intermediate_size"],
        "intermediate_size": config["intermediate_size"] if experts < layers else 0,
    }


def _deepseek(config: Config) -> Fields:
    query, latent = config.count("q_lora_rank"), config["kv_lora_rank"]
    return {
        "num_kv_heads": 1,
        "head_dim": 0,
        "q_lora_rank": query,
        "kv_lora_rank": latent,
        "qk_nope_head_dim": config["qk_nope_head_dim"],
        "qk_rope_head_dim": config["qk_rope_head_dim"],
        "v_head_dim": config["v_head_dim"],
        "qk_norm_params": query + latent,
        **_leading_dense(config),
    }


def _deepseek_sparse(config: Config) -> Fields:
    shape = _deepseek(config)
    width = config["index_head_dim"]
    return {
        **shape,
        "num_sparse_layers": config["num_hidden_layers"],
        "index_n_heads": config["index_n_heads"],
        "index_head_dim": width,
        "index_topk": config["index_topk"],
        "qk_norm_params": shape["qk_norm_params"] + 2 * width,  # its norm has biases
    }


def _gemma2(config: Config) -> Fields:
    return {**_windows(config, pattern=2), "norm_params": 4 * config["hidden_size"]}


def _gemma3(config: Config) -> Fields:
    return {
        **_windows(config, pattern=config.count("sliding_window_pattern", 6)),
        "norm_params": 4 * config["hidden_size"],
        "qk_norm_params": 2 * config["head_dim"],
    }


def _glm(norms: int) -> Callable[[Config], Fields]:
    def fields(config: Config) -> Fields:
        biased = config.flag("attention_bias")
        return {
            "norm_params": norms * config["hidden_size"],
            "bias_params": _biases(config, qkv=biased, output=False),
        }

    return fields


def _glm_moe(config: Config) -> Fields:
    normed = config.flag("use_qk_norm")
    biased = config.flag("attention_bias")
    return {
        "bias_params": _biases(config, qkv=biased, output=False),
        "qk_norm_params": normed * 2 * common_fields(config)["head_dim"],
        **_leading_dense(config),
    }


def _llama4(config: Config) -> Fields:
    layers = config["num_hidden_layers"]
    step = config.count("interleave_moe_layer_step", 1)
    experts = config.values.get("moe_layers") or range(step - 1, layers, step)
    rotary = config.values.get("no_rope_layers") or []
    # The list holds 1 where a layer has rotary embedding and attends within its chunk.
    chunked = sum(map(bool, rotary)) if rotary else layers - layers // 4
    return {
        "num_chunked_layers": chunked,
        "attention_chunk_size": config["attention_chunk_size"],
        "intermediate_size": config["intermediate_size_mlp"] if len(experts) < layers else 0,
        "num_moe_layers": len(experts),
        "num_experts": config["num_local_experts"],
        "experts_per_token": config["num_experts_per_tok"],
        "num_shared_experts": 1,
        "moe_intermediate_size": config["intermediate_size"],
    }


FAMILIES: Mapping[str, Callable[[Config], Fields]] = {
    "llama": _llama,
    "llama4": _llama4,
    "llama4_text": _llama4,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "qwen2": _qwen2,
    "qwen2_moe": _qwen2_moe,
    "qwen3": _qwen3,
    "qwen3_moe": _qwen3_moe,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "deepseek_v32": _deepseek_sparse,
    "kimi_k2": _deepseek,
    "gpt_oss": _gpt_oss,
    "gemma2": _gemma2,
    "gemma3_text": _gemma3,
    "glm": _glm(2),
    "glm4": _glm(4),
    "glm4_moe": _glm_moe,
    "minimax_m2": _minimax_m2,
    "minimax": _minimax_linear,
    "minimax_text_01": _minimax_linear,
    "minimax_m1": _minimax_linear,
}
"""What reads a configuration, by its ``model_type``."""
