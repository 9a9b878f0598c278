"""The operators of a step as a graph: what each computes and reads, and its details when chosen.

The graph is a list of buttons with lines between them, so that a keyboard reaches each and a screen
reader tells it; ``page.js`` shows the details of the one that is chosen.
"""

import dataclasses
from collections.abc import Sequence
from html import escape

import numpy as np
import xarray as xr

from jaxlimits import units
from jaxlimits.catalog.loader import Catalog
from jaxlimits.errors import InputError
from jaxlimits.explorer.points import scenario_of
from jaxlimits.explorer.state import Side, State
from jaxlimits.grid.checks import check_scenario
from jaxlimits.model.anatomy import DRAFT
from jaxlimits.points.labelled_operators import operators_at

WORDS = {
    "projections": "query, key and value projections",
    "indexer": "scores of the indexer",
    "compressor": "compression of keys and values",
    "compressed_indexer": "scores of the indexer over compressed keys",
    "state": "recurrent state",
    "attention": "scores and values over the cache",
    "output": "output projection",
    "router": "choice of experts",
    "experts": "routed experts",
    "ffn": "feed-forward, shared experts",
    "lm_head": "embedding and LM head",
}
"""What each operator is."""

_ROWS = (
    ("projections",),
    ("indexer", "compressor", "compressed_indexer"),
    ("state", "attention"),
    ("output",),
    ("router",),
    ("experts", "ffn"),
    ("lm_head",),
)
"""Operators in the order in which a token passes them; those of a row stand beside each other."""

_OWN = _ROWS[1]
"""The row in which operators stand that a kind of layers has of its own."""

_DETAILS = {
    "tensor_flops": "tensor work",
    "vector_flops": "work beside the tensor units",
    "traffic": "bytes read",
    "t_tensor": "time of the tensor work",
    "t_vector": "time of the work beside it",
    "t_mem": "time to stream the bytes",
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """The operators of one machine's step.

    Parameters
    ----------
    operators
        As :func:`jaxlimits.operators` gives them; none where the point cannot be.
    layers
        Layers of the model.
    problem
        Why there are none, in words.
    """

    operators: xr.Dataset | None = None
    layers: float = 0.0
    problem: str = ""


def network_of(state: State, side: Side, catalog: Catalog) -> Network:
    """Take the step of one machine apart; what cannot be is words, not an exception."""
    try:
        # A program with every term takes several times as long to compile as that of one model.
        scenario = dataclasses.replace(scenario_of(state, side, catalog), general=False)
        check_scenario(scenario)
    except InputError as error:
        return Network(problem=str(error))
    layers = float(scenario.effective("num_layers"))
    return Network(operators=operators_at(scenario), layers=layers)


def graph(found: Network, name: str) -> str:
    """Return the graph and the details of each operator.

    Parameters
    ----------
    found
        The operators.
    name
        What the machine is called.
    """
    parts = found.operators
    if parts is None:
        return f'<p class="problem">{escape(found.problem)}</p>'
    work = parts.tensor_flops + parts.vector_flops
    chains = [(prefix, _rows(parts, work, prefix)) for prefix in ("", DRAFT)]
    drawn = "".join(
        f"<h3>{_head(prefix, found.layers)}</h3>{_chain(parts, work, prefix, rows)}"
        for prefix, rows in chains
        if rows
    )
    sync, whole = float(parts.t_sync), float(parts.t_step)
    told = f"Collectives take {units.show(sync, 's')} of the step of {units.show(whole, 's')}."
    return (
        f'<p class="quiet">{escape(name)}: work and bytes of one chip in one step, the one that '
        f"has most to do, summed over the layers. {told} Choose an operator to see its times.</p>"
        f'<div class="network">{drawn}</div>'
    )


def _head(prefix: str, layers: float) -> str:
    return "Draft model" if prefix else f"A token passes {layers:,.0f} layers, then the head"


def _rows(parts: xr.Dataset, work: xr.DataArray, prefix: str) -> list[list[str]]:
    """Names of the operators that do something, row by row."""
    does = (work > 0.0) | (parts.traffic > 0.0)
    present = {str(name) for name in parts.operator.values[does.to_numpy()]}
    known = {each for row in _ROWS for each in row}
    own = [
        plain
        for name in present
        if _is_of(name, prefix) and (plain := name.removeprefix(prefix)) not in known
    ]
    rows = [[f"{prefix}{each}" for each in (*row, *(own if row == _OWN else ()))] for row in _ROWS]
    return [kept for row in rows if (kept := [name for name in row if name in present])]


def _is_of(name: str, prefix: str) -> bool:
    return name.startswith(DRAFT) == bool(prefix)


def _chain(parts: xr.Dataset, work: xr.DataArray, prefix: str, rows: list[list[str]]) -> str:
    """Rows of operators with lines from each to the next, then their details."""
    drawn: list[str] = []
    before = 1
    for row in rows:
        drawn.append(_lines(before, len(row)))
        nodes = "".join(_node(parts, work, name, prefix) for name in row)
        drawn.append(f'<div class="row">{nodes}</div>')
        before = len(row)
    details = "".join(_details(parts, name) for row in rows for name in row)
    chain = f'<div class="chain">{"".join(drawn[1:])}</div>'
    return f'<div class="beside">{chain}<div class="chosen">{details}</div></div>'


def _lines(before: int, after: int) -> str:
    """Lines from the middle of each operator of a row to that of each of the next."""
    starts, ends = (_middles(count) for count in (before, after))
    paths = "".join(f"M{a:g} 0 L{b:g} 18" for a in starts for b in ends)
    return (
        '<svg class="lines" viewBox="0 0 100 18" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{paths}" vector-effect="non-scaling-stroke"/></svg>'
    )


def _middles(count: int) -> Sequence[float]:
    return ((np.arange(count) + 0.5) / count * 100.0).tolist()


def _node(parts: xr.Dataset, work: xr.DataArray, name: str, prefix: str) -> str:
    """A button: the operator's name, what it is, its FLOP and bytes as numbers and bars."""
    flops, read = (each.sel(operator=name).item() for each in (work, parts.traffic))
    shares = (flops / float(work.sum()), read / float(parts.traffic.sum()))
    told = (units.show(flops, "FLOP"), units.show(read, "B"))
    bars = "".join(
        f'<span class="bar {kind}"><i style="width: {100.0 * share:.1f}%"></i></span>'
        f"<span>{words} ({escape(_share(share))})</span>"
        for kind, share, words in zip(("compute", "memory"), shares, told, strict=True)
    )
    plain = name.removeprefix(prefix)
    return (
        f'<button type="button" class="operator" data-operator="{escape(name)}" '
        f'aria-expanded="false" aria-controls="{_key(name)}"><b>{escape(name)}</b>'
        f"<em>{WORDS.get(plain, plain)}</em>{bars}</button>"
    )


def _share(share: float) -> str:
    return "< 1 %" if share < 0.005 else f"{share:.0%}".replace("%", " %")


def _details(parts: xr.Dataset, name: str) -> str:
    """All that is known of an operator, shown where it is chosen."""
    at = parts.sel(operator=name)
    times = {"memory": float(at.t_mem), "compute": max(float(at.t_tensor), float(at.t_vector))}
    binds = max(times, key=times.__getitem__)
    rows = "".join(_detail(words, at[field]) for field, words in _DETAILS.items())
    flops, read = float(at.tensor_flops + at.vector_flops), float(at.traffic)
    intensity = f"{flops / read:,.3g} FLOP/B" if read else "no bytes"
    return (
        f'<section class="details" id="{_key(name)}" data-of="{escape(name)}" hidden>'
        f"<h3>{escape(name)}: {binds} takes longer</h3>"
        f"<table class='numbers'><tbody>{rows}"
        f"<tr><th scope='row'>work for a byte</th><td>{intensity}</td></tr></tbody></table>"
        "</section>"
    )


def _detail(words: str, value: xr.DataArray) -> str:
    shown = units.show(float(value), value.attrs["si_unit"])
    return f"<tr><th scope='row'>{words}</th><td>{shown}</td></tr>"


def _key(name: str) -> str:
    return f"operator-{name.replace(' ', '-')}"
