"""Families of which no published file lies here: shapes of the releases, totals of their cards.

Shapes are those of the repositories' config.json, cut to the keys that count. Billions of
parameters are hand counts from the published code, which agree with the model cards as far as these
round; where they differ, the card's stand beside.
"""

import json
from typing import Any

import pytest

from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.cli.model_table import shape_of
from jaxlimits.errors import InputError


def shape(layers, width, heads, kv, ffn, vocab, **others) -> dict[str, Any]:
    return {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "intermediate_size": ffn,
        "vocab_size": vocab,
        **others,
    }


def experts(number, used, **others) -> dict[str, Any]:
    return {"num_local_experts": number, "num_experts_per_tok": used, **others}


def after_dense(number, used, width, shared, dense, **others) -> dict[str, Any]:
    return {
        "n_routed_experts": number,
        "num_experts_per_tok": used,
        "moe_intermediate_size": width,
        "n_shared_experts": shared,
        "first_k_dense_replace": dense,
        **others,
    }


LATENT = {
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}

# Name, model_type, shape, billions in all and active, tolerance.
MODELS = {
    "granite-3.1-8b": (
        "granite",
        shape(40, 4096, 32, 8, 12800, 49155, tie_word_embeddings=True),
        8.17,
        8.17,
    ),
    "internlm2-7b": ("internlm2", shape(32, 4096, 32, 8, 14336, 92544), 7.74, 7.74),
    "baichuan2-7b": ("baichuan", shape(32, 4096, 32, 32, 11008, 125696), 7.51, 7.51),
    "minicpm-2b": ("minicpm", shape(40, 2304, 36, 36, 5760, 122753), 2.72, 2.72),
    "seed-oss-36b": ("seed_oss", shape(64, 5120, 80, 8, 27648, 155136, head_dim=128), 36.15, 36.15),
    "exaone-3.5-7.8b": (
        "exaone",
        {**shape(0, 4096, 32, 8, 14336, 102400), "num_hidden_layers": "out", "num_layers": 32},
        7.82,
        7.82,
    ),
    "glm-4-9b-chat": (
        "chatglm",
        {
            "num_layers": 40,
            "hidden_size": 4096,
            "num_attention_heads": 32,
            "ffn_hidden_size": 13696,
            "multi_query_group_num": 2,
            "padded_vocab_size": 151552,
            "kv_channels": 128,
            "add_qkv_bias": True,
        },
        9.40,
        9.40,
    ),
    "phi-3-mini-4k": (
        "phi3",
        shape(32, 3072, 32, 32, 8192, 32064, sliding_window=2047),
        3.82,
        3.82,
    ),
    "phi-4": ("phi3", shape(40, 5120, 40, 10, 17920, 100352, sliding_window=None), 14.66, 14.66),
    "phi-3.5-moe": (
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
        41.87,
        6.64,
    ),
    "command-r": ("cohere", shape(40, 8192, 64, 64, 22528, 256000), 34.98, 34.98),
    "command-r-plus": (
        "cohere",
        shape(64, 12288, 96, 8, 33792, 256000, use_qk_norm=True),
        103.8,
        103.8,
    ),
    "olmo-7b": ("olmo", shape(32, 4096, 32, 32, 11008, 50304), 6.89, 6.89),
    "olmo-2-7b": ("olmo2", shape(32, 4096, 32, 32, 11008, 100352), 7.30, 7.30),
    "olmo-3-32b": ("olmo3", shape(64, 5120, 40, 8, 27648, 100278), 32.2, 32.2),
    "olmoe-1b-7b": (
        "olmoe",
        shape(16, 2048, 16, 16, 1024, 50304, num_experts=64, num_experts_per_tok=8),
        6.92,
        1.28,
    ),
    "gemma-7b": ("gemma", shape(28, 3072, 16, 16, 24576, 256000), 8.54, 8.54),
    "granite-3.1-3b-a800m": (
        "granitemoe",
        shape(32, 1536, 24, 8, 512, 49155, tie_word_embeddings=True, **experts(40, 8)),
        3.30,
        0.88,
    ),
    "ernie-4.5-0.3b": (
        "ernie4_5",
        shape(18, 1024, 16, 2, 3072, 103424, head_dim=128),
        0.361,
        0.361,
    ),
    "ernie-4.5-21b-a3b": (
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
        21.83,
        3.36,  # by hand: 27·(8·11.80 + 0.16) + 28·15.73 + 94.4 + 264.8 million
    ),
    "hunyuan-7b": (
        "hunyuan_v1_dense",
        shape(32, 4096, 32, 8, 14336, 128167, head_dim=128, tie_word_embeddings=True),
        7.50,
        7.50,
    ),
    "hunyuan-a13b": (
        "hunyuan_v1_moe",
        shape(
            32,
            4096,
            32,
            8,
            3072,
            128167,
            num_experts=64,
            moe_topk=[8] * 32,
            num_shared_expert=[1] * 32,
            tie_word_embeddings=True,
        ),
        80.4,
        12.75,
    ),
    "dots.llm1": (
        "dots1",
        shape(62, 4096, 32, 32, 10944, 152064, **after_dense(128, 6, 1408, 2, 1)),
        142.8,
        14.0,
    ),
    "deepseek-moe-16b": (
        "deepseek",
        shape(28, 2048, 16, 16, 10944, 102400, **after_dense(64, 6, 1408, 2, 1)),
        16.38,
        2.83,
    ),
    "ling-lite": (
        "bailing_moe",
        shape(
            28,
            2048,
            16,
            4,
            5632,
            126464,
            head_dim=128,
            num_experts=64,
            num_experts_per_tok=6,
            num_shared_experts=2,
            moe_intermediate_size=1408,
        ),
        16.8,
        2.75,
    ),
    "ling-mini-2.0": (
        "bailing_moe_v2",
        shape(
            20,
            2048,
            16,
            4,
            5120,
            157184,
            head_dim=128,
            num_experts=256,
            num_experts_per_tok=8,
            num_shared_experts=1,
            moe_intermediate_size=512,
            first_k_dense_replace=1,
            use_qk_norm=True,
        ),
        16.26,
        1.43,
    ),
    "dbrx": (
        "dbrx",
        {
            "d_model": 6144,
            "n_heads": 48,
            "n_layers": 40,
            "vocab_size": 100352,
            "attn_config": {"kv_n_heads": 8},
            "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4},
        },
        131.6,
        36.5,  # the card: 132 and 36
    ),
    "grok-1": (
        "grok-1",
        shape(
            64,
            6144,
            48,
            8,
            32768,
            131072,
            num_experts=8,
            num_experts_per_tok=2,
            tie_word_embeddings=True,
        ),
        315.7,  # its release: 314
        83.8,
    ),
    "longcat-flash": (
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
            **LATENT,
        },
        560.7,
        27.9,  # the card: 560 and about 27 on average
    ),
    "qwen2.5-vl-7b": (
        "qwen2_5_vl",
        shape(
            28, 3584, 28, 4, 18944, 152064, use_sliding_window=False, vision_config={"depth": 32}
        ),
        7.62,
        7.62,
    ),
    "mistral-small-3.1": (
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
            "vision_config": {"hidden_size": 1024},
        },
        23.57,
        23.57,
    ),
    "glm-4.5v": (
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
        106.9,
        13.4,
    ),
}


def entry_of(folder, model_type, values):
    stated = {key: value for key, value in values.items() if value != "out"}
    (folder / "config.json").write_text(json.dumps({"model_type": model_type, **stated}))
    return read_model_config(folder, name="mine")


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_the_release(tmp_path, name):
    model_type, values, total, active = MODELS[name]
    found = shape_of(entry_of(tmp_path, model_type, values))
    assert found.total_params / 1e9 == pytest.approx(total, rel=2e-3)
    assert found.active_params / 1e9 == pytest.approx(active, rel=1e-2)


def test_windows_of_the_class_count_where_a_file_has_none(tmp_path):
    dense = shape(32, 4096, 32, 8, 14336, 32000)
    for model_type, window in {
        "mistral": 4096,
        "exaone4": 4096,
        "cohere2": 4096,
        "olmo3": 4096,
    }.items():
        raw = entry_of(tmp_path, model_type, dense).raw
        assert raw["sliding_window"] == window
        assert raw["num_windowed_layers"] == (32 if model_type == "mistral" else 24)
        without = entry_of(tmp_path, model_type, {**dense, "sliding_window": None}).raw
        assert "num_windowed_layers" not in without


@pytest.mark.parametrize(
    ("model_type", "what"),
    [
        ("qwen3_5_moe", "linear attention"),
        ("kimi_linear", "linear attention"),
        ("falcon_h1", "recurrent state"),
        ("lfm2", "recurrent state"),
        ("gemma4_text", "second kind of attention"),
        ("gemma3n_text", "share a KV cache"),
        ("nemotron-nas", "differ from each other"),
        ("deepseek_v4", "compressed or sparse by blocks"),
        ("starcoder2", "two matrices"),
    ],
)
def test_what_the_record_cannot_hold_is_named_for_what_it_is(tmp_path, model_type, what):
    dense = shape(32, 4096, 32, 8, 14336, 32000)
    with pytest.raises(
        InputError, match=f"model_type = '{model_type}': .*{what}.*; write an entry"
    ):
        entry_of(tmp_path, model_type, dense)


@pytest.mark.parametrize(
    ("model_type", "changes", "message"),
    [
        ("ernie4_5_moe", {"use_bias": True}, "use_bias = True: has biases"),
        ("hunyuan_v1_moe", {"moe_topk": [8, 4]}, r"moe_topk = \[8, 4\]: differs between layers"),
        ("hunyuan_v1_moe", {"moe_topk": 80}, "moe_topk = 80: is more experts than there are"),
        ("dbrx", {"n_heads": 0}, "n_heads = 0: must be at least 1; write"),
    ],
)
def test_what_differs_is_refused(tmp_path, model_type, changes, message):
    values = next(values for kind, values, *_ in MODELS.values() if kind == model_type)
    with pytest.raises(InputError, match=message):
        entry_of(tmp_path, model_type, values | changes)
