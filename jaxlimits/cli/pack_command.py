"""``jaxlimits pack``: a sharded result as a single file."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.cli.options import Force


def pack(
    index: Annotated[Path, typer.Argument(help="The index of a sharded result.")],
    output: Annotated[Path, typer.Argument(help="The file to write.")],
    force: Force = False,
) -> None:
    """Write a sharded result as one standalone file; nothing is compressed again."""
    from jaxlimits.store.pack import pack as pack_index

    pack_index(index, output, force=force)
    typer.echo(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)")
