"""Plans: against every layout and batch evaluated point by point, and what they say."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.grid.layouts import Layout, all_layouts
from jaxlimits.planning.engine_flags import engine_flags
from tests.command_line import run
from tests.helpers import slow_but

CATALOG = jl.load_catalog()
SMALL = {"kv_sharding": "heads", "collective_algorithm": "constant"}
LONG = {"llm": "llama3-8b", "chip": "l40s", "lengths": (32_000, 500), "most": 2, **SMALL}
EXPERTS = {
    "llm": "gpt-oss-120b",
    "chip": "h100",
    "lengths": (100_000, 2_000),
    "most": 4,
    "only": {"pp_size": [1], "tp_size": [1, 2]},
    "kv_bits": 16,
    **SMALL,
}
WORKLOADS = {
    "mean": {**LONG, "rate": 0.4, "targets": ["ttft <= 20 s", "tpot <= 60 ms/token"]},
    "no target": {**LONG, "rate": 0.9, "targets": []},
    "every": {**LONG, "rate": 0.3, "targets": ["p99 ttft <= 15 s", "every tpot <= 90 ms/token"]},
    "experts": {**EXPERTS, "rate": 0.7, "targets": ["tpot <= 12 ms/token"]},
    "many": {**EXPERTS, "rate": 5.0, "targets": ["ttft <= 10 s", "tpot <= 15 ms/token"]},
}
LATENT = {
    "llm": "deepseek-v2-lite",
    "chip": "h100",
    "lengths": (60_000, 1_000),
    "most": 4,
    "only": {"pp_size": [1], "dp_size": [1], "ep_size": [1]},
    "kv_bits": 16,
    **SMALL,
}
LPDDR = {"lpddr_capacity": "60 GB", "lpddr_bw": "300 GB/s"}
# One for each kind of setting: what it says counts at every point, by brute force.
WORKLOADS |= {
    "a prefix": {**WORKLOADS["mean"], "prefix_share": 0.7, "rate": 1.0},
    "a cache along the sequence": {**LATENT, "rate": 4.0, "targets": ["tpot <= 4 ms/token"]},
    "copies of experts": {
        **WORKLOADS["experts"],
        "redundant_experts": 16,
        "only": {"pp_size": [1]},
    },
    "bits": {**WORKLOADS["mean"], "weight_bits": 4.5, "kv_bits": 4},
    "a draft": {**WORKLOADS["mean"], "speculation": "draft", "draft": "llama3.2-1b"},
    "several tokens": {**WORKLOADS["mean"], "speculation": "mtp", "acceptance": 0.9},
    "chunks": {**WORKLOADS["mean"], "prefill_chunk": 2048},
    "a tier": {**WORKLOADS["mean"], **LPDDR, "targets": ["tpot <= 200 ms/token"]},
}
# Exchanges among ranks of experts take long, messages to chips of experts and back do not.
APART = {
    "llm": "gpt-oss-120b",
    "chip": "l40s",
    "lengths": (30_000, 2_000),
    "most": 4,
    "only": {
        "pp_size": [1],
        "tp_size": [1, 2],
        "ffn_chips": [0, 2, 3],
        "ffn_micro_batches": [1, 2, 3],
    },
    "kv_bits": 16,
    "all_to_all_latency": "200 us",
    "sync_latency": "100 us",
    "hop_latency": "20 us",
    **SMALL,
}
FEW_APART = {"pp_size": [1], "tp_size": [1], "ffn_chips": [0, 2], "ffn_micro_batches": [2]}
WORKLOADS |= {
    "experts apart": {**APART, "rate": 2.0, "targets": ["tpot <= 25 ms/token", "ttft <= 60 s"]},
    "few apart": {**APART, "only": FEW_APART, "rate": 2.0, "targets": ["tpot <= 25 ms/token"]},
    "dense parts apart": {
        **LONG,
        "llm": "llama3-70b",
        "weight_bits": 4,
        "lengths": (60_000, 500),
        "most": 4,
        "only": {"pp_size": [1, 2], "ffn_chips": [0, 1, 2], "ffn_micro_batches": [2, 3]},
        "rate": 0.3,
        "targets": ["every tpot <= 99 ms/token"],
    },
}


def of(case: dict) -> tuple[jl.Workload, dict]:
    rest = {name: value for name, value in case.items() if name not in ("lengths", "rate")}
    return jl.Workload.of_lengths([case["lengths"]], rate=case["rate"]), rest


def planned(case: dict, **changes) -> jl.Plan:
    work, rest = of({**case, **changes})
    return jl.plan(rest.pop("llm"), rest.pop("chip"), work, **rest)


def by_brute_force(case: dict) -> float:
    """Fewest chips of every layout at every batch, each a point of the model."""
    input_len, output_len = case["lengths"]
    rate, targets = case["rate"], dict(text.split(" <= ") for text in case["targets"])
    bounds = {name.split()[-1]: float(value.split()[0]) for name, value in targets.items()}
    tpot, ttft = bounds.get("tpot", math.inf) / 1e3, bounds.get("ttft", math.inf)
    mixed = "stalls" if any(name.startswith("every") for name in targets) else "even"
    known = ("llm", "chip", "lengths", "rate", "targets", "most", "only")
    settings = {name: value for name, value in case.items() if name not in known}
    model = CATALOG.values("llm", case["llm"], key="llm")
    serving, decoding, prefilling = [], [], []
    copies = {"redundant_experts": settings.get("redundant_experts", 0.0)}
    for layout in all_layouts(case["most"], [{**model, **copies}], only=_sizes(case)):
        if layout.dp_size > 1 and layout.ep_size == 1 and not layout.ffn_chips:
            continue
        point = {"llm": case["llm"], "chip": case["chip"], "layout": layout.name, **settings}
        prompt = jl.evaluate(**point, input_len=input_len, output_len=1, x64=True)
        keeps = prompt.ttft <= ttft and not layout.ffn_chips  # with such chips they decode
        lanes = layout.pp_size * layout.dp_size
        if keeps:
            prefilling.append(math.ceil(rate * prompt.ttft / lanes) * layout.num_chips)
        asked = {**point, "input_len": input_len, "output_len": output_len, "x64": True}
        for batch in itertools.count(1):
            alone = jl.evaluate(**asked, batch_size=batch)
            if not alone.feasible:
                break
            if layout.ffn_chips:
                both = None
            else:
                both = jl.evaluate(**asked, batch_size=batch, mixed_steps=mixed)
            if alone.tpot <= tpot:
                decoding.append(math.ceil(rate * output_len / alone.stps) * layout.num_chips)
            if both is not None and both.tpot <= tpot and keeps:
                serving.append(math.ceil(rate / both.request_rate) * layout.num_chips)
    apart = min(prefilling, default=math.inf) + min(decoding, default=math.inf)
    return min(min(serving, default=math.inf), apart)


def _sizes(case: dict) -> dict[str, list[float]]:
    return {name: list(map(float, values)) for name, values in case.get("only", {}).items()}


@pytest.mark.filterwarnings("ignore::jaxlimits.IdleSettingWarning")  # copies without EP
@pytest.mark.parametrize("name", slow_but(WORKLOADS, "mean"))
def test_a_plan_is_the_fewest_of_all_layouts_and_batches_one_by_one(name):
    case = WORKLOADS[name]
    found = planned(case)
    assert found.choices[0].num_chips == by_brute_force(case)
    assert found.least <= found.choices[0].num_chips
    assert found.bound.value <= found.least + 1e-6
    costs = [choice.cost for choice in found.choices]
    assert costs == sorted(costs)
    assert found.choices[0].rate >= case["rate"] * (1 - 1e-9)
    assert found.is_met


def test_the_bound_counts_every_batch_of_the_model():
    # One layout, so that the linear program is a hull over the batches: the same from points of
    # the model one by one, decode alone and prompts alone, is no less than the bound.
    case = {**WORKLOADS["mean"], "only": {"tp_size": [1], "pp_size": [1]}}
    found = planned(case, targets=[])
    input_len, output_len = case["lengths"]
    point = {"llm": case["llm"], "chip": case["chip"], **SMALL, "x64": True}
    prompt = jl.evaluate(**point, input_len=input_len, output_len=1)
    rates = []
    for batch in itertools.count(1):
        alone = jl.evaluate(**point, seq_len=input_len + output_len // 2, batch_size=batch)
        if not alone.feasible:
            break
        rates.append(alone.stps / output_len)
    apart = case["rate"] * (1.0 / max(rates) + prompt.ttft)
    assert found.bound.value <= apart
    assert found.bound.value >= 0.5 * apart


def test_a_cache_along_the_sequence_is_chosen_where_copies_would_fill_the_memory():
    found = planned(WORKLOADS["a cache along the sequence"])
    chosen = {group.layout.cp_size for choice in found.choices for group in choice.groups}
    assert max(chosen) > 1
    alone = planned(
        WORKLOADS["a cache along the sequence"], only={**LATENT["only"], "cp_size": [1]}
    )
    assert found.bound.value < alone.bound.value
    split = planned(WORKLOADS["a cache along the sequence"], kv_sharding="split")
    assert split.layouts == alone.layouts < found.layouts


def test_what_prompts_have_in_common_is_taken_from_the_workload_unless_it_is_stated():
    case = {**WORKLOADS["a prefix"], "targets": []}
    stated = planned(case)
    work, rest = of({**case, "prefix_share": 0.0})
    rest.pop("prefix_share")
    measured = dataclasses.replace(work, prefix_share=0.7)
    llm, chip = rest.pop("llm"), rest.pop("chip")
    assert jl.plan(llm, chip, measured, **rest).bound.value == stated.bound.value
    none = jl.plan(llm, chip, measured, prefix_share=0, **rest)
    assert none.workload.prefix_share == 0.0
    assert none.bound.value == jl.plan(llm, chip, work, **rest).bound.value > stated.bound.value


def test_looser_targets_never_take_more():
    values = [planned(WORKLOADS["mean"], targets=[f"tpot <= {ms} ms/token"]) for ms in (40, 60, 99)]
    for tight, loose in itertools.pairwise(values):
        assert loose.choices[0].num_chips <= tight.choices[0].num_chips
        assert loose.bound.value <= tight.bound.value * (1 + 1e-9)
        assert tight.prices["tpot"] <= 0.0


def test_targets_that_nothing_keeps_come_with_the_nearest():
    found = planned(WORKLOADS["mean"], targets=["ttft <= 1 ms", "tpot <= 1 us/token"])
    assert not found.choices
    assert not found.is_met
    assert math.isinf(found.least)
    by_metric = {miss.target.metric: miss for miss in found.misses}
    assert by_metric["ttft"].layout.name == "tp2"
    assert by_metric["ttft"].limit == "compute"
    assert by_metric["tpot"].factor > 100.0


def test_budgets_of_the_fleet_are_kept_or_said():
    roomy = planned(WORKLOADS["mean"], targets=["num_chips <= 1000", "power <= 1 MW"])
    assert roomy.is_met
    assert not roomy.exceeded
    tight = planned(WORKLOADS["mean"], targets=["power <= 1 W"])
    assert [target.metric for target in tight.exceeded] == ["power"]
    assert not tight.is_met


def test_power_and_dollars_can_be_minimised():
    for name in ("power", "cost_rate"):
        found = planned(WORKLOADS["mean"], minimise=name)
        assert found.choices[0].cost == pytest.approx(found.choices[0].totals[name])
        assert found.least <= found.choices[0].cost


def test_a_distribution_of_lengths_lies_between_its_ends():
    case, rest = WORKLOADS["mean"], {"targets": []}
    ends = [planned({**case, **rest, "lengths": (n, 500)}).bound.value for n in (16_000, 32_000)]
    work = jl.Workload.of_lengths([(16_000, 500), (32_000, 500)], rate=case["rate"])
    _, settings = of({**case, **rest})
    mixed = jl.plan(settings.pop("llm"), settings.pop("chip"), work, **settings)
    assert ends[0] < mixed.bound.value < ends[1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"targets": ["utps >= 5"]}, "is not a target of a plan"),
        ({"targets": ["tpot >= 5 ms/token"]}, "must be an upper bound"),
        ({"targets": ["p0 tpot <= 5 ms/token"]}, "percentiles are above 0"),
        ({"targets": ["p101 tpot <= 5 ms/token"]}, "percentiles are above 0"),
        ({"targets": ["tpot <= 5 ms/token", "tpot <= 6 ms/token"]}, "two targets"),
        ({"targets": ["every power <= 5 W"]}, "is of all machines"),
        ({"targets": ["tpot <= 0 s/token"]}, "must be above 0"),
        ({"minimise": "utps"}, "cannot be minimised"),
        ({"only": {"batch_size": [2]}}, "batch_size"),
        ({"seq_len": 100}, "is chosen by the plan"),
        ({"tp_size": 8}, "is chosen by the plan"),
        ({"ffn_chips": 4}, "is chosen by the plan"),
        ({"ffn_micro_batches": 3}, "is chosen by the plan"),
        ({"only": {"ffn_chips": [1, 2]}}, "leaves no machine that prefills.*name 0 among them"),
        ({"only": {"ffn_micro_batches": [2]}}, "name numbers of these too, as ffn_chips"),
        ({"only": {"ffn_chips": [0, 1], "ffn_micro_batches": [0]}}, "ffn_micro_batches.*at least"),
        ({"only": {"ffn_chips": [0, 8]}}, "with some for feed-forward parts alone is valid"),
        (
            {"only": {"ffn_chips": [0, 1]}, "lpddr_capacity": "60 GB", "lpddr_bw": "300 GB/s"},
            "with some for feed-forward parts alone is valid.*allow more chips",
        ),
        ({"most": 1, "only": {"tp_size": [2]}}, "no layout of at most 1 chips"),
    ],
)
def test_what_cannot_be_planned_is_named(changes, says):
    with pytest.raises(jl.InputError, match=says):
        planned(WORKLOADS["mean"], **changes)


def test_chips_for_feed_forward_parts_are_of_no_account_unless_they_are_asked_for():
    plain, none = (planned(WORKLOADS["mean"], only=only) for only in ({}, {"ffn_chips": [0]}))
    assert none.choices == plain.choices
    assert (none.layouts, none.layouts_apart) == (plain.layouts, 0)
    assert (none.least, none.bound.value, none.prices) == (
        *(plain.least, plain.bound.value),
        plain.prices,
    )


def test_experts_on_chips_of_their_own_take_fewer_chips_and_none_less_than_the_bound():
    apart = planned(WORKLOADS["few apart"])
    only = {name: sizes for name, sizes in FEW_APART.items() if not name.startswith("ffn")}
    alike = planned(WORKLOADS["few apart"], only=only)
    prefill, decode = apart.choices[0].groups
    assert (prefill.layout.ffn_chips, decode.layout.ffn_chips) == (0, 2)
    assert decode.layout.ffn_micro_batches == 2
    assert apart.choices[0].num_chips < alike.choices[0].num_chips
    assert apart.bound.value < alike.bound.value
    assert (alike.layouts_apart, apart.layouts_apart) == (0, apart.layouts - alike.layouts)


@pytest.mark.slow
def test_what_is_not_named_of_micro_batches_is_one_to_four():
    asked = {**WORKLOADS["few apart"], "only": {**FEW_APART, "ffn_micro_batches": [1, 2, 3, 4]}}
    rest = {name: sizes for name, sizes in FEW_APART.items() if name != "ffn_micro_batches"}
    named, left = planned(asked), planned(asked, only=rest)
    assert left.choices == named.choices
    assert left.layouts_apart == named.layouts_apart
    assert left.bound.value == planned(WORKLOADS["few apart"]).bound.value  # of any number


@pytest.mark.slow
def test_no_prediction_is_of_machines_that_no_calibration_knows():
    found = planned(WORKLOADS["few apart"], calibration="vllm", targets=["tpot <= 99 ms/token"])
    assert any(g.layout.ffn_chips for choice in found.choices for g in choice.groups)
    assert not any(group.layout.ffn_chips for group in found.predicted.groups)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["power", "cost_rate"])
def test_their_power_and_cost_have_a_bound_too(metric):
    for model in ("provisioned", "activity"):
        found = planned(WORKLOADS["few apart"], minimise=metric, power_model=model)
        assert 0.3 * found.choices[0].cost < found.least <= found.choices[0].cost
        assert any(group.layout.ffn_chips for group in found.choices[0].groups)


def test_engines_are_told_the_layout():
    assert not engine_flags(Layout(1, ffn_chips=2, ffn_micro_batches=2), 8.0)
    flags = engine_flags(Layout(2, 1, 8, 4), 16.0)
    assert flags["vLLM"] == (
        "--tensor-parallel-size 2 --data-parallel-size 4 --enable-expert-parallel --max-num-seqs 16"
    )
    assert flags["SGLang"].startswith("--tp-size 8 --dp-size 4 --enable-dp-attention --ep-size 8")
    assert flags["TensorRT-LLM"] == "--tp_size 8 --ep_size 8 --max_batch_size 16"
    flags = engine_flags(Layout(16, cp_size=2), 8.0)
    assert flags["vLLM"].startswith("--tensor-parallel-size 16 --decode-context-parallel-size 2")
    assert flags["SGLang"].startswith("--tp-size 16 --dcp-size 2")
    assert flags["TensorRT-LLM"].startswith("--tp_size 8 --cp_size 2")  # TP beside CP (Helix)
    assert "--pipeline-parallel-size 2" in engine_flags(Layout(1, 2), 3.0)["vLLM"]


COMMAND = (
    *("plan", "--llm", "llama3-8b", "--chip", "l40s", "--rate", "0.4 request/s", "--most", "2"),
    *("--input-len", "32000", "--output-len", "500", "--set", "kv_sharding=heads"),
)


def test_the_command_prints_machines_margins_and_engines(tmp_path):
    result = tmp_path / "plan.nc"
    target = ("--target", "tpot <= 60 ms/token")
    done = run(*COMMAND, *target, "-o", str(result), "--calibration", "vllm")
    assert done.code == 0
    for words in ("least num_chips:", "every schedule needs at least", "request/s", "loaded to"):
        assert words in done.out
    assert "--tensor-parallel-size" in done.out
    assert "1 ms/token more of tpot takes" in done.out
    assert "an engine needs" in done.out
    facts = run(*COMMAND, *target, "--json").json
    with jl.open(result) as written:
        assert written.sizes["choice"] == len(facts["choices"])
        assert float(written.num_chips[0]) == facts["choices"][0]["num_chips"]
        assert written.bound.item() == facts["bound"]["least"]
        assert np.all(np.diff(written.num_chips) >= 0.0)
        assert json.loads(written.attrs["prices"])["tpot"] <= 0.0


def test_the_command_says_which_chips_do_what(tmp_path):
    case, result = WORKLOADS["few apart"], tmp_path / "apart.nc"
    settings = {n: case[n] for n in ("kv_bits", "all_to_all_latency", "sync_latency")}
    settings |= {"hop_latency": case["hop_latency"], **SMALL}
    words = [f"--set={name}={value}" for name, value in settings.items()]
    words += [f"--only={n}={', '.join(map(str, sizes))}" for n, sizes in FEW_APART.items()]
    asked = ("plan", "--llm=gpt-oss-120b", "--chip=l40s", "--rate=2 request/s", "--most=4")
    asked += ("--input-len=30000", "--output-len=2000", "--target=tpot <= 25 ms/token", *words)
    done = run(*asked, "-o", str(result))
    assert done.code == 0
    said = " ".join(done.out.split())
    assert "4 of them have chips for feed-forward parts alone; these decode" in said
    assert "2 chips for attention, 2 for feed-forward parts; 2 micro-batches of" in said
    assert "ffn2 mb2 (decode) has no options in these engines" in said
    facts = run(*asked, "--json").json
    assert facts["layouts_apart"] == 4
    decode = facts["choices"][0]["groups"][1]
    assert (decode["layout"], decode["engines"]) == ("tp1 ep2 dp2 ffn2 mb2", {})
    with jl.open(result) as written:
        assert "tp1 ep2 dp2 ffn2 mb2 (decode)" in str(written.built.values[0])
        assert written.attrs["layouts_apart"] == 4
        assert (written.least_bound <= written.least_disaggregated).all()


def test_the_command_says_what_is_missed():
    done = run(*COMMAND, "--target", "ttft <= 1 ms")
    assert done.code == 1
    assert "no layout reaches the targets" in done.out
    assert "mean ttft <= 1 ms: the nearest is l40s tp2 with" in done.out
    assert "compute binds" in done.out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "states no workload"),
        (("--rate", "5", "--input-len", "10"), "states no workload"),
        (("--rate", "-5 request/s", "--input-len", "10", "--output-len", "5"), "rate"),
        (("--trace", "none.csv"), "cannot be read"),
        (("--trace", "none.csv", "--input-len", "10"), "holds the lengths"),
    ],
)
def test_a_workload_that_is_not_stated_is_asked_for(options, says):
    done = run("plan", "--llm", "llama3-8b", "--chip", "l40s", *options)
    assert done.code == 2
    assert says in done.err


def test_a_model_that_fits_on_no_group_says_what_it_takes():
    case = {**WORKLOADS["mean"], "llm": "llama3-70b", "most": 1}
    found = planned(case)
    assert not found.is_met
    assert math.isinf(found.least)
    (miss,) = found.misses
    point = {"llm": "llama3-70b", "chip": "l40s", **SMALL, "x64": True}
    input_len, output_len = case["lengths"]
    alone = jl.evaluate(**point, input_len=input_len, output_len=output_len)
    assert miss.value == pytest.approx(alone.capacity_utilisation)
    done = run(*(word if word != "llama3-8b" else "llama3-70b" for word in COMMAND))
    assert done.code == 1
    assert "capacity_utilisation <= 1: the nearest is l40s tp2 with" in done.out
    assert "allow groups of more chips" in done.out


def test_a_chip_that_states_no_power_is_no_choice_where_power_is_least(tmp_path):
    own = tmp_path / "own.toml"
    numbers = 'peak_flops = "1 PFLOP/s"\nmem_bw = "1 TB/s"\nmem_capacity = "80 GB"\n'
    own.write_text(f'[chips.bare]\ntitle = "own"\nsource = "own"\n{numbers}')
    work, _ = of(WORKLOADS["mean"])
    asked = {"minimise": "power", "most": 1, "catalog": (own,)}
    both = jl.plan("llama3-8b", ["l40s", "bare"], work, **asked)
    assert math.isfinite(both.least)
    assert {group.chip for choice in both.choices for group in choice.groups} == {"l40s"}
    with pytest.raises(jl.InputError, match="power is not known of bare"):
        jl.plan("llama3-8b", "bare", work, **asked)
