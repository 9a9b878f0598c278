"""The report of a result: one HTML file, interactive, that needs nothing beside it."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.plot import style
from jaxlimits.results.listing import written
from jaxlimits.results.reason_codes import WORDS, Reason
from jaxlimits.results.reasons import reasons
from jaxlimits.web.charts import frontier_chart, histogram, line_chart
from jaxlimits.web.page import write_page
from jaxlimits.web.parts import parts_of, thinned
from jaxlimits.web.slices import sliced_map

MOST_VALUES = 1_500_000
"""Numbers of all figures together that a report holds: some 8 MB."""

_MOST_ROWS = 200
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
    drawn = [part for part in parts if part.kind in _FIGURES]
    figures: dict[str, Any] = {}
    sections = []
    for number, part in enumerate(parts):
        name = f"figure{number}"
        kept = thinned(part.data, values=MOST_VALUES // max(len(drawn), 1))
        body = _table(part.data) if part.kind not in ("map", "line", "histogram") else ""
        if part.kind in _FIGURES:
            figures[name] = _FIGURES[part.kind](kept.data, part.own)
            body = f"{{{{ {name} }}}}{_note(kept.words)}{_note(_lacking(part.data))}{body}"
        sections.append(f"<section><h2>{escape(part.title)}</h2>{body}</section>")
    title = escape(str(dataset.attrs.get("title", "A result of jaxlimits")))
    head = f"<h1>{title}</h1>{_note(str(dataset.attrs.get('summary', '')))}"
    text = head + _binding(dataset) + "".join(sections) + _provenance(dataset)
    write_page(path, title=title, body=text, figures=figures)


_FIGURES = {
    "map": lambda data, _own: sliced_map(data),
    "line": lambda data, _own: line_chart(data),
    "histogram": histogram,
    "frontier": frontier_chart,
}
"""How each kind of part is drawn, from its data and its own dimension; others are tables."""


def _note(words: str) -> str:
    return f'<p class="note">{escape(words)}</p>' if words else ""


def _lacking(data: xr.Dataset) -> str:
    """How many points of each variable have no value, and why."""
    told = []
    for name in map(str, data.data_vars):
        codes = reasons(data, name)
        found, counts = np.unique(codes.to_numpy(), return_counts=True)
        each = zip(found.tolist(), counts.tolist(), strict=True)
        words = [f"{WORDS[code]} at {count:,}" for code, count in each if code != Reason.FITS]
        told += [f"{name}: {', '.join(words)} of {codes.size:,} points"] if words else []
    return "; ".join(told)


def _binding(dataset: xr.Dataset) -> str:
    """Shares of the points by what binds, where the result has every point."""
    if "limit" not in dataset:
        return ""
    limit = dataset["limit"]
    codes, counts = np.unique(limit.to_numpy(), return_counts=True)
    flags = np.asarray(limit.attrs["flag_values"]).tolist()
    words = dict(zip(flags, limit.attrs["flag_meanings"].split(), strict=True))
    shares = ", ".join(
        f"{words.get(code, code)} {count / limit.size:.1%}"
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True)
    )
    return f"<p><b>What binds</b>, by share of the {limit.size:,} points: {shares}.</p>"


def _table(data: xr.Dataset) -> str:
    """A table of variables along one dimension, or of single numbers."""
    if not data.sizes:
        rows = "".join(
            f"<tr><th>{escape(style.label(data[n], width=200))}</th>"
            f"<td>{_cell(data[n], reasons(data, n))}</td></tr>"
            for n in map(str, data.data_vars)
        )
        return f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'
    if len(data.sizes) > 1:
        return ""
    (dim,) = map(str, data.sizes)
    columns = [*([dim] if dim in data.coords else []), *map(str, data.data_vars)]
    why = {name: reasons(data, name) for name in columns}
    heads = "".join(f"<th>{escape(_head(data[name]))}</th>" for name in columns)
    length = min(data.sizes[dim], _MOST_ROWS)
    rows = "".join(f"<tr>{''.join(_cells(data, why, place))}</tr>" for place in range(length))
    left = data.sizes[dim] - length
    note = _note(f"The first {length} of {data.sizes[dim]:,} rows." if left else "")
    table = f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="scroll"><table>{table}</table></div>{note}'


def _head(variable: xr.DataArray) -> str:
    unit = variable.attrs.get("display_unit", "1")
    return str(variable.name) if unit == "1" else f"{variable.name} [{style.typeset(unit)}]"


def _cells(data: xr.Dataset, why: Mapping[str, xr.DataArray], place: int) -> Iterator[str]:
    """The cells of a row."""
    for name, codes in why.items():
        yield f"<td>{_cell(data[name][place], codes[place])}</td>"


def _cell(value: xr.DataArray, reason: xr.DataArray) -> str:
    """One value in the unit in which it is shown, or why there is none; codes in words."""
    if "flag_meanings" not in value.attrs and reason.item() != Reason.FITS:
        return escape(WORDS[reason.item()])
    if "flag_meanings" in value.attrs:
        flags = np.asarray(value.attrs["flag_values"]).tolist()
        words = dict(zip(flags, value.attrs["flag_meanings"].split(), strict=True))
        return escape(words.get(value.item(), "–").replace("_", " "))
    if not style.is_numeric(value):
        return escape(str(value.item()))
    unit, display = (value.attrs.get(key, "1") for key in ("si_unit", "display_unit"))
    return written(float(units.convert(float(value), unit, display)))


def _provenance(dataset: xr.Dataset) -> str:
    rows = "".join(
        f"<tr><th>{name.replace('_', ' ')}</th><td class='word'>{escape(words)}</td></tr>"
        for name, words in _made_by(dataset)
    )
    grid = escape(str(dataset.attrs.get("grid", "")))
    text = f"<details><summary>The grid's text</summary><pre>{grid}</pre></details>" if grid else ""
    comment = _note(str(dataset.attrs.get("comment", "")))
    return f"<h2>What made it</h2>{comment}<table><tbody>{rows}</tbody></table>{text}"


def _made_by(dataset: xr.Dataset) -> Iterator[tuple[str, str]]:
    for name in _MADE_BY:
        if name in dataset.attrs:
            yield name, str(dataset.attrs[name])
    overrides = json.loads(dataset.attrs.get("overrides", "{}"))
    if overrides:
        yield "set", ", ".join(f"{name} = {value}" for name, value in overrides.items())
