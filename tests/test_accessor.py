"""``dataset.limits``: every answer agrees with the data that it is about."""

import doctest
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from jaxlimits import accessor
from jaxlimits.plot import registry
from jaxlimits.points import labelled_operators as anatomy

GRID = """
outputs = ["utps", "stps", "limit", "t_mem", "t_compute", "t_sync"]
[base]
llm = "llama3-70b"
tp_size = 8
[axes]
chip = ["h100", "b200"]
seq_len = [4096, 65536]
batch_size = { pow2 = [1, 512] }
"""


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    grid = tmp_path_factory.mktemp("accessor") / "grid.toml"
    grid.write_text(GRID)
    return jl.sweep(grid)


@pytest.mark.parametrize("module", [accessor, anatomy], ids=lambda module: module.__name__)
def test_every_public_function_has_an_example_that_runs(module):
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [each for each in finder.find(module) if each.examples]
    tried = {each.name.rpartition(".")[2] for each in found}
    expected = {
        "jaxlimits.accessor": {"best", "frontier", "bottleneck", "nearest", "operators", "plot"},
        "jaxlimits.points.labelled_operators": {"operators", "operators_of"},
    }
    assert expected[module.__name__] <= tried
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for each in found:
        runner.run(each)
    assert runner.summarize(verbose=False).failed == 0


def test_the_best_point_is_that_of_the_data(ds):
    found = ds.limits.best(maximise="stps", where="utps >= 50", also=["limit"])
    allowed = ds.stps.where((ds.utps >= 50) & (ds.limit != 3))
    assert found.stps.item() == allowed.max().item()
    place = {name: found[name].item() for name in ("chip", "seq_len", "batch_size")}
    assert ds.stps.sel(place).item() == found.stps.item()
    assert found.stps.attrs == ds.stps.attrs
    assert found.limit.item() in ("memory", "compute", "sync")


def test_no_point_is_an_empty_answer(ds):
    assert ds.limits.best(maximise="stps", where="utps >= 1e9").sizes["point"] == 0


def test_no_point_beats_one_of_the_frontier(ds):
    found = ds.limits.frontier("utps", "stps")
    x, y = ds.utps.values.ravel(), ds.stps.values.ravel()
    for a, b in zip(found.utps.values, found.stps.values, strict=True):
        assert not np.any((x >= a) & (y >= b) & ((x > a) | (y > b)))
    assert found.sizes["point"] > 3


def test_shares_of_what_binds_are_those_of_the_codes(ds):
    shares = ds.limits.bottleneck("chip")
    assert np.allclose(shares.sum("limit"), 1.0)
    expected = (ds.limit.sel(chip="h100") == 3).mean()
    assert shares.sel(limit="capacity", chip="h100").item() == expected


def test_the_nearest_point_is_found_by_ratio(ds):
    point = ds.limits.nearest(utps=100, chip="b200")
    assert str(point.chip.item()) == "b200"
    ratios = np.abs(np.log(ds.utps.sel(chip="b200") / 100.0))
    nearest = np.abs(np.log(point.utps.item() / 100.0))  # single precision, near 0
    assert nearest == pytest.approx(ratios.min().item(), abs=1e-6)
    by_axis = ds.limits.nearest(seq_len=5000, batch_size=3)
    assert (by_axis.seq_len.item(), by_axis.batch_size.item()) == (4096, 4)
    assert ds.limits.nearest(limit="memory", batch_size=1).limit.item() == 0


def test_a_figure_is_that_of_the_module(ds):
    chosen = ds.sel(chip="h100")
    figure = chosen.limits.plot.heat_map(x="seq_len", y="batch_size")
    assert figure.axes[0].get_xlabel().startswith("tokens of context")
    assert figure._repr_png_()[:4] == b"\x89PNG"
    assert dir(ds.limits.plot) == sorted(registry.functions())


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda limits: limits.best(maximise="stpss"), "did you mean stps"),
        (lambda limits: limits.best(maximise="power"), "has no power"),
        (lambda limits: limits.frontier("utsp"), "did you mean utps"),
        (lambda limits: limits.bottleneck("chips"), "did you mean chip"),
        (lambda limits: limits.nearest(utsp=2), "did you mean utps"),
        (lambda limits: limits.nearest(chip="h10"), "did you mean h100"),
        (lambda limits: limits.nearest(utps="fast"), "no number"),
        (lambda limits: limits.nearest(utps=-1), "must exceed 0"),
        (lambda limits: limits.nearest(), "has no value to be near to"),
        (lambda limits: limits.plot.heat_map(x="seqlen"), "did you mean seq_len"),
        (lambda limits: limits.plot.heat_map(of="utsp"), "did you mean utps"),
        (lambda limits: limits.plot.lines(columns="chips"), "did you mean chip"),
    ],
)
def test_what_is_not_there_is_named_with_the_nearest(ds, ask, message):
    with pytest.raises(jl.InputError, match=message):
        ask(ds.limits)


def test_an_unknown_figure_is_named_with_the_nearest(ds):
    with pytest.raises(AttributeError, match="did you mean heat_map"):
        ds.limits.plot.heatmap  # noqa: B018


def test_a_missing_backend_names_the_extra(ds, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(jl.InputError, match=r"pip install 'jaxlimits\[plot\]'"):
        ds.limits.plot.frontier()


def test_a_dataset_that_is_no_result_says_so():
    with pytest.raises(jl.InputError, match="unknown variable 'limit'"):
        xr.Dataset({"a": 1}).limits.bottleneck()
    with pytest.raises(jl.ResultError, match="does not say how it was made"):
        xr.Dataset({"a": 1}).limits.operators()


@pytest.mark.parametrize("order", ["jaxlimits, xarray", "xarray, jaxlimits"])
def test_datasets_have_it_whichever_package_is_imported_first(order):
    script = f"import {order}, sys; print(xarray.Dataset().limits.plot is not None)"
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
