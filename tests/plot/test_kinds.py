"""Each kind of figure is one file, documents what it takes, and draws into axes of a caller."""

import doctest
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

import jaxlimits as jl
from jaxlimits.plot import registry
from jaxlimits.plot.options import SHARED, completed, described, layout_types
from tests.cli.test_startup import HEAVY
from tests.plot.drawings import (
    DRAWINGS,
    FOLDER,
    drawn,
    frontier_of_a_plan,
    indices_of_inputs,
    points_of_a_question,
    result,
    steps_of_measures,
    ways_of_searches,
)

PACKAGE = Path(jl.__file__).parent
TITLE = "What is shown"


def _on_one_panel():
    """Every kind with a dataset and options of one panel."""
    everything = result()
    chosen = everything.sel(chip="h200", seq_len=4096)
    parts = jl.operators("llama3-8b", "h100", batch_size=4)
    return {
        "breakdown": (chosen.isel(sync_latency=6), {}),
        "capacity": (everything.sel(chip="b200").isel(sync_latency=0), {}),
        "elasticities": (chosen, {"of": "utps_elasticity_sync_latency"}),
        "frontier": (everything, {"by": "seq_len"}),
        "heat_map": (chosen, {"levels": (20, 50)}),
        "fleet": (frontier_of_a_plan(), {}),
        "indices": (indices_of_inputs(), {"of": "utps"}),
        "lines": (chosen, {"x": "batch_size", "by": "sync_latency"}),
        "points": (points_of_a_question(), {}),
        "roofline": (parts, {}),
        "ratio": (everything.isel(sync_latency=0), {"vs": "h200", "by": "seq_len"}),
        "tornado": (chosen.isel(sync_latency=6, batch_size=0), {}),
        "trajectories": (ways_of_searches(), {}),
        "waterfall": (steps_of_measures(), {}),
        "strip": (_rows(), {"of": "a", "by": "group", "reference": ("one", 1.0)}),
    }


def _rows():
    return xr.Dataset({"a": ("row", [1.0, 2.0, 9.0])}, {"group": ("row", ["x", "x", "y"])})


def _prepared():
    """Every figure of a prepared table, with its dataset and options."""
    numbers = np.arange(1.0, 13.0).reshape(2, 2, 3)
    cube = xr.DataArray(
        numbers, dims=("b", "r", "s"), coords={"b": ["p", "q"], "r": ["k", "l"], "s": [1, 2, 3]}
    )
    return {
        "cells": (cube.isel(s=0).to_dataset(name="a"), {"of": "a", "rows": "b", "columns": "r"}),
        "ranges": (cube.to_dataset(name="a"), {"of": "a", "rows": "r", "by": "b", "spread": "s"}),
    }


def test_every_kind_is_tried_here_and_has_its_picture():
    assert sorted(_on_one_panel()) == list(registry.functions())
    assert set(registry.functions()) <= set(DRAWINGS)
    assert {path.stem for path in FOLDER.glob("*.png")} >= set(registry.functions())


@pytest.mark.parametrize("name", [*registry.functions(), *_prepared()])
def test_a_figure_is_drawn_into_axes_of_the_caller(name):
    dataset, options = {**_on_one_panel(), **_prepared()}[name]
    figure = Figure(figsize=(12, 5), layout="constrained")
    canvas = FigureCanvasSVG(figure)  # one that measures no text, as a window's need not
    left, right = figure.subplots(1, 2)
    assert getattr(jl.plot, name)(dataset, **options, ax=right, title=TITLE) is figure
    assert figure.canvas is canvas
    assert right.get_title(loc="left") == TITLE
    assert right.has_data()
    assert not left.has_data()
    assert left.get_title(loc="left") == ""
    beside = [each for each in figure.axes if each not in (left, right)]
    assert len(beside) <= 1  # a scale of colours
    alone = getattr(jl.plot, name)(dataset, **options, title=TITLE)
    assert len(alone.axes) == 1 + len(beside)
    assert right.get_xlabel().split() == alone.axes[0].get_xlabel().split()
    assert len(right.get_children()) >= len(alone.axes[0].get_children())
    assert drawn(figure).image.size[0] > 0


@pytest.mark.parametrize("name", registry.functions())
def test_small_multiples_do_not_fit_into_one_axes(name):
    dataset, options = _on_one_panel()[name]
    several = dataset.expand_dims(llm=["a", "b"])
    ax = Figure().subplots()
    for panels in ("rows", "columns"):
        with pytest.raises(jl.InputError, match=rf"ax: holds one panel, and {panels} ask for sev"):
            getattr(jl.plot, name)(several, **options, **{panels: "llm"}, ax=ax)
    assert not ax.has_data()


def test_several_elasticities_do_not_fit_into_one_axes():
    chosen = result().sel(chip="h200", seq_len=4096)
    with pytest.raises(jl.InputError, match=r"ax: .*name one, as of='utps_elasticity_mem_bw'"):
        jl.plot.elasticities(chosen, ax=Figure().subplots())
    several = chosen.expand_dims(llm=["a", "b"], chip=["c", "d"])
    with pytest.raises(jl.InputError, match="rows and columns are taken"):
        jl.plot.elasticities(several, rows="llm", columns="chip")


def test_what_is_no_axes_is_refused():
    chosen = result().sel(chip="h200", seq_len=4096)
    for wrong in (Figure().subplots(1, 2), Figure(), "axes"):
        with pytest.raises(jl.InputError, match=r"ax = .*is not an Axes of matplotlib"):
            jl.plot.heat_map(chosen, ax=wrong)


def test_axes_of_a_part_of_a_figure_are_drawn_into():
    figure = Figure(figsize=(12, 5))
    left, _ = figure.subfigures(1, 2)
    dataset, options = _on_one_panel()["heat_map"]
    assert jl.plot.heat_map(dataset, **options, ax=left.subplots()) is figure
    assert len(left.axes) == 2


def test_a_title_of_the_caller_stays_where_none_is_given():
    ax = Figure().subplots()
    ax.set_title("mine", loc="left")
    jl.plot.frontier(result(), ax=ax)
    assert ax.get_title(loc="left") == "mine"


def test_the_same_figure_is_drawn_by_every_way():
    chosen = result().sel(chip="h200", seq_len=4096)
    asked = {"x": "sync_latency", "y": "batch_size", "levels": (20.0, 50.0)}
    ways = (
        jl.plot.heat_map(chosen, **asked),
        chosen.limits.plot.heat_map(**asked),
        jl.plot.draw(chosen, "heat-map", **asked),
    )
    images = {drawn(figure).image.tobytes() for figure in ways}
    assert len(images) == 1


@pytest.mark.parametrize("name", registry.functions())
def test_a_kind_documents_everything_that_it_takes(name):
    function = getattr(jl.plot, name)
    signature = inspect.signature(function)
    assert list(described(function.__doc__)) == list(signature.parameters)
    assert list(signature.parameters)[-len(layout_types()) :] == list(layout_types())
    for section in ("Parameters", "Returns", "Raises", "Examples"):
        assert f"\n{section}\n{'-' * len(section)}\n" in function.__doc__
    stated = registry.kinds()[name.replace("_", "-")]
    assert list(stated.options) == list(signature.parameters)[1:]
    assert all(each.help.endswith(".") for each in stated.options.values())


@pytest.mark.parametrize("name", ["draw", *registry.functions()])
def test_the_example_of_a_kind_runs(name):
    function = getattr(jl.plot, name)
    (example,) = doctest.DocTestFinder(recurse=False).find(function, name, module=False, globs={})
    assert example.examples
    said: list[str] = []
    doctest.DocTestRunner().run(example, out=said.append)
    assert not said, "".join(said)


def test_what_is_own_to_a_kind_is_kept_and_the_rest_filled_in():
    doc = "Draw.\n\nParameters\n----------\nx, y\n    Both.\n\nExamples\n--------\n>>> 1\n1\n"
    whole = completed(doc, ["x", "y", "of"])
    assert described(whole) == {"x": "Both.", "y": "Both.", "of": SHARED["of"]}
    assert "x, y\n    Both.\nof\n" in whole
    assert whole.endswith(">>> 1\n1\n")
    with pytest.raises(KeyError, match="never"):
        completed(doc, ["never"])


def test_an_option_that_a_kind_does_not_take_is_named():
    with pytest.raises(TypeError, match=r"frontier\(\) got an unexpected keyword argument 'level'"):
        jl.plot.frontier(result(), level=3)
    with pytest.raises(
        jl.InputError, match=r"levels: is not an option of frontier; it takes x, y, by"
    ):
        jl.plot.draw(result(), "frontier", levels=(3,))
    with pytest.raises(AttributeError, match=r"no figure 'heatmap'; did you mean heat_map\?"):
        jl.plot.heatmap  # noqa: B018
    assert set(registry.functions()) <= set(dir(jl.plot))


def test_an_axis_of_one_value_that_is_named_is_drawn():
    one = result().sel(chip=["h200"], seq_len=[4096])
    figure = jl.plot.lines(one, x="batch_size", by="chip", of="utps", columns="sync_latency")
    assert len(figure.axes) == one.sizes["sync_latency"]
    narrow = one.isel(batch_size=[3])
    axes = jl.plot.heat_map(narrow, x="batch_size", y="sync_latency").axes[0]
    assert list(axes.get_xticks()) == [8.0]
    assert axes.get_title(loc="left") == "llama3-405b, h200, seq_len 4 Ki, tp_size 8"
    jl.plot.elasticities(narrow, x="batch_size", y="sync_latency")
    jl.plot.lines(narrow.isel(chip=0), x="batch_size", by="sync_latency")


def test_the_registry_is_read_with_nothing_heavy():
    code = (
        "import json, sys, jaxlimits as jl\n"
        "assert not any('jaxlimits.plot' in name for name in sys.modules)\n"
        "from jaxlimits import plot\n"
        "dir(plot), plot.registry.kinds()\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not found & {*HEAVY, "matplotlib"}


ECDF = '''"""How a metric is distributed over the points of a result."""

from typing import Unpack

import numpy as np
import xarray as xr

from jaxlimits.plot import style
from jaxlimits.plot.found import needed
from jaxlimits.plot.kind import kind
from jaxlimits.plot.options import Layout
from jaxlimits.plot.panels import new_panels


@kind
def ecdf(dataset: xr.Dataset, *, of: str = "utps", least: float | None = None,
         **layout: Unpack[Layout]):
    """Draw the share of points at which a metric has at most a value.

    Parameters
    ----------
    least
        Value from which points count.

    Examples
    --------
    >>> figure = jl.plot.ecdf(ds)
    """
    panels = new_panels(dataset, **layout)
    for axes, part in panels:
        values = np.sort(style.shown(part[needed(dataset, of)]).ravel())
        values = values[values >= (least or 0.0)]
        axes.plot(values, np.arange(1, len(values) + 1) / len(values))
    panels.label(style.label(dataset[of]), "share of points")
    return panels.figure
'''

USE = """
import sys
import jaxlimits as jl
from jaxlimits.cli import main
from jaxlimits.cli.plot_command import _kinds
ds = jl.open(sys.argv[1])
assert "Axes to draw into" in jl.plot.ecdf.__doc__
assert len(ds.limits.plot.ecdf(columns="batch_size", least=5.0).axes) == 2
assert _kinds("ec") == ["ecdf"]
for words in (["plot", "--help"], ["plot", sys.argv[1], "ecdf", "--least", "9", "-o", "e.svg"]):
    sys.argv = ["jaxlimits", *words]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code
"""


def test_a_new_kind_is_one_new_file(tmp_path):
    copy = tmp_path / "jaxlimits"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "data"))
    (copy / "plot" / "ecdf_figure.py").write_text(ECDF)
    jl.sweep(_small(tmp_path), tmp_path / "small.nc")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", USE, "small.nc"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ecdf (--of, --least): the share of points at which a metric has at most" in done.stdout
    assert "Value from which points count." in done.stdout
    assert "wrote e.svg" in done.stdout


def _small(folder):
    grid = folder / "small.toml"
    grid.write_text(
        '[base]\nllm = "llama3-8b"\nchip = "h100"\n[axes]\nbatch_size = [1, 4]\n'
        "seq_len = { pow2 = [1024, 8192] }\n"
    )
    return grid


def test_a_ratio_is_of_machines_values_or_results():
    chosen = result().sel(seq_len=4096)
    over = jl.plot.ratio(chosen.isel(sync_latency=0), vs="h200", x="batch_size")
    (_, line) = over.axes[0].get_lines()  # the first is that of no difference
    speeds = chosen.utps.isel(sync_latency=0)
    assert np.allclose(line.get_ydata(), speeds.sel(chip="b200") / speeds.sel(chip="h200"))
    latency = chosen.sel(chip="h200", batch_size=[1, 8])
    figure = jl.plot.ratio(latency, vs="0.1 us", along="sync_latency", x="sync_latency")
    assert figure.axes[0].get_ylabel() == "utps over that of sync_latency 100 ns"
    twice = chosen.assign(utps=2.0 * chosen.utps)
    same = jl.plot.ratio(twice.sel(chip="h200"), vs=chosen, x="sync_latency", by="batch_size")
    assert all(
        np.nanmax(np.abs(each.get_ydata() - 2.0)) < 1e-6 for each in same.axes[0].get_lines()[1:]
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"vs": "b300"}, "unknown value of an axis 'b300'; did you mean b200"),
        ({"vs": "b200", "along": "chips"}, "unknown dimension 'chips'; did you mean chip"),
        ({"vs": "3 GB", "along": "sync_latency"}, "vs = '3 GB': .*GB is a size"),
    ],
)
def test_what_a_ratio_cannot_be_over_is_said(options, says):
    with pytest.raises(jl.InputError, match=says):
        jl.plot.ratio(result(), **options)


def test_results_without_a_common_point_have_no_ratio():
    one, two = result().sel(seq_len=[4096]), result().sel(seq_len=[8192])
    with pytest.raises(jl.InputError, match="no point in common; sweep the same"):
        jl.plot.ratio(one, vs=two, x="seq_len", by="chip", columns="sync_latency")


def test_a_tornado_has_the_changes_of_elasticities():
    point = result().sel(chip="h200", seq_len=4096, batch_size=1).isel(sync_latency=6)
    axes = jl.plot.tornado(point, step=0.2).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["mem_bw", "sync_latency"]
    low, high = ([bar.get_width() for bar in bars] for bars in axes.containers)
    elasticities = [point.utps_elasticity_mem_bw, point.utps_elasticity_sync_latency]
    assert np.allclose(low, [100.0 * (0.8 ** float(each) - 1.0) for each in elasticities])
    assert np.allclose(high, [100.0 * (1.2 ** float(each) - 1.0) for each in elasticities])
    with pytest.raises(jl.InputError, match="step = 2: is not a share"):
        jl.plot.tornado(point, step=2)


def test_a_waterfall_takes_the_largest_gain_first_and_ends_at_all():
    axes = jl.plot.waterfall(steps_of_measures()).axes[0]
    words = [text.get_text() for text in axes.get_xticklabels()]
    assert words == ["none", "weight_bits\n8 → 4", "speculation\noff → mtp", "all"]
    tops = [bar.get_y() + bar.get_height() for bars in axes.containers for bar in bars]
    assert sorted(tops) == [100.0, 180.0, 270.0, 270.0]
    said = [text.get_text() for text in axes.texts]
    assert said == ["100", "270", "× 1.8", "× 1.5"]
    ordered = jl.plot.waterfall(steps_of_measures(), measures=("speculation", "weight_bits"))
    assert "× 1" in [text.get_text() for text in ordered.axes[0].texts]


def test_searches_that_miss_a_budget_are_dotted():
    axes = jl.plot.trajectories(ways_of_searches()).axes[0]
    full = [line for line in axes.get_lines() if line.get_label() == "other searches"]
    assert [int(np.isfinite(line.get_ydata()).sum()) for line in full] == [3, 3]
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {
        "the best search", "other searches", "a budget is missed",
    }  # fmt: skip
