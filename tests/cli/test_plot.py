"""``jaxlimits plot``: figures of a result, and what is said where there can be none."""

import shutil
import sys

import netCDF4
import pytest
import xarray as xr

import jaxlimits as jl
from tests.command_line import run

GRID = """
outputs = "all"
elasticities = ["mem_bw", "sync_latency"]
[base]
chip = "h100"
[axes]
llm = ["llama3-8b", "llama3-70b"]
batch_size = { pow2 = [1, 256] }
seq_len = { pow2 = [1024, 65536] }
"""
ONE = ("--select", "llm=llama3-8b")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The result that all figures are of."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "grid.toml").write_text(GRID)
    assert run("sweep", folder / "grid.toml", "-o", folder / "out.nc").code == 0
    return folder / "out.nc"


@pytest.fixture
def result(swept, folder):
    """A copy of it in the working folder."""
    return shutil.copy(swept, folder / "out.nc").name


def first_of_each(cases):
    """The first case of each kind, and for ``-m slow`` the others."""
    kinds = [kind for kind, *_ in cases]
    marks = {True: [pytest.mark.slow], False: []}
    return [
        pytest.param(*case, marks=marks[case[0] in kinds[:place]])
        for place, case in enumerate(cases)
    ]


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    first_of_each(
        [
            ("heat-map", ("--x", "seq_len", "--y", "batch_size", *ONE), "does not fit"),
            ("capacity", ONE, "share of the usable memory"),
            (
                "lines",
                ("--x", "batch_size", "--by", "llm", "--select", "seq_len=1024"),
                "llama3-70b",
            ),
            ("frontier", ("--by", "llm"), "llama3-70b"),
            ("breakdown", ("--x", "batch_size", "--select", "seq_len=1024", *ONE), "memory"),
            ("elasticities", ("--x", "batch_size", *ONE), "by sync_latency"),
            ("elasticities", ("--of", "utps_elasticity_mem_bw", *ONE), "size of the elasticity"),
            (
                "roofline",
                ("--select", "batch_size=8", "--select", "seq_len=1024", *ONE),
                "memory: 3",
            ),
            (
                "roofline",
                ("--columns", "llm", "--select", "batch_size=8", "--select", "seq_len=1024"),
                "llama3-70b",
            ),
            ("heat-map", ("--columns", "llm"), "llama3-70b"),
            ("lines", ("--x", "batch_size", "--by", "llm", "--rows", "seq_len"), "seq_len 64 Ki"),
            (
                "lines",
                (
                    "--by",
                    "llm",
                    "--select",
                    "seq_len=1024",
                    "--select",
                    "seq_len=2048",
                    "--columns",
                    "seq_len",
                ),
                "seq_len 2,048",
            ),
            ("frontier", ("--by", "llm", "--columns", "seq_len"), "llama3-70b"),
            ("breakdown", ("--x", "batch_size", "--rows", "llm", "--columns", "seq_len"), "memory"),
            ("capacity", ("--columns", "llm"), "does not fit"),
        ]
    ),
)
def test_every_kind_is_drawn(result, folder, kind, options, words):
    done = run("plot", result, kind, *options, "-o", "figure.svg", "--title", "What is shown")
    assert (done.code, done.out) == (0, "wrote figure.svg\n")
    drawn = (folder / "figure.svg").read_text()
    assert "<!-- What is shown -->" in drawn
    assert f"<!-- {words}" in drawn


def test_a_figure_is_the_same_each_time_and_never_replaced_silently(result, folder):
    command = ("plot", result, "capacity", *ONE, "-o", "figure.svg")
    assert run(*command).code == 0
    first = (folder / "figure.svg").read_bytes()
    again = run(*command)
    assert again.code == 1
    assert "figure.svg: exists" in again.err
    assert run(*command, "--force").code == 0
    assert (folder / "figure.svg").read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("heatmap",), "unknown kind of figure 'heatmap'; did you mean heat-map"),
        (
            ("roofline", "--x", "seq_len"),
            "x: is not an option of roofline; it takes rows, columns, title",
        ),
        (("heat-map", "--of", "utsp", *ONE), "unknown variable 'utsp'; did you mean"),
        (("heat-map", "--x", "seqlen", *ONE), "unknown dimension 'seqlen'; did you mean seq_len"),
        (("heat-map",), "utps also lies along llm; keep one value, as --select llm=…"),
        (
            ("heat-map", "--select", "seq_len=1024", *ONE),
            "heat_map: utps has 1 dimensions of more than one value; it needs 2; "
            "kinds that fit this result: breakdown, frontier, lines, roofline",
        ),
        (("indices", *ONE), "indices: the result has no indices of uncertain inputs; kinds that"),
        (("capacity", *ONE, "-o", "figure.gif"), "end its name in .svg, .png or .pdf"),
        (("heat-map", "--columns", "lm"), "panels: unknown dimension 'lm'; did you mean llm"),
        (
            ("frontier", "--rows", "batch_size", "--columns", "seq_len", "--by", "llm"),
            "makes 63 panels; at most 24 can be read; keep fewer values, as --select batch_size=…",
        ),
        (("heat-map", "--rows", "llm", "--columns", "llm"), "is named for rows and for columns"),
        (("elasticities", "--of", "stps", *ONE), "the result has no elasticity of stps"),
        (("roofline", "--select", "batch_size=8", *ONE), "also lies along seq_len; keep one value"),
        (
            ("roofline", "--select", "batch_size=700", *ONE),
            "batch_size = '700': is not on this axis",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_what_can(result, folder, arguments, message):
    done = run("plot", result, *arguments)
    assert done.code == 2
    assert message in done.err
    assert sorted(path.name for path in folder.iterdir()) == ["out.nc"]


def test_a_missing_backend_names_the_extra(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("plot", result, "capacity", *ONE)
    assert done.code == 2
    assert "pip install 'jaxlimits[plot]'" in done.err


def test_panels_share_their_scales_and_their_colours(result):
    with jl.open(result) as ds:
        figure = jl.plot.heat_map(ds, columns="llm")
    first, second, colours = figure.axes
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()
    meshes = [axes.collections[0] for axes in (first, second)]
    assert meshes[0].norm is meshes[1].norm
    assert colours.get_ylabel().startswith("tokens per second of one user")


def test_what_is_fixed_is_the_title_where_none_is_given(result):
    with jl.open(result) as ds:
        chosen = ds.sel(llm=["llama3-8b"], seq_len=[1024])
        figure = jl.plot.breakdown(chosen)
    assert figure.axes[0].get_title(loc="left") == "llama3-8b, h100, seq_len 1,024"


def test_a_file_that_is_no_result_is_refused(result, folder):
    (folder / "words.nc").write_text("no result")
    whole = (folder / result).read_bytes()
    (folder / "half.nc").write_bytes(whole[: len(whole) // 2])
    newer = folder / "newer.nc"
    newer.write_bytes(whole)
    with netCDF4.Dataset(newer, "a") as file:
        file.format_version = 99
    other = folder / "other.nc"
    xr.Dataset({"a": 1}).to_netcdf(other)
    for name, message in {
        "words.nc": "is not a readable NetCDF file",
        "half.nc": "is not a readable NetCDF file",
        "newer.nc": "has format 99, newer than this package reads",
        "other.nc": "is not a result of jaxlimits",
        "none.nc": "no such file",
    }.items():
        done = run("plot", name, "capacity")
        assert (done.code, message in done.err) == (1, True), done.err
        assert not (folder / name).with_suffix(".svg").exists()
