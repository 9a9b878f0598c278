"""``python -m benchmarks gpu --out DIR``: everything worth knowing of a device, within minutes.

Cases run one after another in a process of their own. Each has a time limit: where one is over it,
as a compilation that never ends, that process is ended and the next case begins in a new one. Every
result is appended to ``DIR/gpu.jsonl`` as it comes, so that nothing is lost when the time is up.
"""

import argparse
import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from benchmarks.gpu.names import CASES
from benchmarks.gpu.prediction import predictions

SECONDS = 300.0
"""All cases together."""

SECONDS_A_CASE = 40.0
"""One case, its compilation included; the first of a process starts JAX and the device too."""

SECONDS_TO_START = 45.0

Record = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Run the cases that are asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--scale", type=float, help="share of each grid; default: from a probe")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all cases together")
    parser.add_argument("--only", nargs="+", choices=CASES, metavar="CASE", default=list(CASES))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "gpu.jsonl"
    failed = 0
    with target.open("w", encoding="utf-8") as file:
        for record in measured(options):
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(line_of(record), flush=True)
            failed += record["status"] != "ok"
    print(f"wrote {target}")
    return 0 if failed < len(options.only) else 1


def measured(options: argparse.Namespace) -> Iterator[Record]:
    """Run cases in processes that are replaced where one hangs; yield what each says."""
    until, left = time.monotonic() + options.seconds, list(options.only)
    scale, predicted = options.scale, {}
    while left:
        for record in _one_process(tuple(left), until, scale, options.out):
            left.remove(record["case"])
            if record["case"] == "probe" and record["status"] == "ok":
                scale = scale or record["scale"]
                predicted = predictions(record["device"])
            yield {**record, **_beside(record, predicted)}


def _one_process(
    names: Sequence[str], until: float, scale: float | None, out: Path
) -> Iterator[Record]:
    """Run cases in one process until all are done, one takes too long or the process ends."""
    command = [sys.executable, "-m", "benchmarks.gpu.worker", "--out", str(out.absolute())]
    command += ["--scale", str(scale)] if scale is not None else []
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [*command, *names], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root
    ) as process:
        lines, errors = _lines(process.stdout), _lines(process.stderr)
        started = SECONDS_TO_START
        for name in names:
            limit = min(SECONDS_A_CASE + started, until - time.monotonic())
            line = _next(lines, limit)
            if line is None:
                process.kill()
                yield _unfinished(name, process, errors, limit)
                return
            yield json.loads(line)
            started = 0.0


def _unfinished(name: str, process: subprocess.Popen, errors: queue.Queue, limit: float) -> Record:
    """What is said of a case that gave no result."""
    if limit <= 0.0:
        return {"case": name, "status": "left out: no time left"}
    if process.wait() == -9:
        return {"case": name, "status": f"over its limit of {limit:.0f} s"}
    said = [line for line in iter(lambda: _next(errors, 0.5), None) if line.strip()]
    last = said[-1].strip() if said else f"exit code {process.returncode}"
    return {"case": name, "status": f"failed: {last}"}


def _lines(stream: IO[str] | None) -> "queue.Queue[str | None]":
    """Lines of a process, read beside the waiting for them; ``None`` at its end."""
    found: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        with contextlib.suppress(ValueError):  # closed: nobody waits for more
            for line in stream or ():
                found.put(line)
        found.put(None)

    threading.Thread(target=read, daemon=True).start()
    return found


def _next(lines: "queue.Queue[str | None]", seconds: float) -> str | None:
    """The next line, or ``None`` where there is none in time."""
    try:
        return lines.get(timeout=max(0.0, seconds))
    except queue.Empty:
        return None


def _beside(record: Record, predicted: dict[str, float]) -> Record:
    """The time that was predicted for as many points, and how many times that was measured."""
    milliseconds = predicted.get(record["case"])
    if milliseconds is None or "ms_per_billion" not in record:
        return {}
    ratio = record["ms_per_billion"] / milliseconds
    return {"predicted_ms": milliseconds, "over_predicted": float(f"{ratio:.3g}")}


def line_of(record: Record) -> str:
    """A record as a line of a table."""
    facts = [f"{name} {_text(value)}" for name, value in record.items() if name not in _APART]
    status = "" if record["status"] == "ok" else record["status"]
    return f"{record['case']:<24}{status}{'; '.join(facts)}"


_APART = ("case", "status")


def _text(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
