"""The words of the README, of the guide, of docstrings, help and messages, and of shipped files.

No turn of phrase in them is one that readers stumble over.
"""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TURNS = tomllib.loads((ROOT / "tests" / "words.toml").read_text(encoding="utf-8"))["turns"]
WRITTEN = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "grids/README.md")),
    *sorted((ROOT / "grids").glob("*.toml")),
    *(path for kind in ("md", "toml") for path in sorted((ROOT / "jaxlimits").rglob(f"*.{kind}"))),
]
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


def _word(part):
    return str(part.value) if isinstance(part, ast.Constant) else "…"


def prose(source):
    """Texts of a module: docstrings, help, messages, whose values are one word each."""
    nodes = list(ast.walk(ast.parse(source)))
    filled = [node.values for node in nodes if isinstance(node, ast.JoinedStr)]
    within = {id(part) for parts in filled for part in parts}
    texts = [
        node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in within
    ]
    texts += ["".join(map(_word, parts)) for parts in filled]
    return [text for text in texts if isinstance(text, str) and len(text.split()) >= LEAST_WORDS]


def without_code(text):
    """A text of Markdown with its names, commands and programs left out."""
    return re.sub(r"```.*?```|`[^`]*`", "…", text, flags=re.DOTALL)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_has_no_such_turn(path):
    text = path.read_text(encoding="utf-8")
    assert stumbled_over(without_code(text) if path.suffix == ".md" else text) == []


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


def test_names_in_backquotes_keep_their_spelling():
    assert (
        stumbled_over(without_code("`maximize` is an option\n```sh\nbest --maximize utps\n```"))
        == []
    )


def test_a_message_is_read_across_its_values():
    assert prose('f"{name} says {word} not what"') == ["… says … not what"]


def test_short_texts_are_names():
    assert prose('option = "--maximize"\nhelp = "Maximise one metric."') == ["Maximise one metric."]
