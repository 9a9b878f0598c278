"""The browser's figures are optional."""

import importlib
import importlib.util
from typing import Any

from jaxlimits.errors import InputError


def require_browser_figures(*modules: str, where: str) -> None:
    """Raise ``InputError`` unless modules, as ``bokeh``, are installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            remedy = "pip install 'jaxlimits[explore]'"
            raise InputError(f"needs {module}", where=where, remedy=remedy)


def bokeh_models() -> Any:
    """Return the module of Bokeh's models, whose annotations do not cover what they take."""
    return importlib.import_module("bokeh.models")


def new_figure(**options: Any) -> Any:
    """Return an empty figure with a plain toolbar."""
    figure = importlib.import_module("bokeh.plotting").figure(**options)
    figure.toolbar.logo = None
    return figure
