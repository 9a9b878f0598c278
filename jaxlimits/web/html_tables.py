"""Tables of a report, as HTML: variables along one axis, single numbers, designs, inputs."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import chain

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.plot import style
from jaxlimits.results.indices import SOBOL, entries, measured_metrics
from jaxlimits.results.listing import written
from jaxlimits.results.reason_codes import WORDS, Reason
from jaxlimits.results.reasons import reasons
from jaxlimits.results.records import EMPTY, telling

_MOST_ROWS = 200


def note(words: str) -> str:
    """Return words as a quiet paragraph; nothing where there are none."""
    return f'<p class="note">{escape(words)}</p>' if words else ""


def table(data: xr.Dataset) -> str:
    """Return a table of variables along one dimension, or of single numbers."""
    if not data.sizes:
        rows = (
            (style.label(data[n], width=200), cell(data[n], reasons(data, n)))
            for n in map(str, data.data_vars)
        )
        return _scrolled((), rows)
    if len(data.sizes) > 1:
        return ""
    (dim,) = map(str, data.sizes)
    columns = [*([dim] if dim in data.coords else []), *map(str, data.data_vars)]
    length = min(data.sizes[dim], _MOST_ROWS)
    along = {dim: style.names(data[dim], bare=True)} if dim in data.coords else {}
    told = {
        name: along.get(name) or list(map(cell, data[name][:length], reasons(data, name)))
        for name in columns
    }
    rows = zip(*(told[name][:length] for name in columns), strict=True)
    left = data.sizes[dim] - length
    said = note(f"The first {length} of {data.sizes[dim]:,} rows." if left else "")
    return f"{_scrolled([_head(data[name]) for name in columns], rows)}{said}"


def record_table(data: xr.Dataset) -> str:
    """Return a table of the records of an answer: what they are first, then what is said of them.

    Coordinates that are the same in all of them are left out.
    """
    (dim,) = map(str, data.sizes)
    if not data.sizes[dim]:
        return note(f"{EMPTY.format(dim)}.")
    told = telling(data, dim)
    length = min(data.sizes[dim], _MOST_ROWS)
    columns = [[cell(each) for each in data[name][:length]] for name in told]
    names = list(map(str, data.data_vars))
    columns += [list(map(cell, data[name][:length], reasons(data, name))) for name in names]
    left = data.sizes[dim] - length
    said = note(f"The first {length} of {data.sizes[dim]:,} rows." if left else "")
    heads = [_head(data[name]) for name in (*told, *names)]
    return f"{_scrolled(heads, zip(*columns, strict=True), words=len(told))}{said}"


def index_tables(data: xr.Dataset) -> str:
    """Return what each uncertain input does to each metric, the largest first."""
    return "".join(_index_table(data, metric) for metric in measured_metrics(data))


def _index_table(data: xr.Dataset, metric: str) -> str:
    found = entries(data, metric)
    is_sobol = SOBOL in data.data_vars
    unit = found["whole"].attrs.get("display_unit", "1")
    suffix = "" if unit == "1" else f" [{style.typeset(unit)}]"
    names = ("total", "alone") if is_sobol else ("mean size", "deviation", "signed mean")
    heads = ["input", "distribution", *(f"{name}{suffix}" for name in names)]
    columns = [name for name in ("whole", "part", "mean") if name in found]
    rows = (
        [
            str(found["entry"].to_numpy()[place]),
            str(found["distribution"].to_numpy()[place]),
            *(_with_half(found.isel(entry=place), name) for name in columns),
        ]
        for place in range(found.sizes["entry"])
    )
    return _scrolled(heads, rows, caption=metric, words=2)


def _with_half(found: xr.Dataset, name: str) -> str:
    digits = found[name].attrs.get("display_unit", "1") == "1"
    value = float(style.shown(found[name]))
    text = f"{value + 0.0:.3f}" if digits else written(value)
    if f"{name}_conf" not in found:
        return text
    half = float(style.shown(found[f"{name}_conf"]))
    return f"{text} ± {f'{half:.3f}' if digits else written(half)}"


def design_tables(data: xr.Dataset) -> str:
    """Return the best designs: what was chosen, what it gives, how much of each budget is used.

    A column for each limit of the budget that was varied.
    """
    places = _places(data)
    swept = [str(dim) for dim in data.dims]
    fields, budgets, prices = (
        str(data.attrs.get(name, "")).split() for name in ("fields", "budgets", "prices")
    )
    objective = str(data.attrs["objective"]).split()[-1]
    metrics = [name for name in (objective, *_FIRST, *prices) if name in data]
    told = {*fields, *metrics, *swept, *_of_search(fields, budgets)}
    rest = [name for name in map(str, data.data_vars) if name not in told]
    heads = ["", *(_quantity(place[dim]) for place in places for dim in swept)]
    heads = heads if swept else []
    caption = f"the best design; columns: {swept[0]}" if swept else "the best design"
    chosen = [[name, *(_chosen(place, name) for place in places)] for name in fields]
    unmet = [["cannot be met", *map(_unmet, places)]] if _misses(data) else []
    groups = (
        _scrolled(heads, chain(chosen, unmet), caption=caption),
        _scrolled(heads, _listed(places, dict.fromkeys(metrics)), caption="what it gives"),
        _scrolled(
            heads,
            (_used(places, name) for name in budgets),
            caption=f"budgets: used, and what one percent more of each does to {objective}",
        ),
    )
    more = _scrolled(heads, _listed(places, rest))
    folded = f"<details><summary>Every other number</summary>{more}</details>"
    return f"{note(str(data.attrs['objective']))}{''.join(groups)}{folded}"


_FIRST = ("utps", "stps", "t_mem", "t_compute", "t_sync", "power", "capital_cost", "limit")
"""Metrics of a design that come first."""


def _places(data: xr.Dataset) -> list[xr.Dataset]:
    if not data.sizes:
        return [data]
    (dim,) = data.sizes
    return [data.isel({dim: place}) for place in range(data.sizes[dim])]


def _of_search(fields: Sequence[str], budgets: Sequence[str]) -> Iterator[str]:
    """Variables that the rows of fields and budgets show beside their own."""
    yield from (f"{name}_bound" for name in fields)
    yield from chain(budgets, (f"{name}{end}" for name in budgets for end in _OF_BUDGET))
    yield from ("unmet", "worst_miss")


_OF_BUDGET = ("_share", "_shadow_price")


def _chosen(place: xr.Dataset, name: str) -> str:
    """A field, and which end of its range holds it."""
    bound = cell(place[f"{name}_bound"]) if f"{name}_bound" in place else "inside"
    held = "" if bound == "inside" else f" ({bound.removeprefix('at ')} end of its range)"
    return f"{_quantity(place[name])}{held}"


def _used(places: Sequence[xr.Dataset], name: str) -> list[str]:
    """A budget, its limit where that is the same everywhere, and the share that is used."""
    limits = {_quantity(place[name]) for place in places}
    label = f"{name} ({limits.pop()})" if len(limits) == 1 else name
    return [label, *(_share_used(place, name) for place in places)]


def _share_used(place: xr.Dataset, name: str) -> str:
    share, price = (float(place[f"{name}{end}"]) for end in _OF_BUDGET)
    if not np.isfinite(share):
        return "–"
    binds = f"{price:+.3f} %" if abs(price) > 5e-4 else "does not bind"
    return f"{share:.1%}, {binds}"


def _misses(data: xr.Dataset) -> bool:
    return "unmet" in data and bool((data["unmet"] != 0).any())


def _unmet(place: xr.Dataset) -> str:
    if not _misses(place):
        return "–"
    return f"{cell(place['unmet'])}: missed by {float(place['worst_miss']):.1%}"


def _listed(places: Sequence[xr.Dataset], names: Iterable[str]) -> Iterator[list[str]]:
    for name in names:
        yield [style.label(places[0][name], width=200).partition(" [")[0], *(
            _quantity(place[name]) for place in places
        )]  # fmt: skip


def _quantity(value: xr.DataArray) -> str:
    """A value with its unit; codes in words, a dash where there is none."""
    if "flag_meanings" in value.attrs or not style.is_numeric(value):
        return cell(value)
    number = float(value)
    return style.quantity(number, value) if np.isfinite(number) else written(number)


def _head(variable: xr.DataArray) -> str:
    unit = variable.attrs.get("display_unit", "1")
    return str(variable.name) if unit == "1" else f"{variable.name} [{style.typeset(unit)}]"


def cell(value: xr.DataArray, reason: xr.DataArray | None = None) -> str:
    """Return one value in the unit in which it is shown, or why there is none; codes in words."""
    is_code = "flag_meanings" in value.attrs
    if not is_code and reason is not None and reason.item() != Reason.FITS:
        return WORDS[reason.item()]
    meanings = value.attrs.get("flag_meanings", "").split()
    if "flag_masks" in value.attrs:  # several may hold at once
        masks = np.atleast_1d(value.attrs["flag_masks"]).tolist()
        found = [word for word, mask in zip(meanings, masks, strict=True) if int(value) & mask]
        return ", ".join(found) or "–"
    if "flag_values" in value.attrs:
        flags = np.atleast_1d(value.attrs["flag_values"]).tolist()
        words = dict(zip(flags, meanings, strict=True))
        return words.get(value.item(), "–").replace("_", " ")
    if not style.is_numeric(value):
        return str(value.item())
    unit, display = (value.attrs.get(key, "1") for key in ("si_unit", "display_unit"))
    return written(float(units.convert(float(value), unit, display)))


def _scrolled(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", words: int = 1
) -> str:
    """A table as HTML; its first columns are words."""
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    titles = "".join(
        f"<th{' class=word' if place < words else ''}>{escape(head)}</th>"
        for place, head in enumerate(heads)
    )
    top = f"<thead><tr>{titles}</tr></thead>" if heads else ""
    body = "".join(f"<tr>{_cells(row, words)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{above}{top}<tbody>{body}</tbody></table></div>'


def _cells(row: Sequence[str], words: int) -> str:
    first, *others = row
    cells = "".join(
        f"<td{' class=word' if place < words else ''}>{escape(each)}</td>"
        for place, each in enumerate(others, start=1)
    )
    return f"<th>{escape(first)}</th>{cells}"
