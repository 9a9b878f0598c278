"""Requirements: closed forms, brute force, the reason at every point, chunks, reductions."""

from pathlib import Path

import numpy as np
import pytest

from jaxlimits import schema
from jaxlimits.engine.stream import collect
from jaxlimits.engine.sweep_job import make_job
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.file import RequirementTable, parse_grid
from jaxlimits.grid.requirements import REASONS, read_requirement
from jaxlimits.grid.scenario import Scenario, bind
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.run.pipeline import spec_job
from tests.engine.test_sensitivity import POINTS, random_fields
from tests.helpers import slow_but

PAPER = """
outputs = ["utps", "t_mem", "t_compute", "t_sync", "weight_traffic", "kv_traffic"]
[base]
llm = "llama3-405b"
weight_bits = 8
kv_bits = 8
compute_bits = 8
accounting = "nominal"
vector_work = "off"
mla_weights = "absorbed"
attention_span = "full"
kv_sharding = "split"
collective_algorithm = "constant"
tp_size = 128
[axes]
chip = ["xpu-hbm3", "xpu-hbm4", "xpu-3d-dram", "xpu-sram", "xpu-cows"]
"""


def solved(text, precision="float64", memory=None):
    file = parse_grid(text, where="grid", stem="grid", folder=Path())
    spec = build_spec(file, grid_catalog(file), precision=precision)
    job = spec_job(spec, bind(spec))
    if memory is not None:
        job = make_job(
            job.scenario,
            outputs=job.outputs,
            requirements=job.requirements,
            reductions=job.reductions,
            precision=precision,
            memory=memory,
        )
    return collect(job)


def reasons(array):
    names = {code: name for name, code in REASONS.items()}
    return [names[code] for code in array.ravel().tolist()]


def require(field, **table):
    table = RequirementTable.model_validate({"for": field, **table})
    return read_requirement("needed", table, where="test")


def at_points(fields, asked, outputs=()):
    """Solve a requirement at a list of points."""
    count = len(next(iter(fields.values())))
    axis = Axis(name="point", values=tuple(map(float, range(count))), linked={})
    scenario = Scenario(
        where="test", base={}, switches=schema.switch_defaults(), axes=(axis,), columns=(fields,)
    )
    names = (*outputs, *asked.quantities)
    job = make_job(scenario, outputs=names, requirements=(asked,), precision="float64")
    return collect(job)[0]


def test_the_latencies_that_give_two_thousand_tokens_a_second():
    # PHYSICS: (500 us - t_mem) / (126 layers * 3), where 500 us is one token at 2,000 a second.
    found, _ = solved(PAPER + "[require.slowest]\nfor = 'sync_latency'\nat_least = '2000 token/s'")
    expected = [np.nan, 0.899e-6, 1.068e-6, np.nan, 1.319e-6]
    np.testing.assert_allclose(found["slowest"], expected, atol=0.0005e-6)
    assert reasons(found["slowest_reason"]) == [
        *("unreachable_memory", "met", "met", "unreachable_capacity", "met")
    ]
    np.testing.assert_allclose(found["slowest_utps"][[1, 2, 4]], 2000.0, rtol=1e-12)
    busy = np.fmax(found["t_mem"], found["t_compute"])
    closed = (1.0 / 2000.0 - busy) / (126 * 3)
    np.testing.assert_allclose(found["slowest"][[1, 2, 4]], closed[[1, 2, 4]], rtol=1e-9)
    assert 1.0 / found["slowest_utps"][0] == pytest.approx(721e-6, rel=1e-3)


def test_the_bandwidth_that_reaches_a_speed_is_its_closed_form():
    found, _ = solved(PAPER + "[require.bandwidth]\nfor = 'mem_bw'\nat_least = 500")
    read = found["weight_traffic"] + found["kv_traffic"]
    closed = read / (128 * (1.0 / 500.0 - found["t_sync"]))
    fits = np.isfinite(found["utps"])
    np.testing.assert_allclose(found["bandwidth"][fits], closed[fits], rtol=1e-12)
    assert reasons(found["bandwidth_reason"][~fits]) == ["unreachable_capacity"]


@pytest.mark.parametrize(
    "field",
    slow_but(
        ["mem_bw", "sync_latency", "weight_bits", "kv_bits", "collectives_per_layer"],
        "sync_latency",
    ),
)
def test_a_thousand_solutions_of_a_continuous_unknown_reach_the_target(field):
    found = at_points(random_fields(), require(field, at_least="60 token/s"))
    met = found["needed_reason"] == REASONS["met"]
    assert met.sum() > POINTS / 10
    assert np.abs(found["needed_utps"][met] / 60.0 - 1.0).max() <= 1e-6
    assert (found["needed_utps"][met] >= 60.0).all()
    known = found["needed_reason"] >= REASONS["met"]
    np.testing.assert_array_equal(np.isfinite(found["needed"]), known)
    # Put back into the model, the value gives the metric that was promised.
    again = {**random_fields(), field: np.where(known, found["needed"], 1.0)}
    there = at_points(again, require(field, at_least="60 token/s"), outputs=["utps"])
    np.testing.assert_allclose(there["utps"][known], found["needed_utps"][known], rtol=1e-12)


@pytest.mark.parametrize(
    ("of", "side", "target", "best"),
    [("utps", "at_least", "40 token/s", max), ("stps", "at_least", "400 token/s", min)],
)
def test_whole_numbers_are_those_of_brute_force(of, side, target, best):
    """The largest batch that keeps a user's speed, the least that reaches a system's."""
    grid = PAPER.replace("tp_size = 128", "tp_size = 8\nseq_len = 65536").replace(
        '"xpu-sram"', '"b200"'
    )
    needed = f"[require.needed]\nfor = 'batch_size'\nof = '{of}'\n{side} = '{target}'"
    found, _ = solved(grid + needed)
    every = solved(grid + "batch_size = { linear = [1, 400], num = 400 }")[0]
    speed = every["utps"] * (np.arange(400) + 1.0 if of == "stps" else 1.0)
    bound = float(target.split()[0])
    expected = []
    for row in speed:
        batches = 1 + np.flatnonzero(row >= bound)
        expected.append(float(best(batches)) if batches.size else np.nan)
    np.testing.assert_array_equal(found["needed"], expected)
    assert np.isfinite(expected).sum() >= 3
    # The batch just before the limit of a machine's memory is said to be that.
    last = np.isfinite(speed).sum(axis=1)
    full = found["needed_reason"] == REASONS["met_where_it_fits"]
    np.testing.assert_array_equal(found["needed"][full], last[full])


def test_chips_are_tried_one_by_one_since_more_of_them_can_be_slower():
    ring = PAPER.replace("tp_size = 128", "seq_len = 131072").replace('"constant"', '"ring"')
    needed = "[require.chips]\nfor = 'tp_size'\nat_least = 150\nfrom = 1\nto = 512"
    found, _ = solved(ring + needed)
    every = solved(ring + "tp_size = { linear = [1, 512], num = 512 }")[0]["utps"]
    reached = every >= 150.0
    expected = [1.0 + np.argmax(row) if row.any() else np.nan for row in reached]
    np.testing.assert_array_equal(found["chips"], expected)
    unmet = ~reached.any(axis=1) & np.isfinite(every).any(axis=1)
    np.testing.assert_allclose(found["chips_utps"][unmet], np.nanmax(every[unmet], axis=1))
    rows = every[np.isfinite(every).all(axis=1) | (np.isfinite(every).sum(axis=1) > 400)]
    assert any((np.nan_to_num(row)[:-1] > np.nan_to_num(row)[1:]).any() for row in rows)


@pytest.mark.parametrize(
    ("chip", "table", "reason"),
    [
        ("xpu-hbm3", "for = 'sync_latency'\nat_least = 2000", "unreachable_memory"),
        ("xpu-hbm4", "for = 'mem_bw'\nat_least = 2000", "unreachable_sync"),
        pytest.param(
            *("xpu-hbm4", "for = 'mem_bw'\nat_least = 500\nto = '2 TB/s'", "unreachable_memory"),
            marks=pytest.mark.slow,
        ),
        ("xpu-sram", "for = 'mem_bw'\nat_least = 1", "unreachable_capacity"),
        pytest.param(
            *(
                "xpu-hbm3",
                "for = 'batch_size'\nof = 'stps'\nat_least = 1e9",
                "unreachable_capacity",
            ),
            marks=pytest.mark.slow,
        ),
        ("xpu-hbm4", "for = 'ep_size'\nat_least = 1\namong = [3, 7]", "unreachable_excluded"),
        ("xpu-hbm4", "for = 'chip_price'\nat_least = 1", "met_everywhere"),
        pytest.param(
            *("xpu-hbm4", "for = 'chip_price'\nat_least = 1e6", "unreachable_sync"),
            marks=pytest.mark.slow,
        ),
        ("xpu-cows", "for = 'batch_size'\nat_least = 100", "met_where_it_fits"),
        pytest.param(
            *("xpu-sram", "for = 'mem_capacity'\nat_least = 1000", "met_where_it_fits"),
            marks=pytest.mark.slow,
        ),
        ("xpu-hbm4", "for = 'mem_bw'\nof = 't_step'\nat_most = '1 ms'", "met"),
    ],
)
def test_the_reason_says_what_binds(chip, table, reason):
    axis = PAPER[PAPER.index("chip = [") :].strip()
    found, _ = solved(PAPER.replace(axis, f"chip = ['{chip}']") + f"[require.x]\n{table}")
    assert reasons(found["x_reason"]) == [reason]
    assert np.isfinite(found["x"]).all() == reason.startswith("met")


def test_compute_is_the_reason_where_arithmetic_takes_the_time():
    text = PAPER.replace("tp_size = 128", "tp_size = 8\nbatch_size = 64\nsync_latency = '0 s'")
    found, _ = solved(text + "[require.x]\nfor = 'mem_bw'\nat_least = 1000")
    assert "unreachable_compute" in reasons(found["x_reason"])


MANY = (
    PAPER
    + """
mem_bw_scale = { geometric = [0.5, 8], num = 40 }
seq_len = { pow2 = [1024, 131072] }
[require.slowest]
for = "sync_latency"
at_least = 1000
[require.batch]
for = "batch_size"
at_least = 200
[reduce.median]
op = "max"
of = "slowest"
[reduce.why]
op = "count"
of = "slowest_reason"
over = ["seq_len", "mem_bw_scale"]
"""
)


def test_chunks_and_reductions_see_the_same_requirements():
    whole, states = solved(MANY)
    parts, states_of_parts = solved(MANY, memory=20_000.0)
    for name in ("slowest", "slowest_reason", "slowest_utps", "batch", "batch_reason"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-12, err_msg=name)
    for name in ("median", "why"):
        for part, array in states[name].items():
            np.testing.assert_allclose(states_of_parts[name][part], array, rtol=1e-12)
    assert states["median"]["value"] == np.nanmax(whole["slowest"])
    codes = list(REASONS.values())
    counted = [(whole["slowest_reason"] == code).sum(axis=(1, 2)) for code in codes]
    np.testing.assert_array_equal(states["why"]["count"], np.stack(counted, axis=-1))


def test_single_precision_finds_the_same_within_its_own():
    double, single = solved(MANY)[0], solved(MANY, "float32")[0]
    # A slight change of a speed is a larger change of a latency that makes up little of a step.
    both = np.isfinite(double["slowest"]) & (double["slowest"] > 1e-8)
    np.testing.assert_allclose(single["slowest"][both], double["slowest"][both], rtol=1e-4)
    assert np.mean(single["slowest_reason"] == double["slowest_reason"]) > 0.99
    assert single["slowest"].dtype == np.float32
    assert single["slowest_reason"].dtype == np.int8
