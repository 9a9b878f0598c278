"""Options that several commands share, and how results reach the terminal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli import completion
from jaxlimits.cli.pairs import pairs
from jaxlimits.errors import InputError
from jaxlimits.results.strict import strict

if TYPE_CHECKING:
    import xarray as xr

Values = dict[str, Any]

PICTURES = (".svg", ".png", ".pdf")
"""How the names of pictures end."""

Catalogs = Annotated[
    list[Path] | None,
    typer.Option("--catalog", help="A TOML file with models and chips of your own. Repeatable."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set a field to a value, as mem_bw='8 TB/s'. Repeatable.",
        autocompletion=completion.fields,
    ),
]
Assume = Annotated[
    str | None,
    typer.Option(
        "--assume",
        metavar="PRESET",
        help="Give a chip that states no power or no price those of an assumption, as gpu.",
        autocompletion=completion.assumptions,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        help="A model: its name in the catalog, or the path of its config.json.",
        autocompletion=completion.llms,
    ),
]
Machine = Annotated[
    str,
    typer.Option(help="A chip: its name in the catalog.", autocompletion=completion.chips),
]
TpSize = Annotated[
    str | None, typer.Option(help="How many chips split every operator (tensor parallelism).")
]
PpSize = Annotated[str | None, typer.Option(help="How many pipeline stages there are.")]
EpSize = Annotated[
    str | None, typer.Option(help="How many ranks share the experts (expert parallelism).")
]
DpSize = Annotated[str | None, typer.Option(help="How many replicas there are.")]
BatchSize = Annotated[str | None, typer.Option(help="How many sequences a micro-batch has.")]
SeqLen = Annotated[str | None, typer.Option(help="How many tokens of context there are.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for scripts.")]
X64 = Annotated[bool, typer.Option("--x64", help="Compute in double precision (float64).")]
AllowIdle = Annotated[
    bool, typer.Option("--allow-idle", help="Keep axes on which no output depends.")
]
Result = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Write the answer as a dataset to this .nc file."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")]


def check_result(path: Path | None, *, force: bool) -> None:
    """Raise unless an answer can be written to a path; nothing where there is none.

    Raises
    ------
    InputError
        A name of another kind of file.
    ResultError
        As :func:`jaxlimits.store.netcdf.check_target`.
    """
    from jaxlimits.store.netcdf import check_target

    if path is None:
        return
    if path.suffix != ".nc":
        remedy = "end its name in .nc"
        raise InputError("is not a dataset", where="--output", value=str(path), remedy=remedy)
    check_target(path, force=force)


def write_result(dataset: "xr.Dataset", path: Path, *, force: bool, quiet: bool) -> None:
    """Write an answer as a dataset, and say so unless only JSON is printed."""
    from jaxlimits.store.netcdf import write_dataset

    write_dataset(dataset, path, force=force)
    if not quiet:
        typer.echo(f"\nwrote {path}")


def overrides_of(given: list[str] | None, assume: str | None = None) -> dict[str, str]:
    """Return what ``--set`` and ``--assume`` give, by the name of the field.

    Raises
    ------
    InputError
        A text that is not ``name=value``, a name that is set twice.
    """
    fixed = pairs(given, "--set", example="mem_bw='8 TB/s'")
    if assume is None:
        return fixed
    if "assume" in fixed:
        raise InputError("is set twice, by its option and by --set", where="--set", key="assume")
    return {**fixed, "assume": assume}


def point_values(
    sizes: Mapping[str, str | None], overrides: list[str] | None, *, where: str
) -> Values:
    """Return the settings of a point by name, from options of their own and from ``--set``.

    Raises
    ------
    InputError
        A name that is set twice, or that is not a field.
    """
    from jaxlimits.grid.axes import check_name

    given = {name: value for name, value in sizes.items() if value is not None}
    fixed = overrides_of(overrides)
    twice = sorted(({"llm", "chip"} | set(given)) & set(fixed))
    if twice:
        raise InputError("is set twice, by its option and by --set", where=where, key=twice[0])
    for name in fixed:
        check_name(name, where="--set", key=name)
    return {**given, **fixed}


def check_picture(target: Path, *, force: bool, where: str) -> None:
    """Raise unless a figure can be drawn and written to a path.

    Raises
    ------
    InputError
        No figure backend, or no kind of picture.
    ResultError
        The file is there already, and ``force`` is not given; or it cannot be written.
    """
    from jaxlimits.plot import require_backend
    from jaxlimits.store.netcdf import check_target

    require_backend()
    if target.suffix not in PICTURES:
        remedy = f"end its name in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}"
        raise InputError("is not a kind of picture", where=where, value=str(target), remedy=remedy)
    check_target(target, force=force)


def print_json(value: Any) -> None:
    """Print strict JSON on standard output: NaN and infinities become ``null`` and text."""
    typer.echo(json.dumps(strict(value), indent=2, ensure_ascii=False, allow_nan=False))
