"""Tables of measurements as text: rows with their lines, and errors that name both."""

import csv
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from jaxlimits.catalog.text_files import read_text
from jaxlimits.errors import InputError, suggestion, unknown_name
from jaxlimits.model.fields import Quantity

SHIPPED = Path(__file__).parents[1] / "catalog" / "data"
"""Measurements that come with the package."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of a table.

    Parameters
    ----------
    where
        File and line, for errors.
    cells
        Text by column.
    """

    where: str
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Return a cell's text, which must not be empty."""
        value = self.cells[column]
        if not value:
            raise InputError("is empty", where=self.where, key=column)
        return value

    def number(self, column: str, info: Quantity) -> float:
        """Return a cell's number: plain, in the SI unit of its quantity."""
        raw = self.text(column)
        try:
            value = float(raw)
        except ValueError:
            plain = "a plain number" + ("" if info.unit == "1" else f" in {info.unit}")
            raise InputError(
                f"must be {plain}: {info.meaning}", where=self.where, key=column, value=raw
            ) from None
        if not info.admits(value):
            raise InputError(f"must be {info.bounds}", where=self.where, key=column, value=raw)
        return value


def shipped_tables() -> dict[str, Path]:
    """Return the tables of measurements that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.csv"))}


def table_path(table: str) -> Path:
    """Return a table's path, or that of a shipped one of this name."""
    shipped, path = shipped_tables(), Path(table)
    return shipped[table] if table in shipped and not path.exists() else path


def read_table(path: str | Path, *, required: Iterable[str]) -> list[Row]:
    """Read a CSV file whose first line names its columns.

    Raises
    ------
    InputError
        A file that cannot be read, that lacks columns or has one twice, a line with too many or
        too few cells, no rows at all.
    """
    where = str(path)
    reader = csv.reader(read_text(Path(path), where=where).splitlines())
    header = [name.strip() for name in next(reader, [])]
    _check_header(header, required, where=f"{where}: line 1")
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        place = f"{where}: line {reader.line_num}"
        if len(cells) != len(header):
            problem = f"has {len(cells)} cells where the header names {len(header)} columns"
            raise InputError(problem, where=place, remedy="quote cells that hold a comma")
        named = zip(header, (cell.strip() for cell in cells), strict=True)
        rows.append(Row(where=place, cells=dict(named)))
    if not rows:
        raise InputError("has no rows", where=where)
    return rows


def selected(rows: list[Row], *, without: Mapping[str, str], where: str) -> list[Row]:
    """Return the rows of which no named column has the value named with it.

    Raises
    ------
    InputError
        A column that there is not, or a value that no row has.
    """
    for column, value in without.items():
        if column not in rows[0].cells:
            raise unknown_name("column", column, rows[0].cells, where="`without`")
        values = {row.cells[column] for row in rows}
        if value not in values:
            problem = f"no row of {where} has {column} = {value!r}"
            raise InputError(problem, where="`without`", remedy=suggestion(value, values))
        rows = [row for row in rows if row.cells[column] != value]
        if not rows:
            raise InputError("leaves no row", where="`without`", key=column, value=value)
    return rows


def _check_header(header: list[str], required: Iterable[str], *, where: str) -> None:
    required = list(required)
    missing = [name for name in required if name not in header]
    stated = [text for text in header if text.split("[")[0].split("(")[0].strip() in missing]
    if stated:
        name = stated[0].split("[")[0].split("(")[0].strip()
        remedy = f"write {name}: every column has one unit, tokens a second for rates"
        raise InputError("states a unit in the header", where=where, key=stated[0], remedy=remedy)
    if missing:
        problem = f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise InputError(problem, where=where, remedy=f"needed are {', '.join(required)}")
    twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if twice:
        raise InputError("stands twice in the header", where=where, key=twice[0])
