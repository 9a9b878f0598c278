"""What every kind of figure does first, and what its docstring says like those of the others."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, overload

import xarray as xr

from jaxlimits.errors import InputError, unknown_name
from jaxlimits.plot import registry, style
from jaxlimits.plot.looks import in_force, keep, read_look
from jaxlimits.plot.options import Looks, completed, layout_types
from jaxlimits.plot.settling import settle
from jaxlimits.plot.titles import title_of
from jaxlimits.plot.unit_choice import in_fitting_units
from jaxlimits.results.records import EMPTY, RECORDS, record_dim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")

Lacks = Callable[[xr.Dataset, Mapping[str, Any]], str]
"""From a dataset and the options that are asked for to what the dataset lacks for a figure, in
words; none where it can be drawn."""


def _lacks_nothing(_dataset: xr.Dataset, _asked: Mapping[str, Any]) -> str:
    return ""


@overload
def kind(function: "Callable[P, Figure]", /) -> "Callable[P, Figure]": ...
@overload
def kind(*, lacks: Lacks) -> "Callable[[Callable[P, Figure]], Callable[P, Figure]]": ...
def kind(function: Any = None, /, *, lacks: Lacks = _lacks_nothing) -> Any:
    """Make a function that draws a result a kind of figure; a decorator, with options or without.

    The function is given the dataset without the dimensions of one value that no option names, and
    a title: the model, the machine and the fixed values, or what an answer answers, unless the
    caller has one. Units are those in which the numbers are short. Its docstring and its signature
    get the options that it shares with other kinds; the look is read here and in force while it
    draws. What it wants placed by pixels is done at the end.

    Parameters
    ----------
    function
        From a dataset and options to a figure; ``**layout`` are those of :class:`Layout`.
    lacks
        What a result lacks for it. A result that lacks something is refused, with the kinds that
        do fit it.
    """
    return functools.partial(_kind, lacks) if function is None else _kind(lacks, function)


def _kind(lacks: Lacks, function: "Callable[P, Figure]") -> "Callable[P, Figure]":

    @functools.wraps(function)
    def drawn(dataset: xr.Dataset, **options: Any) -> "Figure":
        _check_options(function, signature, dataset, options)
        style.require_backend()
        asked = {name: options.pop(name, None) for name in Looks.__annotations__}
        look = read_look(**asked, ax=options.get("ax"))
        named = {each for each in options.values() if isinstance(each, str)}
        _check_panels(dataset, options)
        _refuse_empty(dataset)
        lacking = lacks(dataset, options)
        if lacking:
            remedy = registry.fitting_words(dataset)
            raise InputError(lacking, where="plot", key=drawn.__name__, remedy=remedy)
        single = (dim for dim, size in dataset.sizes.items() if size == 1 and dim not in named)
        fixed = [dim for dim in single if dim not in RECORDS]
        bound = signature.bind(dataset, **options)
        bound.apply_defaults()
        shown = in_fitting_units(
            dataset, [v for v in bound.arguments.values() if isinstance(v, str)]
        )
        if not options.get("title") and not _has_title(options.get("ax")):
            options["title"] = title_of(shown, fixed)
        with in_force(look):
            figure = function(shown.squeeze(fixed), **options)  # pyright: ignore[reportCallIssue]
            keep(figure, look)
            settle(figure, look, ax=options.get("ax"))
        return figure

    signature = _with_layout(inspect.signature(function))
    drawn.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
    drawn.lacks = lacks  # pyright: ignore[reportAttributeAccessIssue]
    drawn.__doc__ = completed(function.__doc__ or "", signature.parameters)
    return drawn  # pyright: ignore[reportReturnType]  it takes what the function takes


def _has_title(ax: Any) -> bool:
    """Whether the caller has named axes of theirs."""
    return hasattr(ax, "get_title") and bool(ax.get_title(loc="left"))


def _check_options(
    function: Callable[..., Any], signature: inspect.Signature, dataset: object, options: dict
) -> None:
    """Raise the error of Python for an option that a function does not take."""
    try:
        signature.bind(dataset, **options)
    except TypeError as error:
        raise TypeError(f"{function.__name__}() {error}") from None


def _with_layout(signature: inspect.Signature) -> inspect.Signature:
    """Write the options of the layout out, which a function takes as ``**layout``."""
    *own, _ = signature.parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = (
        inspect.Parameter(
            name, keyword, default="" if annotation is str else None, annotation=annotation
        )
        for name, annotation in layout_types().items()
    )
    return signature.replace(parameters=[*own, *shared])


def _refuse_empty(dataset: xr.Dataset) -> None:
    listed = record_dim(dataset)
    if listed and not dataset.sizes[listed]:
        raise InputError(EMPTY.format(listed), where="plot")


def _check_panels(dataset: xr.Dataset, options: dict[str, Any]) -> None:
    for dim in (options.get("rows"), options.get("columns")):
        if dim is not None and dim not in dataset.dims:
            known = map(str, dataset.dims)
            raise unknown_name("dimension", dim, known, where="plot", key="panels")
