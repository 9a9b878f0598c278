"""Bits by part of every quantisation method, hand-counted from its formats."""

import json
from pathlib import Path

import pytest

from jaxlimits.catalog.loader import entry_values
from jaxlimits.catalog.model_config import read_anatomy, read_model_config
from jaxlimits.catalog.module_names import Anatomy, _modules_of, stated
from jaxlimits.catalog.quantisation import read_precision
from jaxlimits.errors import InputError
from jaxlimits.model.llm import LLM
from jaxlimits.model.precision import PARTS
from tests.catalog.releases import RELEASES

GOLDEN = Path(__file__).parents[1] / "golden"
CONFIGS = GOLDEN / "configs"

# A dense layer before three with experts: every part is there.
FIELDS = {
    "num_layers": 4,
    "num_moe_layers": 3,
    "hidden_size": 64,
    "vocab_size": 100,
    "num_heads": 4,
    "num_kv_heads": 4,
    "head_dim": 16,
    "intermediate_size": 256,
    "moe_intermediate_size": 32,
    "num_experts": 8,
    "num_shared_experts": 1,
}
OWN = {"quant_algo": "NVFP4", "group_size": 16}
MODEL = Anatomy(fields=FIELDS)
LINEAR = ("attention_bits", "ffn_bits", "expert_bits")


def fields_of(quantised, **values):
    found = {"quantization_config": quantised, **values}
    return dict(read_precision(found, MODEL, where="config.json").fields)


def linear(bits, operand, **others):
    return {
        "weight_bits": 16,
        **dict.fromkeys(LINEAR, bits),
        "kv_bits": 16,
        "operand_bits": operand,
        **others,
    }


def group(bits, *targets, operands=None, **weights):
    inputs = {"num_bits": operands} if operands else None
    table = {"weights": {"num_bits": bits, **weights}, "input_activations": inputs}
    return table | ({"targets": list(targets)} if targets else {})


def compressed(*groups, **others):
    named = {f"group_{i}": each for i, each in enumerate(groups)}
    return {"quant_method": "compressed-tensors", "config_groups": named, **others}


HEAD = {"ignore": ["lm_head"]}
NVFP4 = {"type": "float", "strategy": "tensor_group", "group_size": 16}

CASES = {
    "fp8 in blocks": (
        {"quant_method": "fp8", "weight_block_size": [128, 128]},
        linear(8 + 32 / 16384, 8),
    ),
    "fp8 static": ({"quant_method": "fp8", "activation_scheme": "static"}, linear(8, 8)),
    "fbgemm": ({"quant_method": "fbgemm_fp8"}, linear(8, 8)),
    "awq": (
        {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
        linear(4 + 20 / 128, 16),
    ),
    "awq without zeros": (
        {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": False},
        linear(4 + 16 / 64, 16),
    ),
    "awq by channel": ({"quant_method": "awq", "bits": 4, "group_size": -1}, linear(4, 16)),
    "gptq": ({"quant_method": "gptq", "bits": 4, "group_size": 128}, linear(4 + 20 / 128, 16)),
    "gptq, the head too": (
        {"quant_method": "gptq", "bits": 8, "group_size": 32, "lm_head": True},
        linear(8 + 24 / 32, 16, head_bits=8 + 24 / 32),
    ),
    "gptq, attention left": (
        {"quant_method": "gptq", "bits": 4, "group_size": -1, "dynamic": {"-:.*self_attn.*": {}}},
        {"weight_bits": 16, "ffn_bits": 4, "expert_bits": 4, "kv_bits": 16, "operand_bits": 16},
    ),
    "gptq, attention in 8": (
        {
            "quant_method": "gptq",
            "bits": 4,
            "group_size": -1,
            "dynamic": {"+:.*self_attn.*": {"bits": 8}},
        },
        linear(4, 16, attention_bits=8),
    ),
    "bnb nf4": ({"quant_method": "bitsandbytes", "load_in_4bit": True}, linear(4.5, 16)),
    "bnb nf4 twice": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True},
        linear(4 + 8 / 64 + 32 / (64 * 256), 16),
    ),
    "bnb int8": ({"quant_method": "bitsandbytes", "load_in_8bit": True}, linear(8, 8)),
    "mxfp4": (
        {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]},
        {"weight_bits": 16, "expert_bits": 4.25, "kv_bits": 16, "operand_bits": 16},
    ),
    "int4 by 32, weights alone": (
        compressed(group(4, "Linear", type="int", strategy="group", group_size=32), **HEAD),
        linear(4 + 16 / 32, 16),
    ),
    "int4 by 128 with zeros": (
        compressed(
            group(4, "Linear", type="int", strategy="group", group_size=128, symmetric=False),
            **HEAD,
        ),
        linear(4 + 20 / 128, 16),
    ),
    "fp8 by channel": (
        compressed(group(8, "Linear", operands=8, type="float", strategy="channel"), **HEAD),
        linear(8, 8),
    ),
    "fp8 in a block by compressed-tensors": (
        compressed(
            group(8, "Linear", operands=8, strategy="block", block_structure=[128, 128]), **HEAD
        ),
        linear(8 + 32 / 16384, 8),
    ),
    "nvfp4 with activations": (
        compressed(group(4, "Linear", operands=4, **NVFP4), **HEAD),
        linear(4.5, 4),
    ),
    "mxfp4 packed": (
        compressed(
            group(4, "Linear", type="float", strategy="group", group_size=32),
            format="mxfp4-pack-quantized",
            **HEAD,
        ),
        linear(4.25, 16),
    ),
    "the head too": (compressed(group(8, operands=8)), linear(8, 8, head_bits=8)),
    "two groups, a name before a class": (
        compressed(
            group(4, "Linear", operands=8, **NVFP4),
            group(8, "re:.*self_attn.*", operands=8),
            **HEAD,
        ),
        linear(4.5, 8, attention_bits=8),
    ),
    "only experts, the rest ignored": (
        compressed(
            group(4, "Linear", type="int", group_size=32),
            ignore=[
                "lm_head",
                "re:.*self_attn.*",
                "re:.*shared_experts.*",
                r"re:.*mlp\.(gate|up|gate_up|down)_proj.*",
            ],
        ),
        {"weight_bits": 16, "expert_bits": 4.5, "kv_bits": 16, "operand_bits": 16},
    ),
    "a cache in 8": (
        compressed(group(8, operands=8), kv_cache_scheme={"num_bits": 8, "type": "float"}, **HEAD),
        linear(8, 8, kv_bits=8),
    ),
    "quark mxfp4, attention in fp8": (
        {
            "quant_method": "quark",
            "global_quant_config": {
                "weight": {"dtype": "fp4", "group_size": 32, "scale_format": "e8m0"},
                "input_tensors": {"dtype": "fp4", "group_size": 32},
            },
            "layer_quant_config": {
                "*self_attn*": {"weight": {"dtype": "fp8_e4m3"}, "input_tensors": {"dtype": "int8"}}
            },
            "exclude": ["lm_head"],
        },
        linear(4.25, 8, attention_bits=8),
    ),
    "modelopt fp8": ({"quant_method": "modelopt", "quant_algo": "FP8", **HEAD}, linear(8, 8)),
    "modelopt nvfp4": (
        {
            "quant_method": "modelopt",
            "quant_algo": "NVFP4",
            "kv_cache_quant_algo": "FP8",
            "exclude_modules": ["lm_head", "model.layers.*.self_attn*"],
        },
        {"weight_bits": 16, "ffn_bits": 4.5, "expert_bits": 4.5, "kv_bits": 8, "operand_bits": 4},
    ),
    "modelopt, the cache by name": (
        {"quant_algo": "FP8", "kv_cache_scheme": "FP8"},
        linear(8, 8, kv_bits=8),
    ),
    "modelopt int4": (
        {"quant_algo": "W4A16_AWQ", "group_size": 64, **HEAD},
        linear(4 + 16 / 64, 16),
    ),
    "modelopt mixed": (
        {
            "quant_algo": "MIXED_PRECISION",
            "quantized_layers": {
                "model.layers.*.self_attn": {"quant_algo": "FP8"},
                "model.layers.*.mlp.experts": {"quant_algo": "NVFP4", "group_size": 16},
            },
        },
        {
            "weight_bits": 16,
            "attention_bits": 8,
            "expert_bits": 4.5,
            "kv_bits": 16,
            "operand_bits": 8,
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bits_are_those_of_the_format(case):
    quantised, expected = CASES[case]
    assert fields_of(quantised) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("mode", "bits"),
    [
        ({"group_size": 64, "bits": 4}, 4.5),  # 4 + 2 · 16/64
        ({"group_size": 32, "bits": 8}, 9.0),
        ({"group_size": 32, "bits": 4, "mode": "mxfp4"}, 4.25),
        ({"group_size": 16, "bits": 4, "mode": "nvfp4"}, 4.5),
    ],
)
def test_mlx_quantises_the_tables_too(mode, bits):
    found = read_precision({"quantization": mode}, MODEL, where="config.json").fields
    assert {found[part] for part in PARTS} == {bits}
    kept = mode | {"model.embed_tokens": False, "lm_head": {"bits": 8, "group_size": 64}}
    found = read_precision({"quantization": kept}, MODEL, where="config.json").fields
    assert (found.get("embedding_bits", 16), found["head_bits"]) == (16, 8.5)
    same = read_precision({"quantization_config": mode}, MODEL, where="config.json").fields
    assert same["ffn_bits"] == bits


def test_a_part_has_the_mean_of_its_modules():
    """One of four layers' attention stays: (8 + 8 + 8 + 16) / 4; the dense layer's FFN stays."""
    names = ["model.layers.2.self_attn", "model.layers.0.mlp", "model.layers.3*", "lm_head"]
    found = fields_of({"quant_method": "modelopt", "quant_algo": "FP8", "ignore": names[:1]})
    assert found["attention_bits"] == 10
    words = read_precision(
        {"quantization_config": {"quant_algo": "FP8", "ignore": names[:1]}}, MODEL, where="x"
    ).words
    assert "attention_bits = 10 (a mean), ffn_bits = 8, " in words
    found = fields_of({"quant_method": "fp8", "modules_to_not_convert": names[1:2]})
    dense, shared = 64 * 256, 3 * 64 * 32
    assert found["ffn_bits"] == pytest.approx((16 * dense + 8 * shared) / (dense + shared))
    assert found["attention_bits"] == 8
    found = fields_of({"quant_algo": "FP8", "exclude_modules": names[2:]})
    assert found["expert_bits"] == pytest.approx((8 + 8 + 16) / 3)


def test_a_router_is_not_the_gate_of_a_layer():
    found = fields_of({"quant_method": "fp8", "modules_to_not_convert": ["mlp.gate", "0.mlp.gate"]})
    assert found["ffn_bits"] == found["expert_bits"] == 8


@pytest.mark.parametrize(
    ("values", "bits", "cache"),
    [
        ({}, 16, 16),
        ({"torch_dtype": "float16"}, 16, 16),
        ({"dtype": "torch.float32"}, 32, 32),
        ({"dtype": "bfloat16", "torch_dtype": "float32"}, 16, 16),
        ({"dtype": "float8_e4m3fn"}, 8, 16),
    ],
)
def test_without_quantisation_the_dtype_says_it(values, bits, cache):
    found = read_precision(values, MODEL, where="config.json").fields
    assert found == {"weight_bits": bits, "kv_bits": cache}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dtype": "int3"}, "dtype = 'int3': is not a known dtype; write one of"),
        ({"torch_dtype": 16}, "torch_dtype = 16: is not a known dtype"),
        ({"quantization_config": "fp8"}, "quantization_config = 'fp8': must be a table"),
        (
            {"quantization_config": {"quant_method": "hqq"}},
            "quantization_config.quant_method = 'hqq': is not a known quantisation; known are",
        ),
        ({"quantization_config": {"a": 1}}, "quant_method: is not a known quantisation"),
        ({"quantization_config": {"quant_method": ["fp8"]}}, "must be text"),
        (
            {"quantization_config": {"quant_method": "bitsandbytes"}},
            "load_in_4bit: is not true, nor is load_in_8bit; state",
        ),
        (
            {"quantization_config": {"quant_method": "fp8", "modules_to_not_convert": [1]}},
            "modules_to_not_convert = .*: must be a list of texts",
        ),
        (
            {"quantization_config": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP2"}},
            "kv_cache_quant_algo = 'FP2': is not a known format",
        ),
        (
            {"quantization_config": compressed(group(8), ignore=["re:.*["])},
            "ignore = .*: is not a regular expression",
        ),
        (
            {"quantization_config": compressed(group(0))},
            "config_groups.group_0.weights.num_bits = 0: must be at least 1",
        ),
        ({"quantization_config": compressed()}, "config_groups = {}: states no weights"),
        (
            {"quantization_config": compressed(group(8, "re:visual.*"))},
            "quantization_config: quantises no known module",
        ),
        (
            {
                "quantization_config": {
                    "quant_method": "quark",
                    "global_quant_config": {"weight": {}},
                }
            },
            "global_quant_config.weight.dtype: is not a known format",
        ),
        ({"quantization_config": {"quant_method": "quark"}}, "global_quant_config: is missing"),
        (
            {"quantization": {"bits": 4, "mode": "new"}},
            "quantization.mode = 'new': is not a known format",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_key_and_remedy(values, message):
    with pytest.raises(
        InputError, match=f"config.json: {'.*' if 'ignore' in message else ''}.*{message}"
    ) as caught:
        read_precision(values, MODEL, where="config.json")
    assert "; " in str(caught.value)


def test_the_tables_name_fields_and_parts():
    for module in stated()["modules"]:
        assert module["part"] in PARTS
    assert {module["part"] for module in stated()["modules"]} == set(PARTS)
    assert all({"bits", "operand"} <= table.keys() for table in stated()["algorithms"].values())


@pytest.mark.parametrize(
    "values",
    [
        *("configs/deepseek-v3.json", "configs/gpt-oss-20b.json", "configs/qwen3-30b-a3b.json"),
        *("configs/llama-3.1-8b.json", "model_files/hybrid_delta.json"),
        *("model_files/hybrid_mamba.json", "model_files/two_head_kinds.json"),
        *(
            "nemotron-3-super",
            "kimi-linear-48b-a3b",
            "minimax-text-01",
            "gemma-4-26b-a4b",
            "gemma-4-e2b",
        ),
        *("step-3.5-flash", "falcon-h1-7b", "jamba-v0.1", "granite-4.0-h-small", "lfm2-8b-a1b"),
        *("ling-3.0-flash", "qwen3.5-27b"),
        *("deepseek-v4-flash", "minimax-m3"),
    ],
)
def test_modules_hold_all_weights_of_the_layers(tmp_path, values):
    """Every weight of the parts is in a module: the means are over all of them."""
    from jaxlimits.model.deployment import Deployment
    from jaxlimits.model.weights import layer_weights

    path = GOLDEN / values
    if values in RELEASES:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(RELEASES[values].config))
    anatomy, _ = read_anatomy(json.loads(path.read_text()), where=str(path))
    held = dict.fromkeys(PARTS, 0.0)
    for module, _, size in _modules_of(anatomy, each_layer=False):
        held[module.part] += size
    llm = LLM(**entry_values(read_model_config(path, name="mine")))
    weights = layer_weights(llm, Deployment())
    attention = float(weights.projections + weights.output)
    assert held["attention_bits"] == pytest.approx(attention, rel=1e-5)
    assert held["ffn_bits"] == pytest.approx(float(weights.ffn), rel=1e-5)
    assert held["expert_bits"] == pytest.approx(float(weights.expert * llm.num_experts))


def raw_of(values):
    """Fields and bits of the configuration's values."""
    anatomy, _ = read_anatomy(values, where="config.json")
    return {**anatomy.fields, **read_precision(values, anatomy, where="config.json").fields}


def test_names_within_a_layer_are_those_of_the_family():
    """A pattern means the kind of layer that it names: 3 of 4 layers have a state."""
    values = json.loads((GOLDEN / "model_files" / "hybrid_delta.json").read_text())
    for named, field in {
        "model.layers.*.linear_attn.*": "attention_bits",
        "model.layers.*.mlp.shared_expert.*": "ffn_bits",
        "model.layers.*.mlp.experts.*": "expert_bits",
    }.items():
        values["quantization_config"] = {"quant_algo": "FP8", "exclude_modules": [named]}
        raw = raw_of(values)
        assert raw.get(field, 16) > 8.001
    values["quantization_config"] = {"quant_algo": "FP8", "exclude_modules": ["*.self_attn.*"]}
    # Queries with gates 2048 · 8192, keys and values 2 · 2048 · 512, output 4096 · 2048, 12 times;
    # mixers 2048 · (12288 + 64) + 4096 · 2048 and a convolution of 4 · 8192, 36 times.
    kept, mixers = 27_262_976 * 12 + 32_768 * 36, 33_685_504 * 36
    mean = (16 * kept + 8 * mixers) / (kept + mixers)
    assert raw_of(values)["attention_bits"] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("dtype", "changes", "bits", "operand"),
    [
        ("fp4", {}, 4 + 8 / 32, 8),
        ("fp8", {}, 8 + 32 / 16384, 8),
        (None, {}, 8 + 32 / 16384, 8),
        (
            "fp4",
            {"quantized_layers": {f"layers.{n}.ffn.experts": OWN for n in range(43)}},
            4.5,
            8,
        ),
    ],
)
def test_experts_have_a_dtype_of_their_own_beside_fp8(dtype, changes, bits, operand):
    """As the files of DeepSeek-V4 state it, with names of modules that only these have."""
    table = {"quant_method": "fp8", "weight_block_size": [128, 128], **changes}
    values = {**RELEASES["deepseek-v4-flash"].config, "quantization_config": table}
    found = raw_of(values | {"expert_dtype": dtype})
    assert (found["expert_bits"], found["operand_bits"]) == (bits, operand)
    assert found["attention_bits"] == found["ffn_bits"] == 8 + 32 / 16384


def test_a_dtype_of_experts_that_is_not_known_is_refused():
    values = RELEASES["deepseek-v4-flash"].config | {"expert_dtype": "fp3"}
    with pytest.raises(InputError, match="expert_dtype = 'fp3': is not a known format; known"):
        raw_of({**values, "quantization_config": {"quant_method": "fp8"}})


def test_a_state_has_the_bits_that_a_file_states():
    values = json.loads((GOLDEN / "model_files" / "hybrid_mamba.json").read_text())
    for dtype, bits in {"float32": 32, "bfloat16": 16}.items():
        assert raw_of(values | {"mamba_ssm_cache_dtype": dtype})["state_bits"] == bits
    with pytest.raises(InputError, match="mamba_ssm_cache_dtype = 'int3': is not a known dtype"):
        raw_of(values | {"mamba_ssm_cache_dtype": "int3"})


def test_a_file_with_a_list_a_layer_is_read_soon():
    """DeepSeek's NVFP4 files name hundreds of modules."""
    values = json.loads((CONFIGS / "deepseek-v3.json").read_text())
    named = [f"model.layers.{i}.self_attn*" for i in range(61)] + ["lm_head"]
    values["quantization_config"] = {"quant_algo": "NVFP4", "exclude_modules": named}
    path = Path("deepseek.json")
    fields = dict(read_model_config(CONFIGS / "deepseek-v3.json", name="x").raw)
    found = read_precision(values, Anatomy(fields=fields), where=str(path)).fields
    assert "attention_bits" not in found
    assert found["expert_bits"] == found["ffn_bits"] == 4.5
