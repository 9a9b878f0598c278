"""``jaxlimits info``: what is in a result, and what made it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli.options import AsJson, print_json

if TYPE_CHECKING:
    import xarray as xr

_SHOWN = 10
_MADE_BY = ("title", "source", "history", "grid_name", "precision", "content_hash")


def info(
    result: Annotated[Path, typer.Argument(help="A file that `jaxlimits sweep` wrote.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the checksum of every shard.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the axes and variables of a result, and what made it."""
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
    axes = {str(name): _axis(dataset[name]) for name in dataset.coords}
    variables = {str(name): _variable(dataset[name]) for name in dataset.data_vars}
    return {
        "sizes": {str(name): length for name, length in dataset.sizes.items()},
        "axes": axes,
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
    return {"unit": unit, "meaning": f"{meaning}: {flags}" if flags else meaning}


def _print_facts(facts: dict[str, Any], incomplete: str) -> None:
    typer.echo("axes")
    for name, axis in facts["axes"].items():
        linked = "" if axis["along"] == name else f" (along {axis['along']})"
        typer.echo(f"  {name}{linked}: {len(axis['values'])} values: {_ends(axis)}")
    typer.echo("\nvariables")
    width = max(len(name) for name in facts["variables"])
    for name, variable in facts["variables"].items():
        typer.echo(f"  {name:<{width}}  {variable['unit']:<8}  {variable['meaning']}")
    if incomplete:
        typer.echo(f"\nincomplete: {incomplete}")
        for problem in facts["lacking"][:_SHOWN]:
            typer.echo(f"  {problem}")
    typer.echo("\nmade by")
    for name, value in facts["made_by"].items():
        if value:
            typer.echo(f"  {name}: {value}")


def _ends(axis: dict[str, Any]) -> str:
    from jaxlimits.units import show

    unit = axis["unit"]
    texts = [show(value, unit) if unit else str(value) for value in axis["values"]]
    if len(texts) > 12:
        texts = [*texts[:3], "…", *texts[-3:]]
    return ", ".join(texts)
