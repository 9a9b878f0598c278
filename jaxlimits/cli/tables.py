"""Tables as every command prints them.

At a terminal a table keeps to its width: texts wrap inside their column. Where there is no room for
that, the text of a narrow table stands below each of its rows; a few rows may be turned into
columns; and columns that still do not fit follow below, the first column beside them again. Into a
pipe or a file go plain lines as wide as their content, the same wherever they are made. There are
no rules and no boxes, so that ``awk`` and ``sort`` read what people read.
"""

import dataclasses
import io
import itertools
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table

_GAP = 2
_NARROWEST_TEXT = 24
"""Where a text is narrower than this, columns are better printed one below the other."""

_MOST_WITH_TEXT_BELOW = 4
"""Columns of a table up to which its last text may stand below each row; others are compared."""

_DEEPER = 4
"""By how much such a text is indented."""

_GLUE = "\ue000"
"""Stands for a space at which no line ends: rich breaks lines at every kind of space."""

_NOT_NUMBERS = ("", "–", "nan", "inf", "-inf")


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, whether its cells are numbers, and whether they may wrap."""

    title: str
    numeric: bool = False
    wraps: bool = False


Row = Sequence[str] | str
"""The cells of a row, or a heading above the rows that follow."""


def label(title: str = "") -> Column:
    """Return a column of names, which are never cut."""
    return Column(title)


def number(title: str = "") -> Column:
    """Return a column of numbers, aligned at their ends."""
    return Column(title, numeric=True)


def text(title: str = "") -> Column:
    """Return a column of sentences, which may wrap."""
    return Column(title, wraps=True)


def glued(words: str) -> str:
    """Return words that stay on one line of a cell, as a number and its unit do."""
    return words.replace(" ", _GLUE)


def room_at_terminal() -> int | None:
    """Return the width of the terminal; none where output goes elsewhere, which has no width."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def print_filled(words: str) -> None:
    """Print lines, each filled into the width of the terminal."""
    typer.echo(_filled(words, room_at_terminal()))


def print_table(
    columns: Sequence[Column], rows: Iterable[Row], *, indent: int = 0, may_turn: bool = False
) -> None:
    """Print a table on standard output.

    Parameters
    ----------
    columns
        What each column is; titles are shown where one of them has any.
    rows
        Cells, or headings.
    indent
        Spaces before each line but those of headings.
    may_turn
        Whether rows may become columns, beside the titles, where only that fits.
    """
    rows = list(rows)
    width = room_at_terminal()
    at_terminal = width is not None
    room = None if width is None else width - indent
    natural = _natural_widths(columns, rows)
    blocks = _blocks(columns, natural, room)
    if room is not None and len(blocks) > 1:
        turned = _turned(columns, rows)
        if may_turn and len(_blocks(*turned[:2], room)) == 1:
            columns, natural, rows = turned
            blocks = _blocks(columns, natural, room)
        elif _fits_without_text(columns, natural, room):
            _print_text_below(columns, natural, rows, room, indent=indent)
            return
    for place, block in enumerate(blocks):
        if place:
            typer.echo()
        chosen = [columns[i] for i in block]
        readable = _shrunk(chosen, [natural[i] for i in block], room, least=_NARROWEST_TEXT)
        widths = _shrunk(chosen, readable, room, least=1)  # where nothing but this fits
        for line, is_heading in _rendered(chosen, widths, _kept(rows, block), styled=at_terminal):
            typer.echo(_filled(line, width) if is_heading else " " * indent + line)


def _turned(
    columns: Sequence[Column], rows: Sequence[Row]
) -> tuple[list[Column], list[int], list[Row]]:
    """A table whose rows are columns, beside the titles: its columns, their widths, its rows."""
    cells = [row for row in rows if not isinstance(row, str)]
    turned: list[Row] = [
        [column.title, *(row[place] for row in cells)] for place, column in enumerate(columns)
    ]
    heads = [label(), *(number() for _ in cells)]
    return heads, _natural_widths(heads, turned), turned


def _fits_without_text(columns: Sequence[Column], natural: Sequence[int], room: int) -> bool:
    """Whether a table fits but for its last column, which is text."""
    if len(columns) > _MOST_WITH_TEXT_BELOW or not columns[-1].wraps:
        return False
    return len(_blocks(columns[:-1], natural[:-1], room)) == 1


def _print_text_below(
    columns: Sequence[Column],
    natural: Sequence[int],
    rows: Sequence[Row],
    room: int,
    *,
    indent: int,
) -> None:
    """Print a table with the text of its last column below each row."""
    beside, last = columns[:-1], columns[-1]
    widths = _shrunk(beside, natural[:-1], room, least=_NARROWEST_TEXT)
    titled: list[Row | None] = [None] if any(column.title for column in columns) else []
    for row in [*titled, *rows]:
        if isinstance(row, str):
            typer.echo(_filled(row, room + indent))
            continue
        cells = None if row is None else [row[:-1]]
        for line in _lines(beside, widths, cells, styled=True):
            if line.strip():
                typer.echo(" " * indent + line)
        words = last.title if row is None else row[-1]
        margin = " " * (indent + _DEEPER)
        for line in textwrap.wrap(words, max(room - _DEEPER, 1), break_on_hyphens=False):
            typer.echo(margin + line.replace(_GLUE, " "))


def _filled(heading: str, room: int | None) -> str:
    """A heading in lines no longer than the room, each as far from the margin as its first."""
    if room is None:
        return heading
    lines = heading.split("\n")
    margins = [line[: len(line) - len(line.lstrip())] for line in lines]
    filled = [
        textwrap.wrap(line, room, subsequent_indent=margin) or [""]
        for line, margin in zip(lines, margins, strict=True)
    ]
    return "\n".join(itertools.chain.from_iterable(filled))


def unit_in_title(title: str, cells: Sequence[str]) -> tuple[str, list[str]]:
    """Move the unit that all cells share into the title.

    Returns
    -------
    tuple
        ``("mem_bw [TB/s]", ["1", "2"])`` for ``"mem_bw"`` and ``["1 TB/s", "2 TB/s"]``; both as
        they are where cells differ in their unit or are not quantities.
    """
    split = [cell.partition(" ")[::2] for cell in cells]
    found = {unit for number, unit in split if number not in _NOT_NUMBERS}
    if len(found) != 1 or not all(_is_number(number) for number, _ in split):
        return title, list(cells)
    (unit,) = found
    return (f"{title} [{unit}]", [number for number, _ in split]) if unit else (title, list(cells))


def _is_number(word: str) -> bool:
    digits = word.replace(",", "").lstrip("+-")
    return word in _NOT_NUMBERS or digits[:1].isdigit()


def _natural_widths(columns: Sequence[Column], rows: Iterable[Row]) -> list[int]:
    from rich.cells import cell_len

    cells = [row for row in rows if not isinstance(row, str)]
    titles = [column.title for column in columns]
    return [max(map(cell_len, column)) for column in zip(titles, *cells, strict=True)]


def _shrunk(
    columns: Sequence[Column], widths: Sequence[int], room: int | None, *, least: int
) -> list[int]:
    """Widths of which texts give up what is too much, the widest first, down to the least."""
    if room is None:
        return list(widths)
    widths = [min(width, max(room, 1)) for width in widths]
    excess = sum(widths) + _GAP * (len(widths) - 1) - room
    for place in sorted(range(len(widths)), key=lambda i: -widths[i]):
        if columns[place].wraps and excess > 0:
            given = min(excess, max(0, widths[place] - least))
            widths[place] -= given
            excess -= given
    return widths


def _blocks(
    columns: Sequence[Column], natural: Sequence[int], room: int | None
) -> list[tuple[int, ...]]:
    """Columns that fit beside each other, by their places; the first begins each block."""
    if room is None:
        return [tuple(range(len(columns)))]
    widths = _shrunk(columns, natural, room, least=_NARROWEST_TEXT)
    blocks, block, used = [], [0], widths[0]
    for place in range(1, len(widths)):
        if used + _GAP + widths[place] > room and len(block) > 1:
            blocks.append(tuple(block))
            block, used = [0], widths[0]
        block.append(place)
        used += _GAP + widths[place]
    return [*blocks, tuple(block)]


def _kept(rows: Iterable[Row], block: Sequence[int]) -> list[Row]:
    return [row if isinstance(row, str) else [row[place] for place in block] for row in rows]


def _rendered(
    columns: Sequence[Column], widths: Sequence[int], rows: list[Row], *, styled: bool
) -> Iterable[tuple[str, bool]]:
    """Lines of a block, and which of them are headings."""
    if any(column.title for column in columns):
        yield from ((line, False) for line in _lines(columns, widths, None, styled=styled))
    for is_heading, group in itertools.groupby(rows, key=lambda row: isinstance(row, str)):
        if is_heading:
            yield from ((str(heading), True) for heading in group)
        else:
            yield from ((line, False) for line in _lines(columns, widths, group, styled=styled))


def _lines(
    columns: Sequence[Column],
    widths: Sequence[int],
    rows: Iterable[Row] | None,
    *,
    styled: bool,
) -> list[str]:
    """Lines of rows, or of the titles where there are none."""
    from rich.console import Console

    wide = sum(widths) + _GAP * len(widths)
    console = Console(
        file=io.StringIO(), width=wide, force_terminal=styled, highlight=False, no_color=not styled
    )
    with console.capture() as captured:
        console.print(_table(columns, widths, rows))
    return [line.rstrip().replace(_GLUE, " ") for line in captured.get().splitlines()]


def _table(columns: Sequence[Column], widths: Sequence[int], rows: Iterable[Row] | None) -> "Table":
    from rich.table import Table
    from rich.text import Text  # a plain str would be read as markup, and "[B]" vanish

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, show_header=rows is None)
    for column, width in zip(columns, widths, strict=True):
        justify = "right" if column.numeric else "left"
        table.add_column(Text(column.title), justify=justify, width=width, overflow="fold")
    for row in rows or ():
        table.add_row(*map(Text, row))
    return table
