"""Published shapes of which no file lies here: the keys of each release's config.json that count.

Each stands with the repository on Hugging Face that states it, and with the billions of parameters
of its model card: the language model alone, without multi-token prediction, as far as a card says.
Nothing here needs jaxlimits: ``reference_totals.py`` reads it too, in an environment of its own.
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Release:
    """One release.

    Parameters
    ----------
    source
        Repository whose config.json states the numbers.
    card
        Parameters that its card names [1e9]; ``None`` where it names those of more than this.
    config
        The keys.
    """

    source: str
    card: float | None
    config: dict[str, Any]


def shape(
    layers: int, width: int, heads: int, kv: int, ffn: int, vocab: int, **others: Any
) -> dict[str, Any]:
    return {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "intermediate_size": ffn,
        "vocab_size": vocab,
        **others,
    }


def experts(number: int, used: int, **others: Any) -> dict[str, Any]:
    return {"num_local_experts": number, "num_experts_per_tok": used, **others}


def after_dense(
    number: int, used: int, width: int, shared: int, dense: int, **others: Any
) -> dict[str, Any]:
    return {
        "n_routed_experts": number,
        "num_experts_per_tok": used,
        "moe_intermediate_size": width,
        "n_shared_experts": shared,
        "first_k_dense_replace": dense,
        **others,
    }


def latent(q_rank: int | None, rank: int, nope: int, rope: int, value: int) -> dict[str, Any]:
    return {
        "q_lora_rank": q_rank,
        "kv_lora_rank": rank,
        "qk_nope_head_dim": nope,
        "qk_rope_head_dim": rope,
        "v_head_dim": value,
    }


def every(period: int, layers: int, kind: str, other: str) -> list[str]:
    """``kind`` in each ``period``-th layer, ``other`` in the rest."""
    return [other if (layer + 1) % period else kind for layer in range(layers)]


def at(layers: int, places: set[int], kind: str, other: str) -> list[str]:
    """``kind`` in these layers, ``other`` in the rest."""
    return [kind if layer in places else other for layer in range(layers)]


FULL, SLIDING, LINEAR = "full_attention", "sliding_attention", "linear_attention"

QWEN3_5_STATE = {
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_value_head_dim": 128,
    "attn_output_gate": True,
}

_RELEASES: dict[str, tuple[str, float | None, str, dict[str, Any]]] = {
    "granite-3.1-8b": (
        "ibm-granite/granite-3.1-8b-base",
        8.17,
        "granite",
        shape(40, 4096, 32, 8, 12800, 49155, tie_word_embeddings=True),
    ),
    "seed-oss-36b": (
        "ByteDance-Seed/Seed-OSS-36B-Instruct",
        36,
        "seed_oss",
        shape(64, 5120, 80, 8, 27648, 155136, head_dim=128),
    ),
    "phi-3-mini-4k": (
        "microsoft/Phi-3-mini-4k-instruct",
        3.82,
        "phi3",
        shape(32, 3072, 32, 32, 8192, 32064, sliding_window=2047),
    ),
    "phi-4": (
        "microsoft/phi-4",
        14.7,
        "phi3",
        shape(40, 5120, 40, 10, 17920, 100352, sliding_window=None),
    ),
    "phi-3.5-moe": (
        "microsoft/Phi-3.5-MoE-instruct",
        41.9,
        "phimoe",
        shape(
            32,
            4096,
            32,
            8,
            6400,
            32064,
            attention_bias=True,
            lm_head_bias=True,
            sliding_window=131072,
            **experts(16, 2),
        ),
    ),
    "command-r": (
        "CohereForAI/c4ai-command-r-v01",
        35,
        "cohere",
        shape(40, 8192, 64, 64, 22528, 256000),
    ),
    "command-r-plus": (
        "CohereForAI/c4ai-command-r-plus",
        104,
        "cohere",
        shape(64, 12288, 96, 8, 33792, 256000, use_qk_norm=True),
    ),
    "olmo-7b": ("allenai/OLMo-7B-hf", 6.89, "olmo", shape(32, 4096, 32, 32, 11008, 50304)),
    "olmo-2-7b": ("allenai/OLMo-2-1124-7B", 7.3, "olmo2", shape(32, 4096, 32, 32, 11008, 100352)),
    "olmo-3-32b": ("allenai/Olmo-3-1125-32B", 32, "olmo3", shape(64, 5120, 40, 8, 27648, 100278)),
    "olmoe-1b-7b": (
        "allenai/OLMoE-1B-7B-0924",
        6.92,
        "olmoe",
        shape(16, 2048, 16, 16, 1024, 50304, num_experts=64, num_experts_per_tok=8),
    ),
    "gemma-7b": ("google/gemma-7b", 8.54, "gemma", shape(28, 3072, 16, 16, 24576, 256000)),
    "granite-3.1-3b-a800m": (
        "ibm-granite/granite-3.1-3b-a800m-base",
        3.3,
        "granitemoe",
        shape(32, 1536, 24, 8, 512, 49155, tie_word_embeddings=True, **experts(40, 8)),
    ),
    "ernie-4.5-0.3b": (
        "baidu/ERNIE-4.5-0.3B-PT",
        0.36,
        "ernie4_5",
        shape(18, 1024, 16, 2, 3072, 103424, head_dim=128),
    ),
    "ernie-4.5-21b-a3b": (
        "baidu/ERNIE-4.5-21B-A3B-PT",
        21.8,
        "ernie4_5_moe",
        shape(
            28,
            2560,
            20,
            4,
            12288,
            103424,
            moe_num_experts=64,
            moe_k=6,
            use_bias=False,
            moe_intermediate_size=1536,
            moe_num_shared_experts=2,
            moe_layer_start_index=1,
        ),
    ),
    "hunyuan-7b": (
        "tencent/Hunyuan-7B-Instruct",
        7.5,
        "hunyuan_v1_dense",
        shape(32, 4096, 32, 8, 14336, 128167, head_dim=128, tie_word_embeddings=True),
    ),
    "hunyuan-a13b": (
        "tencent/Hunyuan-A13B-Instruct",
        80.4,
        "hunyuan_v1_moe",
        shape(
            32,
            4096,
            32,
            8,
            3072,
            128167,
            head_dim=128,
            num_experts=64,
            moe_topk=[8] * 32,
            num_shared_expert=[1] * 32,
            tie_word_embeddings=True,
        ),
    ),
    "dots.llm1": (
        "rednote-hilab/dots.llm1.base",
        142,
        "dots1",
        shape(62, 4096, 32, 32, 10944, 152064, **after_dense(128, 6, 1408, 2, 1)),
    ),
    "dbrx": (
        "databricks/dbrx-base",
        132,
        "dbrx",
        {
            "d_model": 6144,
            "n_heads": 48,
            "n_layers": 40,
            "vocab_size": 100352,
            "attn_config": {"kv_n_heads": 8, "rope_theta": 500000},
            "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4},
        },
    ),
    "longcat-flash": (
        "meituan-longcat/LongCat-Flash-Chat",
        560,
        "longcat_flash",
        {
            "num_layers": 28,
            "hidden_size": 6144,
            "ffn_hidden_size": 12288,
            "vocab_size": 131072,
            "expert_ffn_hidden_size": 2048,
            "num_attention_heads": 64,
            "n_routed_experts": 512,
            "zero_expert_num": 256,
            "moe_topk": 12,
            **latent(1536, 512, 128, 64, 128),
        },
    ),
    "qwen2-vl-7b": (
        "Qwen/Qwen2-VL-7B-Instruct",
        7.62,
        "qwen2_vl",
        shape(28, 3584, 28, 4, 18944, 152064, use_sliding_window=False),
    ),
    "qwen2.5-vl-7b": (
        "Qwen/Qwen2.5-VL-7B-Instruct",
        7.62,
        "qwen2_5_vl",
        shape(
            28, 3584, 28, 4, 18944, 152064, use_sliding_window=False, vision_config={"depth": 32}
        ),
    ),
    "mistral-small-3.1": (
        "mistralai/Mistral-Small-3.1-24B-Base-2503",
        23.6,
        "mistral3",
        {
            "text_config": shape(
                40,
                5120,
                32,
                8,
                32768,
                131072,
                head_dim=128,
                model_type="mistral",
                sliding_window=None,
            ),
            "vision_config": {"model_type": "pixtral", "hidden_size": 1024},
        },
    ),
    "ministral-3-8b": (
        "mistralai/Ministral-3-8B-Base-2512",
        8.5,
        "mistral3",
        {
            "text_config": shape(
                34, 4096, 32, 8, 14336, 131072, head_dim=128, model_type="ministral3"
            ),
            "vision_config": {"model_type": "pixtral", "hidden_size": 1024},
        },
    ),
    "mistral-small-4": (
        "mistralai/Mistral-Small-4-119B-2603",
        119,
        "mistral4",
        shape(
            36,
            4096,
            32,
            32,
            12288,
            131072,
            **latent(1024, 256, 64, 64, 128),
            **after_dense(128, 4, 2048, 1, 0),
        ),
    ),
    "glm-4.5v": (
        "zai-org/GLM-4.5V",
        None,
        "glm4v_moe",
        {
            "text_config": shape(
                46,
                4096,
                96,
                8,
                10944,
                151552,
                head_dim=128,
                attention_bias=True,
                model_type="glm4v_moe_text",
                **after_dense(128, 8, 1408, 1, 1),
            )
        },
    ),
    "qwen3.5-27b": (
        "Qwen/Qwen3.5-27B",
        27,
        "qwen3_5_text",
        shape(
            64,
            5120,
            24,
            4,
            17408,
            248320,
            head_dim=256,
            linear_num_value_heads=48,
            full_attention_interval=4,
            tie_word_embeddings=False,
            **QWEN3_5_STATE,
        ),
    ),
    "qwen3.5-35b-a3b": (
        "Qwen/Qwen3.5-35B-A3B",
        35,
        "qwen3_5_moe_text",
        {
            "num_hidden_layers": 40,
            "hidden_size": 2048,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "head_dim": 256,
            "vocab_size": 248320,
            "linear_num_value_heads": 32,
            "layer_types": every(4, 40, FULL, LINEAR),
            "moe_intermediate_size": 512,
            "num_experts": 256,
            "num_experts_per_tok": 8,
            "shared_expert_intermediate_size": 512,
            "tie_word_embeddings": False,
            **QWEN3_5_STATE,
        },
    ),
    "nemotron-h-8b": (
        "nvidia/Nemotron-H-8B-Base-8K",
        8.1,
        "nemotron_h",
        {
            **shape(52, 4096, 32, 8, 21504, 131072),
            "attention_head_dim": 128,
            "hybrid_override_pattern": "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
            "mamba_head_dim": 64,
            "mamba_num_heads": 128,
            "ssm_state_size": 128,
            "n_groups": 8,
            "conv_kernel": 4,
            "use_conv_bias": True,
        },
    ),
    "nemotron-3-super": (
        "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16",
        120.6,
        "nemotron_h",
        {
            **shape(88, 4096, 32, 2, 2688, 131072, head_dim=128),
            "hybrid_override_pattern": (
                "MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*"
                "EMEMEMEM*EMEMEMEME"
            ),
            "mamba_head_dim": 64,
            "mamba_num_heads": 128,
            "ssm_state_size": 128,
            "n_groups": 8,
            "conv_kernel": 4,
            "use_conv_bias": True,
            "moe_intermediate_size": 2688,
            "moe_latent_size": 1024,
            "moe_shared_expert_intermediate_size": 5376,
            "n_routed_experts": 512,
            "n_shared_experts": 1,
            "num_experts_per_tok": 22,
        },
    ),
    "kimi-linear-48b-a3b": (
        "moonshotai/Kimi-Linear-48B-A3B-Instruct",
        49.1,
        "kimi_linear",
        {
            **shape(27, 2304, 32, 32, 9216, 163840),
            **latent(None, 512, 128, 64, 128),
            "num_experts": 256,
            "num_experts_per_token": 8,
            "num_shared_experts": 1,
            "moe_intermediate_size": 1024,
            "first_k_dense_replace": 1,
            "linear_attn_config": {
                "full_attn_layers": [4, 8, 12, 16, 20, 24, 27],
                "kda_layers": [n for n in range(1, 27) if n % 4],
                "head_dim": 128,
                "num_heads": 32,
                "short_conv_kernel_size": 4,
            },
        },
    ),
    "minimax-text-01": (
        "MiniMaxAI/MiniMax-Text-01",
        456,
        "minimax_text_01",
        {
            **shape(80, 6144, 64, 8, 9216, 200064, head_dim=128),
            **experts(32, 2),
            "attn_type_list": [int((layer + 1) % 8 == 0) for layer in range(80)],
            "shared_intermediate_size": 0,
        },
    ),
    "deepseek-v4-flash": (
        "deepseek-ai/DeepSeek-V4-Flash",
        284,
        "deepseek_v4",
        {
            "num_hidden_layers": 43,
            "hidden_size": 4096,
            "num_attention_heads": 64,
            "num_key_value_heads": 1,
            "head_dim": 512,
            "vocab_size": 129280,
            **after_dense(256, 6, 2048, 1, 0),
            "q_lora_rank": 1024,
            "qk_rope_head_dim": 64,
            "o_lora_rank": 1024,
            "o_groups": 8,
            "index_head_dim": 128,
            "index_n_heads": 64,
            "index_topk": 512,
            "sliding_window": 128,
            "num_hash_layers": 3,
            "hc_mult": 4,
            "compress_ratios": [0, 0, *[4, 128] * 20, 4, 0],
            "num_nextn_predict_layers": 1,
            "expert_dtype": "fp4",
        },
    ),
    "minimax-m3": (
        "MiniMaxAI/MiniMax-M3",
        428,
        "minimax_m3",
        {
            **shape(60, 6144, 64, 4, 3072, 200064, head_dim=128),
            **experts(128, 4),
            "dense_intermediate_size": 12288,
            "shared_intermediate_size": 3072,
            "n_shared_experts": 1,
            "moe_layer_freq": [0] * 3 + [1] * 57,
            "sparse_attention_config": {
                "sparse_attention_freq": [0] * 3 + [1] * 57,
                "sparse_block_size": 128,
                "sparse_index_dim": 128,
                "sparse_num_index_heads": 4,
                "sparse_topk_blocks": 16,
                "sparse_init_block": 0,
                "sparse_local_block": 1,
            },
        },
    ),
    "gemma-3n-e4b": (
        "google/gemma-3n-E4B",
        6.9,
        "gemma3n_text",
        {
            **shape(35, 2048, 8, 2, 16384, 262400, head_dim=256),
            "intermediate_size": [16384] * 35,
            "num_kv_shared_layers": 15,
            "layer_types": every(5, 35, FULL, SLIDING),
            "sliding_window": 512,
            "vocab_size_per_layer_input": 262144,
            "hidden_size_per_layer_input": 256,
            "laurel_rank": 64,
            "altup_num_inputs": 4,
        },
    ),
    "gemma-4-e2b": (
        "google/gemma-4-E2B",
        None,
        "gemma4_text",
        {
            **shape(35, 1536, 8, 1, 6144, 262144, head_dim=256),
            "global_head_dim": 512,
            "num_kv_shared_layers": 20,
            "use_double_wide_mlp": True,
            "layer_types": every(5, 35, FULL, SLIDING),
            "sliding_window": 512,
            "vocab_size_per_layer_input": 262144,
            "hidden_size_per_layer_input": 256,
        },
    ),
    "gemma-4-26b-a4b": (
        "google/gemma-4-26B-A4B",
        25.2,
        "gemma4_text",
        {
            **shape(30, 2816, 16, 8, 2112, 262144, head_dim=256),
            "global_head_dim": 512,
            "num_global_key_value_heads": 2,
            "attention_k_eq_v": True,
            "enable_moe_block": True,
            "num_experts": 128,
            "top_k_experts": 8,
            "moe_intermediate_size": 704,
            "layer_types": every(6, 30, FULL, SLIDING),
            "sliding_window": 1024,
            "hidden_size_per_layer_input": 0,
            "num_kv_shared_layers": 0,
        },
    ),
    "step-3.5-flash": (
        "stepfun-ai/Step-3.5-Flash",
        196,
        "step3p5",
        {
            "num_hidden_layers": 45,
            "hidden_size": 4096,
            "num_attention_heads": 64,
            "num_attention_groups": 8,
            "head_dim": 128,
            "intermediate_size": 11264,
            "vocab_size": 128896,
            "attention_other_setting": {
                "attention_type": "sliding_attention",
                "num_attention_heads": 96,
                "num_attention_groups": 8,
                "head_dim": 128,
            },
            "layer_types": at(45, set(range(0, 45, 4)), FULL, SLIDING),
            "sliding_window": 512,
            "moe_layers_enum": ",".join(str(layer) for layer in range(3, 45)),
            "moe_num_experts": 288,
            "moe_top_k": 8,
            "moe_intermediate_size": 1280,
            "share_expert_dim": 1280,
            "use_head_wise_attn_gate": True,
        },
    ),
    "falcon-h1-7b": (
        "tiiuae/Falcon-H1-7B-Base",
        7.59,
        "falcon_h1",
        {
            **shape(44, 3072, 12, 2, 12288, 130048, head_dim=128),
            "mamba_d_ssm": 3072,
            "mamba_n_heads": 24,
            "mamba_d_head": 128,
            "mamba_d_state": 256,
            "mamba_n_groups": 1,
            "mamba_d_conv": 4,
            "mamba_rms_norm": False,
        },
    ),
    "jamba-v0.1": (
        "ai21labs/Jamba-v0.1",
        51.6,
        "jamba",
        {
            **shape(32, 4096, 32, 8, 14336, 65536),
            "num_experts": 16,
            "num_experts_per_tok": 2,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "attn_layer_period": 8,
            "attn_layer_offset": 4,
            "mamba_d_state": 16,
            "mamba_d_conv": 4,
            "mamba_expand": 2,
            "mamba_dt_rank": 256,
        },
    ),
    "granite-4.0-h-small": (
        "ibm-granite/granite-4.0-h-small",
        32,
        "granitemoehybrid",
        {
            **shape(40, 4096, 32, 8, 768, 100352, tie_word_embeddings=True),
            **experts(72, 10),
            "shared_intermediate_size": 1536,
            "layer_types": at(40, {5, 15, 25, 35}, "attention", "mamba"),
            "mamba_n_heads": 128,
            "mamba_d_head": 64,
            "mamba_d_state": 128,
            "mamba_n_groups": 1,
            "mamba_d_conv": 4,
            "mamba_expand": 2,
        },
    ),
    "granite-4.0-micro": (
        "ibm-granite/granite-4.0-micro",
        3.4,
        "granitemoehybrid",
        {
            **shape(40, 2560, 40, 8, 8192, 100352, tie_word_embeddings=True),
            "num_local_experts": 0,
            "num_experts_per_tok": 0,
            "shared_intermediate_size": 8192,
            "layer_types": ["attention"] * 40,
        },
    ),
    "lfm2-1.2b": (
        "LiquidAI/LFM2-1.2B",
        1.17,
        "lfm2",
        {
            **shape(16, 2048, 32, 8, 12288, 65536),
            "block_ff_dim": 12288,
            "block_multiple_of": 256,
            "block_auto_adjust_ff_dim": True,
            "full_attn_idxs": [2, 5, 8, 10, 12, 14],
            "conv_L_cache": 3,
        },
    ),
    "lfm2-8b-a1b": (
        "LiquidAI/LFM2-8B-A1B",
        8.3,
        "lfm2_moe",
        {
            **shape(24, 2048, 32, 8, 7168, 65536),
            "layer_types": at(24, {2, 6, 10, 14, 18, 21}, FULL, "conv"),
            "num_experts": 32,
            "num_experts_per_tok": 4,
            "num_dense_layers": 2,
            "moe_intermediate_size": 1792,
            "conv_L_cache": 3,
        },
    ),
    "hy-3": (
        "tencent/Hy3-preview",
        295,
        "hy_v3",
        {
            **shape(80, 4096, 64, 8, 13312, 120832, head_dim=128),
            "num_experts": 192,
            "num_experts_per_tok": 8,
            "num_shared_experts": 1,
            "moe_intermediate_size": 1536,
        },
    ),
    "ling-3.0-flash": (
        "inclusionAI/Ling-3.0-Flash",
        None,
        "bailing_hybrid",
        {
            **shape(42, 2560, 32, 32, 6144, 157184, head_dim=128),
            **latent(None, 512, 128, 64, 128),
            "num_experts": 512,
            "num_experts_per_tok": 8,
            "num_shared_experts": 1,
            "moe_intermediate_size": 768,
            "first_k_dense_replace": 2,
            "layer_group_size": 6,
            "short_conv_kernel_size": 4,
        },
    ),
    "gpt2-xl": (
        "openai-community/gpt2-xl",
        1.56,
        "gpt2",
        {"n_layer": 48, "n_embd": 1600, "n_head": 25, "n_positions": 1024, "vocab_size": 50257},
    ),
    "gpt-neox-20b": (
        "EleutherAI/gpt-neox-20b",
        20.6,
        "gpt_neox",
        {
            "num_hidden_layers": 44,
            "hidden_size": 6144,
            "num_attention_heads": 64,
            "intermediate_size": 24576,
            "vocab_size": 50432,
            "tie_word_embeddings": False,
        },
    ),
    "opt-6.7b": (
        "facebook/opt-6.7b",
        6.66,
        "opt",
        {
            "num_hidden_layers": 32,
            "hidden_size": 4096,
            "num_attention_heads": 32,
            "ffn_dim": 16384,
            "vocab_size": 50272,
            "max_position_embeddings": 2048,
            "word_embed_proj_dim": 4096,
        },
    ),
    "bloom-176b": (
        "bigscience/bloom",
        176.2,
        "bloom",
        {"n_layer": 70, "hidden_size": 14336, "n_head": 112, "vocab_size": 250880},
    ),
    "minitron-8b": (
        "nvidia/Minitron-8B-Base",
        8.3,
        "nemotron",
        shape(32, 4096, 48, 8, 16384, 256000, head_dim=128, tie_word_embeddings=False),
    ),
    "afm-4.5b": (
        "arcee-ai/AFM-4.5B-Base",
        4.6,
        "arcee",
        shape(36, 2560, 20, 4, 18432, 128004, head_dim=128),
    ),
    "apertus-8b": (
        "swiss-ai/Apertus-8B-2509",
        8.05,
        "apertus",
        shape(32, 4096, 32, 8, 21504, 131072),
    ),
    "bamba-9b": (
        "ibm-ai-platform/Bamba-9B-v1",
        9.8,
        "bamba",
        {
            **shape(32, 4096, 32, 8, 14336, 128256),
            "attn_layer_indices": [9, 18, 27],
            "mamba_n_heads": 128,
            "mamba_d_head": 64,
            "mamba_d_state": 128,
            "mamba_n_groups": 1,
            "mamba_d_conv": 4,
            "mamba_expand": 2,
        },
    ),
    "starcoder2-15b": (
        "bigcode/starcoder2-15b",
        15.96,
        "starcoder2",
        shape(
            40,
            6144,
            48,
            4,
            24576,
            49152,
            use_bias=True,
            sliding_window=4096,
            tie_word_embeddings=False,
        ),
    ),
}

RELEASES = {
    name: Release(source, card, {"model_type": model_type, **values})
    for name, (source, card, model_type, values) in _RELEASES.items()
}
