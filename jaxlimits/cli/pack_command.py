"""``jaxlimits pack``: a sharded result as a single file."""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.cli.options import Force
from jaxlimits.cli.registry import Command, Panel


def pack(
    index: Annotated[Path, typer.Argument(help="The index file of a sharded result.")],
    output: Annotated[Path, typer.Argument(help="The file to write.")],
    force: Force = False,
) -> None:
    """Write a sharded result as one file, without compressing it again."""
    from jaxlimits.store.pack import pack as pack_index

    pack_index(index, output, force=force)
    typer.echo(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB)")


COMMAND = Command(
    run=pack,
    panel=Panel.LOOK,
    examples=("jaxlimits pack billion_dense.nc one_file.nc",),
)
