"""Models read from their config.json: parameters of the cards, fields of the shipped entries."""

import json
import shutil
from pathlib import Path

import pytest

import jaxlimits as jl
from jaxlimits.catalog.loader import entry_values, load_catalog
from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.errors import InputError
from tests.command_line import run

CONFIGS = Path(__file__).parents[1] / "golden" / "configs"

# Billions of parameters as the model's card, report or checkpoint index states them; of Gemma 3 and
# Llama 4 the language model alone.
CARDS = {
    "deepseek-v2": 235.7,
    "deepseek-v2-lite": 15.7,
    "deepseek-v3": 671.0,
    "deepseek-v3.2-exp": 671.9,
    "gemma-2-9b": 9.24,
    "gemma-3-27b-it": 27.0,
    "gemma-3-4b-it": 3.88,
    "glm-4-9b-0414": 9.4,
    "glm-4.5": 355.0,
    "glm-4.5-air": 106.0,
    "gpt-oss-20b": 20.9,
    "gpt-oss-120b": 116.8,
    "kimi-k2": 1026.5,
    "llama-3.1-8b": 8.03,
    "llama-3.1-70b": 70.6,
    "llama-3.1-405b": 405.9,
    "llama-3.2-1b": 1.24,
    "llama-4-scout": 107.8,
    "llama-4-maverick": 400.7,
    "minimax-m2": 230.0,
    "mistral-7b-v0.1": 7.24,
    "mixtral-8x7b": 46.7,
    "qwen2-57b-a14b": 57.4,
    "qwen2.5-7b": 7.62,
    "qwen2.5-72b": 72.7,
    "qwen3-4b": 4.02,
    "qwen3-8b": 8.19,
    "qwen3-30b-a3b": 30.5,
    "qwen3-32b": 32.8,
    "qwen3-235b-a22b": 235.0,
}

SHIPPED = {
    "deepseek-v3": "deepseek-v3",
    "deepseek-v3.2-exp": "deepseek-v3.2",
    "gpt-oss-20b": "gpt-oss-20b",
    "gpt-oss-120b": "gpt-oss-120b",
    "kimi-k2": "kimi-k2",
    "llama-3.1-8b": "llama3-8b",
    "llama-3.1-70b": "llama3-70b",
    "llama-3.1-405b": "llama3-405b",
    "llama-4-scout": "llama4-scout",
    "llama-4-maverick": "llama4-maverick",
    "qwen3-4b": "qwen3-4b",
    "qwen3-30b-a3b": "qwen3-30b",
    "qwen3-235b-a22b": "qwen3-235b",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(name):
    return read_model_config(CONFIGS / f"{name}.json", name=name)


def written(folder, **changes):
    """Write DeepSeek-V2-Lite's configuration with other values; None leaves a key out."""
    values = json.loads((CONFIGS / "deepseek-v2-lite.json").read_text()) | changes
    path = folder / "config.json"
    path.write_text(json.dumps({key: value for key, value in values.items() if value != "out"}))
    return path


def test_every_configuration_has_a_card():
    assert {path.stem for path in CONFIGS.iterdir()} == set(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_parameters_are_those_of_the_card(name):
    point = jl.evaluate(str(CONFIGS / f"{name}.json"), "xpu-hbm3", tp_size=256, weight_bits=8)
    assert point.weight_bytes == pytest.approx(1e9 * CARDS[name], rel=0.01)


@pytest.mark.parametrize(("name", "entry"), SHIPPED.items())
def test_fields_are_those_of_the_shipped_entry(name, entry):
    shipped = load_catalog().values("llm", entry)
    found = entry_values(read(name))
    nominal = {"nominal_params": 0.0, "nominal_active_params": 0.0}  # the card's, not the shape's
    cache = {"cache_bits": 16.0}  # an entry states none
    apart = dict.fromkeys(("operand_bits", "measured_model", "measured_attention"), 0.0)
    assert found | apart == shipped | nominal | cache | apart
    assert found["operand_bits"] >= shipped["operand_bits"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "deepseek-v3",
            [
                "fp8, scales included: attention_bits = 8.00195",
                "num_nextn_predict_layers = 1",
                "n_group",
            ],
        ),
        ("gpt-oss-20b", ["mxfp4, scales included: expert_bits = 4.25", "the rest in 16"]),
        ("gemma-3-27b-it", ["weight_bits = 16 (bfloat16)", "vision_config"]),
        ("minimax-m2", ["num_mtp_modules = 3"]),
    ],
)
def test_what_is_left_out_is_named(name, words):
    note = read(name).words["note"]
    assert [word for word in words if word not in note] == []


def test_windows_by_list_by_pattern_and_for_all():
    for name, layers in {"gpt-oss-20b": 12, "gemma-3-27b-it": 52, "mistral-7b-v0.1": 32}.items():
        assert read(name).raw["num_windowed_layers"] == layers


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mamba2"}, r"model_type = 'mamba2': has layers with a recurrent state"),
        ({"model_type": "ours", "compress_ratios": [4]}, r"a compressed cache of an unknown kind"),
        (
            {"model_type": "ours", "linear_attn_config": {"a": 1}},
            r"linear attention of an unknown kind",
        ),
        ({"model_type": "ours"}, r"model_type = 'ours': is a family of unknown layers"),
        ({"model_type": "ours", "ssm_state_size": 128}, r"ssm_state_size = 128: .*recurrent state"),
        ({"kv_lora_rank": "out"}, r"kv_lora_rank: is missing"),
        ({"hidden_size": 2048.5}, r"hidden_size = 2048.5: must be a whole number"),
        ({"num_hidden_layers": -1}, r"num_hidden_layers = -1: must not be negative"),
    ],
)
def test_what_cannot_be_read_is_refused_by_file_and_key(tmp_path, changes, message):
    path = written(tmp_path, **changes)
    with pytest.raises(InputError, match=message) as caught:
        read_model_config(path, name="mine")
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_configuration_is_refused(tmp_path):
    path = tmp_path / "config.json"
    for text, message in {
        "[1, 2": "is not JSON",
        "[1, 2]": "is not a model configuration",
        '{"name": "a tokenizer"}': "is not a model configuration",
    }.items():
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_model_config(path, name="mine")


def test_a_path_works_wherever_a_name_does(folder):
    (folder / "mine").mkdir()
    shutil.copy(CONFIGS / "qwen3-8b.json", folder / "mine" / "config.json")
    by_folder = run("point", "--llm", "mine", "--chip", "h100", "--json")
    by_file = run("point", "--llm", "mine/config.json", "--chip", "h100", "--json")
    assert by_folder.code == by_file.code == 0
    assert json.loads(by_folder.out)["utps"] == json.loads(by_file.out)["utps"]
    shown = run("catalog", "llms", "mine/config.json")
    assert "num_layers" in shown.out
    missing = run("point", "--llm", "other/config.json", "--chip", "h100")
    assert missing.code == 2
    assert "llm = 'other/config.json': no such file" in missing.err


def test_a_result_can_be_made_again_without_the_configuration(folder):
    shutil.copy(CONFIGS / "qwen3-8b.json", folder / "config.json")
    (folder / "grid.toml").write_text(
        "outputs = ['utps']\n[base]\nchip = 'h100'\n[axes]\nllm = ['llama3-8b', 'config.json']\n"
        "batch_size = [1, 2]\n"
    )
    assert run("sweep", "grid.toml", "-o", "out.nc").code == 0
    (folder / "config.json").unlink()
    again = run("sweep", "--again", "out.nc", "-o", "again.nc")
    assert "the same data" in again.out
    with jl.open("out.nc") as dataset:
        assert dataset.llm.values.tolist() == ["llama3-8b", "config.json"]


def test_a_grid_finds_a_configuration_beside_it(tmp_path):
    shutil.copy(CONFIGS / "qwen3-8b.json", tmp_path / "config.json")
    grid = tmp_path / "grid.toml"
    grid.write_text(
        "outputs = ['utps']\n[base]\nchip = 'h100'\nllm = 'config.json'\n[axes]\ntp_size = [1, 2]\n"
    )
    dataset = jl.sweep(grid)
    expected = jl.evaluate(str(tmp_path / "config.json"), "h100", tp_size=2)
    assert float(dataset.utps[1]) == pytest.approx(expected.utps, rel=1e-6)
