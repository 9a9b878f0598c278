"""The pages of the guide: Markdown files of this folder, and those that are made of the code.

A new page is a new file: the list of pages, the terminal and the site read it off the folder.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from jaxlimits.errors import InputError, suggestion

FOLDER = Path(__file__).parent
"""Where the pages that are written by hand lie."""

KINDS: Mapping[str, str] = {
    "": "Start here",
    "how-to": "How to",
    "explanation": "Explanation",
    "reference": "Reference",
}
"""What the folders of pages are called, in their order; the empty name stands for the top."""

_FIRST = ("index", "tutorial")

Maker = Callable[[], str]
"""A function that returns the Markdown of a page."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page of the guide.

    Parameters
    ----------
    topic
        Its name: ``how-to/own-chip``.
    title
        The text of its first heading.
    make
        A function that returns its Markdown.
    """

    topic: str
    title: str
    make: Maker

    @property
    def kind(self) -> str:
        """The folder of the page; empty at the top."""
        return self.topic.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The topic without its folder."""
        return self.topic.rpartition("/")[2]

    @property
    def file(self) -> str:
        """The name of its file in the site's sources."""
        return f"{self.topic}.md"


def written_pages() -> list[Page]:
    """Return the pages that are written by hand."""
    return [_written(path) for path in sorted(FOLDER.rglob("*.md"))]


def made_page(topic: str, title: str, body: Maker) -> Page:
    """Return a page that is made of the code.

    Parameters
    ----------
    topic, title
        As those of a :class:`Page`.
    body
        A function that returns the Markdown below the title.
    """
    return Page(topic=topic, title=title, make=lambda: f"# {title}\n\n{body()}")


def in_order(pages: Iterable[Page]) -> list[Page]:
    """Return pages in the order of the guide."""
    return sorted(pages, key=_place)


def find_page(pages: Iterable[Page], topic: str) -> Page:
    """Return the page of a topic, which may be named without its folder.

    Raises
    ------
    InputError
        There is no such page; the message names the nearest ones.
    """
    by_topic = {page.topic: page for page in pages}
    by_name = {page.name: page for page in by_topic.values()}
    asked = topic.strip("/").removesuffix(".md")
    found = by_topic.get(asked) or by_name.get(asked)
    if found is None:
        remedy = suggestion(asked, [*by_topic, *by_name])
        raise InputError(f"unknown topic {topic!r}", where="guide", remedy=remedy)
    return found


def _written(path: Path) -> Page:
    with path.open(encoding="utf-8") as lines:
        title = next(lines).removeprefix("# ").strip()
    topic = path.relative_to(FOLDER).with_suffix("").as_posix()
    return Page(topic=topic, title=title, make=lambda: path.read_text(encoding="utf-8"))


def _place(page: Page) -> tuple[int, int, str]:
    first = _FIRST.index(page.name) if page.topic in _FIRST else len(_FIRST)
    return list(KINDS).index(page.kind), first, page.topic
