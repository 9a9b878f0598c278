"""What an answer rests on beside bits: its context, and conventions that have a default."""

from collections.abc import Collection

from jaxlimits.grid.scenario import Scenario

_CONVENTIONS = ("kv_sharding", "collective_algorithm")
"""Switches that decide an answer and that nobody may have thought of."""


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
        f"{name} = {scenario.switches[name]} ({origin(name)})"
        if name in scenario.switches
        else f"{name} varies"
        for name in _CONVENTIONS
    ]
    return "; ".join([_context(scenario, origin("seq_len"), sought), *said])


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
