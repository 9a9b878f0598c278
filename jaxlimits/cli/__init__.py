"""The command line: ``jaxlimits COMMAND``.

Each command imports what it needs when it runs, so that ``--help`` and ``catalog`` answer at once.
"""

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Iterator

import typer

from jaxlimits.cli import best_command as best
from jaxlimits.cli import calibrate_command as calibrate
from jaxlimits.cli import catalog_command as catalog
from jaxlimits.cli import compare_command as compare
from jaxlimits.cli import explore_command as explore
from jaxlimits.cli import export_command as export
from jaxlimits.cli import info_command as info
from jaxlimits.cli import optimise_command as optimise
from jaxlimits.cli import pack_command as pack
from jaxlimits.cli import plot_command as plot
from jaxlimits.cli import point_command as point
from jaxlimits.cli import report_command as report
from jaxlimits.cli import solve_command as solve
from jaxlimits.cli import study_command as study
from jaxlimits.cli import sweep_command as sweep
from jaxlimits.cli import uncertainty_command as uncertainty
from jaxlimits.cli import validate_command as validate
from jaxlimits.cli.examples import EXAMPLES, FIRST, shown
from jaxlimits.errors import InputError, ResultError, ResultWarning

EXIT_OUTPUT, EXIT_INPUT = 1, 2

_ENDED = {128 + signal.SIGINT: "interrupted", 128 + signal.SIGTERM: "terminated"}
"""What is said where a signal ended the command, by its exit code."""

app = typer.Typer(
    name="jaxlimits",
    help="What is the limit of this LLM inference hardware? One point, or millions at once.",
    epilog=shown(FIRST, "To begin with:"),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("sweep")(sweep.sweep)
app.command("point")(point.point)
app.command("uncertainty")(uncertainty.uncertainty)
app.command("optimise")(optimise.optimise)
app.command("solve")(solve.solve)
app.command("best")(best.best)
app.command("study")(study.study)
app.command("catalog")(catalog.catalog)
app.command("info")(info.info)
app.command("export")(export.export)
app.command("plot")(plot.plot)
app.command("explore")(explore.explore)
app.command("report")(report.report)
app.command("pack")(pack.pack)
app.command("calibrate")(calibrate.calibrate)
app.command("compare")(compare.compare)
app.command("validate")(validate.validate)
for registered in app.registered_commands:
    registered.epilog = shown(EXAMPLES[str(registered.name)], "Examples:")


def main() -> None:
    """Run a command; exit with 1 where a file fails, 2 where the input is wrong.

    Ctrl-C and SIGTERM end it in order, with 130 and 143.
    """
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
    except RuntimeError as error:
        if not str(error).startswith("NetCDF:"):
            raise
        # The library meets damage only where it reads the values.
        _fail(f"the result is damaged: its values cannot be read ({error})", EXIT_OUTPUT)
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


def _fail(message: object, code: int) -> None:
    _say(message)
    sys.exit(code)


def _say(message: object) -> None:
    print(f"jaxlimits: {message}", file=sys.stderr)  # noqa: T201
