"""Each command shows examples, and each of them runs as it stands."""

import shlex
import shutil

import pytest

from jaxlimits.cli import app
from jaxlimits.cli.registry import Panel, commands
from jaxlimits.run import streamed
from tests import shown
from tests.command_line import run

COMMANDS = list(commands())
EXAMPLES = {name: command.examples for name, command in commands().items()}
FIRST = [command.examples[0] for command in commands().values() if command.for_newcomers]


def do(line):
    words = shlex.split(line)
    assert words[0] == "jaxlimits"
    done = run(*words[1:])
    assert done.code == 0, f"{line}\n{done.err}"
    return done


def test_every_command_has_an_example():
    listed = [command for command in app.registered_commands if not command.hidden]
    assert [str(command.name) for command in listed] == COMMANDS
    assert all(
        lines and all(line.startswith(f"jaxlimits {name}") for line in lines)
        for name, lines in EXAMPLES.items()
    )


def test_the_help_lists_commands_by_panel_and_then_by_name():
    panels = list(Panel)
    places = [(panels.index(each.panel), name) for name, each in commands().items()]
    assert places == sorted(places)
    assert {each.panel for each in commands().values()} == set(Panel)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_the_examples_of(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TERMINAL_WIDTH", "300")
    said = run(name, "--help").out
    for line in EXAMPLES[name]:
        assert line in said


def test_nothing_but_the_name_shows_what_to_begin_with(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TERMINAL_WIDTH", "300")
    said = run().out
    assert all(line in said for line in FIRST)
    assert all(f" {name} " in said for name in COMMANDS)
    assert all(f" {panel} " in said for panel in Panel)


def test_what_a_newcomer_begins_with_runs_in_order(folder):
    for line in FIRST:
        do(line)
    assert {"smoke.nc", "smoke.svg"} <= {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """A folder with a result in shards under the name that the example packs."""
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed, "SINGLE_FILE_BYTES", 0)
        target = folder / "billion_dense.nc"
        assert run("sweep", "smoke", "-o", target, "--memory", "200 kB").code == 0
    return folder


def test_every_example_runs_in_order(sharded, folder, monkeypatch):
    # What serves until it is interrupted ends at once here; tests/explorer look at what it serves.
    monkeypatch.setattr("jaxlimits.explorer.server.run", lambda server: server.stop())
    monkeypatch.setattr("jaxlimits.explorer.server.open_browser", lambda _: False)
    shutil.copytree(sharded, folder, dirs_exist_ok=True)
    run_elsewhere = [shlex.split(line) for line in shown.commands()]  # by the guide's own test
    for name, lines in EXAMPLES.items():
        for line in lines:
            if name == "sweep" or shlex.split(line) not in run_elsewhere:
                assert do(line).out.strip()
    made = {path.name for path in folder.iterdir()}
    assert {"smoke.nc", "h200.nc", "smoke.svg", "smoke.csv", "one_file.nc"} <= made
