"""The command line: ``jaxlimits COMMAND``.

Each command imports what it needs when it runs, so that ``--help`` and ``catalog`` answer at once.
"""

import sys

import typer

from jaxlimits.cli import catalog, export, info, pack, point, sweep, validate
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
app.command("catalog")(catalog.catalog)
app.command("info")(info.info)
app.command("export")(export.export)
app.command("pack")(pack.pack)
app.command("validate")(validate.validate)


def main() -> None:
    """Run a command; exit with 1 where a file fails, 2 where the input is wrong."""
    try:
        app()
    except InputError as error:
        _fail(error, EXIT_INPUT)
    except ResultError as error:
        _fail(error, EXIT_OUTPUT)
    except BrokenPipeError:  # the reader of a pipe has gone, as `| head` does
        sys.stderr.close()
        sys.exit(EXIT_OUTPUT)
    except KeyboardInterrupt:
        _fail("interrupted; a long sweep continues with --resume", EXIT_INTERRUPTED)


def _fail(message: object, code: int) -> None:
    print(f"jaxlimits: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
