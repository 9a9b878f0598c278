"""Every kind of figure looks as it is stored; redraw with ``python -m tests.plot.drawings``."""

import subprocess
import sys

import matplotlib as mpl
import pytest

from jaxlimits.plot import style
from tests.plot.drawings import (
    DRAWINGS,
    FOLDER,
    MOST_OTHER,
    drawn,
    share_of_others,
    stored,
    write,
)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_looks_as_it_is_stored(name, tmp_path):
    picture = drawn(DRAWINGS[name]())
    others = share_of_others(picture, stored(FOLDER / f"{name}.png"))
    write(picture, tmp_path / f"{name}.png")
    assert others <= MOST_OTHER, f"{others:.2%} of the pixels differ; see {tmp_path}"


def test_every_stored_picture_is_drawn():
    assert {path.stem for path in FOLDER.glob("*.png")} == set(DRAWINGS)
    assert sum(path.stat().st_size for path in FOLDER.glob("*.png")) < 400_000


def test_a_line_of_another_colour_is_seen(monkeypatch):
    monkeypatch.setattr(style, "COLOURS", (style.COLOURS[0], "#000000", *style.COLOURS[2:]))
    others = share_of_others(drawn(DRAWINGS["lines"]()), stored(FOLDER / "lines.png"))
    assert others > MOST_OTHER


def test_a_line_that_has_moved_is_seen():
    figure = DRAWINGS["lines"]()
    line = figure.axes[0].get_lines()[0]
    line.set_ydata(1.1 * line.get_ydata())
    assert share_of_others(drawn(figure), stored(FOLDER / "lines.png")) > MOST_OTHER


@pytest.mark.parametrize("name", ["lines", "frontier", "capacity", "strip"])
def test_glyphs_that_are_drawn_otherwise_are_not(name):
    with mpl.rc_context({"text.hinting": "none"}):
        picture = drawn(DRAWINGS[name]())
    before = stored(FOLDER / f"{name}.png")
    assert picture.image.tobytes() != before.image.tobytes()
    assert share_of_others(picture, before) <= MOST_OTHER


def test_no_display_is_needed(tmp_path):
    script = (
        "import numpy as np, xarray as xr\n"
        "from jaxlimits import plot\n"
        "data = xr.Dataset({'b': (('c', 'a'), np.eye(2))}, {'a': [1, 2], 'c': ['x', 'y']})\n"
        "plot.lines(data, of='b', x='a', by='c').savefig('a.png')"
    )
    environment = {"PATH": "/usr/bin", "PYTHONPATH": ":".join(sys.path), "MPLBACKEND": ""}
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").stat().st_size > 5_000
