"""``solve``, ``best``, ``plan``, ``compare`` and ``calibrate`` as datasets, drawn and reported."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

import jaxlimits as jl
from tests.command_line import run
from tests.helpers import PAPER_SHARING, one_in

SOLVED = (
    *("solve", "--for", "mem_bw", "--target", "utps=200", "--llm", "llama3-8b", "--chip", "h100"),
    *("--tp-size", "2", "--set", "kv_sharding=split", "--set", "collective_algorithm=constant"),
)
BEST = ("best", "smoke", "--maximise", "stps", "--where", "utps >= 100", "--top", "3")
PLANNED = (
    *("plan", "--llm", "llama3-8b", "--chip", "h100", "--rate", "20 request/s", "--most", "2"),
    *("--input-len", "2000", "--output-len", "200", "--target", "tpot <= 10 ms/token"),
)
ANSWERS = {
    "solved": SOLVED,
    "unsolved": (*SOLVED[:4], "utps=20000000", *SOLVED[5:]),
    "best": BEST,
    "front": (*BEST[:6], "--frontier"),
    "none": ("best", "smoke", "--maximise", "stps", "--where", "utps >= 100000"),
    "plan": PLANNED,
    "impossible": (*PLANNED[:-1], "tpot <= 1 us/token"),
    "compared": ("compare", "static_batch"),
    "peers": ("compare", "--peers"),
    "calibrated": ("calibrate", "static_batch", "--without", "model=DeepSeek-V3.2 (DSA)"),
    "assessed": ("calibrate", "static_batch", "--against", "vllm"),
}
EMPTY = {"none": "point", "impossible": "choice"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder with every answer."""
    folder = tmp_path_factory.mktemp("answers")
    for name, asked in ANSWERS.items():
        done = run(*asked, "-o", folder / f"{name}.nc")
        assert done.code == (1 if name in EMPTY else 0), done.err
        assert done.out.endswith(f"wrote {folder / name}.nc\n")
    return folder


@pytest.mark.parametrize(
    ("name", "words"),
    one_in(
        2,
        [
            ("solved", ("time of one decode step (t_step) [ms]", "needed", "mem_bw", "3.35 TB/s")),
            ("unsolved", ("mem_bw unreachable", "3.35 TB/s")),
            ("best", ("maximise stps where utps", "tokens per second of the system (stps)")),
            ("front", ("(utps) [token/s]", "utps &gt;= 50")),
            ("plan", ("target of the time of a token", "every schedule needs this", "its target")),
            ("compared", ("achieved share of the limit", "the limit", "predicted by its engine")),
            ("peers", ("llm_viewer", "time of a token that a tool states")),
            ("calibrated", ("predicted by the fit",)),
            ("assessed", ("predicted by vllm",)),
        ],
    ),
)
def test_every_answer_is_drawn_without_a_kind(results, folder, name, words):
    done = run("plot", results / f"{name}.nc", "-o", "figure.svg")
    assert (done.code, done.out) == (0, "wrote figure.svg\n"), done.err
    drawn = (folder / "figure.svg").read_text(encoding="utf-8").replace("\u00a0", " ")
    for each in words:
        assert each in drawn or each.replace("&gt;", ">") in drawn


@pytest.mark.parametrize(
    ("name", "words"),
    one_in(
        2,
        [
            ("solved", ("over case", "of</th>", "chip = h100", "factor")),
            ("unsolved", ("target not reached", "unreachable")),
            ("best", ("<h2>points</h2>", "mem_bw [TB/s]", "stps [token/s]")),
            (
                "plan",
                ("<h2>choices</h2>", "1 x h100 tp1 (serve)", "over tpot_target", "least_bound"),
            ),
            ("none", ("the result lists nothing: no point keeps every target.",)),
            ("impossible", ("the result lists nothing: no choice keeps every target.",)),
            ("compared", ("<h2>rows</h2>", "8xB200-SXM", "achieved")),
            ("peers", ("llm_viewer", "tpot [ms/token]")),
            ("calibrated", ("mem_efficiency", "standard error of kv_efficiency", "error_unseen")),
        ],
    ),
)
def test_every_answer_has_its_page(results, folder, name, words):
    done = run("report", results / f"{name}.nc", "-o", "page.html")
    assert done.code == 0, done.err
    page = (folder / "page.html").read_text(encoding="utf-8")
    for each in words:
        assert each in page


@pytest.mark.parametrize("name", EMPTY)
def test_a_list_of_nothing_is_not_drawn_and_says_why(results, folder, name):
    done = run("plot", results / f"{name}.nc", "-o", "figure.svg")
    assert (done.code, list(folder.iterdir())) == (2, [])
    assert f"lists nothing: no {EMPTY[name]} keeps every target" in done.err


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("best", "lines", "utps has 0 dimensions of more than one value; it needs 1; kinds that"),
        ("best", "roofline", "the result is a list of points; keep one, as `.isel(point=0)`"),
        ("solved", "points", "lists no points, as `jaxlimits best` finds them; kinds that fit"),
        ("solved", "strip", "has no rows of measurements"),
        ("compared", "fleet", "has no frontier, as `jaxlimits plan -o` writes it; kinds that fit"),
    ],
)
def test_a_kind_that_does_not_fit_an_answer_is_refused(results, folder, name, kind, says):
    done = run("plot", results / f"{name}.nc", kind, "-o", "figure.svg")
    assert (done.code, says in done.err) == (2, True), done.err


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_says_what_it_is_and_is_info(results, name):
    with jl.open(results / f"{name}.nc") as found:
        for key in ("title", "question", "history", "source", "jaxlimits_version"):
            assert found.attrs[key]
        for each in (*found.data_vars.values(), *found.coords.values()):
            if each.dtype.kind == "f" and each.name != "line":
                assert {"units", "long_name"} <= {*each.attrs}, each.name
    assert run("info", results / f"{name}.nc").code == 0


def test_the_dataset_of_a_solution_is_its_record(results):
    point: dict[str, Any] = {"tp_size": 2, **PAPER_SHARING}
    found = jl.solve("llama3-8b", "h100", solve_for="mem_bw", target="utps=200", **point)
    assert found.metrics is not None
    ds = found.dataset
    assert (ds.mem_bw.values.tolist(), ds.factor.item()) == ([found.value, found.now], found.factor)
    assert ds.utps.values.tolist() == [found.reached, found.metrics_now.utps]
    assert ds.t_mem.sel(case="needed") == found.metrics.t_mem
    assert (ds.llm.item(), ds.chip.item(), ds.tp_size.item()) == ("llama3-8b", "h100", 2)
    assert "mem_bw" not in ds.coords
    with jl.open(results / "solved.nc") as stored:
        xr.testing.assert_equal(stored.load(), ds)
        assert stored.kv_sharding.item() == "split"
        flags = dict(
            zip(stored.reason.flag_meanings.split(), stored.reason.flag_values, strict=True)
        )
        assert stored.reason.item() == flags[found.reason]


def test_what_is_unreachable_has_its_best_and_nothing_else(results):
    with jl.open(results / "unsolved.nc") as ds:
        assert np.isnan(ds.mem_bw.sel(case="needed"))
        assert ds.utps.sel(case="needed") > ds.utps.sel(case="now")
        assert np.isnan(ds.t_mem.sel(case="needed"))
        assert ds.limit.sel(case="needed") == -1


def test_best_points_are_stored_as_they_are_found(results):
    asked = jl.ask(maximise="stps", where="utps >= 100", count=3)
    found = jl.best("smoke", asked)
    with jl.open(results / "best.nc") as stored:
        xr.testing.assert_equal(stored.load(), found)
        assert stored.attrs["question"] == "maximise stps where utps >= 100 token/s"
    of_result = jl.best(jl.sweep("smoke"), asked)
    assert set(of_result.coords) == set(found.coords)
    for name in found.coords:
        assert of_result[name].dtype == found[name].dtype
        assert of_result[name].dims == found[name].dims
    assert found.chip.item() == of_result.chip.item() == "h100"
    assert "chip" not in of_result.attrs


def test_compared_rows_are_those_of_python(results):
    with jl.open(results / "compared.nc") as stored:
        xr.testing.assert_equal(stored.load(), jl.compare("static_batch"))
        assert np.allclose(stored.achieved, stored.measured_utps / stored.limit_utps)


@pytest.mark.parametrize("asked", [SOLVED, BEST, PLANNED, ("compare", "static_batch")])
def test_what_is_no_dataset_is_refused_before_anything_is_computed(folder, asked):
    done = run(*asked, "-o", "answer.toml")
    assert (done.code, done.out, list(folder.iterdir())) == (2, "", [])
    assert "--output = 'answer.toml': is not a dataset; end its name in .nc" in done.err
    (folder / "there.nc").write_text("kept")
    assert run(*asked, "-o", "there.nc").code == 1
    assert (folder / "there.nc").read_text() == "kept"


def test_fabrics_are_entries_of_a_catalog_and_no_rows(folder):
    done = run("calibrate", "all_reduce", "--all-reduce", "-o", "rows.nc")
    assert (done.code, "fabrics are entries of a catalog; end it in .toml" in done.err) == (2, True)
