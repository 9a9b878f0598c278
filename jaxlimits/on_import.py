"""Doing something once another package is there, without importing it.

What extends xarray must not cost the commands that never use it its second of import. Nothing is
imported here but ``sys``: this runs whenever the package is.

It is a hook of the import system, because nothing plainer gives ``limits`` to a dataset that xarray
alone opened after ``import jaxlimits``: xarray has entry points for backends and none for
accessors, a lazy module of our own is not the one that the user imports, and no function of ours
runs in between. The package ``wrapt`` has such hooks; importing it takes 40 ms of every command.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec


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


class _Watcher:
    """Finds one package once, as the other finders would, and acts when it is loaded."""

    def __init__(self, package: str, action: Callable[[], None]) -> None:
        self.package = package
        self.action = action

    def find_spec(self, name: str, path: Any, target: Any = None) -> "ModuleSpec | None":
        if name != self.package:
            return None
        sys.meta_path.remove(self)
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            self._act_after(spec.loader)
        return spec

    def _act_after(self, loader: Any) -> None:
        load = loader.exec_module

        def load_and_act(module: Any) -> None:
            load(module)
            self.action()

        loader.exec_module = load_and_act  # of this loader, which loads this package alone
