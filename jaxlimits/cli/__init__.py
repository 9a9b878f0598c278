"""The command line: ``jaxlimits COMMAND``.

The commands are the files ``NAME_command.py`` of this folder. Each imports what it needs when it
runs, so that ``--help`` and ``catalog`` answer at once.
"""

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from jaxlimits.cli.flags import flags_of, in_flags
from jaxlimits.cli.registry import commands
from jaxlimits.cli.version import show_version
from jaxlimits.errors import InputError, ResultError, ResultWarning

EXIT_OUTPUT, EXIT_INPUT = 1, 2

_ENDED = {128 + signal.SIGINT: "interrupted", 128 + signal.SIGTERM: "terminated"}
"""What is said where a signal ended the command, by its exit code."""


def _lines(title: str, examples: Iterable[str]) -> str:
    """The end of a help page; an empty line keeps each example on a line of its own."""
    return "\n\n".join([title, *examples])


app = typer.Typer(
    name="jaxlimits",
    help="What is the limit of this LLM inference hardware? One point, or millions at once.",
    epilog=_lines(
        "To begin with:", (c.examples[0] for c in commands().values() if c.for_newcomers)
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name, command in commands().items():
    epilog = _lines("Examples:", command.examples)
    app.command(name, rich_help_panel=command.panel, epilog=epilog)(command.run)
    if command.also is not None:
        app.command(command.also, hidden=True, epilog=epilog)(command.run)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", help="With --version: show what to state in a report of an issue."
        ),
    ] = False,
) -> None:
    if version:
        show_version(verbose=verbose)
        raise typer.Exit
    if verbose:
        raise InputError("belongs to --version", where="--verbose", remedy="give both")


def main() -> None:
    """Run a command; exit with 1 where a file fails, 2 where the input is wrong.

    Ctrl-C and SIGTERM end it in order, with 130 and 143. Of a device's memory a command takes what
    it needs, unless the user has set otherwise: JAX by itself takes three quarters at once.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        try:
            with _ended_in_order(), _warned_in_lines():
                app()
        finally:
            sys.stdout.flush()
    except InputError as error:
        _fail(error, EXIT_INPUT)
    except ResultError as error:
        _fail(error, EXIT_OUTPUT)
    except (AssertionError, RuntimeError) as error:
        _fail_of_a_library(error)
    except BrokenPipeError:  # the reader of a pipe has gone, as `| head` does
        _forget_output()
        sys.exit(EXIT_OUTPUT)
    except OSError as error:  # standard output is full
        _forget_output()
        _fail(f"standard output: cannot be written: {error.strerror}", EXIT_OUTPUT)
    except SystemExit as stop:
        if stop.code in _ENDED:
            _fail("; ".join([_ENDED[stop.code], *getattr(stop, "__notes__", ())]), stop.code)
        raise


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let a signal that ends the process be an exit, so that nothing is left half written."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    usual = (signal.SIG_DFL, signal.default_int_handler)  # what is ignored stays ignored
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) in usual]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _warned_in_lines() -> Iterator[None]:
    """Print what a user should know of a result as a line, not as Python prints warnings."""

    def show(message, category, *place, **options) -> None:
        if issubclass(category, ResultWarning):
            _say(f"warning: {message}")
        else:
            usual(message, category, *place, **options)

    usual, warnings.showwarning = warnings.showwarning, show
    try:
        yield
    finally:
        warnings.showwarning = usual


def _forget_output() -> None:
    """Keep Python from flushing, at its end, into an output that takes no more."""
    with contextlib.suppress(OSError):  # not a file of the system
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail_of_a_library(error: Exception) -> None:
    """End with what netCDF or JAX says, in our words; raise where it says something else."""
    if str(error).startswith("NetCDF:"):  # the library meets damage only where it reads the values
        _fail(f"the result is damaged: its values cannot be read ({error})", EXIT_OUTPUT)
    if "jax" in sys.modules:
        from jaxlimits.engine.failures import explained

        told = explained(error)
        if told is not None:
            _fail(told, EXIT_INPUT if isinstance(told, InputError) else EXIT_OUTPUT)
    raise error


def _fail(message: object, code: int) -> None:
    _say(message)
    sys.exit(code)


def _say(message: object) -> None:
    """Print a message of any layer, the parameters that it names as options."""
    group = typer.main.get_command(app)
    flags = flags_of(group.commands.values())  # pyright: ignore[reportAttributeAccessIssue]
    print(f"jaxlimits: {in_flags(str(message), flags)}", file=sys.stderr)  # noqa: T201
