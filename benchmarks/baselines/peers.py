"""Other tools: published rates, and one that pip can install.

Each evaluates one configuration a call. ``genz-llm`` needs an environment of its own, since it
pins much beside it::

    python -m venv genz && genz/bin/pip install genz-llm
    python -m benchmarks reductions --genz genz/bin/python

It then evaluates llama3-70b on eight chips of 1,979 TFLOP/s and 96 GB: batch 1 to 32, 4,096 tokens
of context, several bandwidths and link latencies, int8 weights and cache, every operator of every
layer with its own roofline, ring collectives from its own network model. It does more a point than
we do, and its answers differ: only the rates are beside each other.
"""

import json
import subprocess
from pathlib import Path

POINTS_PER_SECOND = {
    "GenZ": 5.0,
    "llm-analysis": 700.0,
    "LLM-Viewer": 6_800.0,
    "ridgepoint": 168_000.0,
}
"""Points a second on one core, as measured by this project's authors on two-core x86 machines and
stated in its issue on long sweeps; ridgepoint is Rust with a fixed list of GPUs, the others Python.
Constants, not measured here."""

FASTEST_IN_PYTHON = "LLM-Viewer"

_GENZ = Path(__file__).with_name("genz_points.py")


def genz_rate(python: str, points: int = 40) -> float:
    """Return the points a second of ``genz-llm`` in another environment, after its imports.

    Parameters
    ----------
    python
        Interpreter of an environment that has ``genz-llm``.
    points
        How many to evaluate.
    """
    command = [python, str(_GENZ), str(points)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return found["points"] / found["seconds"]
