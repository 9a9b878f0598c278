"""``jaxlimits init``: a commented grid file to begin with.

What can be written are the files of the folder ``starters``: a new one is a new file, and its first
sentence says what it is.
"""

from pathlib import Path
from typing import Annotated

import typer

from jaxlimits.cli.options import Force
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.errors import unknown_name

_FOLDER = Path(__file__).parent / "starters"


def _starters(incomplete: str = "") -> list[str]:
    names = sorted(path.stem for path in _FOLDER.glob("*.toml"))
    return [name for name in names if name.startswith(incomplete)]


def init(
    starter: Annotated[
        str,
        typer.Argument(
            help=f"What to begin with: {', '.join(_starters())}.", autocompletion=_starters
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The grid file to write; by default it has the starter's name."
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Write a grid file to begin with, which explains each of its lines and runs as it stands."""
    from jaxlimits.store.netcdf import check_target, renamed_when_whole

    if starter not in _starters():
        raise unknown_name("starter", starter, _starters(), where="init")
    target = output or Path(f"{starter}.toml")
    check_target(target, force=force)
    text = _text(starter, target)
    with renamed_when_whole(target, force=force) as partial:
        partial.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {target}; edit it, then run: jaxlimits sweep {_quoted(target)}")


def _text(starter: str, target: Path) -> str:
    """A starter whose comments name the file that it is written to, and the result of that."""
    text = (_FOLDER / f"{starter}.toml").read_text(encoding="utf-8")
    named = text.replace(f"jaxlimits sweep {starter}.toml", f"jaxlimits sweep {_quoted(target)}")
    return named.replace(f"{starter}.nc", _quoted(Path(f"{target.stem}.nc")))


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def _told(starter: str) -> str:
    """What a starter is, as a paragraph of the help."""
    first = (_FOLDER / f"{starter}.toml").read_text(encoding="utf-8").splitlines()[0]
    return f"{starter}: {first.removeprefix('# ').partition('. Run it')[0]}."


init.__doc__ = "\n\n".join([f"{init.__doc__}", *map(_told, _starters())])

COMMAND = Command(
    run=init,
    panel=Panel.COMPUTE,
    examples=("jaxlimits init chip -o my_chip.toml", "jaxlimits init sweep"),
)
