"""``jaxlimits plot``: figures of a result, and what is said where there can be none."""

import sys

import pytest

from tests.command_line import run

GRID = """
[base]
chip = "h100"
[axes]
llm = ["llama3-8b", "llama3-70b"]
batch_size = { pow2 = [1, 256] }
seq_len = { pow2 = [1024, 65536] }
"""
ONE = ("--select", "llm=llama3-8b")


@pytest.fixture
def result(folder):
    (folder / "grid.toml").write_text(GRID)
    assert run("sweep", "grid.toml", "-o", "out.nc").code == 0
    return "out.nc"


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("heat-map", ("--x", "seq_len", "--y", "batch_size", *ONE), "does not fit"),
        ("capacity", ONE, "share of the usable memory"),
        ("lines", ("--x", "batch_size", "--by", "llm", "--select", "seq_len=1024"), "llama3-70b"),
        ("frontier", ("--by", "llm"), "llama3-70b"),
        ("breakdown", ("--x", "batch_size", "--select", "seq_len=1024", *ONE), "memory"),
    ],
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
        (("heat-map", "--of", "utsp", *ONE), "unknown variable 'utsp'; did you mean"),
        (("heat-map", "--x", "seqlen", *ONE), "unknown dimension 'seqlen'; did you mean seq_len"),
        (("heat-map",), "utps also lies along llm; keep one value, as --select llm=…"),
        (("lines", "--select", "seq_len=1024", *ONE), "this figure needs 2"),
        (("capacity", *ONE, "-o", "figure.gif"), "end its name in .svg, .png or .pdf"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_what_can(result, folder, arguments, message):
    done = run("plot", result, *arguments)
    assert done.code == 2
    assert message in done.err
    assert sorted(path.name for path in folder.iterdir()) == ["grid.toml", "out.nc"]


def test_a_missing_backend_names_the_extra(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("plot", result, "capacity", *ONE)
    assert done.code == 2
    assert "pip install 'jaxlimits[plot]'" in done.err
