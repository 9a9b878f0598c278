"""Axes and settings on which nothing depends that a grid keeps: refused, and said."""

import dataclasses
import warnings

import pytest

import jaxlimits as jl
from jaxlimits.engine import sensitivity
from jaxlimits.engine.idle import used_in_grid
from jaxlimits.grid.file import shipped_grids
from jaxlimits.grid.rules import NO_RULES, Budget, Price, Term
from jaxlimits.grid.scenario import bind
from jaxlimits.run.effects import check_effects
from jaxlimits.run.pipeline import load_grid, spec_job
from tests.command_line import run

POINT = {"llm": "llama3-70b", "chip": "h100", "tp_size": 8}
CONSTANT = {"collective_algorithm": "constant"}
LINKS = {"link_bw": ["100 GB/s", "200 GB/s"]}


def grid(axes, *, outputs=("utps", "limit"), base=(), **tables):
    tables = {"outputs": list(outputs), **tables} if outputs else tables
    fixed = {name: value for name, value in CONSTANT.items() if name not in axes}
    base = {**POINT, **fixed, **dict(base)}
    return {**tables, "base": base, "axes": {**axes, "batch_size": [1, 2]}}


def check(mapping, **options):
    spec = load_grid(mapping)
    check_effects(spec, spec_job(spec, bind(spec)), **options)


def refusal(mapping):
    with pytest.raises(jl.InputError) as error:
        check(mapping)
    return str(error.value)


def warned(mapping):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        check(mapping)
    assert all(each.category is jl.IdleSettingWarning for each in told)
    return [str(each.message) for each in told]


def test_an_axis_that_changes_nothing_is_refused_with_what_would_give_it_effect():
    says = refusal(grid(LINKS))
    assert says.endswith(
        "axes.link_bw: no output of this grid depends on it; for it to count, set"
        " collective_algorithm=auto or best; else take it out, or keep it with `allow_idle=True`"
    )
    check(grid(LINKS), allow_idle=True)
    check(grid(LINKS, base={"collective_algorithm": "best"}))


@pytest.mark.parametrize(
    ("axes", "key"),
    [
        ({"link_bw_scale": [1, 2]}, "link_bw_scale"),
        ({"acceptance": [0.5, 0.6]}, "acceptance"),
        ({"ep_size": [1, 8]}, "ep_size"),
        ({"chip_price": ["1 USD", "2 USD"]}, "chip_price"),
        (
            {"kv_bits": {"values": [8, 4], "with": {"draft_length": [1, 2]}}},
            "kv_bits.with.draft_length",
        ),
    ],
)
def test_fields_factors_and_linked_columns_are_refused_by_their_keys(axes, key):
    assert f".{key}: no output" in refusal(grid(axes)).replace(" axes", "")


def test_an_output_that_depends_on_the_axis_is_named_where_there_is_one():
    says = refusal(grid({"chip_price": ["1 USD", "2 USD"]}))
    assert "for it to count, ask for an output that depends on it, as capital_cost" in says


@pytest.mark.parametrize(
    "mapping",
    [
        grid(LINKS, outputs=("weight_bytes", "utps"), base={"collective_algorithm": "ring"}),
        grid({**LINKS, "collective_algorithm": ["constant", "ring"]}),
        grid({"acceptance": [0.5, 0.6], "speculation": ["off", "mtp"]}),
        grid(
            {"interconnect": ["nvlink4", "nvlink5"], "chip_price_scale": [1, 2]},
            outputs=("cost_rate",),
        )
        | {"axes": {"interconnect": ["nvlink4", "nvlink5"], "chip_price_scale": [1, 2]}},
        grid({"mem_capacity": ["80 GB", "90 GB"]}, outputs=("utps_elasticity_mem_bw",)),
        grid({}, outputs=(), reduce={"most": {"op": "max", "of": "power"}}),
        grid({"cache_bits_scale": [1, 2]}, base={"kv_bits": 8}),
        grid({"dp_size": {"values": [1, 2], "with": {"weight_bits": [4, 8]}}}),
    ],
    ids=[
        *("an output of several", "under one algorithm", "under one kind of speculation"),
        *("names never count", "what decides what fits", "what decides what is reduced"),
        *("a factor on bits", "a linked setter"),
    ],
)
def test_an_axis_that_counts_somewhere_is_swept(mapping):
    check(mapping)


def test_requirements_count_by_what_their_answer_rests_on():
    asked = {"needed": {"for": "mem_bw", "of": "utps", "at_least": "20 token/s", "keep": True}}
    for name, values in {
        "mem_capacity": ["80 GB", "90 GB"],
        "sync_latency": ["1 us", "2 us"],
    }.items():
        check(grid({name: values}, outputs=(), require=asked))
    assert "link_bw: no output" in refusal(grid(LINKS, outputs=(), require=asked))
    assert warned(grid({}, outputs=(), require=asked, base={"mem_bw": "5 TB/s"})) == []


def test_budgets_and_prices_count():
    scenario = bind(load_grid(grid({})))
    used = {
        "plain": used_in_grid(scenario, ["utps"], wanted=["pue"]),
        "budget": used_in_grid(
            with_rules(scenario, budgets=(Budget(of="cost_rate", most=True, limit=1.0),)),
            *(["utps"],),
            wanted=["pue"],
        ),
        "price": used_in_grid(
            with_rules(scenario, prices=(price("mem_bw", "die_area"), price("own", "pue"))),
            *(["utps"],),
            wanted=["pue"],
        ),
    }
    found = {kind: ("pue" in fields, "die_area" in fields) for kind, fields in used.items()}
    assert found == {"plain": (False, False), "budget": (True, True), "price": (False, True)}


def price(name, field):
    return Price(
        name=name, unit="1", constant=0.0, terms=(Term(field=field, factor=1.0, power=1.0),)
    )


def with_rules(scenario, **rules):
    return dataclasses.replace(scenario, rules=dataclasses.replace(NO_RULES, **rules))


def test_settings_that_change_nothing_are_said_and_no_others():
    base = {
        "acceptance": 0.5,
        "draft_length": 4,
        "link_bw_scale": 1,
        "link_bw": "7 GB/s",
        "kv_bits": 8,
    }
    says = warned(grid({}, base=base))
    assert [words.split(": ")[-1] for words in says] == [
        "acceptance is set and changes nothing here; for it to count, set speculation=draft or mtp",
        "link_bw is set and changes nothing here; for it to count, set"
        " collective_algorithm=auto or best",
    ]


def test_a_setting_that_decides_which_values_an_axis_may_have_is_not_idle():
    base = {"llm": "deepseek-v3", "dp_size": 4}
    mapping = grid({}, outputs=("ep_volume",), base=base)
    mapping["axes"] = {"ep_size": [1, 32]}
    assert warned(mapping) == []


def test_the_check_costs_no_trace_beside_that_of_the_sweep():
    jl.sweep(
        grid({"mem_bw": ["3 TB/s", "4 TB/s"]}, base={"roofline": "operator", "vector_work": "off"})
    )
    before = sensitivity._traced_model.cache_info().misses
    check(
        grid({"mem_bw": ["3 TB/s", "4 TB/s"]}, base={"roofline": "operator", "vector_work": "off"})
    )
    assert sensitivity._traced_model.cache_info().misses == before


@pytest.mark.parametrize("name", [name for name in shipped_grids() if name != "uncertain_machine"])
def test_shipped_grids_have_nothing_idle(name):
    assert warned(name) == []


def test_best_counts_what_the_grid_keeps_too():
    question = jl.ask(maximise="stps")
    priced = {"chip_price_scale": [1, 2]}
    jl.best(grid(priced, outputs=("stps", "cost_rate")), question)
    with pytest.raises(jl.InputError, match="chip_price_scale: no output"):
        jl.best(grid(priced), question)
    assert jl.best(grid(priced), question, allow_idle=True).sizes["point"] == 1


@pytest.mark.filterwarnings("always::jaxlimits.IdleSettingWarning")
def test_commands_refuse_an_idle_axis_and_say_an_idle_setting(tmp_path):
    path, out = tmp_path / "idle.toml", tmp_path / "idle.nc"
    path.write_text(
        'outputs = ["utps"]\n[base]\nllm = "llama3-8b"\nchip = "h100"\nacceptance = 0.5\n'
        'collective_algorithm = "constant"\n'
        '[axes]\nlink_bw = ["100 GB/s", "200 GB/s"]\n'
    )
    for command in (("sweep", path, "-o", out), ("best", path, "--maximise", "utps")):
        done = run(*command)
        assert done.code == 2
        assert f"{path}: axes.link_bw: no output of this grid depends on it" in done.err
        assert "keep it with --allow-idle" in done.err
    assert run("sweep", path, "-o", out, "--plan").code == 2
    done = run("sweep", path, "-o", out, "--allow-idle", "--set", "draft_length=2")
    assert done.code == 0
    assert f"warning: {path}: base: acceptance is set and changes nothing here" in done.err
    assert "warning: --set: draft_length is set and changes nothing here" in done.err
    assert run("sweep", "--again", out).code == 0


def test_evaluate_and_solve_warn_of_what_changes_nothing():
    says = "acceptance is set and changes nothing here; for it to count, set speculation=draft"
    with pytest.warns(jl.IdleSettingWarning, match=says):
        jl.evaluate(**POINT, acceptance=0.5)
    with pytest.warns(jl.IdleSettingWarning, match=says):
        jl.solve(**POINT, acceptance=0.5, solve_for="mem_bw", target=20)
