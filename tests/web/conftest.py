"""The browser that looks at reports."""

from tests.explorer.conftest import browser

__all__ = ["browser"]
