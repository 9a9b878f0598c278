"""``jaxlimits info``: what is in a result, and what made it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli.options import AsJson, print_json
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import glued, label, print_table, room_at_terminal, text

if TYPE_CHECKING:
    import xarray as xr

_SHOWN = 10
_MADE_BY = ("title", "source", "history", "grid_name", "precision", "content_hash")


def info(
    result: Annotated[Path, typer.Argument(help="A result of `jaxlimits sweep`.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every shard against its checksum.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the axes and variables of a result, and how it was made."""
    from jaxlimits.store.index import lacking_words, missing_shards, read_listing
    from jaxlimits.store.netcdf import open_dataset

    with open_dataset(result) as dataset:
        lacking = missing_shards(dataset, verify=verify)
        listing = read_listing(dataset)
        words = lacking_words(listing, lacking) if listing is not None and lacking else ""
        facts = {**_facts(dataset), "complete": not lacking, "lacking": lacking}
    if as_json:
        print_json(facts)
        return
    _print_facts(facts, words)


def _facts(dataset: "xr.Dataset") -> dict[str, Any]:
    made_by = {name: str(dataset.attrs.get(name, "")) for name in _MADE_BY}
    overrides = json.loads(dataset.attrs.get("overrides", "{}"))
    axes = {str(name): _axis(each) for name, each in dataset.coords.items() if each.ndim}
    fixed = {str(name): each.item() for name, each in dataset.coords.items() if not each.ndim}
    variables = {str(name): _variable(dataset[name]) for name in dataset.data_vars}
    return {
        "sizes": {str(name): length for name, length in dataset.sizes.items()},
        "axes": axes,
        "fixed": fixed,
        "variables": variables,
        "made_by": {**made_by, "overrides": overrides},
    }


def _axis(coordinate: "xr.DataArray") -> dict[str, Any]:
    return {
        "along": str(coordinate.dims[0]),
        "unit": coordinate.attrs.get("si_unit", ""),
        "meaning": coordinate.attrs.get("long_name", ""),
        "values": coordinate.values.tolist(),
    }


def _variable(variable: "xr.DataArray") -> dict[str, Any]:
    unit = variable.attrs.get("si_unit", "code")
    meaning = variable.attrs.get("long_name", "")
    flags = variable.attrs.get("flag_meanings", "")
    absent = variable.attrs.get("absent", "")
    told = f"{meaning}: {flags}" if flags else meaning
    return {"unit": unit, "meaning": f"{told} (absent for some: {absent})" if absent else told}


def _print_facts(facts: dict[str, Any], incomplete: str) -> None:
    typer.echo("axes")
    axes = facts["axes"].items()
    print_table((label(), text()), [_axis_row(name, axis) for name, axis in axes], indent=2)
    if facts["fixed"]:
        typer.echo("\nfixed")
        fixed = [(name, _fixed(name, value)) for name, value in facts["fixed"].items()]
        print_table((label(), text()), fixed, indent=2)
    typer.echo("\nvariables")
    variables = facts["variables"].items()
    rows = [(name, variable["unit"], variable["meaning"]) for name, variable in variables]
    print_table((label(), label(), text()), rows, indent=2)
    if incomplete:
        typer.echo(f"\nincomplete: {incomplete}")
        for problem in facts["lacking"][:_SHOWN]:
            typer.echo(f"  {problem}")
    typer.echo("\nmade by")
    made_by = facts["made_by"].items()
    print_table((label(), text()), [(name, str(said)) for name, said in made_by if said], indent=2)


def _fixed(name: str, value: float | str) -> str:
    """A value that does not vary, with its unit."""
    from jaxlimits.schema import describe, is_numeric
    from jaxlimits.units import show

    return show(float(value), describe(name).unit) if is_numeric(name) else str(value)


def _axis_row(name: str, axis: dict[str, Any]) -> tuple[str, str]:
    linked = "" if axis["along"] == name else f" (along {axis['along']})"
    return f"{name}{linked}", f"{len(axis['values'])} values: {_ends(axis)}"


def _ends(axis: dict[str, Any]) -> str:
    """The values of an axis; of many the ends, unless the terminal has room for all."""
    from jaxlimits.units import show

    unit = axis["unit"]
    texts = [glued(show(value, unit)) if unit else str(value) for value in axis["values"]]
    room = room_at_terminal() or 0
    if len(texts) > _FEW and len(", ".join(texts)) > room - _BESIDE:
        texts = [*texts[:3], "…", *texts[-3:]]
    return ", ".join(texts)


_FEW = 12
_BESIDE = 40
"""Characters beside the values of an axis."""


def _next_step(_: "xr.Dataset", file: str) -> str:
    return f"jaxlimits info {file}"


COMMAND = Command(
    run=info,
    panel=Panel.LOOK,
    examples=(
        "jaxlimits info smoke.nc",
        "jaxlimits info smoke.nc --json",
    ),
    next_step=_next_step,
)
