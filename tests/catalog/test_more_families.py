"""Families for which transformers has no class: shapes of the releases, totals of their cards.

Shapes are those of the repositories' config.json, cut to the keys that count. Billions of
parameters are hand counts from the published code, which agree with the model cards as far as these
round; where they differ, the card's stand beside. Those with a class: ``test_reference_totals.py``.
"""

import json

import pytest

from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.cli.model_table import shape_of
from jaxlimits.errors import InputError
from tests.catalog.releases import RELEASES, after_dense, experts, latent, shape

ATTENDING = {"n_heads_in_group": 8, "no_op": False, "replace_with_linear": False}


def blocks(number, factor, attention):
    return [{"attention": attention, "ffn": {"ffn_mult": factor, "no_op": False}}] * number


NEMOTRON_49B = {
    "num_hidden_layers": 80,
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "num_key_value_heads": None,
    "intermediate_size": None,
    "vocab_size": 128256,
    "block_configs": [
        *blocks(48, 5.25, ATTENDING),
        *blocks(1, 2.625, ATTENDING),
        *blocks(10, 1.3125, {"no_op": True}),
        *blocks(8, 1.0, {"no_op": True}),
        *blocks(6, 0.5, {"no_op": True}),
        *blocks(5, 2.625, {"no_op": True}),
        *blocks(1, 3.28125, {"no_op": True}),
        *blocks(1, 5.25, {"no_op": True}),
    ],
}
KIMI_K3 = {
    **shape(93, 7168, 96, 96, 33792, 163840),
    **latent(1536, 512, 128, 64, 128),
    "num_experts": 896,
    "num_experts_per_token": 16,
    "num_shared_experts": 2,
    "moe_intermediate_size": 3072,
    "routed_expert_hidden_size": 3584,
    "first_k_dense_replace": 1,
    "mla_use_output_gate": True,
    "linear_attn_config": {
        "full_attn_layers": [*range(4, 93, 4), 93],
        "kda_layers": [layer for layer in range(1, 93) if layer % 4],
        "head_dim": 128,
        "num_heads": 96,
        "short_conv_kernel_size": 4,
        "use_full_rank_gate": True,
    },
}
STEP_3 = {
    **shape(61, 7168, 64, 1, 18432, 128815, head_dim=256),
    "num_key_value_heads": "out",
    "num_attention_groups": 1,
    "share_q_dim": 2048,
    "moe_num_experts": 48,
    "moe_top_k": 3,
    "moe_intermediate_size": 5120,
    "share_expert_dim": 5120,
    "moe_layers_enum": ",".join(str(layer) for layer in range(4, 60)),
}

# Name, model_type, shape, billions in all and active.
MODELS = {
    "internlm2-7b": ("internlm2", shape(32, 4096, 32, 8, 14336, 92544), 7.74, 7.74),
    "baichuan2-7b": ("baichuan", shape(32, 4096, 32, 32, 11008, 125696), 7.51, 7.51),
    "minicpm-2b": ("minicpm", shape(40, 2304, 36, 36, 5760, 122753), 2.72, 2.72),
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
    # d = 8192, 64 layers: attention 2 · d · (64 + 8) · 128, a dense layer 3 · d · 32768, 8 experts
    # 3 · d · 16384 of which 2 are used, a router 8 · d; twice 131072 · d of tables.
    "grok-2": (
        "git",
        shape(
            64,
            8192,
            64,
            8,
            32768,
            131072,
            head_dim=128,
            moe_intermediate_size=16384,
            residual_moe=True,
            architectures=["Grok1ForCausalLM"],
            **experts(8, 2),
        ),
        269.5,  # its release: 270 and 115
        114.9,
    ),
    # d = 8192: 49 layers attend, 2 · d · (64 + 8) · 128 each. Widths by 2/3 · d · factor, in steps
    # of 256: 48 + 1 of 28672, 5 + 1 of 14336, 1 of 17920, 10 of 7168, 8 of 5632, 6 of 2816.
    "llama-nemotron-super-49b": ("nemotron-nas", NEMOTRON_49B, 49.87, 49.87),
    # d = 7168. KDA 69 times 6 · d · 12288 − d · (12288 − 128) + 128 · 12288, d · 96 and 4 · 36864;
    # MLA 24 times with a gate of 96 · 128; experts of 3 · 3584 · 3072, 896 and 16 of them; 2
    # shared ones of 3 · d · 3072, two projections d · 3584 and a router 92 times.
    "kimi-k3": ("kimi_linear", KIMI_K3, 2779.5, 105.4),
    # d = 7168. Queries d · 2048 + 2048 · 64 · 256, one key and one value head of 256, output
    # 64 · 256 · d; 5 layers of 3 · d · 18432; in 56, 48 experts and one shared of 3 · d · 5120,
    # of which 3 are used.
    "step3": ("step3_text", STEP_3, 316.3, 38.8),
    # As MiniMax-Text-01 but in its own files' name.
    "minimax-m1": (
        "minimax_m1",
        RELEASES["minimax-text-01"].config,
        456.1,
        48.40,
    ),
    # Ling-mini's shape with lightning attention in 4 of 5 layers: 5 · d · 2048 for
    # d · (16 + 8) · 128 + 2048 · d, 16 times.
    "ring-mini-linear-2.0": (
        "bailing_moe_linear",
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
            layer_group_size=5,
        ),
        16.42,
        1.60,
    ),
}


def entry_of(folder, model_type, values):
    stated = {key: value for key, value in values.items() if value != "out"}
    (folder / "config.json").write_text(json.dumps({**stated, "model_type": model_type}))
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
        ("mamba2", "recurrent state"),
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
    values = next(
        release.config
        for release in RELEASES.values()
        if release.config["model_type"] == model_type
    )
    with pytest.raises(InputError, match=message):
        entry_of(tmp_path, model_type, values | changes)
