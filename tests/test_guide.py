"""The guide names what is there, and what its pages show happens."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest
import yaml

from jaxlimits.cli.guide_command import all_pages
from jaxlimits.guide.pages import FOLDER, written_pages
from tests import shown

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (FOLDER / "contributing.md").read_text(encoding="utf-8")
NOT_CODE = {"examples", "__pycache__"}
PAGES = {page.topic: page for page in written_pages()}
TOPICS = {page.topic for page in all_pages()}
HOW_TOS = [topic for topic in PAGES if topic.startswith("how-to/")]

MOST_LINES = 100
"""A how-to guide is one page."""

_LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")


def links(topic, text):
    """Topics to which a page links."""
    here = (FOLDER / topic).parent
    return {
        (here / link).resolve().relative_to(FOLDER).with_suffix("").as_posix()
        for link in _LINK.findall(text)
    }


@pytest.mark.parametrize("topic", shown.RUN)
def test_what_a_page_shows_is_what_its_commands_print(topic, tmp_path):
    with mpl.rc_context({"backend": "agg"}):
        for text, said in shown.run_page(shown.RUN[topic], tmp_path):
            assert shown.missing(text, said) == [], said


def test_an_output_that_was_not_printed_is_found():
    assert shown.missing("a  1\n…\nb 2\n", "a 1\nc 3\n") == ["b 2"]


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: page.topic)
def test_links_lead_to_pages(page):
    assert links(page.topic, page.make()) - TOPICS == set()


def test_every_page_is_a_link_away_from_the_first():
    assert TOPICS - links("index", PAGES["index"].make()) == {"index"}


@pytest.mark.parametrize("topic", HOW_TOS)
def test_a_how_to_is_one_page_with_a_goal_and_a_next_page(topic):
    text = PAGES[topic].make()
    assert text.startswith("# ")
    assert text.index("**Goal.**") < text.index("**What it means.**") < text.index("**Next.**")
    assert len(text.splitlines()) <= MOST_LINES
    assert links(topic, text[text.index("**Next.**") :])


def test_the_glossary_is_in_order():
    terms = re.findall(r"^\*\*(.+)\*\*$", PAGES["glossary"].make(), re.MULTILINE)
    assert len(terms) > 30
    assert terms == sorted(terms, key=str.casefold)


def test_there_is_a_how_to_for_many_questions():
    assert len(HOW_TOS) >= 15


def test_the_guide_says_of_every_folder_what_is_there():
    rows = [line.split("|")[1] for line in CONTRIBUTING.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)/`", row)]
    there = {path.name for path in (ROOT / "jaxlimits").iterdir() if path.is_dir()}
    assert sorted(named) == sorted(there - NOT_CODE)


@pytest.mark.parametrize("module", re.findall(r"python -m ([\w.]+)", CONTRIBUTING))
def test_what_the_guide_runs_is_there(module):
    path = ROOT / module.replace(".", "/")
    assert module == "pytest" or path.with_suffix(".py").exists() or path.is_dir()


def test_the_gate_runs_what_the_hooks_run():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (local,) = hooks["repos"]
    names = [hook["name"] for hook in local["hooks"]]
    assert names == ["ruff format --check", "ruff check", "lint-imports", "basedpyright"]
    assert [name for name in names if name not in gate] == []
