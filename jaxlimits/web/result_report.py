"""The report of a result: one HTML file, interactive, that needs nothing beside it."""

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits.plot.style import quantity
from jaxlimits.results.reason_codes import HATCHED, WORDS, Reason
from jaxlimits.results.reasons import reasons
from jaxlimits.web.charts import frontier_chart, histogram, line_chart, record_bars
from jaxlimits.web.html_tables import design_tables, index_tables, note, record_table, table
from jaxlimits.web.page import write_page
from jaxlimits.web.parts import Part, parts_of, thinned
from jaxlimits.web.slices import sliced_map
from jaxlimits.web.uncertain_charts import band_lines, index_bars

MOST_VALUES = 1_500_000
"""Numbers of all figures together that a report holds: some 8 MB."""

_MADE_BY = ("source", "history", "grid_name", "precision", "content_hash")


def write_report(dataset: xr.Dataset, path: Path) -> None:
    """Write the report of a result.

    Parameters
    ----------
    dataset
        A result, whole or reduced.
    path
        HTML file to write.

    Raises
    ------
    ResultError
        It cannot be written there.
    """
    parts = list(parts_of(dataset))
    drawn = [part for part in parts if _is_drawn(part)]
    figures: dict[str, Any] = {}
    sections = []
    for number, part in enumerate(parts):
        name = f"figure{number}"
        kept = thinned(part.data, values=MOST_VALUES // max(len(drawn), 1))
        body = _TABLES[part.kind](part.data) if part.kind in _TABLES else ""
        if _is_drawn(part):
            figures[name] = _FIGURES[part.kind](kept.data, part.own)
            body = f"{{{{ {name} }}}}{note(kept.words)}{note(_lacking(part.data, part.kind))}{body}"
        sections.append(f"<section><h2>{escape(part.title)}</h2>{body}</section>")
    title = escape(str(dataset.attrs.get("title", "A result of jaxlimits")))
    told = (str(dataset.attrs.get(name, "")) for name in ("summary", "question"))
    head = f"<h1>{title}</h1>{''.join(map(note, told))}"
    text = head + _binding(dataset) + "".join(sections) + _provenance(dataset)
    write_page(path, title=title, body=text, figures=figures)


_FIGURES = {
    "map": lambda data, _own: sliced_map(data),
    "line": lambda data, _own: line_chart(data),
    "bands": lambda data, _own: band_lines(data),
    "bars": lambda data, _own: index_bars(data),
    "histogram": histogram,
    "frontier": frontier_chart,
    "records": lambda data, _own: record_bars(data),
}
"""How each kind of part is drawn, from its data and its own dimension."""


def _is_drawn(part: Part) -> bool:
    """Whether a part has a figure; a list without records, or of words alone, has none."""
    numeric = any(each.dtype.kind in "fiu" for each in part.data.data_vars.values())
    listed = part.kind != "records" or (numeric and all(part.data.sizes.values()))
    return part.kind in _FIGURES and listed


_TABLES = {
    "bars": index_tables,
    "design": design_tables,
    "frontier": table,
    "line": lambda data: table(data) if _is_small(data) else "",
    "numbers": table,
    "records": record_table,
    "table": table,
}
"""How each kind of part is told in a table; others are not."""

_MOST_COLUMNS = 8


def _is_small(data: xr.Dataset) -> bool:
    return len(data.data_vars) <= _MOST_COLUMNS and max(data.sizes.values()) <= _MOST_LINES


_MOST_LINES = 32


def _lacking(data: xr.Dataset, kind: str) -> str:
    """How many points of each variable have no value, why, and how a map shows them."""
    alike: dict[str, list[str]] = {}
    for name in map(str, data.data_vars):
        codes = reasons(data, name)
        found, counts = np.unique(codes.to_numpy(), return_counts=True)
        words = [
            f"{WORDS[code]}{_look_of(code) if kind == 'map' else ''} at {count:,}"
            for code, count in zip(found.tolist(), counts.tolist(), strict=True)
            if code != Reason.FITS
        ]
        if words:
            alike.setdefault(f"{', '.join(words)} of {codes.size:,} points", []).append(name)
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in alike.items())


def _look_of(code: int) -> str:
    return " (striped)" if code in HATCHED else " (grey)"


def _binding(dataset: xr.Dataset) -> str:
    """Shares of the points by what binds, where the result has every point."""
    if "limit" not in dataset.data_vars or "flag_values" not in dataset["limit"].attrs:
        return ""
    limit = dataset["limit"]
    codes, counts = np.unique(limit.to_numpy(), return_counts=True)
    flags = np.asarray(limit.attrs["flag_values"]).tolist()
    words = dict(zip(flags, limit.attrs["flag_meanings"].split(), strict=True))
    if limit.size == 1:
        return f"<p><b>What binds</b>: {words.get(codes.item(), codes.item())}.</p>"
    shares = ", ".join(
        f"{words.get(code, code)} {count / limit.size:.1%}"
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True)
    )
    return f"<p><b>What binds</b>, by share of the {limit.size:,} points: {shares}.</p>"


def _provenance(dataset: xr.Dataset) -> str:
    rows = "".join(
        f"<tr><th>{name.replace('_', ' ')}</th><td class='word'>{escape(words)}</td></tr>"
        for name, words in _made_by(dataset)
    )
    grid = escape(str(dataset.attrs.get("grid", "")))
    text = f"<details><summary>The grid's text</summary><pre>{grid}</pre></details>" if grid else ""
    comment = note(str(dataset.attrs.get("comment", "")))
    return f"<h2>What made it</h2>{comment}<table><tbody>{rows}</tbody></table>{text}"


def _made_by(dataset: xr.Dataset) -> Iterator[tuple[str, str]]:
    for name in _MADE_BY:
        if name in dataset.attrs:
            yield name, str(dataset.attrs[name])
    fixed = {str(name): value.item() for name, value in dataset.coords.items() if not value.ndim}
    if fixed:
        shown = (
            f"{name} = {quantity(float(v), dataset[name])}"
            if not isinstance(v, str)
            else f"{name} = {v}"
            for name, v in fixed.items()
        )
        yield "of", ", ".join(shown)
    overrides = json.loads(dataset.attrs.get("overrides", "{}"))
    if overrides:
        yield "set", ", ".join(f"{name} = {value}" for name, value in overrides.items())
