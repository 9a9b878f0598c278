"""What one point requires: from Python and by the command line."""

import math

import numpy as np
import pint
import pytest

import jaxlimits as jl
from tests.command_line import run
from tests.helpers import PAPER_SHARING, one_in

PAPER = {
    "tp_size": 128,
    "seq_len": 4096,
    "accounting": "nominal",
    "vector_work": "off",
    "mla_weights": "absorbed",
    "attention_span": "full",
    **PAPER_SHARING,
    "weight_bits": 8,
    "kv_bits": 8,
    "compute_bits": 8,
}
OPTIONS = [text for name, value in PAPER.items() for text in ("--set", f"{name}={value}")]


def command(chip, *args):
    return run("solve", "--llm", "llama3-405b", "--chip", chip, *OPTIONS, *args)


@pytest.mark.parametrize(
    ("chip", "microseconds", "reason"),
    [
        ("xpu-hbm4", 0.899, "met"),
        ("xpu-3d-dram", 1.068, "met"),
        ("xpu-cows", 1.319, "met"),
        ("xpu-hbm3", None, "unreachable_memory"),
        ("xpu-sram", None, "unreachable_capacity"),
    ],
)
def test_the_command_gives_the_latency_for_two_thousand_tokens_a_second(chip, microseconds, reason):
    done = command(chip, "--for", "sync_latency", "--target", "utps=2000", "--json")
    assert (done.code, done.json["reason"]) == (0, reason)
    value = done.json["needed"]["value"]
    if microseconds is None:
        assert value is None
        return
    assert value * 1e6 == pytest.approx(microseconds, abs=0.0005)
    assert done.json["needed"]["utps"] == pytest.approx(2000.0, rel=1e-6)
    assert done.json["now"]["value"] == 1.5e-6
    assert done.json["factor"] == pytest.approx(value / 1.5e-6)


def test_the_table_shows_what_is_needed_what_is_there_and_what_binds():
    met = command("xpu-hbm4", "--for", "sync_latency", "--target", "utps=2000").out
    assert "898.7 ns" in met
    assert "1.5 µs" in met
    assert "0.5991" in met
    lacking = command("xpu-hbm3", "--for", "sync_latency", "--target", "utps=2000").out
    assert "unreachable by sync_latency: memory binds" in lacking


def test_a_solution_holds_the_metrics_there_and_as_they_are():
    point = ("llama3-70b", "h100")
    settings = {"tp_size": 8, "batch_size": 4, "mem_bw_scale": 0.5}
    found = jl.solve(*point, solve_for="mem_bw", target="tpot <= 10 ms/token", **settings)
    now = jl.evaluate(*point, x64=True, **settings)
    assert found.reason == "met"
    assert found.now == 0.5 * jl.load_catalog().chip("h100").mem_bw
    assert vars(found.metrics_now) == pytest.approx(vars(now), rel=0.0, abs=0.0, nan_ok=True)
    assert found.metrics.tpot == found.reached == pytest.approx(10e-3, rel=1e-12)
    del settings["mem_bw_scale"]
    settings["mem_bw"] = f"{found.value!r} B/s"
    assert jl.evaluate(*point, x64=True, **settings).tpot == found.reached


def test_fewest_chips_are_found_among_those_that_can_be_bought():
    found = jl.solve(
        "llama3-405b", "h100", solve_for="tp_size", target="utps=50", among=[8, 12, 36, 72]
    )
    assert found.value in (8, 12, 36, 72)
    smaller = [size for size in (8, 12, 36, 72) if size < found.value]
    rates = [jl.evaluate("llama3-405b", "h100", x64=True, tp_size=size).utps for size in smaller]
    assert all(math.isnan(rate) or rate < 50.0 for rate in rates)
    assert found.reached >= 50.0


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--for", "mem_bandwidth", "--target", "utps=2000"), "did you mean mem_bw"),
        (("--for", "mem_bw", "--target", "limit=2"), "a category has no target"),
        (("--for", "mem_bw", "--target", "utp=2"), "did you mean utps"),
        (("--for", "mem_bw", "--target", "utps=20 GB"), "'20 GB': GB is a size"),
        (("--for", "mem_bw", "--target", "tpot=0.02"), "tpot<=0.02"),
        (("--for", "mem_bw", "--target", "fast"), "is not a target"),
        (
            ("--for", "sync_latency", "--target", "utps=2000", "--from", "2 us", "--to", "3 us"),
            "from 2 µs to 3 µs no value reaches the target; move the bracket: sync_latency = 899",
        ),
        (
            ("--for", "sync_latency", "--target", "utps=2000", "--to", "0.5 us"),
            "every value reaches the target",
        ),
        (
            ("--for", "sync_latency", "--target", "utps=2000", "--from", "3 us", "--to", "2 us"),
            "the lower end first",
        ),
        (("--for", "sync_latency", "--target", "utps=9", "--from", "3"), "bare number"),
        (("--for", "tp_size", "--target", "utps=9", "--among", "1, 2.5"), "whole number"),
        (("--for", "tp_size", "--target", "utps=9", "--among", "8", "--from", "1"), "two ways"),
    ],
)
def test_what_cannot_be_solved_is_named(args, says):
    done = command("xpu-hbm4", *args)
    assert done.code == 2
    assert says in done.err
    assert done.out == ""


def test_the_latency_at_which_twice_the_bandwidth_buys_a_tenth_breaks_even():
    # t_mem halves: (t_mem + s) / (t_mem/2 + s) = 1.1 at s = 0.45/0.1 t_mem = 4.5 t_mem.
    fixed = {"tp_size": 16, "accounting": "layers", "vector_work": "off"}
    found = jl.solve(
        "llama3-405b",
        "xpu-hbm3",
        solve_for="sync_latency",
        target="utps_doubling_mem_bw >= 1.1",
        **fixed,
    )
    point = jl.evaluate("llama3-405b", "xpu-hbm3", x64=True, **fixed)
    collectives = 3 * 126
    assert found.value == pytest.approx(4.5 * point.t_mem / collectives, rel=1e-9)


def test_the_batch_at_which_compute_overtakes_memory_is_the_ridge():
    fixed = {"tp_size": 16, "accounting": "layers", "vector_work": "off", "seq_len": 64}
    found = jl.solve(
        "llama3-8b", "h100", solve_for="batch_size", target="compute_to_memory >= 1", **fixed
    )
    below, above = (
        jl.evaluate("llama3-8b", "h100", batch_size=found.value + step, **fixed) for step in (-1, 0)
    )
    assert below.compute_to_memory < 1.0 <= above.compute_to_memory


def test_a_number_is_a_target_of_tokens_a_second_in_si_units():
    point = ("llama3-8b", "h200")
    by_text = jl.solve(*point, solve_for="mem_bw", target="utps >= 500 token/s")
    units = pint.UnitRegistry()
    units.define("token = [token]")
    for target in (500, np.float32(500.0), units("0.5 token / millisecond"), "500 token/s"):
        assert jl.solve(*point, solve_for="mem_bw", target=target).value == by_text.value
    of_the_system = jl.solve(*point, solve_for="mem_bw", target=500, of="stps")
    assert of_the_system.asked.metric == "stps"
    assert of_the_system.value == pytest.approx(by_text.value)  # one user, one replica


def test_ends_and_candidates_may_be_quantities_and_numbers_of_numpy():
    units = pint.UnitRegistry()
    ends = {"low": units("1 TB/s"), "high": "8 TB/s"}
    found = jl.solve("llama3-8b", "h200", solve_for="mem_bw", target=500, **ends)
    assert (found.asked.low, found.asked.high) == (1e12, 8e12)
    sizes = jl.solve("llama3-8b", "h200", solve_for="tp_size", target=1, among=np.array([2, 1]))
    assert sizes.asked.candidates == (1.0, 2.0)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"target": 0.01, "of": "tpot"}, "must tpot be at most that, or at least"),
        ({"target": 3, "of": "utpz"}, "solve: of: unknown metric 'utpz'; did you mean utps"),
        ({"target": "stps >= 3", "of": "utps"}, "names a metric of its own, beside of = 'utps'"),
        ({"target": "3 s"}, "'3 s': s is a time"),
        ({"target": [1, 2]}, "solve: target: holds 2 values, where one is needed"),
        ({"target": 3, "low": 3}, "from = 3: a bare number"),
        ({"target": 3, "high": [1, 2]}, "to: holds 2 values"),
        ({"target": 3, "among": [[1], 2]}, "among: holds 1 values"),
        ({"target": "fast"}, "solve: target = 'fast': is not a target"),
    ],
)
def test_a_target_that_cannot_be_read_is_refused(asked, says):
    with pytest.raises(jl.InputError, match=says):
        jl.solve("llama3-8b", "h200", solve_for="mem_bw", **asked)


B200 = {"llm": "llama3-70b", "chip": "b200", "weight_bits": 8, "kv_bits": 8, "tp_size": 8}


@pytest.mark.parametrize("watts", [1e6, 3e5, 14_300.0])
def test_replicas_within_a_power_are_as_many_as_it_holds(watts):
    point = jl.evaluate(**B200, x64=True)
    found = jl.solve(**B200, solve_for="dp_size", target=f"power <= {watts} W")
    assert found.value == math.floor(watts / point.power)
    assert found.asked.candidates == tuple(map(float, range(1, 65_537)))
    assert (found.asked.low, found.asked.high) == (1.0, 65_536.0)


@pytest.mark.parametrize("rate", [0.5, 3.0, 200.0])
def test_the_fewest_replicas_reach_a_rate_and_one_less_does_not(rate):
    point = B200 | {"input_len": 2000, "output_len": 200, "batch_size": 32}
    target = f"request_rate >= {rate} request/s"
    found = jl.solve(**point, solve_for="dp_size", target=target)
    enough = jl.evaluate(**point, dp_size=int(found.value), x64=True)
    assert enough.request_rate >= rate
    if found.value > 1.0:
        less = jl.evaluate(**point, dp_size=int(found.value) - 1, x64=True)
        assert less.request_rate < rate
    else:
        assert found.reason == "met_everywhere"


@pytest.mark.parametrize(
    ("field", "target", "settings"),
    one_in(
        2,
        [
            ("tp_size", "utps >= 90", {"sync_latency": "2 us"}),
            ("tp_size", "tpot <= 3 ms/token", {"batch_size": 64}),
            ("tp_size", "utps >= 100000", {}),
            ("tp_size", "energy_per_token <= 1 J/token", {"batch_size": 64, "dp_size": 3}),
            ("pp_size", "stps >= 200", {"tp_size": 1}),
            ("ep_size", "utps >= 60", {"llm": "gpt-oss-120b", "tp_size": 4, "dp_size": 6}),
        ],
    ),
)
def test_whole_numbers_that_are_tried_are_those_of_brute_force(field, target, settings):
    point = B200 | settings
    point.pop(field, None)
    some = jl.solve(**point, solve_for=field, target=target, among=range(1, 25))
    every = jl.solve(**point, solve_for=field, target=target, low=1, high=24)
    assert every.asked.candidates == tuple(map(float, range(1, 25)))
    wide = jl.solve(**point, solve_for=field, target=target)
    for other in (every, wide) if some.reason == "met" else (every,):
        same = (other.value == some.value) or (math.isnan(other.value) and math.isnan(some.value))
        assert same, (other, some)
    assert every.reason == some.reason


def test_the_command_says_which_values_were_tried():
    options = ("--llm", "llama3-70b", "--chip", "b200", "--tp-size", "8")
    asked = ("--for", "dp_size", "--target", "power <= 1 MW")
    done = run("solve", *options, *asked)
    assert "every whole number from 1 to 65536 was tried" in done.out
    facts = run("solve", *options, *asked, "--json").json
    assert facts["tried"] == "every whole number from 1 to 65536 was tried"
    assert facts["among"] is None
    listed = run("solve", *options, *asked, "--among", "1, 4, 16", "--json").json
    assert listed["among"] == [1.0, 4.0, 16.0]


@pytest.mark.parametrize(
    ("field", "target", "says"),
    [
        ("chip_price", "utps >= 1", "utps does not depend on chip_price: reached by every value"),
        ("chip_price", "utps >= 1e9", "utps does not depend on chip_price: unreachable by it"),
        ("mem_bw", "utps >= 1e9", "unreachable by mem_bw: sync binds"),
        ("mem_bw", "utps >= 1", "reached"),
    ],
)
def test_a_metric_that_does_not_depend_on_the_field_is_said(field, target, says):
    point = ("--llm", "llama3-70b", "--chip", "b200", "--tp-size", "8")
    asked = ("--for", field, "--target", target)
    assert says in run("solve", *point, *asked).out
    depends = "does not depend" not in says
    assert run("solve", *point, *asked, "--json").json["depends"] is depends
    named = {"llm": "llama3-70b", "chip": "b200", "tp_size": 8}
    found = jl.solve(**named, solve_for=field, target=target)
    assert found.depends is depends
    assert ("does not depend on it" in repr(found)) is not depends


SERVED = {"tp_size": 8, "input_len": 4096, "output_len": 100}


@pytest.mark.parametrize(
    ("input_len", "field", "binds"),
    [
        (4096, "mem_bw", "compute"),  # 4,096 tokens use the weights that one step reads
        (1, "peak_flops", "memory"),  # the weights are read for a single token
    ],
)
def test_a_target_of_the_prefill_names_what_binds_the_prefill(input_len, field, binds):
    served = {**SERVED, "input_len": input_len, "sync_latency": "0 s", "vector_work": "off"}
    point = ("llama3-70b", "h100")
    found = jl.solve(*point, solve_for=field, target="ttft <= 1 ns", **served)
    assert found.reason == f"unreachable_{binds}"
    assert (found.binds, found.is_of_the_prefill) == (None, True)


def test_the_step_and_the_prefill_of_one_point_are_told_apart():
    point = ("llama3-70b", "h100")
    first = jl.solve(*point, solve_for="batch_size", target="ttft <= 1 s", **SERVED)
    later = jl.solve(*point, solve_for="batch_size", target="tpot <= 1 s/token", **SERVED)
    assert (first.binds_now, later.binds_now) == ("compute", "memory")
    options = ("--llm", point[0], "--chip", point[1], "--tp-size", 8)
    options += ("--set", "input_len=4096", "--set", "output_len=100", "--for", "mem_bw")
    done = run("solve", *options, "--target", "ttft <= 1 ms")
    assert "unreachable by mem_bw: compute binds the prefill" in done.out
    told = run("solve", *options, "--target", "ttft <= 1 ms", "--json").json
    assert (told["now"]["limit"], told["limit_of"]) == ("compute", "prefill")
    told = run("solve", *options, "--target", "utps >= 1e6", "--json").json
    assert (told["now"]["limit"], told["limit_of"]) == ("memory", "decode step")


def test_a_grid_names_what_binds_the_prefill_too():
    asked = {"for": "mem_bw", "of": "ttft", "at_most": "1 ns", "keep": True}
    grid = {"llm": "llama3-70b", "chip": "h100", **SERVED, "input_len": [1, 4096]}
    found = jl.sweep(**grid, vector_work="off", sync_latency="0 s", require={"needed": asked})
    reason = found.needed_reason
    place = reason.flag_values.tolist().index(int(reason[1]))
    assert reason.flag_meanings.split()[place] == "unreachable_compute"
