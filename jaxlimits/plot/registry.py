"""The kinds of figures: each is what one file ``NAME_figure.py`` of this folder states of itself.

A new kind is a new file: ``jl.plot``, ``dataset.limits.plot`` and ``jaxlimits plot`` read it off
here, and nothing else lists kinds. The command line asks on every start and on every Tab, so what a
file states is read from its source; what it imports, as xarray, is imported once a figure is drawn.
"""

import ast
import dataclasses
import functools
import importlib
from collections.abc import Callable, Mapping
from inspect import formatannotation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxlimits.errors import InputError, unknown_name
from jaxlimits.plot.options import SHARED, described, layout_types, summary

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_FOLDER = Path(__file__).parent
_SUFFIX = "_figure"
_USUAL = "heat-map"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """An option of a kind.

    Parameters
    ----------
    type
        Its type, as the signature has it.
    help
        What it means.
    """

    type: str
    help: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What a kind of figure states of itself.

    Parameters
    ----------
    summary
        What it draws.
    options
        What it takes beside the dataset, by name, in the order of its signature.
    """

    summary: str
    options: Mapping[str, Option]

    @property
    def own(self) -> list[str]:
        """Options that not every kind takes."""
        return [name for name in self.options if name not in layout_types()]


@functools.cache
def functions() -> tuple[str, ...]:
    """Return the names of the functions that draw, one for each kind."""
    found = (path.stem for path in _FOLDER.glob(f"*{_SUFFIX}.py"))
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found))


@functools.cache
def kinds() -> Mapping[str, Kind]:
    """Return every kind by the name that the command line has for it: ``heat-map``."""
    return {name.replace("_", "-"): _stated(name) for name in functions()}


def load(name: str) -> "Callable[..., Figure]":
    """Return the function of a kind, by its own name."""
    return getattr(importlib.import_module(f"{__package__}.{name}{_SUFFIX}"), name)


def fitting(dataset: "xr.Dataset") -> list[str]:
    """Return the names of the kinds that draw a result as it is, without further options."""
    return [
        name
        for name, function in zip(kinds(), functions(), strict=True)
        if not vars(load(function))["lacks"](dataset, {})
    ]


def fitting_words(dataset: "xr.Dataset") -> str:
    """Return which kinds draw a result, as a remedy for one that does not."""
    names = fitting(dataset)
    if names:
        return f"kinds that fit this result: {', '.join(names)}"
    return "no kind of figure fits this result; `jaxlimits report` shows what it holds"


def usual(dataset: "xr.Dataset") -> str:
    """Return the kind that draws a result where none is named: a map, or else the first fitting."""
    names = fitting(dataset)
    return names[0] if names and _USUAL not in names else _USUAL


def draw(dataset: "xr.Dataset", kind: str, **options: Any) -> "Figure":
    """Draw a figure by the name of its kind.

    Parameters
    ----------
    dataset
        A result.
    kind
        A name, as the help of ``jaxlimits plot`` lists them: ``"heat-map"``.
    **options
        As the function of the kind has them.

    Raises
    ------
    InputError
        An unknown kind, with the nearest names; an option that it does not take; whatever the
        function of the kind refuses.

    Examples
    --------
    >>> import jaxlimits as jl
    >>> ds = jl.sweep("smoke").sel(seq_len=4096, batch_size=1)
    >>> figure = jl.plot.draw(ds, "heat-map", x="mem_bw", y="sync_latency")
    """
    if kind not in kinds():
        raise unknown_name("kind of figure", kind, kinds(), where="plot")
    stated = kinds()[kind]
    for name in options:
        if name not in stated.options:
            remedy = f"it takes {', '.join(stated.options)}"
            raise InputError(f"is not an option of {kind}", where="plot", key=name, remedy=remedy)
    return load(kind.replace("-", "_"))(dataset, **options)


def _stated(name: str) -> Kind:
    """What the source of a kind says."""
    body = ast.parse((_FOLDER / f"{name}{_SUFFIX}.py").read_text(encoding="utf-8")).body
    (found,) = (each for each in body if isinstance(each, ast.FunctionDef) and each.name == name)
    doc = ast.get_docstring(found) or ""
    types = {
        each.arg: ast.unparse(each.annotation) for each in found.args.kwonlyargs if each.annotation
    }
    types |= {name: formatannotation(each) for name, each in layout_types().items()}
    texts = {**SHARED, **described(doc)}
    options = {name: Option(type=types[name], help=texts[name]) for name in types}
    return Kind(summary=summary(doc), options=options)
