"""What an answer rests on beside bits: its context, and conventions that have a default."""

import itertools
from collections.abc import Collection, Iterable

import numpy as np

from jaxlimits.grid.scenario import Scenario

_CONVENTIONS = ("kv_sharding", "collective_algorithm")
"""Switches that decide an answer and that nobody may have thought of."""

_NAMED_AT_MOST = 3
"""Chips of each kind that are named where some state the rate of their links and some do not."""


def assumptions_in_words(
    scenario: Scenario, stated: Collection[str], *, sought: str | None = None
) -> str:
    """Say at which context a point or a grid is, and by which conventions, set or not.

    Parameters
    ----------
    scenario
        The point or the grid, resolved to numbers.
    stated
        Every name that was set.
    sought
        The field that is solved for, where one is.
    """

    def origin(name: str) -> str:
        return "set" if name in stated else "default"

    said = [
        f"{name} = {_choice(scenario, name, sought)} ({origin(name)})"
        if name in scenario.switches
        else f"{name} varies"
        for name in _CONVENTIONS
    ]
    return "; ".join([_context(scenario, origin("seq_len"), sought), *said])


def _choice(scenario: Scenario, name: str, sought: str | None) -> str:
    """The choice of a switch, and of an automatic one what it comes to."""
    choice = scenario.switches[name]
    if choice != "auto":
        return choice
    stated = scenario.effective("link_bw") > 0.0
    if sought == "link_bw" or stated.all():
        return "auto: best"
    if not stated.any():
        return "auto: constant"
    for axis, columns in zip(scenario.axes, scenario.columns, strict=True):
        chips = {axis.name: axis.values, **axis.linked}.get("chip", ())
        if "link_bw" in columns and chips:
            states = [bool(rate > 0.0) for rate in columns["link_bw"]]
            best = _names(itertools.compress(chips, states))
            constant = _names(itertools.compress(chips, np.logical_not(states)))
            return f"auto: best on {best}, constant on {constant}"
    return "auto: best where link_bw is stated, constant where it is not"


def _names(chips: Iterable[object]) -> str:
    """Names of chips, a few of many."""
    named = [str(chip) for chip in dict.fromkeys(chips)]
    *first, last = [*named[:_NAMED_AT_MOST], *["others"] * bool(named[_NAMED_AT_MOST:])]
    return f"{', '.join(first)} and {last}" if first else last


def _context(scenario: Scenario, origin: str, sought: str | None) -> str:
    if sought == "seq_len":
        return "context as sought"
    if sought in ("input_len", "output_len"):
        return "context of the request: decode at its mean, room for its full length"
    if not scenario.reaches("input_len", above=0.0):
        lengths = scenario.effective("seq_len")
        varies = lengths.size > 1
        return "seq_len varies" if varies else f"seq_len = {lengths.item():,.0f} token ({origin})"
    asked, answer = (scenario.effective(name) for name in ("input_len", "output_len"))
    if asked.size > 1 or answer.size > 1:
        return (
            "context of each request: decode at input_len + output_len / 2,"
            " room for input_len + output_len"
        )
    mean, whole = (asked + 0.5 * answer).item(), (asked + answer).item()
    return f"context of the request: decode at {mean:,.0f} token in the mean, room for {whole:,.0f}"
