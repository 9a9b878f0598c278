"""Doing something once another package is there, without importing it.

What extends xarray must not cost the commands that never use it its second of import.
"""

import importlib.util
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def when_imported(package: str, action: Callable[[], None]) -> None:
    """Call a function as soon as a package is imported; now, where it is already.

    Parameters
    ----------
    package
        Name of a package.
    action
        What to do; it may import the package.
    """
    if package in sys.modules:
        action()
    else:
        sys.meta_path.insert(0, _Watcher(package, action))


class _Watcher(MetaPathFinder):
    """Finds one package as the others would, once, and lets its loader end with an action."""

    def __init__(self, package: str, action: Callable[[], None]) -> None:
        self.package = package
        self.action = action

    def find_spec(self, fullname: str, *_where: object) -> ModuleSpec | None:
        if fullname != self.package or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Then(spec.loader, self.action)
        return spec


class _Then(Loader):
    """Loads a package and then acts; all else is left to the loader that it wraps."""

    def __init__(self, loader: Loader, action: Callable[[], None]) -> None:
        self.loader = loader
        self.action = action

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.action()
