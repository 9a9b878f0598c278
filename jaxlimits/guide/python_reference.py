"""The public names of the package as Markdown: signatures and docstrings."""

import inspect
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jaxlimits.guide.docstrings import markdown

_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "Functions": inspect.isroutine,
    "Warnings and errors": lambda found: inspect.isclass(found) and issubclass(found, Exception),
    "Classes": inspect.isclass,
}
"""How public names are grouped: each belongs to the first kind that takes it."""


_WIDEST = 76
"""Characters of a line of a signature, as wide as a page of the site."""


def public_objects() -> dict[str, Any]:
    """Return every public function and class by its name."""
    import jaxlimits

    found = {name: getattr(jaxlimits, name) for name in sorted(vars(jaxlimits)["__all__"])}
    return {
        name: each
        for name, each in found.items()
        if not isinstance(each, str | types.ModuleType)  # the version, and the figures
    }


def public_members(owner: type) -> dict[str, Any]:
    """Return the public methods and properties that a class defines itself."""
    return {
        name: member
        for name, member in vars(owner).items()
        if not name.startswith("_")
        and isinstance(member, types.FunctionType | classmethod | staticmethod | property)
    }


def python_sections() -> Iterator[str]:
    """Yield headings, signatures and docstrings of all public names, and of ``ds.limits``."""
    from jaxlimits.accessor import Limits

    rest = public_objects()
    for kind, belongs in _KINDS.items():
        chosen = {name: found for name, found in rest.items() if belongs(found)}
        rest = {name: found for name, found in rest.items() if name not in chosen}
        yield f"## {kind}"
        for name, found in chosen.items():
            yield from _entry(f"jl.{name}", found)
    yield "## Questions to a dataset"
    yield from _entry("dataset.limits", Limits)


def _entry(name: str, found: Any) -> Iterator[str]:
    yield f"### `{name}`"
    if inspect.isroutine(found):
        yield f"```python\n{_signature(name, found)}\n```"
    yield markdown(inspect.getdoc(found))
    if inspect.isclass(found):
        for own, member in public_members(found).items():
            yield f"#### `{name}.{own}`"
            yield markdown(inspect.getdoc(member))


def _signature(name: str, found: Callable[..., Any]) -> str:
    """The parameters with their defaults; their types stand in words in the docstring."""
    bare = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in inspect.signature(found).parameters.values()
    ]
    line = f"{name}{inspect.Signature(bare)}"
    if len(line) <= _WIDEST:
        return line
    words = str(inspect.Signature(bare)).strip("()").split(", ")
    return (
        textwrap.fill(
            ", ".join(words), _WIDEST, initial_indent=f"{name}(", subsequent_indent="    "
        )
        + ")"
    )
