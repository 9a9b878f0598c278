"""``jaxlimits plot``: a figure of any result.

The kinds of figures and their options are what the registry reads off their files.
"""

import importlib.util
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli.next_steps import first_values, shown_metric
from jaxlimits.cli.options import Force, check_picture
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.plot.options import SHARED
from jaxlimits.plot.registry import Kind, Option, kinds

if TYPE_CHECKING:
    import xarray as xr

_TYPES: dict[str, Any] = {
    "str": str | None,
    "str | None": str | None,
    "bool": bool | None,
    "float": float | None,
    "float | None": float | None,
    "int": int | None,
    "int | None": int | None,
    "str | tuple[float, float] | None": str | None,
    "str | xr.Dataset | None": str | None,
    "Sequence[SupportsFloat]": list[float] | None,
    "Sequence[str]": list[str] | None,
}
"""Types that an option of a kind may have on the command line; one of another is Python's alone."""

_REPEATED = ("Sequence[SupportsFloat]", "Sequence[str]")


def _kinds(incomplete: str) -> list[str]:
    return [name for name in kinds() if name.startswith(incomplete)]


def plot(
    result: Annotated[Path, typer.Argument(help="A result, as any command writes it: a .nc file.")],
    kind: Annotated[
        str | None,
        typer.Argument(
            help=f"The kind of figure: {', '.join(kinds())}. By default a heat map, or the first "
            "that fits the result.",
            autocompletion=_kinds,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The file to write: .svg, .png or .pdf; --format completes its name.",
        ),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Keep the nearest value of an axis, or several by repeating it; the name alone "
            "lists its values.",
        ),
    ] = None,
    force: Force = False,
    **options: Any,
) -> None:
    """Draw a result as a figure; what has no value says why, and is hatched if it does not fit."""
    from jaxlimits.cli.selection import selection
    from jaxlimits.errors import placed
    from jaxlimits.plot.registry import draw, usual
    from jaxlimits.plot.style import save
    from jaxlimits.store.results import open_result

    target = _target(output, result, options.get("format"))
    check_picture(target, force=force, where="--output")
    asked = {name: value for name, value in options.items() if value is not None}
    with open_result(result) as dataset, placed(str(result)):
        chosen = selection(dataset, select or [], ())
        if str(asked.get("vs", "")).endswith(".nc"):  # another result to compare with
            with open_result(asked["vs"]) as other:
                asked["vs"] = other.load()
        figure = draw(chosen, kind or usual(chosen), **asked)
        save(figure, target)
    typer.echo(f"wrote {target}")


def _target(output: Path | None, result: Path, wanted: str | None) -> Path:
    """The file to write: its name and the format that is asked for agree, and either may be absent.

    Raises
    ------
    InputError
        A name of one format, and another format.
    """
    from jaxlimits.errors import InputError
    from jaxlimits.plot.looks import read_look

    ending = f".{read_look(format=wanted).format}"
    if output is None:
        return result.parent / f"{result.stem}{ending}"
    if not output.suffix:
        return output.with_name(f"{output.name}{ending}")
    if wanted is not None and output.suffix != ending:
        remedy = f"leave out --format, or end the name in {ending}"
        raise InputError(
            f"is a name of another format than {wanted}",
            where="--output",
            value=str(output),
            remedy=remedy,
        )
    return output


def _parameters() -> list[inspect.Parameter]:
    """The options of all kinds as options of the command, those that kinds share before others."""
    found = {name: each for stated in kinds().values() for name, each in stated.options.items()}
    names = [name for name in {**SHARED, **found} if name in found]
    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [
        inspect.Parameter(name, either, default=None, annotation=_written(name, found[name]))
        for name in names
        if found[name].type in _TYPES
    ]


def _written(name: str, option: Option) -> Any:
    """An option as the command line has it."""
    words = SHARED.get(name, option.help).replace("`", "")
    if option.type in _REPEATED:
        words += " Repeatable."
    return Annotated[_TYPES[option.type], typer.Option(_flag(name, option), help=words)]


def _flag(name: str, option: Option) -> str:
    """The flag of an option: a sequence is named in the singular and repeated."""
    return f"--{name.removesuffix('s') if option.type in _REPEATED else name}".replace("_", "-")


def _told(name: str, kind: Kind) -> str:
    """What a kind draws, and by which options, as a paragraph of the help."""
    own = {option: kind.options[option] for option in kind.own}
    flags = [_flag(option, each) for option, each in own.items() if each.type in _TYPES]
    taken = f" ({', '.join(flags)})" if flags else ""
    return f"{name}{taken}: {kind.summary.removeprefix('Draw ')}."


_result, _kind, _output, *_others, _options = inspect.signature(plot).parameters.values()
_written_out = [_result, _kind, _output, *_parameters(), *_others]
plot.__signature__ = inspect.Signature(_written_out)  # pyright: ignore[reportFunctionMemberAccess]
plot.__doc__ = "\n\n".join([f"{plot.__doc__}", *(_told(*each) for each in kinds().items())])


def _next_step(dataset: "xr.Dataset", file: str) -> str | None:
    """A heat map over the first two axes of numbers, or a line over one."""
    of = shown_metric(dataset)
    if of is None or importlib.util.find_spec("matplotlib") is None:
        return None
    dims = [str(dim) for dim in dataset[of].dims if dataset.sizes[dim] > 1]
    numeric = [dim for dim in dims if dim in dataset and dataset[dim].dtype.kind in "fi"]
    if len(numeric) >= 2:
        x, y = numeric[:2]
        rest = first_values(dataset, set(dims) - {x, y})
        return f"jaxlimits plot {file} heat-map --of {of} --x {x} --y {y}{rest}"
    if numeric and len(dims) >= 2:
        x = numeric[0]
        by = next(dim for dim in dims if dim != x)
        rest = first_values(dataset, set(dims) - {x, by})
        return f"jaxlimits plot {file} lines --of {of} --x {x} --by {by}{rest}"
    return None


COMMAND = Command(
    run=plot,
    panel=Panel.LOOK,
    examples=(
        "jaxlimits plot smoke.nc heat-map --x mem_bw --y sync_latency --select seq_len=4096"
        " --select batch_size=1",
        "jaxlimits plot smoke.nc frontier --by mem_bw -o frontier.svg",
        "jaxlimits plot smoke.nc roofline --select mem_bw='4 TB/s'"
        " --select sync_latency='10 us' --select seq_len=4096 --columns batch_size"
        " -o roofs.svg",
    ),
    for_newcomers=True,
    next_step=_next_step,
)
