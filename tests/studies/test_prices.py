"""Whatever a study shows in dollars is shown over a spread of prices, which the engine computes."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.grid.file import read_grid
from jaxlimits.grid.spec import build_spec, grid_catalog
from jaxlimits.run.pipeline import run_spec
from jaxlimits.studies.paper import PAPER
from jaxlimits.studies.prices import (
    PRICES,
    SPREAD,
    against,
    over_spread,
    price_columns,
)

MOVED_TOO = ("mem_price_scale", "server_price_scale", "network_price_scale")
"""Factors that move along with the price of a chip."""

GRIDS = (*PAPER.grids(), "requests", "tokens_by_dollar")


def spec_of(grid):
    file = read_grid(grid)
    return build_spec(file, grid_catalog(file))


def is_in_dollars(metric):
    return metric in schema.OUTPUTS and "USD" in schema.OUTPUTS[metric].unit


@pytest.mark.parametrize("grid", GRIDS)
def test_a_grid_in_dollars_moves_all_prices_together_over_the_spread(grid):
    spec = spec_of(grid)
    found = {axis.name: axis for axis in spec.axes}
    if not any(is_in_dollars(metric) for metric in spec.outputs):
        assert PRICES not in found
        return
    assert found[PRICES].values == SPREAD
    assert dict(found[PRICES].linked) == dict.fromkeys(MOVED_TOO, SPREAD)


def test_some_grids_are_in_dollars_and_some_are_not():
    priced = {grid for grid in GRIDS if any(map(is_in_dollars, spec_of(grid).outputs))}
    assert {"throughput_per_cost", "tokens_by_dollar", "hbm3"} <= priced < set(GRIDS)


def test_a_column_for_each_factor_says_that_prices_are_illustrative():
    heads = [column.heading for column in price_columns("cost", unit="USD")]
    assert heads == [f"cost, illustrative prices × {f} [USD]" for f in ("0.5", "1", "2")]


def test_a_sweep_over_prices_streams_like_any_other(tmp_path):
    stages = []
    spec = dataclasses.replace(spec_of("tokens_by_dollar"), memory=2e4)
    output = tmp_path / "chunks.nc"
    run_spec(spec, output, progress=lambda stage, _: stages.append(stage)).close()
    assert stages.count("computing") > 10
    whole = jl.sweep("tokens_by_dollar")
    with jl.open(output) as streamed:
        xr.testing.assert_allclose(streamed.load(), whole, rtol=1e-6)


def priced(values):
    return xr.DataArray(values, dims=PRICES, coords={PRICES: list(SPREAD)})


def test_columns_and_values_stand_in_one_order():
    assert over_spread(priced([3.0, 5.0, 9.0]).isel({PRICES: [2, 0, 1]})) == (3.0, 5.0, 9.0)


def test_one_kind_against_another_at_both_ends_of_the_spread():
    # Tokens by dollar fall with prices: ours 8, 4, 2, theirs 6, 3, 1.5.
    leads = against(priced([8.0, 4.0, 2.0]), priced([6.0, 3.0, 1.5]))
    assert {name: float(lead) for name, lead in leads.items()} == {
        "stated": np.float64(4.0 / 3.0),
        "worst": np.float64(2.0 / 6.0),
        "best": np.float64(8.0 / 1.5),
    }
