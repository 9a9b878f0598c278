"""``jaxlimits point``: one point as a readable table."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from jaxlimits.cli.options import (
    X64,
    AsJson,
    Catalogs,
    Machine,
    Model,
    Settings,
    point_values,
    print_json,
)

if TYPE_CHECKING:
    from jaxlimits.model.metrics import Metrics

_BAR_WIDTH = 24
_GROUPS = {
    "speed": ("utps", "stps", "tpot"),
    "memory": ("weight_bytes", "kv_bytes", "bytes_per_chip", "batch_capacity", "max_batch_size"),
    "work of one step": ("weight_traffic", "kv_traffic", "flops"),
    "communication": (
        *("t_sync_latency", "t_sync_payload", "tp_collectives", "ep_collectives", "pp_hops"),
        *("tp_volume", "ep_volume", "pp_volume"),
    ),
    "power (provisioned)": ("power", "energy_per_token", "stps_per_watt"),
    "cost": ("capital_cost", "cost_rate", "dollars_per_token", "stps_per_dollar"),
}
_SHARES = ("capacity_utilisation", "bandwidth_utilisation", "flops_utilisation")
_TIMES = ("t_mem", "t_compute", "t_sync")


def point(
    llm: Model,
    chip: Machine,
    tp_size: Annotated[str | None, typer.Option(help="Chips that split every operator.")] = None,
    pp_size: Annotated[str | None, typer.Option(help="Pipeline stages.")] = None,
    ep_size: Annotated[str | None, typer.Option(help="Expert-parallel ranks.")] = None,
    dp_size: Annotated[str | None, typer.Option(help="Replicas.")] = None,
    batch_size: Annotated[str | None, typer.Option(help="Sequences in a micro-batch.")] = None,
    seq_len: Annotated[str | None, typer.Option(help="Tokens of context.")] = None,
    settings: Settings = None,
    catalogs: Catalogs = None,
    x64: X64 = False,
    as_json: AsJson = False,
) -> None:
    """Show one point: where the time goes, what binds, how full the memory is."""
    from jaxlimits.catalog.loader import load_catalog
    from jaxlimits.errors import placed
    from jaxlimits.points.named_point import evaluate

    sizes = {
        "tp_size": tp_size,
        "pp_size": pp_size,
        "ep_size": ep_size,
        "dp_size": dp_size,
        "batch_size": batch_size,
        "seq_len": seq_len,
    }
    values = point_values(sizes, settings or [], where="point")
    found = load_catalog(*(catalogs or []))
    with placed("point"):
        metrics = evaluate(llm, chip, catalog=found, x64=x64, **values)
    if as_json:
        asked = {"llm": llm, "chip": chip, **values}
        limits = {"limit": _limit(metrics), "next_limit": _limit(metrics, "next_limit")}
        print_json({"point": asked, **vars(metrics), **limits})
        return
    settings_text = "".join(f"  {name}={value}" for name, value in values.items())
    typer.echo(f"{llm} on {chip}{settings_text}\n")
    _print_table(metrics)


def _print_table(metrics: "Metrics") -> None:
    from jaxlimits.model.metrics import REQUESTED
    from jaxlimits.schema import CALIBRATED, OUTPUTS
    from jaxlimits.units import show

    if metrics.feasible:
        typer.echo(f"binds: {_limit(metrics)}{_next(metrics)}\n\nwhere the time goes")
        typer.echo(_row("t_step", show(metrics.t_step, "s"), OUTPUTS["t_step"].meaning))
        longest = max(getattr(metrics, name) for name in _TIMES)
        for name in _TIMES:
            seconds = getattr(metrics, name)
            bar = "█" * round(_BAR_WIDTH * seconds / longest)
            typer.echo(_row(name, show(seconds, "s"), bar))
        overlap = "the larger of t_mem and t_compute, plus t_sync, is t_step"
        typer.echo(f"  ({overlap}; taken operator by operator under roofline=operator)")
    else:
        over = metrics.capacity_utilisation
        typer.echo(f"does not fit: needs {over:.2f}× the usable memory; times are not defined")
    _print_group("calibrated: a prediction of an engine, not the limit", CALIBRATED, metrics)
    _print_group("a request", REQUESTED, metrics)
    typer.echo("\nhow full")
    for name in _SHARES:
        share = getattr(metrics, name)
        if not math.isnan(share):
            bar = "█" * round(_BAR_WIDTH * min(share, 1.0))
            typer.echo(_row(name, f"{share:.1%}", bar))
    for title, names in _GROUPS.items():
        _print_group(title, names, metrics)


def _print_group(title: str, names: Iterable[str], metrics: "Metrics") -> None:
    """Print some metrics under a title; nothing where none of them says anything."""
    from jaxlimits.schema import OUTPUTS
    from jaxlimits.units import show

    told = {name: getattr(metrics, name) for name in names}
    if title not in _GROUPS and all(math.isnan(value) for value in told.values()):
        return
    typer.echo(f"\n{title}")
    for name, value in told.items():
        typer.echo(_row(name, show(value, OUTPUTS[name].unit), OUTPUTS[name].meaning))


def _row(name: str, value: str, remark: str) -> str:
    return f"  {name:<22} {value:>16}  {remark}".rstrip()


def _limit(metrics: "Metrics", name: str = "limit") -> str:
    from jaxlimits.model.metrics import Limit

    return Limit(int(getattr(metrics, name))).name.lower()


def _next(metrics: "Metrics") -> str:
    """What would bind next, and how far away that is."""
    if math.isinf(metrics.limit_factor):
        return ""
    return f" (then {_limit(metrics, 'next_limit')}, from {metrics.limit_factor:.3g}× better on)"
