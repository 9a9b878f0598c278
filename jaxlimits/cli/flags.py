"""Parameters of Python in messages, as the options of the command line that they are here.

The layers below name parameters in backquotes: ``replace it with `force=True` ``. A user of the
command line reads ``replace it with --force``. Whatever else is in backquotes stays as it is.
"""

import re
from collections.abc import Iterable, Mapping

from typer.core import TyperCommand, TyperOption

_PARAMETER = re.compile(r"`(?P<name>\w+)(?:=(?P<value>[^`]*))?`")
_SELECTION = re.compile(r"`\.sel\((?P<name>\w+)=(?P<value>[^`]*)\)`")


def in_flags(message: str, flags: Mapping[str, str]) -> str:
    """Return a message with its parameters, and selections of a dataset, as options.

    Parameters
    ----------
    message
        A message of any layer: ``continue with `resume=True` ``, ``keep `.sel(seq_len=1)` ``.
    flags
        As :func:`flags_of` makes them.
    """
    selected = _SELECTION.sub(r"--select \g<name>=\g<value>", message)
    return _PARAMETER.sub(lambda found: _written(found, flags), selected)


def flags_of(commands: Iterable[TyperCommand]) -> dict[str, str]:
    """Return the option of each parameter: ``{"overrides": "--set", "force": "--force"}``.

    A parameter has the same option in every command.
    """
    parameters = [parameter for command in commands for parameter in command.params]
    options = [each for each in parameters if isinstance(each, TyperOption)]
    return {str(option.name): max(option.opts, key=len) for option in options}


def _written(found: re.Match[str], flags: Mapping[str, str]) -> str:
    name, value = found["name"], found["value"]
    if name not in flags:
        return found[0]
    if value in (None, "True"):
        return flags[name]
    return f"{flags[name]} {value}"
