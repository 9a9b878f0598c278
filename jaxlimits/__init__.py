"""The limits of LLM inference hardware, over grids of any size.

The public names stand in ``__init__.pyi``, for readers, type checkers and Python alike. They load
on first use, so that the command line answers before jax is imported.
"""

import importlib

import lazy_loader

from jaxlimits.on_import import when_imported

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _extend_datasets() -> None:
    """Give every dataset of xarray its ``limits``."""
    importlib.import_module("jaxlimits.accessor")


when_imported("xarray", _extend_datasets)
