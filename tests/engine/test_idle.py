"""Settings without effect are found from the program of a point, and said."""

import math

import pytest

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.engine import sensitivity
from jaxlimits.engine.idle import GIVES_EFFECT, depends_on, used_fields
from jaxlimits.points.named_point import idle_in_point, point_scenario, scenario_metrics
from tests.command_line import run

CATALOG = jl.load_catalog()
SERVED = {"input_len": 1000, "output_len": 100}


CONSTANT = {"collective_algorithm": "constant"}


def idle(settings, llm="llama3-70b", chip="h100"):
    scenario = point_scenario(llm, chip, {"tp_size": 8, **settings}, catalog=CATALOG)
    return idle_in_point(scenario, settings, catalog=CATALOG)


@pytest.mark.parametrize(
    ("settings", "gives_effect"),
    [
        ({"acceptance": 0.5}, {"speculation": "mtp"}),
        ({"draft_length": 9}, {"speculation": "mtp"}),
        ({"draft": "llama3-8b"}, {"speculation": "draft"}),
        ({"output_len": 77}, {"input_len": 100}),
        ({"prefill_chunk": 50}, SERVED),
        ({"prefix_share": 0.5}, SERVED),
        ({"prefill_batch": 2}, SERVED),
        ({"calls_per_answer": 2}, SERVED),
        ({"mesh_rows": 2}, {"collective_algorithm": "one-shot", "topology": "mesh-2d"}),
        ({"scale_up_size": 4}, {"collective_algorithm": "best", "topology": "rail"}),
        ({"lpddr_bw": "1 TB/s"}, {"lpddr_capacity": "10 GB"}),
    ],
)
def test_what_changes_nothing_is_said_until_something_gives_it_effect(settings, gives_effect):
    (name,) = settings
    (said,) = idle(settings)
    assert said.startswith(f"{name} is set and changes nothing here; for it to count, ")
    assert idle({**settings, **gives_effect}) == []


@pytest.mark.parametrize("by", ["auto", "best", "ring"])
@pytest.mark.parametrize(
    "setting", [{"link_bw": "100 GB/s"}, {"link_bw_scale": 2}, {"interconnect": "infiniband-ndr"}]
)
def test_links_count_unless_collectives_are_constant(setting, by):
    joined = {**setting, "topology": "rail"}
    (name,) = setting
    (said,) = idle({**joined, **CONSTANT})
    says = f"{name} is set and changes nothing here; for it to count, set collective_algorithm=auto"
    assert said.startswith(says)
    assert idle({**joined, "collective_algorithm": by}) == []


def test_that_a_chips_links_are_not_stated_counts_where_they_were():
    assert idle({"link_bw": "0 GB/s"}) == []
    (said,) = idle({"link_bw": "0 GB/s", **CONSTANT})
    assert said.startswith("link_bw is set and changes nothing here")


@pytest.mark.parametrize("by", ["auto", "best"])
def test_a_factor_on_links_that_are_not_stated_is_said(by):
    (said,) = idle({"link_bw_scale": 2, "collective_algorithm": by}, chip="xpu-hbm3")
    assert said.endswith(
        "set collective_algorithm=auto or best, and link_bw if the chip states none"
    )
    stated = {"link_bw_scale": 2, "link_bw": "1 TB/s", "collective_algorithm": by}
    assert idle(stated, chip="xpu-hbm3") == []


def test_expert_parallelism_counts_where_there_are_experts():
    assert idle({"ep_size": 8}) == [
        "ep_size is set and changes nothing here; for it to count, name a model with experts"
    ]
    assert idle({"ep_size": 8}, llm="gpt-oss-120b") == []
    placed = {"redundant_experts": 8, "ep_size": 8}
    assert idle(placed, llm="gpt-oss-120b") == []
    (said,) = idle({"redundant_experts": 8}, llm="gpt-oss-120b")
    assert said.endswith("set ep_size above 1, of a model with experts")


def test_context_parallelism_counts_where_chips_hold_copies():
    assert idle({"cp_size": 2}) == []
    split = {"cp_size": 2, "kv_sharding": "split"}
    assert idle(split) == [
        "cp_size is set and changes nothing here; for it to count, set kv_sharding=heads"
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"mem_bw": "5 TB/s"},
        {"mem_bw_scale": 2},
        {"pp_size": 2},
        {"dp_size": 4},
        {"kv_bits": 8},
        {"chip_price": "5 USD"},
        {"interconnect": "nvlink4"},
        {"collective_algorithm": "best"},  # a switch
        {"acceptance": 0.8},  # as by default
    ],
)
def test_what_counts_or_stands_at_its_default_is_not_said(settings):
    assert idle(settings) == []


def test_what_is_said_to_be_idle_changes_no_metric():
    point = {"llm": "llama3-70b", "chip": "h100", "tp_size": 8, "x64": True, **CONSTANT}
    plain = vars(jl.evaluate(**point))
    settings = {"tp_size": 8, **CONSTANT}
    scenario = point_scenario("llama3-70b", "h100", settings, catalog=CATALOG)
    used = used_fields(scenario, schema.OF_THE_LIMIT)
    for name in ("acceptance", "link_bw", "draft_length", "output_len"):
        assert name not in used
        value = {"acceptance": 0.1, "link_bw": "7 GB/s"}.get(name, 5)
        with pytest.warns(jl.IdleSettingWarning, match=f"{name} is set and changes nothing"):
            other = vars(jl.evaluate(**point, **{name: value}))
        for metric, number in plain.items():
            assert other[metric] == number or (math.isnan(number) and math.isnan(other[metric]))
    assert {"mem_bw", "tp_size", "num_layers", "chip_price"} <= used


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_either_precision_says_the_same(precision):
    settings = {"tp_size": 8, "acceptance": 0.5, "mem_bw": "5 TB/s", "link_bw_scale": 2, **CONSTANT}
    scenario = point_scenario("llama3-70b", "h100", settings, catalog=CATALOG)
    said = idle_in_point(scenario, settings, catalog=CATALOG, precision=precision)
    assert [words.split()[0] for words in said] == ["acceptance", "link_bw_scale"]


@pytest.mark.parametrize("name", ["weight_bits", "kv_bits"])
def test_a_factor_on_bits_counts_by_the_parts_that_follow_it(name):
    assert idle({f"{name}_scale": 2}) == []


def test_the_program_of_the_answer_serves_what_is_idle_too():
    settings = {"tp_size": 8, "acceptance": 0.5}
    scenario = point_scenario("llama3-70b", "h100", settings, catalog=CATALOG)
    scenario_metrics(scenario, "float32")
    before = sensitivity._traced_model.cache_info().misses
    assert idle_in_point(scenario, settings, catalog=CATALOG)
    assert sensitivity._traced_model.cache_info().misses == before


@pytest.mark.parametrize(
    ("metric", "field", "depends"),
    [
        ("utps", "mem_bw", True),
        ("utps", "chip_price", False),
        ("ttft", "batch_size", False),
        ("ttft", "input_len", True),
        ("utps", "input_len", True),
        ("utps_elasticity_mem_bw", "mem_bw", True),
        ("power", "mem_capacity", False),
        ("weight_bytes", "weight_bits", True),
        ("utps", "link_bw", True),
    ],
)
def test_whether_a_metric_depends_on_a_field(metric, field, depends):
    scenario = point_scenario("llama3-70b", "h100", {"tp_size": 8}, catalog=CATALOG)
    assert depends_on(scenario, metric, field) is depends


def test_every_hint_is_of_something_that_can_be_set():
    assert all(schema.is_numeric(name) or name in schema.NAMED for name in GIVES_EFFECT)


def test_point_and_solve_say_what_is_idle():
    options = ("--llm", "llama3-70b", "--chip", "h100", "--tp-size", "8", "--set", "acceptance=0.5")
    says = "acceptance is set and changes nothing here; for it to count, set speculation=draft"
    assert says in run("point", *options).out
    assert run("point", *options, "--json").json["idle"] == [f"{says} or mtp"]
    target = ("--for", "batch_size", "--target", "utps >= 20")
    assert says in run("solve", *options, *target).out
    assert run("point", *options[:6], "--json").json["idle"] == []
