"""The command line as tests call it: in this process where it is quick, in a new one where not."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from jaxlimits.cli import main


class Finished(NamedTuple):
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as strict JSON."""
        return json.loads(self.out, parse_constant=_refuse)


def run(*args: object) -> Finished:
    """Run a command in this process, its streams in pipes."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["jaxlimits", *map(str, args)]
    code = 0
    with (
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Finished(code, out.getvalue(), err.getvalue())


def run_anew(*args: object, cwd: Path | None = None) -> Finished:
    """Run a command in a process of its own."""
    command = [sys.executable, "-c", "from jaxlimits.cli import main; main()", *map(str, args)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
