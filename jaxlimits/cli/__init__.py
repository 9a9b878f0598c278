"""The command line: ``jaxlimits COMMAND``.

Each command imports what it needs when it runs, so that ``--help`` and ``catalog`` answer at once.
"""

import contextlib
import os
import sys

import typer

from jaxlimits.cli import catalog, export, info, pack, point, solve, sweep, validate
from jaxlimits.errors import InputError, ResultError

EXIT_OUTPUT, EXIT_INPUT, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="jaxlimits",
    help="What is the limit of this LLM inference hardware? One point, or millions at once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("sweep")(sweep.sweep)
app.command("point")(point.point)
app.command("solve")(solve.solve)
app.command("catalog")(catalog.catalog)
app.command("info")(info.info)
app.command("export")(export.export)
app.command("pack")(pack.pack)
app.command("validate")(validate.validate)


def main() -> None:
    """Run a command; exit with 1 where a file fails, 2 where the input is wrong."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except InputError as error:
        _fail(error, EXIT_INPUT)
    except ResultError as error:
        _fail(error, EXIT_OUTPUT)
    except BrokenPipeError:  # the reader of a pipe has gone, as `| head` does
        _forget_output()
        sys.exit(EXIT_OUTPUT)
    except OSError as error:  # standard output is full
        _forget_output()
        _fail(f"standard output: cannot be written: {error.strerror}", EXIT_OUTPUT)
    except SystemExit as stop:  # typer's answer to an interrupt
        if stop.code == EXIT_INTERRUPTED:
            _fail("interrupted; a long sweep continues with --resume", EXIT_INTERRUPTED)
        raise


def _forget_output() -> None:
    """Keep Python from flushing, at its end, into an output that takes no more."""
    with contextlib.suppress(OSError):  # not a file of the system
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: object, code: int) -> None:
    print(f"jaxlimits: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
