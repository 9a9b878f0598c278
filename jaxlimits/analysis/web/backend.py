"""The browser's figures are optional."""

import importlib.util

from jaxlimits.errors import InputError


def require_browser_figures(*modules: str, where: str) -> None:
    """Raise ``InputError`` unless modules, as ``bokeh``, are installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            remedy = "pip install 'jaxlimits[explore]'"
            raise InputError(f"needs {module}", where=where, remedy=remedy)
