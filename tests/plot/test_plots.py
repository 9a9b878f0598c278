"""Figures say what their data says: units, scales, and what does not fit."""

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.text import Text

import jaxlimits as jl
from jaxlimits import plot
from jaxlimits.plot import scales
from jaxlimits.plot.frontier_figure import undominated
from jaxlimits.plot.unit_choice import in_fitting_units

GRID = """
outputs = ["utps", "stps", "t_mem", "t_compute", "t_sync", "limit", "dollars_per_token"]
[base]
llm = "llama3-405b"
weight_bits = 8
kv_bits = 8
compute_bits = 8
sync_latency = "10 us"
[axes]
chip = ["h100", "xpu-3d-dram", "xpu-sram"]
tp_size = { pow2 = [1, 16] }
mem_bw = { geometric = ["1 TB/s", "16 TB/s"], num = 12 }
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots")
    (folder / "small.toml").write_text(GRID)
    return jl.sweep(folder / "small.toml")


def words(figure):
    return " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))


def axes_of(figure):
    return figure.axes[0]


def test_axes_have_the_unit_in_which_people_read(result):
    figure = plot.lines(result.sel(tp_size=8), x="mem_bw", of="t_mem", by="chip")
    assert axes_of(figure).get_xlabel() == "memory bandwidth (mem_bw) [TB/s]"
    assert axes_of(figure).get_ylabel().endswith("[ms]")
    (line, *_) = axes_of(figure).get_lines()
    assert line.get_xdata()[0] == 1.0  # 1e12 B/s


def test_axes_are_logarithmic_where_the_grid_is(result):
    figure = plot.lines(result.sel(tp_size=8), x="mem_bw", of="utps", by="chip")
    assert axes_of(figure).get_xscale() == "log"
    even = result.sel(tp_size=8).assign_coords(mem_bw=np.linspace(1e12, 2e12, 12))
    even.mem_bw.attrs = result.mem_bw.attrs
    assert axes_of(plot.lines(even, x="mem_bw", of="utps", by="chip")).get_xscale() == "linear"


def test_what_does_not_fit_is_said(result):
    figure = plot.lines(result.isel(mem_bw=0), x="tp_size", of="utps", by="chip")
    assert "xpu-sram: does not fit" in words(figure)
    assert "does not fit" in [text.get_text() for text in axes_of(figure).texts]


def test_regions_of_a_heat_map_are_named(result):
    figure = plot.heat_map(
        result.sel(chip="h100"), x="mem_bw", y="tp_size", of="utps", levels=(50.0, 100.0)
    )
    said = words(figure)
    assert "memory binds" in said
    assert "sync binds" in said
    assert "does not fit" in said
    assert "[token/s]" in said


def test_a_heat_map_without_misfits_does_not_speak_of_them(result):
    fitting = result.sel(chip="h100", tp_size=slice(8, None))
    assert "does not fit" not in words(plot.heat_map(fitting, x="mem_bw", y="tp_size", of="utps"))


def test_stacked_times_add_up_to_the_step(result):
    chosen = result.sel(chip="h100").isel(mem_bw=0)
    figure = plot.breakdown(chosen, x="tp_size", parts={"memory": "t_mem", "sync": "t_sync"})
    tops = [bar.get_y() + bar.get_height() for bar in axes_of(figure).containers[-1]]
    whole = 1e3 * (chosen.t_mem + chosen.t_sync).to_numpy()
    assert np.allclose(tops, whole, equal_nan=True)
    assert axes_of(figure).get_ylabel().endswith("[ms]")
    assert "does not fit" in words(figure)


def test_cells_show_numbers_and_misfits(result):
    figure = plot.cells(result.isel(mem_bw=0), of="utps", rows="chip", columns="tp_size")
    said = [text.get_text() for text in axes_of(figure).texts]
    misfits = int(result.utps.isel(mem_bw=0).isnull().sum())
    assert said.count("does not fit") == misfits > 0
    assert len(said) == 15


def test_a_range_goes_from_the_least_to_the_largest(result):
    chosen = result[["dollars_per_token"]].isel(chip=[0, 1]).sel(tp_size=[16])
    figure = plot.ranges(chosen, of="dollars_per_token", rows="tp_size", by="chip", spread="mem_bw")
    bar = axes_of(figure).collections[0].get_segments()[0]
    cells = 1e6 * chosen.dollars_per_token.sel(chip="h100", tp_size=16).to_numpy()
    assert bar[0][0] == pytest.approx(cells.min())
    assert bar[1][0] == pytest.approx(cells.max())
    assert "illustrative" in words(figure)


def test_a_file_read_back_is_drawn_alike(result, tmp_path):
    result.attrs.clear()
    result.to_netcdf(tmp_path / "small.nc")
    with xr.open_dataset(tmp_path / "small.nc") as stored:
        figure = plot.lines(stored.sel(tp_size=8), x="mem_bw", of="utps", by="chip")
    assert "h100" in words(figure)


def test_a_figure_is_the_same_file_twice(result, tmp_path):
    for name in ("one.svg", "two.svg"):
        figure = plot.frontier(result, x="stps", y="utps", by="chip")
        plot.save(figure, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_a_figure_that_cannot_be_written_is_named(result, tmp_path):
    figure = plot.frontier(result, x="stps", y="utps", by="chip")
    with pytest.raises(jl.ResultError, match=r"nowhere.*cannot be written"):
        plot.save(figure, tmp_path / "nowhere" / "one.svg")


values = hnp.arrays(np.float64, 12, elements=st.sampled_from([1.0, 2.0, 3.0, 4.0, np.nan]))


@given(values, values)
def test_the_frontier_is_what_no_other_beats(x, y):
    points = {(a, b) for a, b in zip(x, y, strict=True) if np.isfinite(a) and np.isfinite(b)}
    best = {
        (a, b)
        for a, b in points
        if not any((c >= a and d >= b) and (c, d) != (a, b) for c, d in points)
    }
    found = undominated(x, y)
    assert {tuple(point) for point in found} == best
    assert np.all(np.diff(found[:, 0]) > 0) if len(found) else not best


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([1.0, 3.0], (1.5, 2.0, 2.5)),
        ([15.0, 400.0], (20.0, 50.0, 100.0, 200.0)),
        ([2.0, 3000.0], (10.0, 100.0, 1000.0)),
        ([np.nan, np.nan], ()),
        ([4.0, np.nan], ()),
    ],
)
def test_iso_lines_lie_at_round_numbers(values, levels):
    assert scales.round_levels(np.array(values)) == pytest.approx(levels)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.2, "0.2"), (1024.0, "1,024"), (131072.0, "128 Ki"), (50_000.0, "50,000"), (2.5e6, "2.5 M")],
)
def test_numbers_are_plain(value, written):
    assert scales.plain_number(value) == written


def test_units_are_chosen_without_reading_what_is_large_and_not_drawn():
    def read():
        raise AssertionError("read, and not drawn")

    large = dask.array.from_delayed(dask.delayed(read)(), (1000, 1000), float)
    shown = {"display_unit": "MB", "si_unit": "B"}
    dataset = xr.Dataset(
        {
            "small": ("x", np.array([3e10]), shown),
            "drawn": (("y", "z"), np.full((1000, 1000), 3e10), shown),
            "large": (("y", "z"), large, shown),
        }
    )
    found = in_fitting_units(dataset, ["drawn"])
    units = {str(name): found[name].attrs["display_unit"] for name in found.data_vars}
    assert units == {"small": "GB", "drawn": "GB", "large": "MB"}


def test_a_message_lists_values_of_an_axis_as_people_write_them(result):
    says = r"lies along mem_bw; .*; there are 1 TB/s, 1\.29 TB/s, (\S+ TB/s, ){4}…; or draw"
    with pytest.raises(jl.InputError, match=says):
        plot.lines(result, x="tp_size", of="utps", by="chip")
