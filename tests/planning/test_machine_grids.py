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


@pytest.mark.parametrize("targets", ["tpot <= 12 ms/token", "every tpot <= 14 ms/token"])
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
