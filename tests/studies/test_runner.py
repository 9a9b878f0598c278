"""What a run leaves behind, and what it refuses."""

import csv
import dataclasses
import json
import re
import sys
from xml.etree import ElementTree

import pytest

import jaxlimits as jl
from jaxlimits.errors import InputError, ResultError
from jaxlimits.studies import runner
from jaxlimits.studies.claims import hbm3_limit
from jaxlimits.studies.paper import PAPER

SMALL = dataclasses.replace(PAPER, claims=(hbm3_limit.CLAIM,), families=PAPER.families[:1])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "study"
    runner.run_study(SMALL, folder)
    return folder


def test_a_run_leaves_data_tables_figures_findings_and_a_report(made):
    left = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert left == {
        "data/hbm3.nc",
        "tables/hbm3_limit.csv",
        "tables/hbm3_limit.md",
        "tables/family_hbm3.csv",
        "tables/family_hbm3.md",
        "figures/hbm3_limit.svg",
        "figures/hbm3_frontier.svg",
        "findings.json",
        "report.html",
    }
    assert [path.name for path in made.parent.iterdir()] == ["study"]


def test_findings_are_a_list_of_claim_grid_numbers_and_verdict(made):
    (finding,) = json.loads((made / "findings.json").read_text(encoding="utf-8"))
    assert finding["claim"] == "hbm3_limit"
    assert finding["grids"] == ["hbm3"]
    assert finding["verdict"] == "holds in part"
    assert finding["source"] == "published"
    assert finding["numbers"]["first_tp_size"]["value"] == 256
    assert finding["numbers"]["fastest"]["unit"] == "token/s"


def test_the_data_is_what_the_grid_gives(made):
    with jl.open(made / "data" / "hbm3.nc") as stored:
        assert stored.attrs["content_hash"] == jl.sweep("hbm3").attrs["content_hash"]


def test_tables_say_the_same_in_both_forms(made):
    with (made / "tables" / "hbm3_limit.csv").open(encoding="utf-8", newline="") as file:
        heads, *rows = csv.reader(file)
    lines = (made / "tables" / "hbm3_limit.md").read_text(encoding="utf-8").splitlines()[2:]
    assert heads == [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert [row[0] for row in rows] == [line.split("|")[1].strip() for line in lines[2:]]
    assert rows[0][1] == ""  # one chip does not hold the model


def test_figures_are_svg_with_their_labels(made):
    for path in (made / "figures").iterdir():
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_report_stands_alone(made):
    report = (made / "report.html").read_text(encoding="utf-8")
    links = re.findall(r"""(?:src|href)=["']([^"']*)["']""", report)
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert "@import" not in report
    assert "<script" not in report
    assert report.count("<svg ") == 2
    assert "holds in 94 % of cases" in report
    assert "holds in part" not in report
    assert re.search(r"@media print \{.*details::details-content", report, flags=re.DOTALL)
    assert "illustrative prices" in report


def test_a_folder_that_exists_is_kept(made):
    before = (made / "report.html").stat().st_mtime_ns
    with pytest.raises(ResultError, match=r"study: exists; .*`force=True`"):
        runner.run_study(SMALL, made)
    assert (made / "report.html").stat().st_mtime_ns == before


def test_an_earlier_run_is_replaced_by_force(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "findings.json").write_text("[]")
    (folder / "stale.txt").write_text("")
    runner.run_study(SMALL, folder, quick=True, force=True)
    assert not (folder / "stale.txt").exists()
    assert len(json.loads((folder / "findings.json").read_text(encoding="utf-8"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_a_folder_of_something_else_is_kept_even_by_force(tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(ResultError, match=r"is not a study's folder"):
        runner.run_study(SMALL, tmp_path, force=True)
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_a_folder_in_no_folder_is_refused(tmp_path):
    with pytest.raises(ResultError, match=r"the folder .*nowhere does not exist; make it first"):
        runner.run_study(SMALL, tmp_path / "nowhere" / "study")


def test_a_run_that_fails_leaves_nothing(tmp_path):
    def fail(results):
        raise RuntimeError("on purpose")

    claim = dataclasses.replace(hbm3_limit.CLAIM, find=fail)
    study = dataclasses.replace(SMALL, claims=(claim,))
    with pytest.raises(RuntimeError, match="on purpose"):
        runner.run_study(study, tmp_path / "study", quick=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("library", ["matplotlib", "jinja2"])
def test_a_missing_library_is_named_with_its_remedy(library, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf"{library}; pip install 'jaxlimits\[plot\]'"):
        runner.run_study(SMALL, tmp_path / "study")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"mem_bandwidth": "8 TB/s"}, "mem_bw"),
        ({"chip": "h100"}, "each grid has its own"),
        ({"mem_bw": "-1 TB/s"}, "mem_bw"),
        ({"chip_price": "-1 USD"}, "chip_price"),
    ],
)
def test_an_override_that_cannot_be_is_named(overrides, message, tmp_path):
    with pytest.raises(InputError, match=message):
        runner.run_study(SMALL, tmp_path / "study", overrides=overrides)


def test_a_linked_field_can_only_be_scaled(tmp_path):
    with pytest.raises(InputError, match=r"sync_latency.*is set twice"):
        runner.study_specs(PAPER, {"sync_latency": "1 us"}, quick=False)
    specs = runner.study_specs(PAPER, {"sync_latency_scale": "0.5"}, quick=False)
    assert specs["drivers"].base["sync_latency_scale"] == 0.5


def test_a_grid_that_varies_or_solves_for_a_field_keeps_doing_so():
    specs = runner.study_specs(PAPER, {"sync_latency_scale": "0.5"}, quick=True)
    for grid in ("sync_knee", "better_collectives", "needed_latency"):
        assert "sync_latency_scale" not in specs[grid].base


def test_an_unknown_study_is_named_with_those_there_are():
    with pytest.raises(InputError, match=r"unknown study 'papr'; did you mean paper\?"):
        runner.find_study("papr")


def test_where_nothing_fits_that_is_said(tmp_path):
    tiny = {"mem_capacity_scale": "1e-9"}
    outcome = runner.run_study(SMALL, tmp_path / "study", overrides=tiny)
    finding = outcome.findings["hbm3_limit"]
    assert finding.sentence == "No case fits in memory."
    assert str(finding.judged.verdict) == "not reproduced"
    (listed,) = json.loads((tmp_path / "study" / "findings.json").read_text(encoding="utf-8"))
    assert listed["cases"]["share"] is None
    assert listed["overrides"] == tiny
