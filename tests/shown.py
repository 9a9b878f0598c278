"""What documents show: their commands and programs run in this process, their outputs compared."""

import contextlib
import io
import shlex

from jaxlimits.guide.fences import fences, shown_commands
from jaxlimits.guide.pages import written_pages
from tests.command_line import run

OMITTED = "…"
"""Stands in a shown output for lines that are left out."""

NOT_RUN = "no-run"
"""Stands beside the language of a program that needs what a test has not, as a cluster."""


RUN = {
    page.topic: page.make()
    for page in written_pages()
    if page.topic == "tutorial" or page.topic.startswith("how-to/")
}
"""Pages that show commands and what they print, by topic; the others show formulas."""


def commands():
    """Commands that the pages show, which the guide's tests run."""
    return [line for text in RUN.values() for line in shown_commands(text)]


def bodies(text, language):
    """Contents of the blocks of a text in one language."""
    return [fence.body for fence in fences(text) if fence.language == language]


def do(line, folder):
    """Run a command line in a folder; it must succeed."""
    with contextlib.chdir(folder):
        done = run(*shlex.split(line)[1:])
    assert done.code == 0, f"{line}\n{done.err}"
    return done


def run_page(text, folder):
    """Run what a page shows, in order; yield each shown output with what was really printed."""
    said, names = "", {}
    for fence in fences(text):
        if fence.file:
            (folder / fence.file).write_text(fence.body, encoding="utf-8")
        elif fence.language == "sh":
            said += "".join(do(line, folder).out for line in fence.commands)
        elif fence.language == "python" and NOT_RUN not in fence.info:
            said += _program(fence.body, folder, names)
        elif fence.language == "text":
            yield fence.body, said
            said = ""


def _program(text, folder, names):
    """Run a program in a folder, with the names of those before it; return what it prints."""
    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        exec(compile(text, "<shown>", "exec"), names)
    return out.getvalue()


def missing(shown, said):
    """Lines of a shown output that were not printed; runs of spaces count as one."""
    printed = {_even(line) for line in said.splitlines()}
    return [line for line in shown.splitlines() if _even(line) not in {*printed, "", OMITTED}]


def _even(line):
    return " ".join(line.split())
