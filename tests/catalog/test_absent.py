"""Power and price that nobody stated: metrics that rest on them are absent, with the reason."""

import math

import numpy as np
import pytest

import jaxlimits as jl
from jaxlimits import schema
from jaxlimits.catalog.loader import load_catalog
from jaxlimits.errors import InputError
from jaxlimits.questions.best import best
from jaxlimits.questions.question import ask

BARE = """
peak_flops = "2 PFLOP/s"
mem_bw = "6 TB/s"
mem_capacity = "160 GB"
"""
CHIPS = f"""
[chips.bare]{BARE}
[chips.powered]{BARE}base_power = "500 W"
[chips.priced]{BARE}chip_price = "10000 USD"
[chips.die]{BARE}die_area = "500 mm^2"
[chips.twice]
like = "h100"
mem_bw = "6.7 TB/s"
"""
IN_WATTS = {"power", "energy_per_token", "stps_per_watt"}
IN_DOLLARS = {"capital_cost", "cost_rate", "dollars_per_token", "stps_per_dollar"}
BOTH = IN_DOLLARS - {"capital_cost"}  # electricity is paid for


@pytest.fixture
def own(tmp_path):
    """A file of chips that state little."""
    path = tmp_path / "own.toml"
    path.write_text(CHIPS)
    return path


@pytest.fixture
def catalog(own):
    """The catalog with these chips."""
    return load_catalog(own)


def absent_of(catalog, chip, **settings):
    """Metrics that are NaN at a point that fits, of those that need no request."""
    point = jl.evaluate("llama3-8b", chip, catalog=catalog, **settings)
    assert point.feasible
    return {name for name in schema.OF_THE_LIMIT if math.isnan(getattr(point, name))}


@pytest.mark.parametrize(
    ("chip", "settings", "absent"),
    [
        ("bare", {}, IN_WATTS | IN_DOLLARS),
        ("powered", {}, IN_DOLLARS),
        ("priced", {}, IN_WATTS | BOTH),
        ("die", {}, IN_DOLLARS),
        ("twice", {}, set()),
        ("h100", {}, set()),
        ("bare", {"base_power": "500 W"}, IN_DOLLARS),
        ("bare", {"die_area": "500 mm^2"}, IN_DOLLARS),
        ("bare", {"chip_price": "10000 USD"}, IN_WATTS | BOTH),
        ("bare", {"chip_price": "10000 USD", "base_power": "0 W"}, set()),
        ("bare", {"assume": "gpu"}, set()),
        ("bare", {"assume": "GPU"}, set()),
    ],
)
def test_metrics_are_absent_whose_inputs_nobody_states(catalog, chip, settings, absent):
    assert absent_of(catalog, chip, **settings) == absent


def test_the_table_of_what_rests_on_an_input_is_what_nan_reaches(catalog):
    # A request too, so that dollars_per_request is among them.
    request = {"input_len": 512, "output_len": 64}
    full = jl.evaluate("llama3-8b", "bare", catalog=catalog, assume="gpu", **request)
    for lead, fields in (("base_power", "chip_price"), ("chip_price", "base_power")):
        known = {fields: "1000 USD" if fields == "chip_price" else "700 W"}
        point = jl.evaluate("llama3-8b", "bare", catalog=catalog, **known, **request)
        reached = {
            name
            for name in schema.OUTPUTS
            if math.isnan(getattr(point, name)) and not math.isnan(getattr(full, name))
        }
        assert reached == set(schema.RESTS_ON[lead])


def test_a_stated_board_power_is_all_of_the_chips_power(catalog):
    # 500 W of the board and 300 W / 8 of a server; no die of 800 mm^2 beside it.
    assert jl.evaluate("llama3-8b", "powered", catalog=catalog).power == 537.5


def test_a_stated_die_has_the_power_density_and_the_memory_of_the_paper(catalog):
    # 500 mm^2 * 1.1 W/mm^2 + 30 pJ/B * 6 TB/s + 300 W / 8
    power = jl.evaluate("llama3-8b", "die", catalog=catalog).power
    assert power == pytest.approx(550.0 + 180.0 + 37.5, rel=1e-6)


def test_an_assumption_gives_what_is_lacking_and_nothing_else(catalog):
    bare = jl.evaluate("llama3-8b", "bare", catalog=catalog, assume="gpu")
    # 800 mm^2 * 1.1 W/mm^2 + 30 pJ/B * 6 TB/s + 300 W / 8; 30000 + 4000 + 80000 / 8 USD
    assert bare.power == pytest.approx(880.0 + 180.0 + 37.5, rel=1e-6)
    assert bare.capital_cost == pytest.approx(44_000.0, rel=1e-6)
    powered = jl.evaluate("llama3-8b", "powered", catalog=catalog, assume="gpu")
    assert (powered.power, powered.capital_cost) == (537.5, bare.capital_cost)
    priced = jl.evaluate("llama3-8b", "priced", catalog=catalog, assume="card")
    assert (priced.power, priced.capital_cost) == (387.5, 24_000.0)


@pytest.mark.parametrize("assumption", load_catalog().assumptions)
def test_every_shipped_assumption_gives_power_and_price(catalog, assumption):
    assert absent_of(catalog, "bare", assume=assumption) == set()
    assert "Ours, illustrative:" in load_catalog().assumptions[assumption].words["source"]


def test_an_unknown_assumption_is_refused_with_the_nearest(catalog):
    with pytest.raises(InputError, match=r"assume: unknown assumption 'gpus'; did you mean gpu\?"):
        jl.evaluate("llama3-8b", "bare", catalog=catalog, assume="gpus")


def test_ones_own_assumption_may_state_power_alone(own):
    own.write_text(own.read_text() + '[assumptions.mine]\nbase_power = "1 kW"\n')
    catalog = load_catalog(own)
    assert absent_of(catalog, "bare", assume="mine") == IN_DOLLARS
    assert jl.evaluate("llama3-8b", "bare", catalog=catalog, assume="mine").power == 1037.5


def test_an_assumption_states_power_and_price_alone(own):
    own.write_text(own.read_text() + '[assumptions.mine]\nmem_bw = "1 TB/s"\n')
    with pytest.raises(InputError, match=r"assumptions.mine: unknown field 'mem_bw'"):
        jl.evaluate("llama3-8b", "bare", catalog=load_catalog(own), assume="mine")


def test_a_record_of_such_a_chip_holds_nan(catalog):
    chip = catalog.chip("bare")
    assert math.isnan(chip.base_power)
    assert math.isnan(chip.chip_price)
    assert not math.isnan(catalog.chip("twice").base_power)
    point = jl.evaluate("llama3-8b", chip)
    assert math.isnan(point.power)
    assert point.utps == jl.evaluate("llama3-8b", "bare", catalog=catalog).utps


def swept(own, **more):
    grid = {
        "base": {"llm": "llama3-8b", **more.pop("base", {})},
        "axes": {"chip": ["h100", "bare", "priced"], "batch_size": [1, 8]},
        **more,
    }
    return jl.sweep(grid, catalog=(own,))


def test_in_a_grid_the_other_chips_keep_theirs(own):
    dataset = swept(own, outputs=["utps", "power", "capital_cost", "dollars_per_token", "limit"])
    alone = jl.sweep(
        {
            "base": {"llm": "llama3-8b", "chip": "h100"},
            "axes": {"batch_size": [1, 8]},
            "outputs": ["utps", "power", "capital_cost", "dollars_per_token"],
        }
    )
    for name in alone.data_vars:
        np.testing.assert_allclose(dataset[name].sel(chip="h100"), alone[name], rtol=1e-6)
    assert np.isfinite(dataset.utps.values).all()
    assert np.isnan(dataset.power.sel(chip=["bare", "priced"]).values).all()
    assert np.isnan(dataset.capital_cost.sel(chip="bare").values).all()
    assert np.isfinite(dataset.capital_cost.sel(chip="priced").values).all()


def test_the_reason_stands_in_the_attributes(own):
    dataset = swept(own, outputs=["utps", "power", "capital_cost", "dollars_per_token"])
    told = "state chip_price, or assume=gpu or another preset"
    assert dataset.capital_cost.attrs["absent"] == f"no price stated for chip 'bare': {told}"
    assert dataset.power.attrs["absent"].startswith("no power stated for chip 'bare' and 'priced':")
    assert "no power" in dataset.dollars_per_token.attrs["absent"]
    assert "no price" in dataset.dollars_per_token.attrs["absent"]
    assert "absent" not in dataset.utps.attrs


def test_a_grid_states_its_assumption_and_is_made_again_with_it(own, tmp_path):
    grid = {
        "base": {"llm": "llama3-8b", "chip": "bare", "assume": "card"},
        "axes": {"batch_size": [1, 8]},
        "outputs": ["power", "capital_cost", "utps"],
    }
    first = jl.sweep(grid, tmp_path / "x.nc", catalog=(own,))
    assert first.power.values.tolist() == [387.5, 387.5]
    assert "absent" not in first.power.attrs
    assert jl.sweep_again(tmp_path / "x.nc").power.identical(first.power)


def test_an_assumption_cannot_vary(own):
    with pytest.raises(InputError, match=r"axes.assume: cannot vary"):
        jl.sweep({"base": {"llm": "llama3-8b", "chip": "h100"}, "axes": {"assume": ["gpu"]}})


@pytest.mark.parametrize(("field", "value"), [("chip_price", 5e3), ("die_area", 4e-4)])
def test_an_axis_over_an_input_states_it(own, field, value):
    grid = {
        "base": {"llm": "llama3-8b", "chip": "bare"},
        "axes": {field: [f"{value!r} {schema.FIELDS[field].unit}"], "batch_size": [1, 2]},
        "outputs": ["power", "capital_cost", "utps"],
    }
    told = {"chip_price": "capital_cost", "die_area": "power"}[field]
    dataset = jl.sweep(grid, catalog=(own,))
    assert np.isfinite(dataset[told].values).all()
    assert "absent" not in dataset[told].attrs


def test_a_factor_on_a_price_that_is_not_stated_is_no_error(own):
    grid = {
        "base": {"llm": "llama3-8b"},
        "axes": {"chip": ["h100", "bare"], "chip_price_scale": [0.5, 2]},
        "outputs": ["capital_cost", "utps"],
    }
    dataset = jl.sweep(grid, catalog=(own,))
    assert np.isnan(dataset.capital_cost.values).tolist() == [[False] * 2, [True] * 2]


def test_how_other_metrics_answer_to_such_inputs_stays_finite(own):
    dataset = swept(
        own,
        outputs=["utps"],
        elasticities={"of": ["utps", "t_step"], "by": ["mem_bw", "base_power", "chip_price"]},
        derivatives={"of": ["utps"], "by": ["mem_bw", "die_area"]},
    )
    for name, variable in dataset.data_vars.items():
        assert np.isfinite(variable.values).all(), name
        assert "absent" not in variable.attrs
    assert (dataset.utps_elasticity_base_power.values == 0.0).all()


@pytest.mark.parametrize(
    ("field", "target"),
    [
        ("base_power", "power<=5 kW"),
        ("die_area", "power<=5 kW"),
        ("chip_price", "capital_cost<=1e5 USD"),
    ],
)
def test_an_input_that_is_not_stated_can_be_solved_for(catalog, field, target):
    found = jl.solve("llama3-8b", "bare", solve_for=field, target=target, catalog=catalog)
    assert found.is_met


def test_solving_for_something_else_says_what_is_lacking(catalog):
    with pytest.raises(InputError, match=r"target: stps_per_watt is absent: no power stated"):
        jl.solve(
            "llama3-8b",
            "bare",
            solve_for="mem_bw",
            target="stps_per_watt=1 token/J",
            catalog=catalog,
        )


def test_the_best_is_looked_for_among_chips_that_state_what_it_takes(own):
    grid = {"base": {"llm": "llama3-8b"}, "axes": {"chip": ["h100", "bare"], "batch_size": [1, 8]}}
    points = best(grid, ask(maximise="stps_per_watt"), catalog=(own,))
    assert set(points.chip.values) == {"h100"}
    assert "no power stated" in points.stps_per_watt.attrs["absent"]
    with pytest.raises(
        InputError, match="stps_per_watt is absent: no power stated for chip 'bare'"
    ):
        best(
            {"base": {"llm": "llama3-8b", "chip": "bare"}, "axes": {"batch_size": [1, 8]}},
            ask(maximise="stps_per_watt"),
            catalog=(own,),
        )


@pytest.mark.filterwarnings("ignore::jaxlimits.AnnouncedChipWarning")
def test_announced_chips_without_a_power_have_no_watts():
    point = jl.evaluate("llama3-70b", "mi455x", tp_size=8)
    assert math.isnan(point.power)
    assert point.utps > 0.0
