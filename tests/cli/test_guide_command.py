"""``jaxlimits guide``: its list, its pages in the terminal, its site."""

import re

import pytest

from jaxlimits.cli.guide_command import all_pages
from jaxlimits.errors import ResultError
from jaxlimits.guide.docstrings import markdown
from jaxlimits.guide.pages import Page, made_page
from jaxlimits.guide.site import build_site
from tests.command_line import run

SMALL = [
    made_page("index", "First", lambda: "See [the other](how-to/other.md)."),
    made_page("how-to/other", "Other", lambda: "Back to [the first](../index.md)."),
    made_page("explanation/why", "Why", lambda: "Because."),
    made_page("reference/what", "What", lambda: "A table."),
]


def silent(_):
    """Take what is said."""


def test_the_list_has_every_page_with_its_title():
    said = run("guide").out
    for page in all_pages():
        assert re.search(rf"^  {page.name} +{re.escape(page.title)}$", said, re.MULTILINE)


@pytest.mark.parametrize("topic", ["how-to/own-chip", "own-chip", "how-to/own-chip.md"])
def test_a_topic_may_be_named_without_its_folder(topic):
    assert run("guide", topic).out.startswith("# Compare a chip of your own")


def test_a_terminal_shows_a_page_without_marks(monkeypatch):
    monkeypatch.setattr("jaxlimits.cli.guide_command.room_at_terminal", lambda: 80)
    said = run("guide", "own-chip").out
    assert "Goal." in said
    assert "**" not in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_mistyped_topic_is_answered_with_the_nearest():
    done = run("guide", "tutorail")
    assert done.code == 2
    assert "guide: unknown topic 'tutorail'; did you mean tutorial?" in done.err


def test_generated_pages_name_what_the_registries_have():
    assert "| `mem_bw` | B/s |" in run("guide", "fields").out
    assert "### `jaxlimits solve`" in run("guide", "commands").out
    assert "`--for`" in run("guide", "commands").out
    assert "| `for` | required | The field to solve for. |" in run("guide", "grid-keys").out
    assert "### `jl.sweep`" in run("guide", "python").out
    assert "`display_unit`" in run("guide", "file-layout").out


@pytest.mark.parametrize(
    "page", [p for p in all_pages() if p.kind == "reference"], ids=lambda page: page.topic
)
def test_a_generated_page_explains_every_row(page):
    rows = [line for line in page.make().splitlines() if line.startswith("| `")]
    empty = [row for row in rows if row.endswith("|  |") and "`op`" not in row]
    assert empty == []


def test_a_docstring_becomes_markdown():
    text = markdown(
        """Return what :func:`jaxlimits.best` finds in ``ds``.

        .. math:: t = \\max(a, b)

        Parameters
        ----------
        ds
            A result.

        Examples
        --------
        >>> 1 + 1
        2
        """
    )
    assert text.startswith(
        "Return what `jaxlimits.best` finds in `ds`.\n\n```text\nt = \\max(a, b)"
    )
    assert "**Parameters**\n\n- `ds`: A result." in text
    assert text.endswith("```pycon\n>>> 1 + 1\n2\n```")


def test_a_site_needs_its_generator(monkeypatch, folder):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    done = run("guide", "-o", "site")
    assert done.code == 2
    assert done.err.endswith("needs mkdocs to build a site; pip install 'jaxlimits[docs]'\n")


def test_a_site_takes_the_place_of_no_other_folder(folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("mine")
    done = run("guide", "-o", "mine", "--force")
    assert done.code == 1
    assert "mine: exists and is not a site of the guide; name another folder" in done.err
    assert (folder / "mine" / "notes.txt").read_text() == "mine"


def test_a_site_holds_every_page_and_asks_no_server(folder):
    build_site(SMALL, folder / "site", force=False, say=silent)
    made = {path.relative_to(folder / "site").as_posix() for path in folder.rglob("*.html")}
    assert {"index.html", "how-to/other.html", "explanation/why.html"} <= made
    text = (folder / "site" / "how-to" / "other.html").read_text()
    assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?:[^"]+', text) == []
    assert 'src="../iframe-worker.js"' in text
    with pytest.raises(ResultError, match="exists already; replace it with `force=True`"):
        build_site(SMALL, folder / "site", force=False, say=silent)


def test_a_link_to_nowhere_is_an_error(folder):
    lost = made_page("index", "First", lambda: "See [nothing](nowhere.md).")
    with pytest.raises(ResultError, match=r"nowhere\.md"):
        build_site([lost, *SMALL[1:]], folder / "site", force=False, say=silent)
    assert not (folder / "site").exists()


def test_a_picture_that_no_command_draws_is_an_error(folder):
    page = Page(topic="index", title="First", make=lambda: "# First\n\n![A map](map.svg)\n")
    with pytest.raises(ResultError, match=r"index: no command of the page draws map\.svg"):
        build_site([page, *SMALL[1:]], folder / "site", force=False, say=silent)
