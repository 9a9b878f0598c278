"""``jaxlimits guide``: the guide in the terminal, or as a site."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.cli.options import Force
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import label, print_table, room_at_terminal, text
from jaxlimits.errors import InputError
from jaxlimits.guide.pages import KINDS, Page, find_page, in_order, made_page, written_pages


def _topics(incomplete: str) -> list[str]:
    return [page.topic for page in all_pages() if page.topic.startswith(incomplete)]


def guide(
    topic: Annotated[
        str | None,
        typer.Argument(
            help="The page to show, as tutorial or own-chip; by default the list of all pages.",
            autocompletion=_topics,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Build the whole guide as a site in this folder."),
    ] = None,
    force: Force = False,
) -> None:
    """List the pages of the guide, show one, or build a site of all that opens without a network.

    The pages are a tutorial, how-to guides, explanations, and a reference of every field, metric,
    switch, key, reduction, command and public name.
    """
    if output is not None:
        _build(output, topic, force=force)
    elif topic is None:
        _show_list(all_pages())
    else:
        _show(find_page(all_pages(), topic))


def all_pages() -> list[Page]:
    """Return every page, in the order of the guide."""
    from jaxlimits.cli.command_reference import commands_page
    from jaxlimits.guide.reference import reference_pages

    commands = made_page("reference/commands", "Commands", commands_page)
    return in_order([*written_pages(), *reference_pages(), commands])


def _build(output: Path, topic: str | None, *, force: bool) -> None:
    from jaxlimits.guide.site import build_site

    if topic is not None:
        remedy = "leave out the topic, or leave out --output"
        raise InputError("a site holds every page", where="guide", value=topic, remedy=remedy)
    build_site(all_pages(), output, force=force, say=typer.echo)
    typer.echo(f"wrote {output}; open {output / 'index.html'} in a browser")


def _show_list(pages: list[Page]) -> None:
    for kind, title in KINDS.items():
        typer.echo(f"{title}:")
        rows = [(page.name, page.title) for page in pages if page.kind == kind]
        print_table((label(), text()), rows, indent=2)
        typer.echo()
    typer.echo("show a page with: jaxlimits guide TOPIC")


def _show(page: Page) -> None:
    """Show a page: styled at a terminal, as Markdown in a pipe."""
    room = room_at_terminal()
    if room is None:
        typer.echo(page.make().rstrip())
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(width=min(room, 100)).print(Markdown(page.make(), hyperlinks=False))


COMMAND = Command(
    run=guide,
    panel=Panel.LOOK,
    examples=("jaxlimits guide", "jaxlimits guide tutorial", "jaxlimits guide how-to/own-chip"),
)
