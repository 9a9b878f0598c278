"""The families of families.toml: what they name is there, and a new one is one entry."""

import json
from pathlib import Path

import pytest

from jaxlimits.catalog import model_families
from jaxlimits.catalog.config_keys import Config
from jaxlimits.catalog.expressions import evaluated, names_in
from jaxlimits.catalog.layer_rules import Layers, number_of_layers
from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.catalog.model_families import families
from jaxlimits.errors import InputError
from jaxlimits.model.fields import quantities
from jaxlimits.model.llm import LLM

CONFIGS = Path(__file__).parents[1] / "golden" / "configs"


_KINDS = ["sliding_attention"] * 5 + ["full_attention"] * 7


def config(**values):
    return Config({"num_hidden_layers": 12, **values}, where="config.json")


@pytest.mark.parametrize("name", families())
def test_a_family_names_fields_of_the_record_and_counts_layers(name):
    family = families()[name]
    inside = [field for rule in family.layers.values() for field in rule.fields]
    assert {*family.fields, *family.layers, *inside} <= quantities(LLM).keys()
    assert all(quantities(LLM)[field].of_all_layers for field in family.layers)
    assert all(names_in(expression) is not None for expression in family.fields.values())


def test_a_family_like_another_has_all_that_it_has():
    known = families()
    assert known["kimi_k2"] == known["deepseek_v3"] == known["deepseek_v2"]
    assert known["qwen3_vl_text"] == known["qwen3"]
    assert known["qwen3_moe"].fields == known["qwen3"].fields
    assert known["qwen3_moe"].layers.keys() > known["qwen3"].layers.keys()
    assert known["deepseek_v32"].fields != known["deepseek_v3"].fields


def test_a_new_family_is_one_entry(tmp_path, monkeypatch):
    file = tmp_path / "families.toml"
    entry = (
        '[families.ours]\nparts = ["windows", "qk_norm"]\nfields.bias_params = "num_heads"\n'
        "layers.num_windowed_layers.all_but_last_of_every = 4\n"
    )
    file.write_text(model_families._FILE.read_text(encoding="utf-8") + entry, encoding="utf-8")
    monkeypatch.setattr(model_families, "_FILE", file)
    families.cache_clear()
    values = json.loads((CONFIGS / "qwen3-8b.json").read_text())  # 36 layers, 32 heads of 128
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values | {"model_type": "ours", "sliding_window": 512}))
    try:
        raw = read_model_config(path, name="mine").raw
    finally:
        families.cache_clear()
    assert (raw["num_windowed_layers"], raw["sliding_window"]) == (27, 512)
    assert (raw["qk_norm_params"], raw["bias_params"]) == (256, 32)


@pytest.mark.parametrize(
    ("rule", "values", "number"),
    [
        (Layers(), {}, 12),
        (Layers(need=("window",)), {}, 0),
        (Layers(need=("window",)), {"window": None}, 0),
        (Layers(need=("window",)), {"window": 5}, 12),
        (Layers(start="dense"), {"dense": 3}, 9),
        (Layers(start="dense"), {"dense": 30}, 0),
        (Layers(mlp_layer_type="sparse", start="a"), {"mlp_layer_types": ["sparse"] * 12}, 12),
        (Layers(first_of_every="freq"), {"freq": [0, 1, 1]}, 2),
        (Layers(first_of_every=5), {}, 3),  # 0, 5, 10
        (Layers(start="dense", first_of_every="step"), {"dense": 1, "step": 5}, 2),  # 5, 10
        (Layers(last_of_every=5), {}, 2),  # 4, 9
        (Layers(all_but_last_of_every=5), {}, 10),
        (Layers(last_of_every=2, but="dense"), {"dense": [0, 1, 3]}, 4),  # 5, 7, 9, 11
        (Layers(listed="which", last_of_every=2), {"which": [4, 8, 9]}, 3),
        (Layers(listed="which", last_of_every=2), {"which": None}, 6),
        (Layers(flagged="rotary", all_but_last_of_every=4), {"rotary": [1, 0, 0]}, 1),
        (Layers(layer_type="sliding_attention"), {"layer_types": _KINDS}, 5),
        (Layers(layer_type="sliding_attention", all_but_last_of_every=2), {}, 6),
    ],
)
def test_a_rule_picks_layers(rule, values, number):
    assert number_of_layers(rule, config(**values)) == number


@pytest.mark.parametrize(
    ("rule", "values", "message"),
    [
        (Layers(first_of_every="step"), {"step": 0}, "step = 0: must be at least 1"),
        (Layers(start="dense"), {}, "dense: is missing"),
        (Layers(layer_type="sliding_attention"), {"layer_types": ["mamba"]}, "layers of Mamba"),
        (Layers(layer_type="sliding_attention"), {"layer_types": [[]]}, "of a kind not known"),
        (Layers(layer_type="sliding_attention"), {"layer_types": "full"}, "must be a list"),
        (
            Layers(layer_type="sliding_attention"),
            {"layer_types": ["full_attention"]},
            "lists 1, of 12 layers",
        ),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused(rule, values, message):
    with pytest.raises(InputError, match=message):
        number_of_layers(rule, config(**values))


@pytest.mark.parametrize(
    ("expression", "value"),
    [("2 * a + b", 11), ("a - 1", 2), ("zero or b // 2", 2), ("a or lacking", 3), ("zero or 0", 0)],
)
def test_expressions_are_of_whole_numbers(expression, value):
    assert evaluated(expression, {"a": 3, "b": 5, "zero": 0}.__getitem__) == value


@pytest.mark.parametrize("expression", ["a / b", "a ** 2", "print(a)", "'a'", "a and b", "1.5"])
def test_other_expressions_are_refused(expression):
    with pytest.raises(ValueError, match="is none of"):
        evaluated(expression, {"a": 3, "b": 5}.__getitem__)


def test_a_dense_model_states_the_width_of_its_layers(tmp_path):
    values = json.loads((CONFIGS / "qwen3-8b.json").read_text())
    values.pop("intermediate_size")
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="intermediate_size: is missing"):
        read_model_config(tmp_path, name="mine")
