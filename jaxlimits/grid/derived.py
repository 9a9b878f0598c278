"""What follows from several axes of a grid and says which point a value is of.

A request has two lengths and one context in the mean; a layout may be valid for some models of a
grid and not for others. Both lie along the axes that decide them, and become coordinates.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from jaxlimits import schema
from jaxlimits.grid.finding import Finding
from jaxlimits.grid.requirements import Requirement
from jaxlimits.grid.scenario import Scenario

MEAN_CONTEXT = "mean_context"
"""Tokens of context of the decode steps of a request, in the mean."""

VALID_LAYOUT = "valid_layout"
"""Whether the layout of a point is valid there."""

schema.refuse_shared_names(
    {
        "name that users write": [*schema.writable(), *schema.OUTPUTS],
        "coordinate that follows from axes": (MEAN_CONTEXT, VALID_LAYOUT),
    }
)

_LENGTHS = ("input_len", "output_len")


def derived_coordinates(
    scenario: Scenario, requirements: Iterable[Requirement] = ()
) -> Iterator[Finding]:
    """Yield what follows from the axes of a grid, each along those that decide it.

    Parameters
    ----------
    scenario
        The grid, as numbers.
    requirements
        Its unknowns: where the length of a request is sought, its context is not known.
    """
    sought = {asked.field for asked in requirements}
    if scenario.reaches("input_len", above=0.0) and sought.isdisjoint(_LENGTHS):
        meaning = "tokens of context of each sequence in decode steps, in the mean of a request"
        yield _along(scenario, MEAN_CONTEXT, _mean_context(scenario), "seq_len", meaning)
    if scenario.rules.layouts is not None:
        held = scenario.valid_layouts().astype(np.int8)
        meaning = "whether the layout is valid at a point"
        yield _along(scenario, VALID_LAYOUT, held, None, meaning, ("cannot_be", "can_be"))


def excluded_in_words(scenario: Scenario) -> list[str]:
    """Say how many points cannot be as their layout is not valid there, with the first of them."""
    held = scenario.valid_layouts()
    if held.all():
        return []
    whole = np.prod(scenario.shape, dtype=float)
    number = round(whole * float(np.mean(~held)))
    first = np.argwhere(~held)[0].tolist()
    place = ", ".join(
        f"{axis.name} = {axis.values[index]}"
        for axis, index, length in zip(scenario.axes, first, held.shape, strict=True)
        if length > 1
    )
    return [
        f"{number:,} of {whole:,.0f} points cannot be and have no value: their layout is not valid"
        f" there, as at {place}"
    ]


def _mean_context(scenario: Scenario) -> np.ndarray:
    """Half of an answer is there in the mean, as in :func:`jaxlimits.model.serving.decoding`."""
    prompt, answer = (scenario.effective(name) for name in _LENGTHS)
    return np.where(prompt > 0.0, prompt + 0.5 * answer, scenario.effective("seq_len"))


def _along(
    scenario: Scenario,
    name: str,
    values: np.ndarray,
    quantity: str | None,
    meaning: str,
    flags: tuple[str, ...] = (),
) -> Finding:
    """A coordinate along those axes of which it has more than one value, or by which it differs."""
    kept = [place for place, length in enumerate(values.shape) if length > 1]
    return Finding(
        name=name,
        dims=tuple(scenario.axes[place].name for place in kept),
        values=values.reshape([values.shape[place] for place in kept]),
        quantity=quantity,
        meaning=meaning,
        flags=flags,
    )
