"""The shipped grid of collectives: algorithms, topologies and interconnects, and what they show."""

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits.model.metrics import Limit


@pytest.fixture(scope="module")
def swept():
    return jl.sweep("collectives")


def test_the_best_is_never_slower(swept):
    best = swept.t_sync.sel(collective_algorithm="best")
    assert (best <= swept.t_sync * (1.0 + 1e-6)).where(swept.t_sync.notnull(), other=True).all()


def test_latency_and_payload_make_the_synchronisation(swept):
    parts = swept.t_sync_latency + swept.t_sync_payload
    np.testing.assert_allclose(parts, swept.t_sync, rtol=1e-5)


def test_behind_one_switch_the_latency_of_one_shot_does_not_depend_on_the_chips(swept):
    shot = swept.t_sync_latency.sel(topology="switched", collective_algorithm="one-shot")
    within_the_heads = shot.sel(interconnect="nvlink5-xdr", batch_size=1, tp_size=slice(4, 8))
    np.testing.assert_allclose(within_the_heads, 2 * 126 * 5.31e-6, rtol=1e-6)


def test_across_a_torus_it_grows_with_the_side(swept):
    at = {"collective_algorithm": "one-shot", "batch_size": 1, "interconnect": "tpu-ici-v5p"}
    torus = swept.t_sync_latency.sel(topology="torus-2d", **at)
    # 3 * 126 collectives; sides of 4, 8, 16, 32: half of it each way, twice, at 1 us a hop
    sides = torus.sel(tp_size=[16, 64, 256, 1024])
    np.testing.assert_allclose(sides, 378 * np.array([4, 8, 16, 32]) * 1e-6, rtol=1e-6)


def test_across_a_torus_in_three_dimensions_it_grows_with_the_cube_root(swept):
    at = {"collective_algorithm": "one-shot", "batch_size": 1, "interconnect": "tpu-ici-v5p"}
    torus = swept.t_sync_latency.sel(topology="torus-3d", **at)
    # 3 * 126 collectives; cubes of 4 and 8: half of a side each way, three times, at 1 us a hop
    cubes = torus.sel(tp_size=[64, 512])
    np.testing.assert_allclose(cubes, 378 * np.array([6, 12]) * 1e-6, rtol=1e-6)


def test_synchronisation_binds_where_chips_are_many(swept):
    one_user = swept.limit.sel(batch_size=1, tp_size=1024, collective_algorithm="best")
    assert (one_user == Limit.SYNC).all()
