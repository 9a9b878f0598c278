"""Tab completes names in bash, zsh and fish, and asks nothing heavy for those of the catalog."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jaxlimits.cli import completion
from jaxlimits.grid.file import shipped_grids
from jaxlimits.schema import writable
from tests.cli.test_startup import HEAVY

ROOT = Path(__file__).parents[2]
SCRIPT = """
import contextlib, io, json, os, sys
from jaxlimits.cli import main
answers = []
for asked in json.loads(sys.argv.pop()):
    sys.argv = ["jaxlimits"]
    os.environ.update(asked)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main()
    for name in asked:
        del os.environ[name]
    answers.append(out.getvalue())
print(json.dumps(answers))
"""
SHELLS = ("bash", "zsh", "fish")
MODEL, COMMAND = "point --llm llama3-4", "vali"
NAMES = {
    "point --chip h1": ["h100"],
    "solve --llm kimi-k2": ["kimi-k2"],
    "sweep smo": ["smoke"],
    "best smo": ["smoke"],
    "sweep smoke --set mem_bw": ["mem_bw="],
    "catalog llm": ["llms"],
    "plot smoke.nc heat": ["heat-map"],
}
"""Beginnings of command lines, and names that complete their last words."""


def asked(shell, rest):
    """What a shell's own script asks, in the environment."""
    line = f"jaxlimits {rest}"
    words = line.split()
    of_shell = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - (not line.endswith(" ")))},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }
    return {**of_shell[shell], "_JAXLIMITS_COMPLETE": f"complete_{shell}"}


@pytest.fixture(scope="module")
def complete():
    """Answer a shell that completes a line; one process answers them all."""
    lines = [(shell, line) for shell in SHELLS for line in (MODEL, COMMAND)]
    lines += [("bash", line) for line in NAMES]
    questions = [asked(*line) for line in lines]
    questions += [{"_JAXLIMITS_COMPLETE": f"source_{shell}"} for shell in SHELLS]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(questions)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    answers = dict(zip([*lines, *SHELLS], json.loads(done.stdout), strict=True))
    return lambda *line: answers[line if len(line) > 1 else line[0]]


@pytest.mark.parametrize("shell", SHELLS)
def test_names_of_models_and_commands_complete_in(shell, complete):
    assert "llama3-405b" in complete(shell, MODEL)
    assert "validate" in complete(shell, COMMAND)


@pytest.mark.parametrize(("line", "names"), NAMES.items())
def test_names_complete(line, names, complete):
    found = complete("bash", line).split()
    assert set(names) <= set(found)
    assert all(name.startswith(line.split()[-1]) for name in found)


def test_every_name_that_is_taken_is_offered():
    assert completion.grids("") == sorted(shipped_grids())
    assert completion.fields("") == [f"{name}=" for name in sorted(writable())]
    assert completion.chips("no such") == []


def test_names_of_the_catalog_complete_with_nothing_heavy():
    code = (
        "import json, sys; from jaxlimits.cli import completion as c;"
        "assert c.llms('llama') and c.chips('h') and c.kinds('ch');"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in json.loads(done.stdout)} & set(HEAVY)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell_is_shown(shell, complete):
    assert "_JAXLIMITS_COMPLETE" in complete(shell)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_once_completion_is_installed(tmp_path):
    command = tmp_path / "bin" / "jaxlimits"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom jaxlimits.cli import main\nmain()\n")
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    script = (
        "jaxlimits --install-completion >&2; source ~/.bash_completions/jaxlimits.sh;"
        "COMP_WORDS=(jaxlimits point --llm llama3-4); COMP_CWORD=3;"
        "$(complete -p jaxlimits | sed 's/.*-F \\([^ ]*\\) .*/\\1/') jaxlimits;"
        "echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": path, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["llama3-405b"], done.stderr
