"""Why there is no value: one code for every case, in figures, reports and the explorer alike."""

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits import plot
from jaxlimits.results.reason_codes import HATCHED, WORDS, Reason
from jaxlimits.results.reasons import reasons, words_of
from jaxlimits.web.map_cover import GREY, NOTHING, STRIPE, cover_of
from jaxlimits.web.result_report import write_report

POINT = {"llm": "llama3-70b", "chip": "h100"}
REQUEST = {"input_len": [0, 1024], "output_len": 64}


def swept(**described):
    return jl.sweep(**{**POINT, **described})


@pytest.fixture(scope="module")
def requested():
    """Eight chips serve a request, one cannot hold the model, and length 0 states no request."""
    outputs = ["ttft", "utps", "ttft_elasticity_peak_flops"]
    return swept(tp_size=[1, 8], **REQUEST, outputs=outputs)


@pytest.fixture(scope="module")
def reduced():
    crossing = {"op": "crossing", "of": "utps", "over": ["mem_bw"]}
    return swept(
        tp_size=[1, 8],
        mem_bw=["1 TB/s", "2 TB/s", "4 TB/s"],
        reduce={
            "never": {**crossing, "target": "1e9 token/s"},
            "soon": {**crossing, "target": "10 token/s"},
            "most": {"op": "max", "of": "utps", "over": ["mem_bw"]},
        },
    )


@pytest.fixture(scope="module")
def required():
    asked = {"for": "mem_bw", "of": "utps", "keep": True}
    return swept(
        tp_size=[1, 8],
        require={
            "never": {**asked, "at_least": "1e9 token/s"},
            "soon": {**asked, "at_least": "10 token/s"},
            "ranks": {"for": "ep_size", "of": "utps", "at_least": "1 token/s", "among": [16, 32]}
            | {"keep": True},
        },
        llm="gpt-oss-120b",
        weight_bits=16,
    )


def told(dataset, of):
    return [WORDS[code] for code in reasons(dataset, of).to_numpy().ravel().tolist()]


def test_a_request_that_is_not_stated_is_no_misfit(requested):
    expected = ["does not fit", "does not fit", "no request stated", "fits"]
    without_speed = requested.drop_vars("utps")
    assert told(requested, "utps") == ["does not fit", "does not fit", "fits", "fits"]
    for of in ("ttft", "ttft_elasticity_peak_flops"):
        assert told(requested.transpose("tp_size", "input_len"), of)[2:] == expected[2:]
        assert told(without_speed, of)[1] == "does not fit"
    fixed = requested.ttft.isel(input_len=0, drop=True).to_dataset()
    assert set(told(fixed.assign_attrs(scenario='{"input_len": 0.0}'), "ttft")) == {WORDS[2]}


def test_a_crossing_that_is_never_reached_is_no_misfit(reduced):
    assert told(reduced, "never") == ["target not reached"] * 2
    assert told(reduced, "soon")[1] == "fits"
    assert told(reduced, "most") == ["does not fit", "fits"]


def test_requirements_tell_full_memory_from_a_target_that_is_out_of_reach(required):
    assert told(required, "never") == ["does not fit", "target not reached"]
    assert told(required, "soon") == ["does not fit", "fits"]
    assert told(required, "ranks") == ["cannot be", "cannot be"]
    assert told(required, "never_utps") == ["does not fit", "fits"]


def test_what_a_chip_does_not_state_is_told_from_what_does_not_fit():
    found = swept(
        chip=["h100", "trainium2"], tp_size=[1, 8], outputs=["dollars_per_token", "power"]
    )
    unstated = [name for name in found.data_vars if "absent" in found[name].attrs]
    assert unstated
    for name in unstated:
        assert WORDS[Reason.NOT_STATED] in told(found, name)


def test_metrics_of_what_is_not_stated_are_so_whether_they_fit_or_not():
    dims, chips = ("chip", "tp_size"), ["a", "b"]
    absent = {"absent": "no price stated for chip 'a'"}
    values = np.array([[np.nan, np.nan], [np.nan, 1.0]])
    data = xr.Dataset(
        {
            "power": (dims, np.full((2, 2), np.nan), absent),
            "dollars_per_token": (dims, values, absent),
            "feasible": (dims, np.array([[0, 1], [0, 1]], np.int8)),
        },
        {"chip": chips},
    )
    assert set(told(data, "power")) == {WORDS[Reason.NOT_STATED]}
    full, priceless = WORDS[Reason.DOES_NOT_FIT], WORDS[Reason.NOT_STATED]
    assert told(data, "dollars_per_token") == [full, priceless, full, "fits"]
    alone = data.drop_vars("feasible")
    assert told(alone, "dollars_per_token") == [priceless, priceless, full, "fits"]


def test_no_calibration_predicts_what_has_chips_for_feed_forward_parts_alone():
    points = {"feasible": [1, 0, 1], "calibrated_utps": [9.0, np.nan, np.nan]}
    dataset = xr.Dataset({name: ("ffn_chips", values) for name, values in points.items()})
    dataset = dataset.assign_coords(ffn_chips=[0.0, 8.0, 16.0])
    assert told(dataset, "calibrated_utps") == ["fits", "does not fit", "cannot be"]


def test_what_was_not_computed_is_told_by_the_codes():
    data = xr.Dataset(
        {
            "utps": ("x", [np.nan, np.nan, 1.0]),
            "limit": (
                "x",
                np.array([-1, 3, 0], np.int8),
                flags("not_computed=-1 memory=0 capacity=3"),
            ),
        }
    )
    assert told(data, "utps") == ["not computed", "does not fit", "fits"]
    assert told(data, "limit") == ["not computed", "fits", "fits"]
    assert told(data[["utps"]], "utps") == ["does not fit", "does not fit", "fits"]


def flags(text):
    pairs = [word.split("=") for word in text.split()]
    return {
        "flag_values": np.array([int(code) for _, code in pairs], np.int8),
        "flag_meanings": " ".join(word for word, _ in pairs),
    }


def test_the_accessor_gives_the_codes_with_their_meanings(requested):
    codes = requested.limits.reason("ttft")
    assert codes.dims == requested.ttft.dims
    assert "no_request" in codes.flag_meanings.split()
    with pytest.raises(jl.InputError, match="reason: unknown variable 'tftt'; did you mean ttft"):
        requested.limits.reason("tftt")


def test_the_commonest_reason_stands_for_many():
    assert words_of(np.array([0, 2, 2, 1])) == WORDS[Reason.NO_REQUEST]
    assert words_of(np.array([0, 0])) == WORDS[Reason.DOES_NOT_FIT]


def hatches(figure):
    parts = [*figure.axes[0].patches, *figure.axes[0].collections]
    return {part.get_hatch() for part in parts} - {None}


def words(figure):
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def test_a_map_of_requests_that_are_not_stated_says_so_without_hatches(requested):
    served = requested.sel(tp_size=[8])
    figure = plot.heat_map(served, of="ttft", x="input_len", y="tp_size")
    assert WORDS[Reason.NO_REQUEST] in words(figure)
    assert not hatches(figure)
    unfit = plot.heat_map(requested, of="ttft", x="input_len", y="tp_size")
    assert {WORDS[Reason.NO_REQUEST], "does not fit"} <= words(unfit)
    assert hatches(unfit)


def test_lines_bars_and_cells_say_why_there_is_nothing(reduced, requested):
    crossing = reduced.expand_dims(seq_len=[1, 2])
    figure = plot.lines(crossing, of="never", x="seq_len", by="tp_size")
    legend = {text.get_text() for text in figure.axes[0].get_legend().get_texts()}
    assert legend == {"tp_size 1: target not reached", "tp_size 8: target not reached"}
    cells = plot.cells(requested, of="ttft", rows="tp_size", columns="input_len")
    assert {"no request stated", "does not fit"} <= words(cells)
    parts = {"time to the first token": "ttft"}
    bars = plot.breakdown(requested.sel(tp_size=8), x="input_len", parts=parts)
    assert "no request stated" in words(bars)


def test_elasticities_say_why_there_is_none(requested):
    figure = plot.elasticities(
        requested, of="ttft_elasticity_peak_flops", x="input_len", y="tp_size"
    )
    assert {"no request stated", "does not fit"} <= words(figure)


def test_a_report_names_the_reasons(requested, reduced, tmp_path):
    write_report(reduced[["never", "soon"]], tmp_path / "reduced.html")
    assert "target not reached" in (tmp_path / "reduced.html").read_text()
    write_report(requested, tmp_path / "requested.html")
    assert "no request stated" in (tmp_path / "requested.html").read_text()


@pytest.mark.parametrize("code", [code for code in Reason if code != Reason.FITS])
def test_a_cover_is_striped_where_the_reason_says_something_of_a_machine(code):
    cover = cover_of(np.zeros((64, 64), np.int8), np.full((64, 64), code))
    assert (STRIPE in cover) == (code in HATCHED)
    assert GREY in cover
    assert (cover_of(np.zeros((8, 8)), np.zeros((8, 8))) == NOTHING).all()
