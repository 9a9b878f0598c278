"""Tables of the reference, in Markdown."""

from collections.abc import Iterable, Sequence


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table, whatever its cells contain.

    Parameters
    ----------
    titles
        Heads of the columns.
    rows
        Cells of each row; lines and bars within a cell are kept on its line.
    """
    lines = [titles, ["---"] * len(titles), *(list(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(word: object) -> str:
    """Return a name as code; nothing for an empty one."""
    return f"`{word}`" if f"{word}" else ""


def _cell(value: object) -> str:
    return " ".join(f"{value}".split()).replace("|", "\\|")
