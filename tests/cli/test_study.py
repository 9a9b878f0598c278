"""``jaxlimits study``."""

import json
import re

import pytest

from jaxlimits.studies.paper import PAPER
from jaxlimits.studies.prices import BARS, NOTE
from tests.command_line import run, run_anew

QUICK = PAPER.tested(quick=True)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A quick run in a process of its own, in a folder with nothing else."""
    folder = tmp_path_factory.mktemp("quick")
    done = run_anew("study", "paper", "-o", "study", "--quick", "--json", cwd=folder)
    assert done.code == 0, done.err
    return folder / "study", done


def test_a_quick_run_gives_every_claim_its_verdict(quick):
    folder, done = quick
    findings = done.json["findings"]
    assert [finding["claim"] for finding in findings] == [claim.name for claim in QUICK]
    allowed = {"holds", "holds with conditions", "not reproduced"}
    assert {finding["verdict"] for finding in findings} <= allowed
    assert json.loads((folder / "findings.json").read_text(encoding="utf-8")) == findings


def test_a_quick_run_has_a_file_for_each_grid_and_figure(quick):
    folder, _ = quick
    grids = {path.stem for path in (folder / "data").iterdir()}
    assert grids == set(PAPER.grids(quick=True))
    figures = {path.stem for path in (folder / "figures").iterdir()}
    assert figures == {picture.name for claim in QUICK for picture in claim.pictures}


def test_what_rests_on_prices_says_so(quick):
    folder, done = quick
    priced = [f["claim"] for f in done.json["findings"] if f["rests_on_prices"]]
    assert priced == ["dram"]
    spreads = {f["claim"]: f["price_spread"] for f in done.json["findings"]}
    assert spreads["dram"] == [0.5, 1.0, 2.0]
    assert {spread for claim, spread in spreads.items() if claim != "dram"} == {None}
    for claim in QUICK:
        text = (folder / "tables" / f"{claim.name}.md").read_text(encoding="utf-8")
        assert (NOTE in text) == (claim.name == "dram") == ("illustrative" in text)


def test_a_figure_in_dollars_says_so_and_has_its_range(quick):
    folder, _ = quick
    pictures = {picture.name: picture for claim in QUICK for picture in claim.pictures}
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
