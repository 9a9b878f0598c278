"""The README is short, and what it shows stands on a page of the guide, whose tests run it."""

import re
import shutil
from pathlib import Path

import pytest

from jaxlimits.guide.fences import shown_commands
from jaxlimits.guide.pages import FOLDER
from tests import shown

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLES = re.findall(r"^\|.*\| `(jaxlimits .*)` \|$", README, flags=re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")

MOST_LINES = 150
WIDTH = 120


def page(topic):
    """Text of a page of the guide."""
    return (FOLDER / f"{topic}.md").read_text(encoding="utf-8")


def rows(text, *, columns):
    """Further cells of the rows of the tables of a text that have so many, by the first cell."""
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    table = {first.strip(): [cell.strip() for cell in rest] for first, *rest in cells}
    return {first: rest for first, rest in table.items() if len(rest) == columns}


def test_it_is_short():
    lines = README.splitlines()
    assert len(lines) <= MOST_LINES
    assert [line for line in lines if len(line) > WIDTH and not line.startswith(("|", "!["))] == []


@pytest.mark.parametrize("line", [*shown_commands(README), *TABLES])
def test_every_command_is_one_that_a_page_runs(line):
    assert line in shown.commands()


def test_ten_questions_have_one_command_each_and_a_page_that_runs_it():
    asked = re.findall(r"^\| \[.*\?\]\((.*)\) \| `(jaxlimits .*)` \|$", README, re.MULTILINE)
    assert len(asked) == len(TABLES) == 10
    for link, line in asked:
        assert line in shown_commands((ROOT / link).read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", ["text", "python"])
def test_every_output_and_program_is_on_such_a_page(language):
    pages = "".join(body for text in shown.RUN.values() for body in shown.bodies(text, language))
    here = "".join(shown.bodies(README, language))
    assert here
    assert shown.missing(here, pages) == []


def test_the_main_job_runs(tmp_path):
    first, _, _ = shown.bodies(README, "sh")
    line = first[first.index("jaxlimits sweep") :].strip()
    shutil.copytree(ROOT / "grids", tmp_path / "grids", ignore=shutil.ignore_patterns("pictures"))
    assert shown.do(line, tmp_path).out.startswith("14,400 points")
    assert (tmp_path / "paper.nc").exists()


def test_the_second_block_installs_and_tests():
    *install, tests = shown.bodies(README, "sh")[1].splitlines()
    assert all("pip install" in line for line in install)
    assert tests == ".venv-test/bin/python -m pytest -n auto"


def test_the_larger_answers_are_those_of_the_guide():
    found = re.findall(
        r"^least num_chips: (\d+); every schedule needs at least (\d+)\n  binds: (\w+)",
        shown.RUN["how-to/fewest-chips"],
        re.MULTILINE,
    )
    stated = [
        (chips, bound, binds.partition(",")[0])
        for name, (chips, _, bound, binds) in rows(README, columns=4).items()
        if " on " in name
    ]
    assert len(stated) == 2
    assert stated == found[1:]


def test_the_report_card_is_that_of_the_guide():
    card = rows(page("how-to/calibrate"), columns=5)
    errors = rows(README, columns=4)
    groups, values = errors["left out"], errors["mean error of the time"]
    assert values == [card[group][0] for group in groups]


def test_the_times_are_those_of_the_guide():
    timed = {name: row for name, row in rows(README, columns=3).items() if "sweep" in name}
    measured = rows(page("explanation/performance"), columns=3)
    assert len(timed) == 4
    assert timed == {name: measured[name] for name in timed}


@pytest.mark.parametrize("link", LINK.findall(README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()


def test_every_how_to_is_two_links_away():
    near = {(ROOT / link).resolve() for link in LINK.findall(README)}
    near |= {
        (path.parent / link).resolve()
        for path in near
        if path.suffix == ".md"
        for link in LINK.findall(path.read_text(encoding="utf-8"))
    }
    assert set(FOLDER.rglob("how-to/*.md")) <= near
