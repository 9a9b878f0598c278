"""Run by the interpreter of an environment that has ``genz-llm``: see ``peers.py``.

python genz_points.py POINTS
"""

import itertools
import json
import sys
import time
import warnings

warnings.simplefilter("ignore")

from GenZ import decode_moddeling

CHIP = {"Flops": 1979, "Memory_size": 96, "ICN": 450, "real_values": True}
BATCHES = (1, 2, 4, 8, 16, 32)


def evaluate(bandwidth: float, latency: float, batch: int) -> float:
    """Latency of one decode step of llama3-70b on eight chips [ms]."""
    system = {**CHIP, "Memory_BW": bandwidth, "ICN_LL": latency}
    found = decode_moddeling(
        model="meta-llama/Llama-3.1-70B",
        batch_size=batch,
        input_tokens=4096,
        Bb=1,
        system_name=system,
        bits="int8",
        tensor_parallel=8,
    )
    return found["Latency"]


def main() -> None:
    """Evaluate some points and print how long it took."""
    bandwidths = range(3000, 9000, 100)
    wanted = itertools.islice(
        itertools.product(bandwidths, (1.0, 2.0), BATCHES), int(sys.argv[1]) + 1
    )
    evaluate(*next(wanted))
    started = time.perf_counter()
    steps = [evaluate(*point) for point in wanted]
    seconds = time.perf_counter() - started
    if not all(step > 0 for step in steps):
        raise SystemExit(f"steps that take no time: {steps}")
    print(json.dumps({"points": len(steps), "seconds": seconds}))


if __name__ == "__main__":
    main()
