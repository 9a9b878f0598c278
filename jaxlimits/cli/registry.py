"""The commands: each is what one file ``NAME_command.py`` of this folder states of itself.

A new command is a new file. Help pages, their examples and the steps proposed after a sweep are
read off these statements, and nothing else lists commands.
"""

import dataclasses
import enum
import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

_SUFFIX = "_command"


class Panel(enum.StrEnum):
    """The groups of commands in ``jaxlimits --help``, in their order.

    Examples run in the order of the help too, which is why what computes results comes first.
    """

    COMPUTE = "Compute"
    ASK = "Ask what is best, what is needed, how sure it is"
    LOOK = "Look at results and at the catalog"
    COMPARE = "Compare with measurements and publications"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command of the command line.

    Parameters
    ----------
    run
        The function; its parameters are the options and its docstring is the help.
    panel
        Where the help lists it.
    examples
        Command lines that run as they stand, after those of every command listed before.
    also
        Another spelling of its name, which the help does not list.
    for_newcomers
        Whether ``jaxlimits --help`` proposes the first example to begin with.
    next_step
        From a result that a sweep wrote and its file, quoted for a shell, to a command line that
        is worth trying next; none where the result has nothing to show.
    """

    run: Callable[..., None]
    panel: Panel
    examples: tuple[str, ...]
    also: str | None = None
    for_newcomers: bool = False
    next_step: "Callable[[xr.Dataset, str], str | None] | None" = None


@functools.cache
def commands() -> Mapping[str, Command]:
    """Return every command by its name, in the order of the help: by panel, then by name."""
    found = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    names = [name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)]
    stated = {name: _stated(name) for name in names}
    order = list(Panel)
    return dict(sorted(stated.items(), key=lambda item: (order.index(item[1].panel), item[0])))


def _stated(name: str) -> Command:
    return importlib.import_module(f"jaxlimits.cli.{name}{_SUFFIX}").COMMAND
