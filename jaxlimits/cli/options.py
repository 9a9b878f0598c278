"""Options that several commands share, and how results reach the terminal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxlimits.cli import completion
from jaxlimits.results.strict import strict

Values = dict[str, Any]

PICTURES = (".svg", ".png", ".pdf")
"""How the names of pictures end."""

Catalogs = Annotated[
    list[Path] | None,
    typer.Option("--catalog", help="TOML file with your own models and chips. Repeatable."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set any field, as mem_bw='8 TB/s'. Repeatable.",
        autocompletion=completion.fields,
    ),
]
Model = Annotated[
    str,
    typer.Option(help="Model, by its name in the catalog.", autocompletion=completion.llms),
]
Machine = Annotated[
    str,
    typer.Option(help="Chip, by its name in the catalog.", autocompletion=completion.chips),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
X64 = Annotated[bool, typer.Option("--x64", help="Compute in float64.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]


def point_values(sizes: Mapping[str, str | None], settings: list[str], *, where: str) -> Values:
    """Return the settings of a point by name, from options of their own and from ``--set``.

    Raises
    ------
    InputError
        A name that is set twice, or that is no field.
    """
    from jaxlimits.errors import InputError
    from jaxlimits.grid.axes import check_name
    from jaxlimits.grid.spec import parse_overrides

    given = {name: value for name, value in sizes.items() if value is not None}
    overrides = parse_overrides(settings)
    twice = sorted(({"llm", "chip"} | set(given)) & set(overrides))
    if twice:
        raise InputError("is set twice, by its option and by --set", where=where, key=twice[0])
    for name in overrides:
        check_name(name, where="--set", key=name)
    return {**given, **overrides}


def check_picture(target: Path, *, force: bool, where: str) -> None:
    """Raise unless a figure can be drawn and written to a path.

    Raises
    ------
    InputError
        No figure backend, or no kind of picture.
    ResultError
        The file is there already, and ``force`` is not given; or it cannot be written.
    """
    from jaxlimits.errors import InputError
    from jaxlimits.plot import require_backend
    from jaxlimits.store.netcdf import check_target

    require_backend()
    if target.suffix not in PICTURES:
        remedy = f"end its name in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}"
        raise InputError("is no kind of picture", where=where, value=str(target), remedy=remedy)
    check_target(target, force=force)


def print_json(value: Any) -> None:
    """Print strict JSON on standard output: NaN and infinities become ``null`` and text."""
    typer.echo(json.dumps(strict(value), indent=2, ensure_ascii=False, allow_nan=False))
