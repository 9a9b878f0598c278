"""What Tab completes: names of the catalog, of shipped grids and of fields.

A shell asks on every key, so the names of the catalog are read with nothing heavy. Where nothing
matches, the shell goes on to complete files.
"""

from collections.abc import Iterable


def llms(incomplete: str) -> list[str]:
    """Models that begin so."""
    return _entries("llms", incomplete)


def chips(incomplete: str) -> list[str]:
    """Chips that begin so."""
    return _entries("chips", incomplete)


def assumptions(incomplete: str) -> list[str]:
    """Assumptions that begin so."""
    return _entries("assumptions", incomplete)


def kinds(incomplete: str) -> list[str]:
    """Kinds of entries that begin so."""
    from jaxlimits.catalog.entries import KINDS
    from jaxlimits.guide.names import NAMES

    return _beginning(incomplete, (*KINDS, *NAMES))


def grids(incomplete: str) -> list[str]:
    """Shipped grids that begin so."""
    from jaxlimits.grid.file import shipped_grids

    return _beginning(incomplete, shipped_grids())


def fields(incomplete: str) -> list[str]:
    """Fields, switches and names that begin so, ready for their value."""
    from jaxlimits.schema import writable

    return [f"{name}=" for name in _beginning(incomplete, writable())]


def _entries(kind: str, incomplete: str) -> list[str]:
    from jaxlimits.catalog.entries import shipped_entries

    return _beginning(incomplete, shipped_entries()[kind])


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
