"""``jaxlimits uncertainty``: distributions of inputs in, bands or indices of sensitivity out."""

import enum
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli.options import (
    X64,
    AsJson,
    Assume,
    Catalogs,
    Force,
    Settings,
    overrides_of,
    print_json,
)
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import Row, label, number, print_table

if TYPE_CHECKING:
    import xarray as xr

    from jaxlimits.uncertainties.uncertain import Uncertain


class Method(enum.StrEnum):
    """What to ask of uncertain inputs."""

    BANDS = "bands"
    SOBOL = "sobol"
    MORRIS = "morris"


def uncertainty(
    study: Annotated[
        Path,
        typer.Argument(
            help="A TOML file with the tables base and uncertain, or the name of a shipped study."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The NetCDF file to write; by default it has the study's name."
        ),
    ] = None,
    method: Annotated[
        Method | None,
        typer.Option(
            help="Bands of the outputs, or indices of the inputs; by default as the file says."
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            help="How many rows of bands, blocks of sobol, or trajectories of morris to draw."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The seed of the samples and of the bootstrap.")
    ] = None,
    overrides: Settings = None,
    assume: Assume = None,
    x64: X64 = False,
    catalogs: Catalogs = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Show how uncertain inputs change the outputs: bands, Sobol indices, elementary effects."""
    from jaxlimits.uncertainties.uncertain import load_uncertain
    from jaxlimits.uncertainties.uncertainty import run_uncertain

    target = output or Path(f"{study.stem}.nc")
    uncertain = load_uncertain(
        study,
        method=None if method is None else method.value,
        samples=samples,
        seed=seed,
        overrides=overrides_of(overrides, assume),
        catalog=tuple(catalogs or []),
        precision="float64" if x64 else None,
    )
    started = time.perf_counter()
    dataset = run_uncertain(uncertain, target, force=force)
    seconds = time.perf_counter() - started
    facts = {
        "output": str(target),
        "method": uncertain.method,
        "samples": uncertain.sampling.samples,
        "rows": int(dataset.attrs["rows"]),
        "seed": uncertain.sampling.seed,
        "seconds": round(seconds, 3),
        **_SAID[uncertain.method](uncertain, dataset),
    }
    if as_json:
        print_json(facts)
        return
    _SHOWN[uncertain.method](facts)
    typer.echo(f"\n{facts['rows']:,} rows, {seconds:.1f} s; wrote {target}")


def _sobol_facts(uncertain: "Uncertain", dataset: "xr.Dataset") -> dict[str, Any]:
    names = [f"{order}_order{suffix}" for order in ("first", "total") for suffix in ("", "_conf")]
    metrics = {}
    for metric in uncertain.outputs:
        along = dataset.sel(metric=metric)
        rows = [
            {"input": name, **{key: along[key].sel(input=name).item() for key in names}}
            for name in uncertain.inputs
        ]
        metrics[metric] = {
            "share_dropped": along.share_dropped.item(),
            "inputs": _ranked(rows, "total_order"),
        }
        if uncertain.sampling.second_order:
            metrics[metric]["pairs"] = _pairs(list(uncertain.inputs), along)
    return {"metrics": metrics}


def _pairs(inputs: list[str], along: "xr.Dataset") -> list[dict[str, Any]]:
    keys = ("second_order", "second_order_conf")
    return _ranked(
        [
            {
                "inputs": [one, other],
                **{key: along[key].sel(input=one, other_input=other).item() for key in keys},
            }
            for place, one in enumerate(inputs)
            for other in inputs[place + 1 :]
        ],
        "second_order",
    )


def _morris_facts(uncertain: "Uncertain", dataset: "xr.Dataset") -> dict[str, Any]:
    names = ("mu", "mu_star", "sigma", "mu_star_conf")
    metrics = {}
    for metric in uncertain.outputs:
        rows = [
            {
                "input": name,
                **{key: dataset[f"{metric}_{key}"].sel(input=name).item() for key in names},
            }
            for name in uncertain.inputs
        ]
        metrics[metric] = {
            "share_dropped": dataset.share_dropped.sel(metric=metric).item(),
            "unit": dataset[f"{metric}_mu"].attrs["si_unit"],
            "inputs": _ranked(rows, "mu_star"),
        }
    return {"metrics": metrics}


def _bands_facts(uncertain: "Uncertain", dataset: "xr.Dataset") -> dict[str, Any]:
    axes = {axis.name: list(axis.values) for axis in uncertain.spec.axes}
    metrics = {
        metric: {
            "unit": dataset[metric].attrs["si_unit"],
            "quantiles": dataset[metric].values.tolist(),
            "mean": dataset[f"{metric}_mean"].values.tolist(),
        }
        for metric in uncertain.outputs
    }
    return {
        "axes": axes,
        "quantiles": dataset["quantile"].values.tolist(),
        "metrics": metrics,
        "share_feasible": dataset.share_feasible.values.tolist(),
        "share_by_limit": {
            str(name): dataset.share_by_limit.sel(limit=name).values.tolist()
            for name in dataset["limit"].values
        },
    }


def _ranked(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Rows, the largest first; those without a value last."""
    return sorted(rows, key=lambda row: (math.isnan(row[key]), -row[key]))


def _show_sobol(facts: dict[str, Any]) -> None:
    columns = (label(), number("total"), number("alone"))
    print_table(columns, _sobol_rows(facts["metrics"]), indent=2)


def _sobol_rows(metrics: dict[str, Any]) -> Iterator[Row]:
    for metric, found in metrics.items():
        if all(math.isnan(row["total_order"]) for row in found["inputs"]):
            yield f"{_heading(metric, found)}: does not vary"
            continue
        yield _heading(metric, found)
        for row in found["inputs"]:
            total, first = (_with_conf(row, f"{order}_order") for order in ("total", "first"))
            yield row["input"], total, first


def _with_conf(row: dict[str, Any], key: str) -> str:
    return f"{round(row[key], 3) + 0.0:.3f} ± {row[f'{key}_conf']:.3f}"  # no "-0.000"


def _show_morris(facts: dict[str, Any]) -> None:
    columns = (label(), number("size"), number("mean"), number("deviation"))
    print_table(columns, _morris_rows(facts["metrics"]), indent=2)


def _morris_rows(metrics: dict[str, Any]) -> Iterator[Row]:
    from jaxlimits.units import show

    for metric, found in metrics.items():
        yield _heading(metric, found)
        for row in found["inputs"]:
            effects = [show(row[key], found["unit"]) for key in ("mu_star", "mu", "sigma")]
            yield row["input"], *effects


def _heading(metric: str, found: dict[str, Any]) -> str:
    dropped = found["share_dropped"]
    return metric if not dropped else f"{metric} ({dropped:.1%} dropped: rows that do not fit)"


def _show_bands(facts: dict[str, Any]) -> None:
    from jaxlimits.units import show

    if facts["axes"]:
        sizes = " × ".join(f"{name} {len(values)}" for name, values in facts["axes"].items())
        typer.echo(f"quantiles of {', '.join(facts['metrics'])} along {sizes}")
        return
    rows = [
        (metric, *(show(value, found["unit"]) for value in found["quantiles"]))
        for metric, found in facts["metrics"].items()
    ]
    quantiles = [number(f"{share:.4g}") for share in facts["quantiles"]]
    print_table((label("quantile"), *quantiles), rows)
    limits = [f"{name} {share:.1%}" for name, share in facts["share_by_limit"].items() if share]
    typer.echo(f"\nfits: {facts['share_feasible']:.1%}; binds: {', '.join(limits)}")


_SAID = {"sobol": _sobol_facts, "morris": _morris_facts, "bands": _bands_facts}
_SHOWN = {"sobol": _show_sobol, "morris": _show_morris, "bands": _show_bands}


COMMAND = Command(
    run=uncertainty,
    panel=Panel.ASK,
    examples=("jaxlimits uncertainty uncertain_machine -o bands.nc",),
)
