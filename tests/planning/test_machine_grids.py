"""Grids over machines: two axes of sizes give what one axis of layouts gives, block by block."""

import dataclasses

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.engine.stream import collect
from jaxlimits.grid.plan import Plan
from jaxlimits.planning import machine_grids
from jaxlimits.planning import plan as planning
from jaxlimits.planning.systems import make_machines
from tests.helpers import slow_but

OUTPUTS = ("t_mem", "t_compute", "stps", "limit")
SETTINGS = {"kv_sharding": "heads", "collective_algorithm": "constant"}


@pytest.fixture(scope="module")
def machines():
    return make_machines(
        *("gpt-oss-120b", ["h100", "h200"]), most=8, only={"pp_size": [1, 2]}, settings=SETTINGS
    )


def grid_of(machines, batches):
    return machines.grid(OUTPUTS, axes={"batch_size": batches}, base={"seq_len": 4096})


def in_one_axis(machines, batches):
    """The same by the engine alone, every layout a value of one axis."""
    axes = {"chip": list(machines.chips), "layout": [each.name for each in machines.layouts]}
    scenario = machines.scenario({**axes, "batch_size": batches}, {"seq_len": 4096})
    return collect(machine_grids.make_job(scenario, outputs=OUTPUTS, precision="float64"))[0]


@pytest.mark.parametrize("least", [1, 10_000])
def test_two_axes_of_sizes_give_what_one_of_layouts_gives(machines, monkeypatch, least):
    batches = list(range(1, 101))
    expected = in_one_axis(machines, batches)
    monkeypatch.setattr(machine_grids, "_BLOCK", least)
    grid = grid_of(machines, batches)
    assert grid.index.ndim == 2
    assert sorted(grid.index[grid.index >= 0].tolist()) == list(range(len(machines.layouts)))
    found = grid.collect()
    assert grid.shape == (2, len(machines.layouts), 100)
    for name in OUTPUTS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=name)


def test_blocks_hold_every_point_once(machines):
    grid = grid_of(machines, list(range(1, 101)))
    job = dataclasses.replace(grid.job, plan=Plan(shape=grid.job.plan.shape, block=(1, 1, 4, 40)))
    seen = np.zeros(grid.shape, int)
    for block in dataclasses.replace(grid, job=job).blocks():
        seen[block.places] += 1
        assert all(array.shape == seen[block.places].shape for array in block.arrays.values())
    assert (seen == 1).all()


def test_few_points_and_dense_models_stay_on_one_axis(machines):
    assert grid_of(machines, [1, 2]).index.ndim == 1
    dense = make_machines("llama3-8b", ["h100"], most=4, only={}, settings=SETTINGS)
    assert grid_of(dense, list(range(1, 101))).index.ndim == 1


_WORST = "every tpot <= 14 ms/token"


@pytest.mark.parametrize("targets", slow_but(["tpot <= 12 ms/token", _WORST], _WORST))
def test_points_that_are_computed_in_each_pass_give_the_same_plan(monkeypatch, targets):
    work = jl.Workload.of_lengths([(20_000, 1000)], rate=2.0)
    asked = {"targets": targets, "most": 2, "only": {"pp_size": [1]}, **SETTINGS}
    kept = jl.plan("gpt-oss-120b", "h100", work, **asked)
    monkeypatch.setattr(planning, "KEPT_POINTS", 0)
    again = jl.plan("gpt-oss-120b", "h100", work, **asked)
    assert again.choices == kept.choices
    assert again.least == kept.least
    assert again.bound.value == pytest.approx(kept.bound.value, rel=1e-9)


def test_a_frontier_lies_above_its_bound_and_meets_the_plan():
    work = jl.Workload.of_lengths([(20_000, 1000)], rate=5.0)
    asked = {"targets": "tpot <= 12 ms/token", "most": 2, "only": {"pp_size": [1]}, **SETTINGS}
    found = jl.plan("gpt-oss-120b", "h100", work, frontier=True, **asked)
    ends = found.frontier
    assert ends is not None
    assert (np.diff(ends.levels) > 0).all()
    machines = np.fmin(ends.aggregated, ends.disaggregated)
    assert (ends.bound[np.isfinite(machines)] <= machines[np.isfinite(machines)]).all()
    assert (np.diff(ends.bound[np.isfinite(ends.bound)]) <= 0).all()
    assert (np.diff(machines[np.isfinite(machines)]) <= 0).all()
    place = ends.levels.tolist().index(0.012)
    assert machines[place] == found.choices[0].cost
    assert ends.bound[place] == found.least
    for level in ends.levels[[4, 12]]:
        there = jl.plan(
            *("gpt-oss-120b", "h100", work),
            **{**asked, "targets": f"tpot <= {float(level)!r} s/token"},
        )
        at = ends.levels.tolist().index(level)
        assert there.least == ends.bound[at]
        assert there.choices[0].cost == machines[at]


@pytest.fixture(scope="module")
def small():
    work = jl.Workload.of_lengths([(2000, 200)], rate=100.0)
    asked = {"targets": ["tpot <= 12 ms/token", "ttft <= 1 s"], "most": 2}
    return work, asked, jl.plan("llama3-8b", "h100", work, frontier=True, **asked)


def test_each_rate_takes_what_a_plan_at_that_rate_takes(small):
    work, asked, found = small
    by_rate = found.by_rate
    machines = np.fmin(by_rate.aggregated, by_rate.disaggregated)
    assert (by_rate.bound <= machines).all()
    for values in (by_rate.bound, by_rate.aggregated, by_rate.disaggregated):
        assert (np.diff(values) >= 0).all()
    assert by_rate.levels[[0, -1]] == pytest.approx([10.0, 1000.0])
    place = by_rate.levels.tolist().index(100.0)
    assert machines[place] == found.choices[0].cost
    for at in (place, 3, len(by_rate.levels) - 1):
        rate = float(by_rate.levels[at])
        there = jl.plan("llama3-8b", "h100", dataclasses.replace(work, rate=rate), **asked)
        assert there.least == by_rate.bound[at]
        assert there.choices[0].cost == machines[at]
        of_kind = {"aggregated": by_rate.aggregated, "disaggregated": by_rate.disaggregated}
        for kind, costs in of_kind.items():
            own = [choice.cost for choice in there.choices if choice.kind == kind]
            assert not own or min(own) == costs[at]


@pytest.mark.slow
def test_each_rate_takes_what_is_predicted_at_that_rate(small):
    work, asked, _ = small
    asked = {**asked, "calibration": "vllm"}
    found = jl.plan("llama3-8b", "h100", work, frontier=True, **asked)
    for at in (3, 11, 17):
        rate = float(found.by_rate.levels[at])
        there = jl.plan("llama3-8b", "h100", dataclasses.replace(work, rate=rate), **asked)
        assert there.predicted.cost == found.by_rate.predicted[at]


def test_a_plan_over_rates_is_drawn(small):
    data = small[2].dataset
    assert data.least_bound_at_rate.dims == ("rate",)
    np.testing.assert_array_equal(data.least_aggregated_at_rate, small[2].by_rate.aggregated)
    axes = jl.plot.fleet(data, x="rate").axes[0]
    assert "requests that come (rate)" in axes.get_xlabel()
    drawn = {line.get_label(): line for line in axes.get_lines()}
    bound, ours = drawn["every schedule needs this"], drawn["prefill and decode in one"]
    np.testing.assert_array_equal(ours.get_ydata(), small[2].by_rate.aggregated)
    # Machines of a rate serve every lower one; what a rate needs, every higher one needs.
    assert (ours.get_drawstyle(), bound.get_drawstyle()) == ("steps-pre", "steps-post")
    assert drawn["the rate of the plan"].get_xdata()[0] == pytest.approx(100.0)
    assert drawn["the least that keeps all"].get_xdata()[0] >= 100.0
    with pytest.raises(jl.InputError, match=r"unknown frontier 'rat'.*rate"):
        jl.plot.fleet(data, x="rat")
    with pytest.raises(jl.InputError, match="no frontier"):
        jl.plot.draw(data.drop_dims("rate"), "fleet", x="rate")


def test_machines_that_keep_no_target_serve_no_rate():
    work = jl.Workload.of_lengths([(2000, 200)], rate=10.0)
    found = jl.plan("llama3-8b", "h100", work, targets="tpot <= 1 us/token", most=2, frontier=True)
    for name in ("bound", "aggregated", "disaggregated"):
        assert np.isnan(getattr(found.by_rate, name)).all()
    assert found.by_rate.predicted is None
