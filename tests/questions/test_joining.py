"""Results joined: each keeps who it is, whatever each of them sets, shipped grids too."""

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl


@pytest.fixture(scope="module")
def plain():
    return jl.sweep("smoke").isel(seq_len=[0], batch_size=[0, 3])


@pytest.fixture(scope="module")
def other():
    return jl.sweep("smoke", overrides={"chip": "h200"}).isel(seq_len=[0], batch_size=[0, 3])


def test_a_shipped_grid_and_an_overridden_one_are_joined(plain, other):
    joined = jl.join([plain, other], "run")
    assert joined.chip.values.tolist() == ["h100", "h200"]
    assert joined.tp_size.dims == ()
    assert np.array_equal(joined.utps.isel(run=0), plain.utps)
    assert np.array_equal(joined.utps.sel(run=1), other.utps)
    assert "chip" not in joined.attrs
    assert joined.attrs["title"] == plain.attrs["title"]
    assert "content_hash" not in joined.attrs


def test_xarray_joins_what_has_its_scenario(plain, other):
    whole = [each.limits.with_scenario() for each in (plain, other)]
    joined = xr.concat(whole, "run", join="exact", combine_attrs="drop_conflicts")
    assert joined.chip.values.tolist() == ["h100", "h200"]


def test_what_one_result_sets_another_has_at_its_default(plain):
    faster = jl.sweep("smoke", overrides={"mem_capacity": "141 GB"})
    joined = jl.join([plain, faster.isel(seq_len=[0], batch_size=[0, 3])])
    assert joined.mem_capacity.values.tolist() == [80e9, 141e9]


def test_one_result_is_joined_alone(plain):
    assert jl.join([plain]).sizes["result"] == 1


def test_what_cannot_be_joined_is_named(plain):
    with pytest.raises(jl.InputError, match="names no result"):
        jl.join([])
    with pytest.raises(jl.InputError, match="seq_len: is an axis of one result and not of another"):
        jl.join([plain, plain.isel(seq_len=0)])
    with pytest.raises(jl.InputError, match="batch_size: has other values in another result"):
        jl.join([plain, plain.isel(batch_size=[1])])
