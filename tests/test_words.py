"""The words of the guide, of docstrings, help and messages: no turn that readers stumble over."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TURNS = tomllib.loads((ROOT / "tests" / "words.toml").read_text(encoding="utf-8"))["turns"]
WRITTEN = sorted((ROOT / "jaxlimits").rglob("*.md"))
SOURCES = sorted((ROOT / "jaxlimits").rglob("*.py"))

LEAST_WORDS = 3
"""What has fewer words is a name, an option or a key."""


def stumbled_over(text):
    """Turns of a text, with what to write instead."""
    return [
        f"{found[0]!r}: write {instead}"
        for turn, instead in TURNS.items()
        for found in re.finditer(turn, " ".join(text.split()))
    ]


def prose(source):
    """Texts of a module: docstrings, help, messages."""
    found = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return [text for text in found if isinstance(text, str) and len(text.split()) >= LEAST_WORDS]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_has_no_such_turn(path):
    assert stumbled_over(path.read_text(encoding="utf-8")) == []


def test_no_text_of_the_source_has_such_a_turn():
    found = {
        path.relative_to(ROOT).as_posix(): turns
        for path in SOURCES
        for text in prose(path.read_text(encoding="utf-8"))
        if (turns := stumbled_over(text))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "turn"),
    [
        ("The answer says not\nwhat is best.", "says not"),
        ("an unfinished sweep in the way", "in the way"),
        ("all of them where left out", "where left out"),
    ],
)
def test_a_turn_is_found_across_lines(text, turn):
    (found,) = stumbled_over(text)
    assert found.startswith(repr(turn))


def test_short_texts_are_names():
    assert prose('option = "--maximize"\nhelp = "Maximise one metric."') == ["Maximise one metric."]
