"""The notebook runs from its source by the command that it names, and answers its questions."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jaxlimits as jl

ROOT = Path(__file__).parents[1]
SOURCE = Path(jl.__file__).parent / "examples" / "architect.py"


def executed(tmp_path):
    """Run the notebook's own command; return its cells."""
    (command,) = re.findall(r"`(jupytext [^`]*)`", SOURCE.read_text(encoding="utf-8"))
    words = shlex.split(command)
    words[-1] = str(tmp_path / words[-1])
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(Path(words[-1]).read_text(encoding="utf-8"))["cells"]


def test_the_notebook_answers_its_questions(tmp_path):
    cells = executed(tmp_path)
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    said = "".join("".join(output.get("text", "")) for output in outputs)
    assert len(re.findall(r"TB/s: collectives of at most [\d.]+ µs", said)) == 4
    assert len(re.findall(r"[\d.]+ USD a million tokens", said)) == 4
    assert len(re.findall(r"users: fits up to [\d,]+ tokens", said)) == 4
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    assert not any(output.get("name") == "stderr" for output in outputs)
