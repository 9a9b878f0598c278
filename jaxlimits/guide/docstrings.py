"""NumPy docstrings as Markdown."""

import inspect
import re
from collections.abc import Iterator

_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)
_LISTED = ("Parameters", "Attributes", "Returns", "Raises", "Yields")
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_CODE = re.compile(r"``([^`]+)``")
_MATH = re.compile(r"^\.\. math:: *(.*(?:\n(?: +.*)?)*)", re.MULTILINE)


def markdown(docstring: str | None) -> str:
    """Return a docstring as Markdown, its sections as bold lines.

    Parameters
    ----------
    docstring
        A docstring in the NumPy form.
    """
    text = inspect.cleandoc(docstring or "")
    words, *parts = _SECTION.split(text)
    sections = zip(parts[::2], parts[1::2], strict=True)
    rendered = [_prose(words), *(_section(title, body) for title, body in sections)]
    return "\n\n".join(part for part in rendered if part)


def _section(title: str, body: str) -> str:
    if title in _LISTED:
        return f"**{title}**\n\n" + "\n".join(_entries(body))
    if title == "Examples":
        return f"**{title}**\n\n{_examples(body)}"
    return f"**{title}**\n\n{_prose(body)}"


def _entries(body: str) -> Iterator[str]:
    """Names and what is said of them, as items of a list."""
    for block in re.split(r"\n(?=\S)", body.strip("\n")):
        name, _, rest = block.partition("\n")
        meaning = " ".join(inspect.cleandoc(rest).split())
        yield f"- `{name.strip()}`: {_inline(meaning)}" if meaning else f"- {_inline(name)}"


def _examples(body: str) -> str:
    """Paragraphs: sessions of Python in fences, prose as it is."""
    paragraphs = re.split(r"\n{2,}", body.strip("\n"))
    return "\n\n".join(
        f"```pycon\n{text}\n```" if text.startswith(">>>") else _prose(text) for text in paragraphs
    )


def _prose(text: str) -> str:
    return _MATH.sub(_formula, _inline(text)).strip("\n")


def _formula(found: re.Match[str]) -> str:
    return f"```text\n{inspect.cleandoc(found[1]).strip()}\n```\n"


def _inline(text: str) -> str:
    return _CODE.sub(r"`\1`", _ROLE.sub(r"`\1`", text))
