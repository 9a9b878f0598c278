"""Every kind takes a size, a resolution, a font, a format, a style and ends of its axis."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

import jaxlimits as jl
from jaxlimits.plot.looks import read_look
from tests.command_line import run

BANDWIDTH = {"long_name": "bandwidth", "si_unit": "B/s", "display_unit": "TB/s"}


def table():
    values = np.geomspace(1e12, 16e12, 5)
    return xr.Dataset(
        {"utps": (("chip", "mem_bw"), np.array([[1.0], [3.0]]) * np.linspace(1, 9, 5))},
        {"chip": ["h100", "b200"], "mem_bw": ("mem_bw", values, BANDWIDTH)},
    )


def drawn(**options):
    return jl.plot.lines(table(), x="mem_bw", by="chip", **options)


@pytest.mark.parametrize(
    ("size", "inches"),
    [
        ("7x4 in", (7.0, 4.0)),
        ("7in x 4in", (7.0, 4.0)),
        ("254x127 mm", (10.0, 5.0)),
        ("25.4 x 12.7 cm", (10.0, 5.0)),
        ((6, 3), (6.0, 3.0)),
    ],
)
def test_a_size_is_read_with_its_unit(size, inches):
    assert drawn(size=size).get_size_inches() == pytest.approx(inches)


def test_columns_of_a_page_are_as_wide_as_printed():
    for name, width in (("single", 89.0), ("double", 183.0)):
        assert 25.4 * drawn(size=name).get_figwidth() == pytest.approx(width)
    assert 25.4 * drawn(style="paper").get_figwidth() == pytest.approx(89.0)
    panels = drawn_panels(style="paper")
    assert 25.4 * panels.get_figwidth() == pytest.approx(183.0)


def drawn_panels(**options):
    return jl.plot.lines(
        table().expand_dims(llm=["a", "b"]), x="mem_bw", by="chip", columns="llm", **options
    )


def test_styles_scale_text_and_a_font_is_that_of_all_text():
    sizes = {
        style: drawn(style=style).axes[0].xaxis.label.get_size() for style in ("paper", "talk")
    }
    assert sizes["paper"] == pytest.approx(7.5)
    assert sizes["talk"] > 1.5 * sizes["paper"]
    figure = drawn(font="DejaVu Serif")
    figure.canvas.draw()
    texts = [figure.axes[0].xaxis.label, *figure.axes[0].get_xticklabels()]
    assert {text.get_fontfamily()[0] for text in texts} == {"DejaVu Serif"}


@pytest.mark.parametrize(
    ("ends", "shown"),
    [("2:8 TB/s", (2, 8)), ("2000 GB/s:8 TB/s", (2, 8)), ("2:8", (2, 8)), ((2, 8), (2, 8))],
)
def test_ends_of_the_axis_are_read_in_its_unit(ends, shown):
    assert drawn(xlim=ends).axes[0].get_xlim() == pytest.approx(shown)


def test_one_end_may_be_left_out():
    low, high = drawn().axes[0].get_xlim()
    assert drawn(xlim="2:").axes[0].get_xlim() == pytest.approx((2.0, high))
    assert drawn(xlim=":4").axes[0].get_xlim() == pytest.approx((low, 4.0))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": "7x4"}, r"size = '7x4': has no unit; write it as '7x4 in' or '7x4 mm'"),
        ({"size": "wide"}, "size = 'wide': is not a width and height; write it as '7x4 in'"),
        ({"size": "900x1 in"}, "each side is from 0.5 to 60 in"),
        ({"size": (3,)}, "is not a width and height"),
        ({"dpi": 5}, "dpi = 5: .*from 20 to 1200 pixels an inch"),
        ({"font": "DejaVu San"}, "unknown font 'DejaVu San'; did you mean DejaVu Sans"),
        ({"format": "jpg"}, "unknown format of a figure 'jpg'; did you mean png"),
        ({"style": "papr"}, "unknown style of a figure 'papr'; did you mean paper"),
        ({"xlim": "3"}, "is not LO:HI; write it as '1:4 TB/s'"),
        ({"xlim": "8:2"}, "give the smaller end first"),
        ({"xlim": "0:2"}, "start above 0"),
        ({"xlim": "1:2 GHz"}, "GHz is a frequency"),
    ],
)
def test_what_cannot_be_used_is_said_with_the_remedy(options, says):
    with pytest.raises(jl.InputError, match=says):
        drawn(**options)


def test_a_figure_of_the_caller_keeps_its_size():
    ax = Figure(figsize=(5, 4)).subplots()
    for name, value in (("size", "7x4 in"), ("dpi", 200), ("format", "pdf")):
        with pytest.raises(jl.InputError, match=f"{name}: .*leave out either ax or {name}"):
            drawn(ax=ax, **{name: value})
    assert list(drawn(ax=ax, style="paper").get_size_inches()) == [5.0, 4.0]


def test_names_have_no_ends():
    ds = xr.Dataset({"utps": (("llm", "chip"), [[1.0, 2.0]])}, {"llm": ["a"], "chip": ["b", "c"]})
    with pytest.raises(jl.InputError, match="the horizontal axis has names"):
        jl.plot.ratio(ds, vs="b", x="llm", xlim="1:2")


def test_resolution_and_format_are_those_of_the_file(tmp_path, monkeypatch):
    figure = drawn(size="4x3 in", dpi=120, format="png")
    figure.savefig(tmp_path / "picture")
    with Image.open(tmp_path / "picture.png") as image:
        assert image.size == (480, 360)


def test_fonts_stand_in_a_pdf_as_truetype(tmp_path):
    figure = drawn(style="paper", format="pdf")
    figure.savefig(tmp_path / "one.pdf")
    jl.plot.save(figure, tmp_path / "two.pdf")
    for path in tmp_path.iterdir():
        written = path.read_bytes()
        assert b"/CIDFontType2" in written
        assert b"/Type3" not in written


def test_the_usual_look_changes_nothing():
    assert read_look().settings == {
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "svg.hashsalt": "jaxlimits",
    }


def test_the_command_completes_the_name_by_the_format(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table().assign_attrs(format_version=1).to_netcdf("small.nc")
    asked = ("plot", "small.nc", "lines", "--x", "mem_bw", "--by", "chip")
    for more, name in (
        (("--format", "pdf"), "small.pdf"),
        (("--format", "png", "-o", "a"), "a.png"),
    ):
        assert run(*asked, *more, "--size", "single", "--xlim", "2:8").out == f"wrote {name}\n"
    done = run(*asked, "--format", "pdf", "-o", "a.svg")
    assert done.code == 2
    assert "another format than pdf; leave out --format, or end the name in .pdf" in done.err
    assert "has no unit" in run(*asked, "--size", "7x4", "--force").err
