"""The version of the package, as it was installed."""

from importlib.metadata import PackageNotFoundError, version

UNKNOWN = "0+unknown"
"""The version of a checkout that is used without being installed."""


def _installed() -> str:
    try:
        return version("jaxlimits")
    except PackageNotFoundError:
        return UNKNOWN


__version__ = _installed()
