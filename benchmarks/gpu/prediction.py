"""What compiling alone predicted, where that is at hand: milliseconds for 10^9 points by case.

``benchmarks/results/lowered/<target>.json`` holds them: see :mod:`benchmarks.lowered`.
"""

import json
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "results" / "lowered"


def predictions(device: str) -> dict[str, float]:
    """Return the predicted time of each case on a device of a kind; nothing where there is none."""
    for path in sorted(FOLDER.glob("*.json")):
        if path.stem.lower() in device.lower().replace(" ", ""):
            cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
            return {name: float(case["predicted_ms"]) for name, case in cases.items()}
    return {}
