"""``jaxlimits optimise``: the best design under budgets."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli.options import AsJson, Catalogs, Force, Settings, print_json
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
        Path | None, typer.Option("-o", "--output", help="NetCDF file to write.")
    ] = None,
    settings: Settings = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=RANGE", help="mem_bw='1 TB/s..20 TB/s', or tp_size=8,16,32. Repeatable."
        ),
    ] = None,
    maximise: Annotated[str | None, typer.Option(help="Metric to make large.")] = None,
    minimise: Annotated[str | None, typer.Option(help="Metric to make small.")] = None,
    at_most: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LIMIT", help="Budget, as power='20 kW'. Repeatable."),
    ] = None,
    at_least: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LIMIT", help="Demand, as utps='100 token/s'. Repeatable."),
    ] = None,
    starts: Annotated[int | None, typer.Option(help="Searches by combination.")] = None,
    seed: Annotated[int | None, typer.Option(help="Where they start from.")] = None,
    catalogs: Catalogs = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Find the best design under budgets; exit with 1 where none meets them.

    A limit with commas, as power='5 kW,10 kW,20 kW', gives a frontier.
    """
    if problem is None and not (vary or maximise or minimise):
        from jaxlimits.codesign.problem_file import shipped_problems

        remedy = f"name a file or one of {', '.join(shipped_problems())}, or give --vary"
        raise InputError("no problem is given", where="optimise", remedy=remedy)
    from jaxlimits.codesign.optimise import optimise as run
    from jaxlimits.grid.spec import parse_overrides

    started = time.perf_counter()
    dataset = run(
        problem,
        output,
        base=parse_overrides(settings or []),
        vary={n: _range(text) for n, text in _pairs(vary, "--vary")},
        maximise=maximise,
        minimise=minimise,
        at_most={n: _limit(text) for n, text in _pairs(at_most, "--at-most")},
        at_least={n: _limit(text) for n, text in _pairs(at_least, "--at-least")},
        starts=starts,
        seed=seed,
        catalog=catalogs or (),
        force=force,
    )
    _report(dataset, output, time.perf_counter() - started, as_json=as_json)
    if (dataset.status != 0).all():
        raise typer.Exit(EXIT_INFEASIBLE)


def _pairs(given: Iterable[str] | None, option: str) -> list[tuple[str, str]]:
    pairs = []
    for text in given or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            remedy = f"write {option} name=value"
            raise InputError(f"{text!r} is no pair", where=option, remedy=remedy)
        if name in dict(pairs):
            raise InputError("is given twice", where=option, key=name, value=value)
        pairs.append((name, value))
    return pairs


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
    typer.echo("\nthe best design")
    for name in _fields(place):
        bound = _plain(place[f"{name}_bound"]) if f"{name}_bound" in place else "inside"
        held = "" if bound == "inside" else f"held by the {bound[3:]} end of its range"
        typer.echo(_row(name, _shown(place[name]), held))
    typer.echo("\nwhat it gives")
    prices = place.attrs["prices"].split()
    objective = place.attrs["objective"].split()[1]
    for name in dict.fromkeys([objective, *_SHOWN, *prices]):
        typer.echo(_row(name, _shown(place[name]), place[name].attrs["long_name"]))
    typer.echo(
        f"\nbudgets: where the design lies, and what one percent more of each does to {objective}"
    )
    for name in place.attrs["budgets"].split():
        used = f"{float(place[f'{name}_share']):.1%} of {_shown(place[name])}"
        typer.echo(_row(name, used, _priced(place, name)))
    share = f"{float(place.capacity_utilisation):.1%}"
    typer.echo(_row("memory", share, _priced(place, "memory")))
    agree = f"{int(place.num_agreeing)} of {int(place.num_starts)} searches"
    typer.echo(f"\n{agree} in this combination of whole numbers end within 0.01 % of it")


def _priced(place: "xr.Dataset", budget: str) -> str:
    price = float(place[f"{budget}_shadow_price"])
    return f"{price:+.3f} %" if abs(price) > 5e-4 else "does not bind"


def _print_frontier(dataset: "xr.Dataset", places: list["xr.Dataset"]) -> None:
    (dim,) = dataset.dims
    names = dict.fromkeys([str(dim), dataset.attrs["objective"].split()[1], *_fields(dataset)])
    names = [*names, f"{dim}_shadow_price"]
    rows = [[_shown(place[name]) for name in names] for place in places]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    typer.echo("\n" + _line(names, widths))
    for place, row in zip(places, rows, strict=True):
        infeasible = int(place.status) != 0
        typer.echo(f"{row[0]:>{widths[0]}}  {_unmet(place)}" if infeasible else _line(row, widths))


def _unmet(place: "xr.Dataset") -> str:
    from jaxlimits.codesign.designs import unmet_budgets

    names = unmet_budgets(place)
    what = "cannot be met" if len(names) == 1 else "cannot be met together"
    return f"{', '.join(names)} {what}: the nearest design misses by {float(place.worst_miss):.1%}"


def _line(texts: list[str], widths: list[int]) -> str:
    return "  ".join(f"{text:>{width}}" for text, width in zip(texts, widths, strict=True))


def _row(name: str, value: str, remark: str) -> str:
    return f"  {name:<22} {value:>24}  {remark}".rstrip()
