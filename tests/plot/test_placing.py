"""Labels stay inside their region and cover nothing; axes, units, colours and legends are alike."""

import itertools

import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

import jaxlimits as jl
from jaxlimits.plot import scales, style
from jaxlimits.plot.placing import covers, drawn_pixels, settled
from tests.plot.drawings import result

LATENCY = {"si_unit": "s", "display_unit": "us"}
SIZE = {"si_unit": "B", "display_unit": "MB"}


def maps():
    chosen = result().sel(chip="h200")
    narrow = {"x": "sync_latency", "y": "batch_size"}
    yield jl.plot.heat_map(chosen.sel(seq_len=4096), **narrow, style="paper")
    yield jl.plot.heat_map(chosen.isel(seq_len=[0, 4]), **narrow, columns="seq_len")
    yield jl.plot.elasticities(chosen.sel(seq_len=4096), **narrow)


def test_words_on_a_map_stay_inside_and_apart():
    for figure in maps():
        with settled(figure):
            for axes in figure.axes:
                boxes = [Text.get_window_extent(text) for text in axes.texts if text.get_text()]
                for place, box in enumerate(boxes):
                    assert box.x0 >= axes.bbox.x0 - 0.5
                    assert box.x1 <= axes.bbox.x1 + 0.5
                    assert box.y0 >= axes.bbox.y0 - 0.5
                    assert box.y1 <= axes.bbox.y1 + 0.5
                    assert not any(box.overlaps(other) for other in boxes[:place])


def test_the_name_of_a_region_lies_in_its_cells():
    chosen = result().sel(chip="h200", seq_len=32768)
    figure = jl.plot.heat_map(chosen, x="sync_latency", y="batch_size")
    axes = figure.axes[0]
    edges = [
        scales.cell_edges(style.shown(chosen[name])) for name in ("sync_latency", "batch_size")
    ]
    limit = chosen.limit.transpose("batch_size", "sync_latency").to_numpy()
    meanings = chosen.limit.attrs["flag_meanings"].split()
    codes = dict(zip(meanings, chosen.limit.attrs["flag_values"], strict=True))
    seen = 0
    with settled(figure):
        for text in axes.texts:
            words = text.get_text().replace("\n", " ")
            if not words.endswith(" binds"):
                continue
            box = Text.get_window_extent(text)
            corners = axes.transData.inverted().transform(box.corners())
            column = np.searchsorted(edges[0], corners[:, 0]) - 1
            row = np.searchsorted(edges[1], corners[:, 1]) - 1
            assert (limit[row, column] == codes[words.removesuffix(" binds")]).all()
            seen += 1
    assert seen >= 2


def test_notes_cover_no_line():
    figure = jl.plot.lines(
        result().isel(sync_latency=0), x="batch_size", by="chip", columns="seq_len"
    )
    with settled(figure):
        for axes in figure.axes:
            pixels = drawn_pixels(axes)
            for text in axes.texts:
                assert not covers(Text.get_window_extent(text), pixels)


def numbers(axis):
    return [tick.label1.get_text() for tick in axis.get_major_ticks() if tick.label1.get_text()]


def test_ticks_of_an_axis_are_in_one_style():
    assert scales.in_one_style([512, 1024, 2048, 8192]) == ["512", "1 Ki", "2 Ki", "8 Ki"]
    assert scales.in_one_style([512, 1024, 2048]) == ["512", "1,024", "2,048"]
    assert scales.in_one_style([1000, 4096]) == ["1,000", "4,096"]
    assert scales.in_one_style([1e4, 1e5, 1e6]) == ["10 k", "100 k", "1 M"]
    figure = jl.plot.lines(line(np.array([1024, 4096, 16384]), {}), x="at")
    with settled(figure):
        assert numbers(figure.axes[0].xaxis) == ["1 Ki", "4 Ki", "16 Ki"]


def line(values, attributes):
    return xr.Dataset(
        {"utps": ("at", np.arange(1.0, 1.0 + len(values)))}, {"at": ("at", values, attributes)}
    )


@pytest.mark.parametrize(
    ("values", "attributes", "unit"),
    [
        (np.linspace(0.0, 32e9, 9), SIZE, "GB"),
        (np.linspace(1e8, 9e8, 9), SIZE, "MB"),
        (np.geomspace(1e-10, 1e-5, 6), LATENCY, "ns"),
        (np.geomspace(1e-8, 1e-5, 7), LATENCY, "µs"),
    ],
)
def test_units_are_those_in_which_numbers_are_short(values, attributes, unit):
    figure = jl.plot.lines(line(values, attributes), x="at")
    assert figure.axes[0].get_xlabel() == f"at [{unit}]"
    with settled(figure):
        words = numbers(figure.axes[0].xaxis)
    assert max(map(len, words)) <= 6
    assert "0.0001" not in words


def test_words_of_ticks_do_not_meet():
    figure = jl.plot.lines(line(np.linspace(75e3, 260e3, 9), {}), x="at", size="3x3 in")
    with settled(figure):
        axis = figure.axes[0].xaxis
        low, high = axis.get_view_interval()
        shown = [
            t.label1.get_window_extent()
            for t in axis.get_major_ticks()
            if low <= t.get_loc() <= high
        ]
        ends = sorted((box.x0, box.x1) for box in shown)
    assert all(one[1] < two[0] for one, two in itertools.pairwise(ends))


def colours(figure):
    lines = figure.axes[0].get_lines()
    return {each.get_label().partition(":")[0]: each.get_color() for each in lines}


def test_a_machine_has_one_colour_in_all_figures():
    whole = result().isel(sync_latency=0, seq_len=0)
    one = colours(jl.plot.lines(whole, x="batch_size", by="chip"))
    two = colours(jl.plot.frontier(whole.sel(chip=["b200"]), by="chip"))
    three = colours(jl.plot.lines(whole.isel(chip=[1, 0]), x="batch_size", by="chip"))
    assert one == three
    assert two["b200"] == one["b200"] != one["h200"]


def test_machines_that_share_figures_differ():
    from jaxlimits.plot.machines import _OFTEN_SHOWN

    chips = xr.DataArray([*_OFTEN_SHOWN], dims="chip", name="chip")
    assert len({look["color"] for look in style.styles_of(chips)}) == len(_OFTEN_SHOWN)


def test_a_legend_names_twelve_and_counts_the_rest():
    values = np.arange(1.0, 41.0)[:, None] * np.array([1.0, 2.0])
    ds = xr.Dataset(
        {"utps": (("by", "at"), values)}, {"by": [f"line {n}" for n in range(40)], "at": [1, 2]}
    )
    figure = jl.plot.lines(ds, x="at", by="by")
    words = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert len(words) == 13
    assert words[-1] == "and 28 more"
    assert words[0] == "line 28"  # the highest twelve
    with settled(figure):
        box = figure.axes[0].get_legend().get_window_extent()
        assert box.y0 >= 0.0
        assert box.x1 <= figure.bbox.x1 + 1.0


def test_whole_numbers_and_categories_have_a_colour_each():
    sizes = xr.Dataset(
        {"best_tp_size": (("b", "a"), [[8, 8, 16], [16, 128, 128]])}, {"a": [1, 2, 4], "b": [1, 2]}
    )
    figure = jl.plot.heat_map(sizes, of="best_tp_size", x="a", y="b")
    mesh = figure.axes[0].collections[0]
    assert mesh.cmap.N == 3
    with settled(figure):
        assert numbers(figure.axes[1].yaxis) == ["8", "16", "128"]
    limits = jl.plot.heat_map(result().sel(chip="h200", seq_len=4096), of="limit")
    with settled(limits):
        assert {"memory", "sync"} <= set(numbers(limits.axes[1].yaxis))


def test_a_title_names_model_machine_and_what_is_fixed():
    figure = jl.plot.lines(
        result().sel(chip="h200", seq_len=4096), x="batch_size", by="sync_latency"
    )
    assert figure.axes[0].get_title(loc="left") == "llama3-405b, h200, seq_len 4 Ki, tp_size 8"
    frontier = jl.plot.frontier(result())
    assert frontier.axes[0].get_title(loc="left") == "llama3-405b, tp_size 8"
