"""What a tab computes: the model's numbers, quickly, by one program; words where there are none."""

import dataclasses
import itertools
import math
import re
import time

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits import schema, units
from jaxlimits.engine import kernel
from jaxlimits.explorer import needs
from jaxlimits.explorer.needs import requirements_of, sentence
from jaxlimits.explorer.network import Network, graph
from jaxlimits.explorer.points import EXCLUDED, map_of, point_of
from jaxlimits.explorer.session import Session
from jaxlimits.explorer.slider_scales import scale_of
from jaxlimits.explorer.start import start
from jaxlimits.explorer.state import Span
from jaxlimits.explorer.texts import gaps, headline, metrics_table, shown
from jaxlimits.explorer.views import maps_data, shares_of, value_at
from jaxlimits.model.metrics import Limit
from jaxlimits.results.reason_codes import Reason
from jaxlimits.web.map_cover import STRIPE
from tests.helpers import one_in

MOVE = 0.2
"""What a move may cost [s]."""


@pytest.fixture(scope="module")
def begun():
    return start()


@pytest.fixture
def session(begun):
    return Session(begun)


@pytest.fixture
def small_maps(monkeypatch):
    """Maps of a thousand points, for what does not rest on their number."""
    for module in ("points", "views"):
        monkeypatch.setattr(f"jaxlimits.explorer.{module}.SIZE", 32)


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


def test_the_numbers_are_those_of_the_model_bit_for_bit(session):
    session.set("a", "mem_bw", "3.35 TB/s")
    found = session.shown().points
    settings = {"tp_size": 8, "batch_size": 8}
    for side, chip, own in (("a", "h200", {"mem_bw": "3.35 TB/s"}), ("b", "b200", {})):
        expected = jl.evaluate("llama3-405b", chip, **settings, **own)
        for name in schema.OUTPUTS:
            assert same(getattr(found[side].metrics, name), getattr(expected, name)), name


def test_the_map_is_the_model_at_each_of_its_points(session):
    found = session.shown().maps["b"]
    assert found.values.shape == (512, 512)
    for row, column in ((0, 0), (100, 400), (511, 511)):
        expected = jl.evaluate(
            "llama3-405b", "b200", tp_size=8, batch_size=8,
            mem_bw=f"{found.x[column].item()!r} B/s", sync_latency=f"{found.y[row].item()!r} s",
        )  # fmt: skip
        assert math.isclose(found.values[row, column], expected.utps, rel_tol=1e-6)
        assert found.codes[row, column] == expected.limit


def test_one_program_serves_every_move_and_costs_little(session):
    session.shown()
    before = kernel._chunks._cache_size()
    times = []
    moves = [
        ("mem_bw", "2 TB/s"), ("ep_size", "8"), ("sram_capacity", "256 MB"),
        ("lpddr_bw", "500 GB/s"), ("llm", "deepseek-v3"), ("chip", "h100"), ("tp_size", "64"),
        ("input_len", "0 token"), ("acceptance", "0.5"), ("num_sparse_layers", "3"),
    ]  # fmt: skip
    for name, text in moves:
        session.set("a", name, text)
        started = time.thread_time()
        found = session.shown()
        maps_data(found.state, found.maps, found.points)
        times.append(time.thread_time() - started)
    assert kernel._chunks._cache_size() == before
    assert sorted(times)[len(times) // 2] < MOVE, times


@pytest.mark.usefixtures("small_maps")
def test_a_request_adds_its_metrics(session):
    session.set("a", "input_len", "1,024 token")
    assert math.isfinite(session.shown().points["a"].metrics.ttft)
    assert "ttft" in metrics_table({"A": session.shown().points["a"]})


@pytest.mark.usefixtures("small_maps")
def test_a_map_of_requests_that_are_not_stated_says_so_without_stripes(session):
    session.show_metric("ttft")
    found = session.shown()
    data = maps_data(found.state, found.maps, found.points)["a"]
    assert np.isnan(data.values).all()
    assert {name.words for name in data.names} == {"no request stated"}
    assert not (data.cover == STRIPE).any()
    assert "grey over 100% of the map, no request stated" in gaps(
        {"a": "h200", "b": "b200"}, found.maps
    )
    assert {data.words[code + 1] for code in np.unique(data.codes)} == {"no request stated"}


@pytest.mark.usefixtures("small_maps")
def test_what_does_not_fit_and_what_cannot_be_is_named(session):
    session.set("a", "llm", "deepseek-v3")
    session.span("x", Span(name="batch_size", first="1", last="100,000"))
    session.set("a", "chip", "h100")
    found = session.shown()
    data = maps_data(found.state, found.maps, found.points)["a"]
    assert np.isnan(data.values[data.codes == Limit.CAPACITY]).all()
    assert "does not fit" in {name.words for name in data.names}
    session.set("a", "ep_size", "7")
    cannot = session.shown()
    assert (cannot.maps["a"].codes == EXCLUDED).all()
    assert "ep_size must divide" in cannot.points["a"].problem
    assert "ep_size must divide" in headline("A: h100", cannot.points["a"])


@pytest.mark.usefixtures("small_maps")
def test_what_is_striped_or_grey_has_its_reason_in_words(session):
    session.compare(None)
    assert session.set("a", "llm", "deepseek-v3")
    assert session.span("x", Span(name="ep_size", first="1", last="16"))
    assert session.span("y", Span(name="batch_size", first="1", last="4096"))
    found = session.shown().maps
    words = gaps({"a": "h200"}, found)
    share = (found["a"].reasons == Reason.CANNOT_BE).mean()
    assert 0.0 < share < 1.0
    assert f"striped over {share:.0%} of the map, cannot be (ep_size must divide" in words
    assert "of the map, does not fit" in words


@pytest.mark.usefixtures("small_maps")
@pytest.mark.filterwarnings("ignore::jaxlimits.AnnouncedChipWarning")
def test_tiles_have_energy_cost_and_a_prediction_or_why_not(session):
    point = session.shown().points["a"]
    expected = jl.evaluate("llama3-405b", "h200", tp_size=8, batch_size=8)
    tiles = headline("h200", point)
    assert f">{expected.dollars_per_token * 1e6:,.4g} USD/Mtoken<" in tiles
    assert f">{shown('energy_per_token', expected.energy_per_token)}<" in tiles
    assert "calibrated_utps" not in tiles
    assert session.set("a", "calibration", "vllm")
    predicted = session.shown().points["a"]
    assert predicted.metrics.calibrated_utps < predicted.metrics.utps
    assert "predicted; 95 % from" in headline("h200", predicted)
    assert session.set("a", "chip", "rubin")
    without = session.shown().points["a"]
    assert without.reasons["dollars_per_token"] == Reason.NOT_STATED
    assert "<em>power or price not stated</em>" in headline("rubin", without)


@pytest.mark.parametrize("place", one_in(2, [-1, 0]))
def test_absurd_ends_of_every_slider_give_numbers_or_words(begun, place, small_maps):
    catalog = begun.catalog
    values = point_of(begun.state, "a", catalog).values
    every_part = begun.state  # each part that has bits of its own is a program, all are one too
    for name in schema.PART_BITS:
        every_part = every_part.setting("a", name, repr(values[name]))
    for name in schema.FIELDS:
        text = scale_of(name, values[name]).texts[place]
        state = every_part if name in schema.PART_BITS else begun.state
        state = state.setting("a", name, text)
        point = point_of(state, "a", catalog)
        assert point.metrics is not None or point.problem
        words = headline("A", point)
        assert "nan" not in words
        assert "inf" not in words.replace("infinite", "").replace("info", "")
        if place == -1 or name.startswith("draft_"):
            continue
        found = {"a": map_of(state, "a", catalog)}
        maps_data(state, found, {"a": point})
        assert all(math.isfinite(v) for row in shares_of({"a": point}).values() for v in row)


def test_what_cannot_be_is_said_and_the_state_stays(session):
    before = session.state
    assert not session.set("a", "mem_bw", "fast")
    assert "no number" in session.said
    assert session.state == before
    assert not session.span("x", Span(name="mem_bw", first="2 TB/s", last="1 TB/s"))
    assert not session.aim("utps", "soon")
    assert session.set("a", "mem_bw", "4 TB/s")
    assert session.said == ""
    assert Session(start(), "?llm=nothing&chip=h200").said == ""  # said where it is looked up
    assert "cannot be shown" in Session(start(), "?llm=llama3-8b").said


def test_an_unknown_name_in_a_link_is_words(begun):
    found = Session(begun, "?llm=llama3-405c&chip=h200").shown()
    assert "did you mean llama3-405b" in found.points["a"].problem
    assert "did you mean llama3-405b" in found.maps["a"].problem


@pytest.mark.usefixtures("small_maps")
def test_axes_turn_and_change_places(session):
    assert session.turn("x", "batch_size")
    assert session.state.x.name == "batch_size"
    assert session.turn("x", "sync_latency")
    assert (session.state.x.name, session.state.y.name) == ("sync_latency", "batch_size")
    session.compare(None)
    for name in schema.FIELDS:
        assert session.turn("y", name), session.said
    assert session.turn("y", "compute_bits")
    assert session.shown().maps["a"].problem == ""


def test_a_tap_moves_the_point_to_the_place(session):
    session.tap("b", 200.0, 300.0)
    found = session.values("b")
    for span, place in ((session.state.x, 200.0), (session.state.y, 300.0)):
        assert math.isclose(found[span.name], value_at(span, place), rel_tol=0.06)
    assert session.values("a")["mem_bw"] == 4.8e12


@pytest.mark.usefixtures("small_maps")
def test_the_needs_are_the_solver_s(session, monkeypatch):
    monkeypatch.setattr("jaxlimits.explorer.needs.ASKED", ("sync_latency", "mem_bw"))
    session.compare(None)
    session.aim("utps", "200 token/s")
    needs = session.needs()["a"]
    assert [way.field for way in needs.ways] == ["mem_bw", "sync_latency"]
    assert [w.distance for w in needs.ways] == sorted(w.distance for w in needs.ways)
    assert not needs.reached
    bandwidth = next(way for way in needs.ways if way.field == "mem_bw")
    expected = jl.solve(
        "llama3-405b", "h200", solve_for="mem_bw", target="utps>=200", tp_size=8, batch_size=8
    )
    assert math.isclose(bandwidth.needed, expected.value, rel_tol=1e-5)
    words = sentence(bandwidth, needs.target)
    needed = units.show(bandwidth.needed, "B/s")
    expected_words = f"more memory bandwidth ({needed}) reaches utps ≥ 200 token/s"
    assert words == f"{bandwidth.factor:.3g}× {expected_words}"
    before = kernel._chunks._cache_size()
    session.aim("utps", "40 token/s")
    assert session.needs()["a"].reached
    assert kernel._chunks._cache_size() == before  # one program serves every target


def test_a_target_of_which_less_is_better_is_a_most(session):
    assert session.aim("tpot", session.usual_target("tpot"))
    assert not any(asked.at_least for asked in requirements_of(session.state))
    assert [asked.field for asked in requirements_of(session.state)] == list(needs.ASKED)


def test_numbers_are_written_for_people():
    assert shown("utps", math.nan) == "–"
    assert shown("stps", math.inf) == "no end"
    assert shown("capacity_utilisation", 0.5) == "50.0%"
    assert shown("limit", 0) == "memory"


def test_names_cannot_put_code_into_the_page(begun):
    evil = "<script>alert(1)</script>"
    found = Session(begun, f"?llm={evil}&chip=h200").shown()
    assert "<script>" not in headline(evil, found.points["a"])


def test_tabs_share_no_state(begun):
    one, other = Session(begun), Session(begun)
    one.set("a", "mem_bw", "9 TB/s")
    assert "mem_bw" not in other.state.settings
    assert dataclasses.asdict(other.state) == dataclasses.asdict(begun.state)


@pytest.mark.filterwarnings("ignore::jaxlimits.AnnouncedChipWarning")
@pytest.mark.usefixtures("small_maps")
def test_a_chip_that_states_no_price_shows_all_but_what_rests_on_it(session):
    assert session.set("a", "chip", "rubin")
    values = session.values("a")
    assert "chip_price" not in values
    assert values["mem_bw"] == 22e12
    point = point_of(session.state, "a", session.catalog)
    assert point.problem == ""
    assert math.isnan(point.metrics.capital_cost)
    assert point.metrics.utps > 0.0


def test_iso_lines_lie_where_the_map_has_their_value_and_are_off_at_first(session):
    plain = session.shown()
    assert not maps_data(plain.state, plain.maps, plain.points)["a"].lines.pieces
    assert "iso_lines" not in session.query
    session.show_lines(True)
    assert session.query.endswith("&iso_lines=on")
    found = session.shown()
    data = maps_data(found.state, found.maps, found.points)["a"]
    values = [(float(name.words.replace(",", "")), name, tone) for name, tone in data.lines.values]
    assert [value for value, _, _ in values] == [20.0, 50.0, 100.0, 200.0]
    for value, name, _ in values:
        here = data.values[round(name.up), round(name.across)]
        assert here == pytest.approx(value, rel=0.02)
    assert [tone for _, _, tone in values] == ["white", "white", "black", "black"]
    for piece in data.lines.pieces:
        along = data.values[piece.up.round().astype(int), piece.across.round().astype(int)]
        assert along.max() / along.min() < 1.04
    for one, two in itertools.combinations([name for _, name, _ in values] + data.names, 2):
        assert abs(one.across - two.across) > 40 or abs(one.up - two.up) > 20


def test_a_map_without_values_has_no_iso_lines(session):
    session.show_lines(True)
    session.set("a", "batch_size", "1024")
    session.set("a", "seq_len", "131072")
    found = session.shown()
    assert not np.isfinite(found.maps["a"].values).any()
    assert maps_data(found.state, found.maps, found.points)["a"].lines.pieces == ()


def test_the_network_is_the_operators_of_the_model(session):
    session.set("a", "llm", "deepseek-v3")
    session.set("a", "tp_size", "16")
    found = session.network("a")
    expected = jl.operators("deepseek-v3", "h200", tp_size=16, batch_size=8)
    assert found.operators.identical(expected.drop_attrs(deep=False))
    page = graph(found, "A: <h200>")
    names = re.findall('data-operator="([^"]+)"', page)
    assert names == [
        "projections", "attention", "output", "router", "experts", "ffn", "lm_head",
    ]  # fmt: skip
    assert sorted(names) == sorted(expected.operator.values.tolist())
    assert re.findall('data-of="([^"]+)" hidden', page) == names
    assert "A: &lt;h200&gt;" in page
    read = units.show(float(expected.traffic.sel(operator="experts")), "B")
    share = float(expected.traffic.sel(operator="experts") / expected.traffic.sum())
    assert f"{read} ({share:.0%}".replace("%", " %)") in page
    assert "A token passes 61 layers" in page


def test_a_draft_has_a_network_of_its_own_and_what_cannot_be_has_words(session):
    parts = session.network("a").operators
    both = parts.assign_coords(operator=[f"draft {name}" for name in parts.operator.values])
    joined = xr.concat([parts, both], "operator", data_vars="minimal")
    page = graph(Network(operators=joined, layers=126.0), "a")
    assert page.index("Draft model") < page.index('data-operator="draft projections"')
    drawn = re.findall('data-operator="([^"]+)"', page)
    assert [f"draft {name}" for name in drawn[: len(drawn) // 2]] == drawn[len(drawn) // 2 :]
    session.set("a", "ep_size", "7")
    assert "ep_size must divide" in graph(session.network("a"), "a")
