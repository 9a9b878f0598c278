"""The families of families.toml: what they name is there, and a new one is one entry."""

import json
from pathlib import Path

import pytest

from jaxlimits.catalog import model_families
from jaxlimits.catalog.config_keys import Config
from jaxlimits.catalog.expressions import evaluated, names_in
from jaxlimits.catalog.layer_rules import Layers, picked_layers
from jaxlimits.catalog.model_config import read_model_config
from jaxlimits.catalog.model_families import families
from jaxlimits.errors import InputError
from jaxlimits.model.fields import quantities
from jaxlimits.model.llm import LLM

CONFIGS = Path(__file__).parents[1] / "golden" / "configs"


_WORDS = {
    "layer_types": {"full_attention": "full", "sliding_attention": "windowed"},
    "mlp_layer_types": {"dense": "dense", "sparse": "sparse"},
    "pattern": {"M": "state", "*": "full"},
}
_KINDS = ["sliding_attention"] * 5 + ["full_attention"] * 7


def config(**values):
    known = {"num_hidden_layers": 12, **values}
    return Config(known, where="config.json", kinds=_WORDS, counted=("pattern",))


@pytest.mark.parametrize("name", families())
def test_a_family_names_fields_of_the_record_and_counts_layers(name):
    family = families()[name]
    rules = [*family.layers.values(), *family.counts.values()]
    inside = [field for rule in rules for field in rule.fields]
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
        (Layers(kind="sparse", start="a"), {"mlp_layer_types": ["sparse"] * 12}, 12),
        (Layers(first_of_every="freq"), {"freq": [0, 1, 1]}, 2),
        (Layers(first_of_every=5), {}, 3),  # 0, 5, 10
        (Layers(start="dense", first_of_every="step"), {"dense": 1, "step": 5}, 2),  # 5, 10
        (Layers(last_of_every=5), {}, 2),  # 4, 9
        (Layers(all_but_last_of_every=5), {}, 10),
        (Layers(last_of_every=2, but="dense"), {"dense": [0, 1, 3]}, 4),  # 5, 7, 9, 11
        (Layers(listed="which", last_of_every=2), {"which": [4, 8, 9]}, 3),
        (Layers(listed="which", last_of_every=2), {"which": None}, 6),
        (Layers(flagged="rotary", all_but_last_of_every=4), {"rotary": [1, 0, 0]}, 1),
        (Layers(kind="windowed"), {"layer_types": _KINDS}, 5),
        (Layers(kind=["windowed", "full"]), {"layer_types": _KINDS}, 12),
        (Layers(kind="windowed", all_but_last_of_every=2), {}, 6),
        # A list of the layers of multi-token prediction too: these are no layers of the model.
        (
            Layers(kind="full"),
            {"layer_types": [*_KINDS, "full_attention"], "num_nextn_predict_layers": 1},
            7,
        ),
        (Layers(kind="full", last="shared"), {"layer_types": _KINDS, "shared": 6}, 6),
        (Layers(kind="windowed", last="shared"), {"layer_types": _KINDS, "shared": 9}, 2),
        (Layers(last="shared", last_of_every=4), {"shared": 5}, 2),  # 7, 11
        (Layers(first_of_every=8, offset="at"), {"at": 4}, 1),  # 4
        (Layers(first_of_every=4, offset="at"), {"at": 1}, 3),  # 1, 5, 9
        (Layers(listed="which"), {"which": "3,4,10"}, 3),
        (Layers(kind="state"), {"pattern": "MM*MM*"}, 4),
        (Layers(), {"pattern": "MM*MM*"}, 6),  # the pattern's length is the number of layers
    ],
)
def test_a_rule_picks_layers(rule, values, number):
    assert len(picked_layers(rule, config(**values))) == number


def test_a_rule_says_which_layers_it_picks():
    assert picked_layers(Layers(last_of_every=5), config()) == [4, 9]
    assert picked_layers(Layers(kind="windowed"), config(layer_types=_KINDS)) == [0, 1, 2, 3, 4]
    assert picked_layers(Layers(flagged="rotary"), config(rotary=[0, 1, 0, 1])) == [1, 3]
    assert picked_layers(Layers(listed="kda", listed_from=1), config(kda=[1, 3])) == [0, 2]


def test_keys_may_have_several_names_and_lie_in_tables():
    names = {"heads": ["state.num_heads", "num_heads"], "auto": "width"}
    found = Config({"num_heads": 3, "width": "auto"}, where="config.json", keys=names)
    assert (found["heads"], found.key("heads"), found.count("auto")) == (3, "num_heads", 0)
    found = Config({"state": {"num_heads": 4}, "num_heads": 3}, where="x", keys=names)
    assert (found["heads"], found.key("heads")) == (4, "state.num_heads")
    with pytest.raises(InputError, match=r"state.num_heads: is missing"):
        Config({"state": 5}, where="x", keys=names)["heads"]


def test_a_width_a_layer_has_a_mean():
    assert config(width=[4, 4, 7]).mean("width") == 5
    assert config(width=4).mean("width") == 4
    with pytest.raises(InputError, match="width = 'x': must be a whole number"):
        config(width=[4, "x"]).mean("width")


@pytest.mark.parametrize(
    ("rule", "values", "message"),
    [
        (Layers(first_of_every="step"), {"step": 0}, "step = 0: must be at least 1"),
        (Layers(start="dense"), {}, "dense: is missing"),
        (Layers(kind="windowed"), {"layer_types": ["mamba"]}, "layers of Mamba"),
        (Layers(kind="windowed"), {"layer_types": [[]]}, "of an unknown kind"),
        (Layers(kind="windowed"), {"layer_types": "full"}, "must be a list"),
        (
            Layers(kind="windowed"),
            {"layer_types": ["full_attention"]},
            "lists 1, of 12 layers",
        ),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused(rule, values, message):
    with pytest.raises(InputError, match=message):
        picked_layers(rule, config(**values))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        *[("2 * a + b", 11), ("a - 1", 2), ("zero or b // 2", 2), ("a or lacking", 3)],
        *[("zero or 0", 0), ("b / 2", 2.5), ("b + twice(a)", 11)],
    ],
)
def test_expressions_are_of_numbers(expression, value):
    named = {"a": 3, "b": 5, "zero": 0}.__getitem__
    assert evaluated(expression, named, {"twice": lambda key: 2 * named(key)}) == value


def test_names_are_those_of_keys():
    assert names_in("a + mean(b) * 2 or c") == {"a", "b", "c"}


@pytest.mark.parametrize("expression", ["a ** 2", "print(a)", "'a'", "a and b", "1.5", "twice(2)"])
def test_other_expressions_are_refused(expression):
    with pytest.raises(ValueError, match="is none of"):
        evaluated(expression, {"a": 3, "b": 5}.__getitem__)


def test_a_dense_model_states_the_width_of_its_layers(tmp_path):
    values = json.loads((CONFIGS / "qwen3-8b.json").read_text())
    values.pop("intermediate_size")
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="intermediate_size: is missing"):
        read_model_config(tmp_path, name="mine")
