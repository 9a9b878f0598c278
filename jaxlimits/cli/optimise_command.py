"""``jaxlimits optimise``: the best design under budgets."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli.options import (
    AsJson,
    Assume,
    Catalogs,
    Force,
    Settings,
    overrides_of,
    print_json,
)
from jaxlimits.cli.pairs import pairs
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import Row, label, number, print_table, text, unit_in_title
from jaxlimits.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

EXIT_INFEASIBLE = 1

_SHOWN = ("utps", "stps", "t_mem", "t_compute", "t_sync", "power", "capital_cost", "limit")


def optimise(
    problem: Annotated[
        str | None, typer.Argument(help="A problem file, or the name of a shipped problem.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The NetCDF file to write; by default none."),
    ] = None,
    overrides: Settings = None,
    assume: Assume = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=RANGE",
            help="Vary a field: mem_bw='1 TB/s..20 TB/s', or tp_size=8,16,32. Repeatable.",
        ),
    ] = None,
    maximise: Annotated[
        str | None,
        typer.Option("--maximise", "--maximize", metavar="METRIC", help="The metric to maximise."),
    ] = None,
    minimise: Annotated[
        str | None,
        typer.Option("--minimise", "--minimize", metavar="METRIC", help="The metric to minimise."),
    ] = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LIMIT", help="An upper bound, as power='20 kW'. Repeatable."),
    ] = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LIMIT", help="A lower bound, as utps='100 token/s'. Repeatable."
        ),
    ] = None,
    starts: Annotated[
        int | None,
        typer.Option(help="How many searches to start for each combination of whole numbers."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of the starting points.")] = None,
    catalogs: Catalogs = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Find the best design under budgets.

    A bound with commas, as power='5 kW,10 kW,20 kW', gives a frontier. The exit code is 1 where no
    design meets the budgets.
    """
    if problem is None and not (vary or maximise or minimise):
        from jaxlimits.codesign.problem_file import shipped_problems

        remedy = f"name a file or one of {', '.join(shipped_problems())}, or give --vary"
        raise InputError("no problem is given", where="optimise", remedy=remedy)
    from jaxlimits.codesign.optimise import optimise as run

    started = time.perf_counter()
    dataset = run(
        problem,
        output,
        base=overrides_of(overrides, assume),
        vary={
            n: _range(text)
            for n, text in pairs(vary, "--vary", example="mem_bw='1 TB/s..20 TB/s'").items()
        },
        maximise=maximise,
        minimise=minimise,
        at_most={
            n: _limit(text)
            for n, text in pairs(at_most, "--at-most", example="power='20 kW'").items()
        },
        at_least={
            n: _limit(text)
            for n, text in pairs(at_least, "--at-least", example="utps='100 token/s'").items()
        },
        starts=starts,
        seed=seed,
        catalog=catalogs or (),
        force=force,
    )
    _report(dataset, output, time.perf_counter() - started, as_json=as_json)
    if (dataset.status != 0).all():
        raise typer.Exit(EXIT_INFEASIBLE)


def _range(text: str) -> dict[str, str] | list[str]:
    start, dots, stop = (part.strip() for part in text.partition(".."))
    return {"from": start, "to": stop} if dots else [part.strip() for part in text.split(",")]


def _limit(text: str) -> str | list[str]:
    parts = [part.strip() for part in text.split(",")]
    return parts if len(parts) > 1 else text


def _report(dataset: "xr.Dataset", output: Path | None, seconds: float, *, as_json: bool) -> None:
    if as_json:
        facts = {
            "output": None if output is None else str(output),
            "objective": dataset.attrs["objective"],
            "seconds": round(seconds, 3),
            "designs": [_facts(place) for place in _places(dataset)],
        }
        print_json(facts)
        return
    typer.echo(dataset.attrs["title"])
    typer.echo(f"{dataset.attrs['objective']} ({seconds:.1f} s)")
    places = _places(dataset)
    if len(places) > 1:
        _print_frontier(dataset, places)
    else:
        _print_design(places[0])
    if output is not None:
        typer.echo(f"\nwrote {output}")


def _places(dataset: "xr.Dataset") -> list["xr.Dataset"]:
    """The dataset at each limit of the swept budget; whole where there is none."""
    from jaxlimits.results.records import WAY

    dataset = dataset.drop_dims(WAY, errors="ignore")
    if not dataset.dims:
        return [dataset]
    (dim,) = dataset.dims
    return [dataset.isel({dim: place}) for place in range(dataset.sizes[dim])]


def _facts(place: "xr.Dataset") -> dict[str, Any]:
    from jaxlimits.codesign.designs import unmet_budgets

    values = {str(name): _plain(place[name]) for name in place.variables}
    return {**values, "unmet": unmet_budgets(place)}


def _plain(variable: "xr.DataArray") -> Any:
    """A value for a script: codes by their names."""
    if "flag_values" in variable.attrs:
        codes = variable.attrs["flag_values"].tolist()
        return variable.attrs["flag_meanings"].split()[codes.index(int(variable))]
    return variable.item()


def _shown(variable: "xr.DataArray") -> str:
    from jaxlimits.units import show

    value, unit = _plain(variable), variable.attrs.get("si_unit")
    return value if isinstance(value, str) or unit is None else show(value, unit)


def _fields(place: "xr.Dataset") -> list[str]:
    """What varied, by name."""
    return place.attrs["fields"].split()


def _print_design(place: "xr.Dataset") -> None:
    if int(place.status) != 0:
        typer.echo(f"\n{_unmet(place)}")
        return
    objective = place.attrs["objective"].split()[1]
    typer.echo("")
    print_table((label(), number(), text()), _design_rows(place, objective), indent=2)
    agree = f"{int(place.num_agreeing)} of {int(place.num_starts)} searches"
    typer.echo(f"\n{agree} in this combination of whole numbers end within 0.01 % of it")


def _design_rows(place: "xr.Dataset", objective: str) -> Iterator[Row]:
    yield "the best design"
    for name in _fields(place):
        bound = _plain(place[f"{name}_bound"]) if f"{name}_bound" in place else "inside"
        held = "" if bound == "inside" else f"held by the {bound[3:]} end of its range"
        yield name, _shown(place[name]), held
    yield "\nwhat it gives"
    for name in dict.fromkeys([objective, *_SHOWN, *place.attrs["prices"].split()]):
        yield name, _shown(place[name]), place[name].attrs["long_name"]
    yield f"\nbudgets: how much is used, and what one percent more of each does to {objective}"
    for name in place.attrs["budgets"].split():
        used = f"{float(place[f'{name}_share']):.1%} of {_shown(place[name])}"
        yield name, used, _priced(place, name)
    yield "memory", f"{float(place.capacity_utilisation):.1%}", _priced(place, "memory")


def _priced(place: "xr.Dataset", budget: str) -> str:
    price = float(place[f"{budget}_shadow_price"])
    return f"{price:+.3f} %" if abs(price) > 5e-4 else "does not bind"


def _print_frontier(dataset: "xr.Dataset", places: list["xr.Dataset"]) -> None:
    (dim,) = places[0].coords
    names = dict.fromkeys([str(dim), dataset.attrs["objective"].split()[1], *_fields(dataset)])
    names = [*names, f"{dim}_shadow_price"]
    met = [place for place in places if int(place.status) == 0]
    shown = {name: [_shown(place[name]) for place in met] for name in names}
    titled = [unit_in_title(name, cells) for name, cells in shown.items()]
    typer.echo("")
    columns = [number(title) for title, _ in titled]
    print_table(columns, zip(*(cells for _, cells in titled), strict=True), may_turn=True)
    for place in places:
        if int(place.status) != 0:
            typer.echo(f"{dim} {_shown(place[dim])}: {_unmet(place)}")


def _unmet(place: "xr.Dataset") -> str:
    from jaxlimits.codesign.designs import unmet_budgets

    names = unmet_budgets(place)
    what = "cannot be met" if len(names) == 1 else "cannot be met together"
    return f"{', '.join(names)} {what}: the nearest design misses by {float(place.worst_miss):.1%}"


COMMAND = Command(
    run=optimise,
    panel=Panel.ASK,
    examples=("jaxlimits optimise speed_by_die -o design.nc",),
    also="optimize",
)
