"""``jaxlimits init``: files to begin with, which run as they stand and explain each line."""

import shlex
import tomllib

import pytest

from jaxlimits.cli.init_command import _starters
from tests.command_line import run


@pytest.mark.parametrize("starter", _starters())
def test_a_starter_and_what_it_proposes_run_as_they_stand(starter, folder):
    done = run("init", starter)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"wrote {starter}.toml; edit it, then run: jaxlimits sweep {starter}.toml\n"
    text = (folder / f"{starter}.toml").read_text(encoding="utf-8")
    base = tomllib.loads(text)["base"]
    assert {"kv_sharding", "collective_algorithm"} <= set(base)
    swept = run("sweep", f"{starter}.toml")
    assert (swept.code, swept.err) == (0, "")  # no warning of a setting that changes nothing
    proposed = [line.partition("jaxlimits ")[2] for line in text.splitlines() if ".nc" in line]
    assert len(proposed) == 2
    for line in proposed:
        done = run(*shlex.split(line), *(("--force",) if line.startswith("plot") else ()))
        assert done.code == 0, done.err


def test_every_line_of_a_starter_is_explained(folder):
    for starter in _starters():
        run("init", starter)
        lines = (folder / f"{starter}.toml").read_text(encoding="utf-8").splitlines()
        stated = [line for line in lines if line.startswith(("llm", "kv_sharding", "chip =", "["))]
        assert all("#" in line for line in stated)


def test_comments_name_the_file_that_is_written(folder):
    (folder / "sub").mkdir()
    assert run("init", "chip", "-o", "sub/my chip.toml").code == 0
    text = (folder / "sub" / "my chip.toml").read_text(encoding="utf-8")
    assert "`jaxlimits sweep 'sub/my chip.toml'`" in text
    assert "jaxlimits report 'my chip.nc'" in text
    assert "chip.toml" not in text.replace("my chip.toml", "")


def test_a_file_that_is_there_is_replaced_only_with_force(folder):
    (folder / "sweep.toml").write_text("mine")
    done = run("init", "sweep")
    assert done.code == 1
    assert "sweep.toml: exists; choose another name, or replace it with --force" in done.err
    assert (folder / "sweep.toml").read_text() == "mine"
    assert run("init", "sweep", "--force").code == 0
    assert (folder / "sweep.toml").read_text() != "mine"


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("chp",), 2, "init: unknown starter 'chp'; did you mean chip?"),
        (("grid",), 2, "init: unknown starter 'grid'; known: chip, fleet, sweep"),
        (("chip", "-o", "no/such.toml"), 1, "the folder no does not exist; make it first"),
    ],
)
def test_what_cannot_be_written_is_said(args, code, says, folder):
    done = run("init", *args)
    assert (done.code, len(done.err.splitlines())) == (code, 1)
    assert says in done.err
    assert list(folder.iterdir()) == []
