"""``jaxlimits study``."""

import dataclasses
import json
import re

import pytest

from jaxlimits.studies.paper import PAPER, STUDIES
from jaxlimits.studies.prices import BARS, NOTE
from tests.command_line import run, run_anew

FEW = ("dram", "hbm3_limit", "plateau")
"""Claims of the gate's run: one rests on prices, one has two figures."""


@pytest.fixture(scope="module", params=[FEW, pytest.param(None, marks=pytest.mark.slow)])
def study(request):
    """The study of some of its claims, or of all that a quick run has."""
    if request.param is None:
        return PAPER
    claims = [claim for claim in PAPER.claims if claim.name in request.param]
    assert len(claims) == len(request.param)
    return dataclasses.replace(PAPER, claims=tuple(claims))


@pytest.fixture(scope="module")
def quick(study, tmp_path_factory):
    """A quick run in a folder with nothing else; all of it in a process of its own."""
    folder = tmp_path_factory.mktemp("quick")
    command = ("study", "paper", "-o", folder / "study", "--quick", "--json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(STUDIES, "paper", study)
        done = run_anew(*command) if study is PAPER else run(*command)
    assert done.code == 0, done.err
    return folder / "study", done


def test_a_quick_run_gives_every_claim_its_verdict(quick, study):
    folder, done = quick
    findings = done.json["findings"]
    tested = study.tested(quick=True)
    assert [finding["claim"] for finding in findings] == [claim.name for claim in tested]
    allowed = {"holds", "holds in part", "not reproduced"}
    assert {finding["verdict"] for finding in findings} <= allowed
    assert json.loads((folder / "findings.json").read_text(encoding="utf-8")) == findings


def test_a_quick_run_has_a_file_for_each_grid_and_figure(quick, study):
    folder, _ = quick
    grids = {path.stem for path in (folder / "data").iterdir()}
    assert grids == set(study.grids(quick=True))
    figures = {path.stem for path in (folder / "figures").iterdir()}
    tested = study.tested(quick=True)
    assert figures == {picture.name for claim in tested for picture in claim.pictures}


def test_what_rests_on_prices_says_so(quick, study):
    folder, done = quick
    priced = [f["claim"] for f in done.json["findings"] if f["rests_on_prices"]]
    assert priced == ["dram"]
    spreads = {f["claim"]: f["price_spread"] for f in done.json["findings"]}
    assert spreads["dram"] == [0.5, 1.0, 2.0]
    assert {spread for claim, spread in spreads.items() if claim != "dram"} == {None}
    for claim in study.tested(quick=True):
        text = (folder / "tables" / f"{claim.name}.md").read_text(encoding="utf-8")
        assert (NOTE in text) == (claim.name == "dram") == ("illustrative" in text)


def test_a_figure_in_dollars_says_so_and_has_its_range(quick, study):
    folder, _ = quick
    tested = study.tested(quick=True)
    pictures = {picture.name: picture for claim in tested for picture in claim.pictures}
    drawn = {name: (folder / "figures" / f"{name}.svg").read_text("utf-8") for name in pictures}
    in_dollars = {name for name, text in drawn.items() if re.search("USD|dollar", text)}
    assert in_dollars == {name for name, picture in pictures.items() if picture.priced}
    assert in_dollars
    for name in in_dollars:
        assert BARS in drawn[name]
        assert "illustrative" in drawn[name]
        report = (folder / "report.html").read_text(encoding="utf-8")
        assert f"{pictures[name].caption} {NOTE}" in report


def test_a_folder_that_exists_is_refused_before_anything_is_computed(quick):
    folder, _ = quick
    done = run("study", "paper", "-o", folder, "--quick")
    assert done.code == 1
    assert "exists; choose another name, or replace it with --force" in done.err


def test_the_list_has_claims_families_and_grids():
    text, facts = run("study", "--list").out, run("study", "--list", "--json").json
    (paper,) = facts
    for claim in PAPER.claims:
        assert claim.statement in text
        assert paper["claims"][claim.name] == claim.statement
    assert set(paper["grids"]) == set(PAPER.grids())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no study is given; write `jaxlimits study paper`"),
        (("papr",), "unknown study 'papr'; did you mean paper?"),
        (("paper", "--set", "llm=qwen3-4b"), "each grid has its own"),
        (("paper", "--set", "mem_bw=8"), "mem_bw"),
    ],
)
def test_bad_input_is_named(arguments, message):
    done = run("study", *arguments)
    assert done.code == 2
    assert message in done.err
