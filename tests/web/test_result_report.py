"""The report of a result: opened offline in a browser, of any kind of result, bounded, guarded."""

import re
import shutil

import netCDF4
import numpy as np
import pytest
from bokeh.document import Document
from bokeh.io.doc import patch_curdoc

import jaxlimits as jl
from jaxlimits.web import result_report as report
from jaxlimits.web.parts import parts_of, thinned
from jaxlimits.web.ticks import are_round, cell_ticks
from tests.command_line import run

REDUCED = """
[base]
llm = "llama3-8b"
[axes]
chip = ["h100", "h200"]
mem_bw_scale = { geometric = [1, 16], num = 9 }
batch_size = { pow2 = [1, 512] }
[reduce.best]
op = "top"
of = "stps"
k = 3
also = ["utps", "limit"]
[reduce.front]
op = "frontier"
of = ["utps", "stps"]
[reduce.hist]
op = "histogram"
of = "utps"
first = "1 token/s"
last = "10000 token/s"
bins = 8
[reduce.spread]
op = "quantiles"
of = "utps"
[reduce.mean_utps]
op = "mean"
of = "utps"
[reduce.by_chip]
op = "max"
of = "stps"
over = ["batch_size", "mem_bw_scale"]
[reduce.by_both]
op = "max"
of = "stps"
over = ["chip"]
[reduce.codes]
op = "count"
of = "limit"
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A whole result, and one of reductions alone."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "reduced.toml").write_text(REDUCED)
    jl.sweep("smoke", folder / "smoke.nc")
    jl.sweep(folder / "reduced.toml", folder / "reduced.nc")
    return folder


def opened(browser, path):
    browser.problems()
    browser.requests()
    browser.open(path.as_uri())
    browser.wait(lambda page: page.all("canvas"))
    assert browser.problems() == []
    asked = [url for url in browser.requests() if not url.startswith(("data:", "blob:"))]
    assert asked == [path.as_uri()]


def test_a_report_opens_offline_and_its_menus_change_the_map(results, browser, tmp_path):
    done = run("report", results / "smoke.nc", "-o", tmp_path / "report.html")
    assert done.code == 0, done.err
    opened(browser, tmp_path / "report.html")
    expected = jl.open(results / "smoke.nc")
    shown = """
    const models = Bokeh.documents[0]._all_models.values()
    const all = [...models].filter((model) => model.type === "ColumnDataSource")
    return Array.from(all.find((each) => "plain" in each.data).data.plain[0])
    """
    assert "(striped) at" in "".join(browser.text(".note"))
    found = browser.driver.execute_script(shown)
    begun = expected.utps.isel(seq_len=0, batch_size=0).transpose("sync_latency", "mem_bw")
    assert found == pytest.approx(begun.values.ravel().tolist(), rel=1e-6)
    choose = """
    const menu = arguments[0]; menu.value = arguments[1]
    menu.dispatchEvent(new Event("change", {bubbles: true}))
    """
    menus = browser.all("select")
    assert len(menus) == 3
    for menu, choice in zip(menus, ("stps", "8 Ki", "4"), strict=True):
        browser.driver.execute_script(choose, menu, choice)
    there = expected.stps.sel(seq_len=8192, batch_size=4).transpose("sync_latency", "mem_bw")
    found = browser.wait(
        lambda page: (
            (now := page.driver.execute_script(shown))[0] == float(there.values[0, 0]) and now
        )
    )
    assert found == pytest.approx(there.values.ravel().tolist(), rel=1e-6)
    ticks = """
    const all = [...Bokeh.documents[0]._all_models.values()]
    return all.find((model) => model.type === "ColorBar").ticker.ticks
    """
    drawn = 10.0 ** np.array(browser.driver.execute_script(ticks))
    assert len(drawn) > 2
    assert drawn == pytest.approx([float(f"{value:.2g}") for value in drawn])
    assert browser.problems() == []


def test_ticks_of_cells_are_round_numbers_where_they_would_lie():
    steep = np.geomspace(1.0, 16.0, 25)
    ticks = cell_ticks(steep, suffix=" TB/s")
    assert ticks.labels == ["1 TB/s", "2 TB/s", "3 TB/s", "5 TB/s", "10 TB/s"]
    assert np.geomspace(1.0, 16.0, 25)[6] == pytest.approx(2.0)
    assert ticks.places[1] == pytest.approx(6.0)
    falling = cell_ticks(np.linspace(70.0, 0.0, 15), suffix="")
    assert falling.labels == ["70", "60", "50", "40", "30", "20", "10", "0"]
    assert falling.places[-1] == 14.0
    assert are_round(np.array([1.0, 4096.0, 0.25]))
    assert not are_round(np.array([1.0, 1.26]))


def test_a_reduced_result_has_tables_charts_and_its_provenance(results, browser, tmp_path):
    assert run("report", results / "reduced.nc", "-o", tmp_path / "reduced.html").code == 0
    opened(browser, tmp_path / "reduced.html")
    text = (tmp_path / "reduced.html").read_text(encoding="utf-8")
    with jl.open(results / "reduced.nc") as dataset:
        kinds = {part.kind for part in parts_of(dataset)}
        assert kinds == {"map", "line", "table", "frontier", "histogram", "numbers"}
        assert dataset.attrs["content_hash"] in text
        assert f"{dataset.best.values[0]:,.0f}" in text
    for part in ("best", "front", "hist", "spread", "codes", "What made it"):
        assert re.search(rf"<h2>{part}</h2>", text), part


def test_a_large_result_is_thinned_and_says_so(results, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MOST_VALUES", 3000)
    assert run("report", results / "smoke.nc", "-o", tmp_path / "small.html").code == 0
    text = (tmp_path / "small.html").read_text(encoding="utf-8")
    assert "Thinned to keep this file small: one in" in text
    with jl.open(results / "smoke.nc") as dataset:
        kept = thinned(dataset, values=3000)
        assert len(dataset.data_vars) * kept.data.utps.size <= 3000
        assert kept.data.utps.values.ravel()[0] == dataset.utps.values.ravel()[0]
        assert thinned(dataset, values=10**9).words == ""


def test_an_existing_file_is_replaced_only_with_force(results, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("kept")
    refused = run("report", results / "smoke.nc", "-o", target)
    assert (refused.code, target.read_text()) == (1, "kept")
    assert "--force" in refused.err
    assert run("report", results / "smoke.nc", "-o", target, "--force").code == 0
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_document_that_an_explorer_has_closed_is_in_no_report_s_way(results, tmp_path):
    closed = Document()
    closed.callbacks.destroy()
    with patch_curdoc(closed):  # as a callback leaves it that fails
        done = run("report", results / "smoke.nc", "-o", tmp_path / "report.html")
    assert (done.code, done.err) == (0, "")


def test_bad_input_is_named(results, tmp_path):
    newer = tmp_path / "newer.nc"
    shutil.copy(results / "smoke.nc", newer)
    with netCDF4.Dataset(newer, "a") as file:
        file.format_version = 99
    cut = tmp_path / "cut.nc"
    cut.write_bytes((results / "smoke.nc").read_bytes()[:2000])
    for path, says in (
        (tmp_path / "missing.nc", "no such file"),
        (newer, "newer than this package reads"),
        (cut, "not a readable NetCDF file"),
    ):
        done = run("report", path, "-o", tmp_path / "out.html")
        assert done.code == 1
        assert says in done.err
        assert says in run("explore", path, "--no-browser").err
    done = run("report", results / "smoke.nc", "-o", tmp_path / "out.pdf")
    assert (done.code, "end its name in .html" in done.err) == (2, True)
    assert not (tmp_path / "out.html").exists()


def test_the_missing_extra_is_named(monkeypatch, results):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for command in (("explore",), ("report", results / "smoke.nc")):
        done = run(*command)
        assert done.code == 2
        assert "pip install 'jaxlimits[explore]'" in done.err


def test_an_address_beyond_this_machine_needs_a_token():
    done = run("explore", "--address", "0.0.0.0", "--no-browser")
    assert done.code == 2
    assert "--token" in done.err
