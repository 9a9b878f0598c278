"""Fenced blocks of a page: the files, commands and programs that it shows, and their outputs."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r'title="([^"]+)"')


class Fence(NamedTuple):
    """A fenced block.

    Parameters
    ----------
    language
        The first word after the fence: ``sh``.
    info
        The rest of that line; ``title="NAME"`` says that the block is a file.
    body
        The lines of the block.
    """

    language: str
    info: str
    body: str

    @property
    def file(self) -> str:
        """The name of the file that the block is; empty where it is none."""
        found = _FILE.search(self.info)
        return found[1] if found else ""

    @property
    def commands(self) -> list[str]:
        """The command lines of a block of shell; none of other blocks."""
        lines = self.body.splitlines() if self.language == "sh" else []
        return [line for line in lines if line.startswith("jaxlimits ")]


def fences(text: str) -> Iterator[Fence]:
    """Yield the fenced blocks of a Markdown text."""
    for found in _FENCE.finditer(text):
        yield Fence(*found.groups())


def shown_files(text: str) -> dict[str, str]:
    """Return the files that a page shows, by name."""
    return {fence.file: fence.body for fence in fences(text) if fence.file}


def shown_commands(text: str) -> list[str]:
    """Return the commands of a page, in their order."""
    return [line for fence in fences(text) for line in fence.commands]
