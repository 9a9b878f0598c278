"""What a caller gives to a sweep: which grid, where to, how much memory."""

from collections.abc import Collection, Mapping
from pathlib import Path

from jaxlimits.errors import InputError
from jaxlimits.grid.mapping import mapping_of_keywords
from jaxlimits.model.fields import Quantity
from jaxlimits.values import as_written, parse_number, with_unit

_MEMORY = Quantity(unit="B", display="GB", meaning="memory", positive=True)

Grid = str | Path | Mapping[str, object]
"""A grid by its file, by its name, or as a mapping in the form of a file."""


def chosen_grid(
    grid: Grid | None, described: Mapping[str, object], *, beside: Collection[str] = ()
) -> Grid:
    """Return the grid that is named or stated, or that keywords describe.

    Parameters
    ----------
    grid, described
        One of the two.
    beside
        Names of the parameters beside the keywords, for the hint at a mistyped one.

    Raises
    ------
    InputError
        None of them, or both.
    """
    if grid is not None and not described:
        return grid
    stated = ", ".join(described)
    if grid is not None:
        remedy = "set a value of a grid that is there with overrides = {...}"
        raise InputError(f"a grid is given, and another is described by {stated}", remedy=remedy)
    if not described:
        remedy = "name one, as 'paper', or describe it: llm='llama3-8b', chip=['h100', 'b200']"
        raise InputError("no grid is given", remedy=remedy)
    return mapping_of_keywords(described, beside=beside)


def check_output(output: object) -> None:
    """Raise unless an output is a path: ``outputs``, which are metrics, is near."""
    if output is not None and not isinstance(output, str | Path):
        remedy = "give the path of a file; outputs = [...] names the metrics to keep"
        raise InputError("is not a path", key="output", value=output, remedy=remedy)


def memory_bytes(memory: object) -> float | None:
    """Return a memory budget [B]: a number of bytes, text or a quantity with its unit."""
    if memory is None:
        return None
    written = with_unit(as_written(memory, key="memory"), "B")
    return parse_number(_MEMORY, written, key="memory")
