"""A board of small figures in one page: a measured frontier under its limit and a prediction."""

import dataclasses
import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxlimits.web.page import write_page

Point = tuple[float, float]
"""Tokens a second of one user, and of one chip [token/s]."""

_WIDTH, _HEIGHT = 300.0, 210.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 10.0, 10.0, 32.0
_LOOKS = {
    "limit": 'fill="none" stroke="#888" stroke-dasharray="5 4" stroke-width="1.5"',
    "predicted": 'fill="none" stroke="#0072b2" stroke-width="1.5"',
    "measured": 'fill="none" stroke="#d55e00" stroke-width="2"',
}
_STYLE = """<style>
.board { display: flex; flex-wrap: wrap; gap: 1rem 1.4rem; }
.cell { width: 300px; margin: 0; break-inside: avoid; }
h2 { break-after: avoid; }
.cell figcaption { font-size: .85rem; line-height: 1.35; }
.cell b { font-weight: 600; }
.key span { margin-right: 1.4rem; white-space: nowrap; }
svg text { font: 11px system-ui, sans-serif; fill: #444; }
</style>"""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One figure of the board.

    Parameters
    ----------
    title
        What was measured: chip, model, lengths.
    rows
        Measured points, of which the frontier is drawn.
    measured, limit, predicted
        The frontier, and what the limit and a calibration say of each of its points.
    words
        What to say below: the share reached, what binds, what is new.
    """

    title: str
    rows: int
    measured: Sequence[Point]
    limit: Sequence[Point]
    predicted: Sequence[Point]
    words: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Figures under one head, and what to say below them."""

    title: str
    cells: Sequence[Cell]
    note: str


def write_board(path: Path, *, title: str, words: str, sections: Sequence[Section]) -> None:
    """Write a page that stands alone: every section with its figures.

    Parameters
    ----------
    path
        File to write.
    title, words
        Head of the page, and what it shows, as text.
    sections
        What the page shows, in its order.
    """
    body = [_STYLE, f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(words)}</p>", _key()]
    for section in sections:
        figures = "".join(_figure(cell) for cell in section.cells)
        body.append(f'<h2>{html.escape(section.title)}</h2><div class="board">{figures}</div>')
        body += [f'<p class="note">{html.escape(section.note)}</p>'] if section.note else []
    write_page(path, title=html.escape(title), body="\n".join(body), figures={})


def _key() -> str:
    lines = (
        f'<span><svg width="34" height="8"><path d="M1 4H33" {look}/></svg> {name}</span>'
        for name, look in _LOOKS.items()
    )
    return f'<p class="key note">{"".join(lines)}</p>'


def _figure(cell: Cell) -> str:
    return (
        f'<figure class="cell">{_picture(cell)}<figcaption><b>{html.escape(cell.title)}</b> '
        f"({cell.rows} rows)<br>{html.escape(cell.words)}</figcaption></figure>"
    )


def _picture(cell: Cell) -> str:
    """The three frontiers over logarithmic axes, and every point as a dot.

    Beside a measured frontier, points of a limit or a prediction may beat each other: a line joins
    those that no other one beats.
    """
    lines = {"limit": cell.limit, "predicted": cell.predicted, "measured": cell.measured}
    points = [point for line in lines.values() for point in line]
    x_ends, y_ends = (_ends(point[axis] for point in points) for axis in (0, 1))

    def place(point: Point) -> str:
        x = _LEFT + _share(point[0], x_ends) * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - _share(point[1], y_ends) * (_HEIGHT - _TOP - _BOTTOM)
        return f"{x:.1f} {y:.1f}"

    drawn = []
    for name, line in lines.items():
        path = "M" + "L".join(place(point) for point in _unbeaten(line))
        drawn.append(f'<path d="{path}" {_LOOKS[name]}/>')
        dots = (place(point).split() for point in sorted(line))
        colour = _LOOKS[name].split('stroke="')[1].split('"')[0]
        drawn += [f'<circle cx="{x}" cy="{y}" r="2" fill="{colour}"/>' for x, y in dots]
    return (
        f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" width="{_WIDTH:g}" height="{_HEIGHT:g}" '
        f'role="img" aria-label="{html.escape(cell.title)}">{_axes(x_ends, y_ends)}'
        f"{''.join(drawn)}</svg>"
    )


def _unbeaten(line: Iterable[Point]) -> list[Point]:
    """Points that no other one beats in both, from the slowest user to the quickest."""
    kept: list[Point] = []
    for point in sorted(line, reverse=True):
        if not kept or point[1] > kept[-1][1]:
            kept.append(point)
    return kept[::-1]


def _ends(values: Iterable[float]) -> Point:
    """Ends of an axis: a tenth beyond the values."""
    found = list(values)
    return min(found) / 1.1, max(found) * 1.1


def _share(value: float, ends: Point) -> float:
    return math.log(value / ends[0]) / math.log(ends[1] / ends[0])


def _axes(x_ends: Point, y_ends: Point) -> str:
    """Frame, ticks and their names."""
    floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = [
        f'<path d="M{_LEFT} {_TOP}V{floor}H{right}" fill="none" stroke="#bbb"/>',
        f'<text x="{(_LEFT + right) / 2:.0f}" y="{_HEIGHT - 4:.0f}" text-anchor="middle">'
        "token/s of one user</text>",
        f'<text transform="translate(11 {(_TOP + floor) / 2:.0f}) rotate(-90)" '
        'text-anchor="middle">token/s of a chip</text>',
    ]
    for tick in _ticks(x_ends):
        x = _LEFT + _share(tick, x_ends) * (right - _LEFT)
        parts.append(f'<text x="{x:.1f}" y="{floor + 13:.0f}" text-anchor="middle">{tick:g}</text>')
    for tick in _ticks(y_ends):
        y = floor - _share(tick, y_ends) * (floor - _TOP)
        parts.append(f'<text x="{_LEFT - 4:g}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    return "".join(parts)


def _ticks(ends: Point) -> list[float]:
    """Round numbers within an axis: 1, 2 and 5 times powers of ten, at most five."""
    powers = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    found = [m * 10.0**p for p in powers for m in (1, 2, 5) if ends[0] <= m * 10.0**p <= ends[1]]
    return found[:: math.ceil(len(found) / 5)] if found else []
