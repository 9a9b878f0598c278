"""What an answer at one point rests on beside bits: its context, and conventions with a default."""

from collections.abc import Collection

from jaxlimits.grid.scenario import Scenario

_CONVENTIONS = ("kv_sharding", "collective_algorithm")
"""Switches that decide an answer and that nobody may have thought of."""


def assumptions_in_words(
    scenario: Scenario, stated: Collection[str], *, sought: str | None = None
) -> str:
    """Say at which context a point is, and by which conventions, set or not.

    Parameters
    ----------
    scenario
        The point, resolved to numbers.
    stated
        Every name that was set.
    sought
        The field that is solved for, where one is.
    """

    def origin(name: str) -> str:
        return "set" if name in stated else "default"

    said = [f"{name} = {scenario.switches[name]} ({origin(name)})" for name in _CONVENTIONS]
    return "; ".join([_context(scenario, origin("seq_len"), sought), *said])


def _context(scenario: Scenario, origin: str, sought: str | None) -> str:
    if sought == "seq_len":
        return "context as sought"
    if sought in ("input_len", "output_len"):
        return "context of the request: decode at its mean, room for its full length"
    if not scenario.reaches("input_len", above=0.0):
        return f"seq_len = {float(scenario.effective('seq_len')):,.0f} token ({origin})"
    asked, answer = (float(scenario.effective(name)) for name in ("input_len", "output_len"))
    mean, whole = asked + 0.5 * answer, asked + answer
    return f"context of the request: decode at {mean:,.0f} token in the mean, room for {whole:,.0f}"
