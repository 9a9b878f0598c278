"""``jaxlimits site``: the model as a page that needs no installation."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.cli.options import Catalogs, Force
from jaxlimits.cli.registry import Command, Panel


def site(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write.")] = Path(
        "public"
    ),
    catalogs: Catalogs = None,
    force: Force = False,
) -> None:
    """Write the model as a web page: a folder of files that run in any browser, without a network.

    Whoever opens the page chooses a model and a machine, and sees the point, a map and what binds.
    """
    from jaxlimits.catalog.loader import load_catalog
    from jaxlimits.static_page.build import build_page

    files = build_page(load_catalog(*(catalogs or [])), output, force=force)
    size = sum(path.stat().st_size for path in files)
    typer.echo(f"wrote {output}: {len(files)} files, {size / 1e6:.2f} MB")
    typer.echo(f"open {output / 'index.html'} in a browser, or put the folder on a web server")


COMMAND = Command(
    run=site,
    panel=Panel.LOOK,
    examples=("jaxlimits site -o public/",),
)
