"""The guide names what is there."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "jaxlimits" / "guide" / "contributing.md").read_text(encoding="utf-8")
NOT_CODE = {"guide", "examples", "__pycache__"}


def test_the_guide_says_of_every_folder_what_is_there():
    rows = [line.split("|")[1] for line in CONTRIBUTING.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)/`", row)]
    there = {path.name for path in (ROOT / "jaxlimits").iterdir() if path.is_dir()}
    assert sorted(named) == sorted(there - NOT_CODE)


@pytest.mark.parametrize("module", re.findall(r"python -m ([\w.]+)", CONTRIBUTING))
def test_what_the_guide_runs_is_there(module):
    path = ROOT / module.replace(".", "/")
    assert module == "pytest" or path.with_suffix(".py").exists() or path.is_dir()


def test_the_gate_runs_what_the_hooks_run():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (local,) = hooks["repos"]
    names = [hook["name"] for hook in local["hooks"]]
    assert names == ["ruff format --check", "ruff check", "lint-imports", "basedpyright"]
    assert [name for name in names if name not in gate] == []
