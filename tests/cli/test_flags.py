"""What messages say of parameters, a user of the command line reads as options."""

import ast
import re
from pathlib import Path

import pytest
import typer

import jaxlimits
from jaxlimits.cli import app
from jaxlimits.cli.flags import flags_of, in_flags
from tests.command_line import run

PACKAGE = Path(jaxlimits.__file__).parent
COMMANDS = typer.main.get_command(app).commands
FLAGS = flags_of(COMMANDS.values())


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("replace it with `force=True`", "replace it with --force"),
        ("`overrides`: mem_bw: bare number", "--set: mem_bw: bare number"),
        (
            "draw a panel for each, as `columns='chip'`",
            "draw a panel for each, as --columns 'chip'",
        ),
        ("keep one, as `.sel(mem_bw=…)`; or", "keep one, as --select mem_bw=…; or"),
        ("write `jaxlimits sweep GRID`", "write `jaxlimits sweep GRID`"),
        ("`limit` is a category", "`limit` is a category"),
    ],
)
def test_parameters_are_shown_as_options_and_all_else_as_it_is(message, shown):
    assert in_flags(message, FLAGS) == shown


def test_a_parameter_has_the_same_option_in_every_command():
    for name, command in COMMANDS.items():
        own = flags_of([command])
        assert {key: FLAGS[key] for key in own} == own, name


ABOVE = ("cli", "examples", "guide")
"""Rooms whose readers use the command line."""


def test_the_layers_below_name_no_option():
    below = [path for path in PACKAGE.rglob("*.py") if path.parent.name not in ABOVE]
    below.remove(PACKAGE / "planning" / "engine_flags.py")  # options of other programs
    assert len(below) > 100
    for path in below:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        for text in (text for text in texts if isinstance(text, str)):
            # Styles name their colours as var(--quiet).
            assert not re.search(r"(?<!var\()(?<![\w-])--[a-z]", text), f"{path}: {text}"


def test_an_error_of_a_lower_layer_names_the_option(folder):
    (folder / "smoke.nc").write_text("mine")
    done = run("sweep", "smoke")
    assert done.code == 1
    assert done.err == (
        "jaxlimits: smoke.nc: exists; choose another name, or replace it with --force\n"
    )
