"""Reductions: what is kept of a grid instead of every point. Each file here is one reduction.

Nothing lists them: a grid file's names, the errors about them and the table of the documentation
are read off the files. What their classes have to say is in :mod:`jaxlimits.engine.reduction`.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping

from jaxlimits.engine.reduction import Reduction


def _declared() -> Iterator[type[Reduction]]:
    """Every reduction that a file of this folder declares."""
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if own and issubclass(kind, Reduction):
                yield kind


def _registry() -> Mapping[str, type[Reduction]]:
    kinds: dict[str, type[Reduction]] = {}
    for kind in sorted(_declared(), key=lambda kind: kind.ops):
        for op in kind.ops:
            if op in kinds:
                raise TypeError(f"two reductions are called {op!r}: {kinds[op]} and {kind}")
            kinds[op] = kind
    return kinds


REDUCTIONS = _registry()
"""Every reduction by each of its names in a grid file."""


def reduction_table() -> str:
    """Return the table of all reductions for the documentation, in Markdown."""
    rows = [
        ("`op`", "keeps", "further keys"),
        ("---", "---", "---"),
        *(
            (_coded(kind.ops), kind.keeps, _coded(kind.keys.model_fields))
            for kind in dict.fromkeys(REDUCTIONS.values())
        ),
    ]
    return "\n".join(f"| {' | '.join(row)} |".replace("  ", " ") for row in rows)


def _coded(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in names)
