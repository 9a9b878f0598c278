"""Small tables for people: columns with units, as CSV and as Markdown."""

import csv
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

from jaxlimits import units

Cell = str | float | int
"""A word, or a number in the SI unit of its column; NaN where there is none."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column.

    Parameters
    ----------
    label
        What it holds.
    unit
        SI unit of its numbers; none for words and plain numbers.
    display
        Unit in which they are shown; by default the SI unit.
    """

    label: str
    unit: str = ""
    display: str = ""

    @property
    def heading(self) -> str:
        """The label with the unit in which numbers are shown."""
        shown = (self.display or self.unit).replace("us", "µs") if self.unit != "1" else ""
        return f"{self.label} [{shown}]" if shown else self.label

    def shown(self, cell: Cell) -> Cell:
        """Return a cell in the unit in which it is shown."""
        if isinstance(cell, str) or not self.display:
            return cell
        return float(units.convert(float(cell), self.unit, self.display))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table: what it is, its columns, and its rows in SI units."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def is_priced(self) -> bool:
        """Whether any column is in dollars."""
        return any("USD" in column.unit for column in self.columns)

    def shown_rows(self) -> Iterator[list[Cell]]:
        """Yield rows in the units in which they are shown."""
        for row in self.rows:
            yield [column.shown(cell) for column, cell in zip(self.columns, row, strict=True)]

    def words(self) -> Iterator[list[str]]:
        """Yield rows as people read them: three digits, a dash where there is no value."""
        for row in self.shown_rows():
            yield [written(cell) for cell in row]


def written(cell: Cell) -> str:
    """Return a cell with three significant digits, or all before the point."""
    if isinstance(cell, str):
        return cell
    if not math.isfinite(cell):
        return "—" if math.isnan(cell) else "∞"
    return f"{cell:,.0f}" if abs(cell) >= 100 or cell == round(cell) else f"{cell:#.3g}"


def write_csv(table: Table, path: Path) -> None:
    """Write comma-separated text with every digit; nothing where there is no value."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.heading for column in table.columns])
        for row in table.shown_rows():
            writer.writerow(["" if cell != cell else cell for cell in row])  # noqa: PLR0124  NaN


def markdown(table: Table) -> str:
    """Return the table as Markdown, its title above it."""
    heads = [column.heading for column in table.columns]
    rules = [":--" if not column.unit else "--:" for column in table.columns]
    lines = [heads, rules, *table.words()]
    return f"**{table.title}**\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)
