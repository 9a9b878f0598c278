"""``jaxlimits explore``: the model live in a browser."""

from typing import Annotated

import typer

from jaxlimits.cli.options import Catalogs
from jaxlimits.cli.registry import Command, Panel


def explore(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[OUT.nc | GRID]", help="A result, a grid file, or the name of a shipped grid."
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            min=1, max=65535, help="The port to listen on; where it is in use, the next free one."
        ),
    ] = 5006,
    address: Annotated[
        str,
        typer.Option(help="The address to listen on; one that other machines reach needs --token."),
    ] = "127.0.0.1",
    token: Annotated[
        str | None, typer.Option(help="A secret that the address in the browser must contain.")
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser, or only serve.")
    ] = True,
    catalogs: Catalogs = None,
) -> None:
    """Explore the model in a browser: a slider for every field, a map, what the limit is."""
    from jaxlimits.web.backend import require_browser_figures

    require_browser_figures("bokeh", "panel", where="explore")
    from jaxlimits.explorer import server as serving
    from jaxlimits.explorer.start import start

    serving.check_address(address, token)
    begun = start(source, *(catalogs or []))
    server = serving.make_server(begun, address=address, port=port, token=token, say=typer.echo)
    url = serving.address_of(server, address=address, token=token)
    typer.echo(f"exploring at {url} (Ctrl-C ends it)")
    if browser and not serving.open_browser(url):
        typer.echo("no browser to open: open that address in one")
    serving.run(server)


COMMAND = Command(
    run=explore,
    panel=Panel.LOOK,
    examples=(
        "jaxlimits explore",
        "jaxlimits explore smoke.nc --no-browser",
        "jaxlimits explore paper --port 5010",
    ),
)
