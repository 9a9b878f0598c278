"""The reference of the commands: what ``--help`` says, as a page of the guide."""

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer.main

from jaxlimits.cli.registry import Command, Panel, commands
from jaxlimits.guide.markdown_tables import code, table

if TYPE_CHECKING:
    import click

_OPENING = """Each command has `--help` with the same text. The exit code is 0 when a command is
done, 1 when a file fails or a comparison finds a difference, and 2 when the input is wrong."""


def commands_page() -> str:
    """Return the body of the page of every command, by panel."""
    from jaxlimits.cli import app

    group = typer.main.get_command(app)
    shown: dict[str, click.Command] = group.commands  # pyright: ignore[reportAttributeAccessIssue]
    parts = [_OPENING]
    for panel in Panel:
        parts.append(f"## {panel}")
        for name, stated in commands().items():
            if stated.panel is panel:
                parts += _command(name, stated, shown[name])
    return "\n\n".join(parts) + "\n"


def _command(name: str, stated: Command, shown: "click.Command") -> Iterator[str]:
    yield f"### `jaxlimits {name}`"
    yield inspect.cleandoc(stated.run.__doc__ or "")
    rows = map(_row, shown.params)
    yield table(("option", "meaning"), rows)
    yield "```console\n" + "\n".join(f"$ {line}" for line in stated.examples) + "\n```"


def _row(parameter: "click.Parameter") -> tuple[str, str]:
    """An argument by its name in capitals, an option by its spellings."""
    meaning = getattr(parameter, "help", None) or ""
    if parameter.param_type_name == "argument":
        return code((parameter.name or "").upper()), meaning
    return ", ".join(map(code, [*parameter.opts, *parameter.secondary_opts])), meaning
