"""One small result for the commands that read one."""

import pytest

from tests.command_line import run

GRID = """
title = "Small"
[base]
chip = "h100"
[axes]
llm = ["llama3-8b", "llama3-405b"]
tp_size = { values = [1, 8], with = { sync_latency = ["0 us", "1 us"] } }
mem_bw = ["2 TB/s", "4 TB/s"]
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Path of a small result."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "small.toml").write_text(GRID)
    assert run("sweep", folder / "small.toml", "-o", folder / "small.nc").code == 0
    return folder / "small.nc"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
