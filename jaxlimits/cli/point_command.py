"""``jaxlimits point``: one point as a readable table."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import typer

from jaxlimits.cli.flags import in_flags
from jaxlimits.cli.options import (
    X64,
    AsJson,
    Assume,
    BatchSize,
    Catalogs,
    DpSize,
    EpSize,
    Machine,
    Model,
    PpSize,
    SeqLen,
    Settings,
    TpSize,
    point_values,
    print_json,
)
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import Row, label, number, print_filled, print_table, text

if TYPE_CHECKING:
    from jaxlimits.model.metrics import Metrics

_BAR_WIDTH = 24
_GROUPS = {
    "speed": ("utps", "stps", "tpot"),
    "size": ("num_chips", "users", "stps_per_chip"),
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
_OVERLAP = (
    "  (t_step is the larger of t_mem and t_compute, plus t_sync; with roofline=operator this holds"
    " for each operator)"
)
_APART = (
    "  (with ffn_chips these are the times of what sets t_step: all micro-batches on attention, on"
    " feed-forward parts or on links, or one on its way through all three)"
)


def point(
    llm: Model,
    chip: Machine,
    tp_size: TpSize = None,
    pp_size: PpSize = None,
    ep_size: EpSize = None,
    dp_size: DpSize = None,
    batch_size: BatchSize = None,
    seq_len: SeqLen = None,
    overrides: Settings = None,
    assume: Assume = None,
    catalogs: Catalogs = None,
    x64: X64 = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate one point: where the time goes, what the limit is, how full the memory is."""
    from jaxlimits.catalog.loader import load_catalog
    from jaxlimits.errors import placed
    from jaxlimits.grid.assumptions import assumptions_in_words
    from jaxlimits.points.named_point import (
        checked_metrics,
        idle_in_point,
        point_bits,
        point_scenario,
        remarks_on_point,
    )

    sizes = {
        "tp_size": tp_size,
        "pp_size": pp_size,
        "ep_size": ep_size,
        "dp_size": dp_size,
        "batch_size": batch_size,
        "seq_len": seq_len,
        "assume": assume,
    }
    values = point_values(sizes, overrides, where="point")
    found = load_catalog(*(catalogs or []))
    with placed("point"):
        scenario = point_scenario(llm, chip, values, catalog=found)
        metrics = checked_metrics(scenario, values, x64=x64)
        bits = point_bits(scenario, llm, values, catalog=found)
        precision = "float64" if x64 else "float32"
        idle = idle_in_point(scenario, values, catalog=found, precision=precision)
        remarks = remarks_on_point(scenario, values, catalog=found)
    rests_on = assumptions_in_words(scenario, values)
    told = {name: scenario.why_absent(name) for name in vars(metrics)}
    absent = {name: in_flags(why, {"assume": "--assume"}) for name, why in told.items() if why}
    if as_json:
        asked = {"llm": llm, "chip": chip, **values}
        limits = {"limit": _limit(metrics), "next_limit": _limit(metrics, "next_limit")}
        words = {"bits": bits, "rests_on": rests_on, "idle": idle, "remarks": remarks}
        print_json({"point": asked, **words, **vars(metrics), **limits, "absent": absent})
        return
    settings_text = "".join(f"  {name}={value}" for name, value in values.items())
    print_filled(f"{llm} on {chip}{settings_text}\n{bits}\n{rests_on}")
    for sentence in (*idle, *(f"note: {remark}" for remark in remarks)):
        print_filled(sentence)
    typer.echo()
    relation = _APART if scenario.base["ffn_chips"] > 0.0 else _OVERLAP
    _print_table(metrics, absent, relation=relation)


def _print_table(metrics: "Metrics", absent: Mapping[str, str], *, relation: str) -> None:
    from jaxlimits.model.metrics import REQUESTED
    from jaxlimits.results.reason_codes import WORDS, Reason
    from jaxlimits.schema import CALIBRATED

    if metrics.feasible:
        print_filled(f"binds: {_limit(metrics)}{_next(metrics)}\n")
    else:
        over = metrics.capacity_utilisation
        needed = f"needs {over:.2f}× the usable memory; times are not defined"
        print_filled(f"{WORDS[Reason.DOES_NOT_FIT]}: {needed}\n")
    told = {"calibrated: a prediction of an engine, not the limit": CALIBRATED}
    told |= {"a request": REQUESTED}
    rows = [
        *(_times(metrics, relation=relation) if metrics.feasible else ()),
        *(
            row
            for title, names in told.items()
            if _is_told(names, metrics)
            for row in _group(title, names, metrics, absent)
        ),
        *_shares(metrics),
        *(row for title, names in _GROUPS.items() for row in _group(title, names, metrics, absent)),
    ]
    print_table((label(), number(), text()), _parted(rows), indent=2)


def _times(metrics: "Metrics", *, relation: str) -> Iterator[Row]:
    from jaxlimits.schema import OUTPUTS
    from jaxlimits.units import show

    longest = max(getattr(metrics, name) for name in _TIMES)
    yield "where the time goes"
    yield "t_step", show(metrics.t_step, "s"), OUTPUTS["t_step"].meaning
    for name in _TIMES:
        seconds = getattr(metrics, name)
        yield name, show(seconds, "s"), _bar(seconds / longest)
    yield relation


def _shares(metrics: "Metrics") -> Iterator[Row]:
    yield "how full"
    for name in _SHARES:
        share = getattr(metrics, name)
        if not math.isnan(share):
            yield name, f"{share:.1%}", _bar(share)


def _group(
    title: str, names: Iterable[str], metrics: "Metrics", absent: Mapping[str, str]
) -> Iterator[Row]:
    """Rows of some metrics; those that are absent for lack of an input, with what is lacking."""
    from jaxlimits.schema import OUTPUTS
    from jaxlimits.units import show

    yield title
    reasons: dict[str, list[str]] = {}
    for name in names:
        if name in absent:
            reasons.setdefault(absent[name], []).append(name)
        else:
            yield name, show(getattr(metrics, name), OUTPUTS[name].unit), OUTPUTS[name].meaning
    for why, lacking in reasons.items():
        yield f"  absent: {', '.join(lacking)}: {why}"


def _is_told(names: Iterable[str], metrics: "Metrics") -> bool:
    """Whether any of some metrics says something."""
    return not all(math.isnan(getattr(metrics, name)) for name in names)


def _parted(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows with an empty line between groups."""
    for place, row in enumerate(rows):
        if place and isinstance(row, str) and not row.startswith(" "):  # a group's title
            yield ""
        yield row


def _bar(share: float) -> str:
    return "█" * round(_BAR_WIDTH * min(share, 1.0))


def _limit(metrics: "Metrics", name: str = "limit") -> str:
    from jaxlimits.model.metrics import Limit

    return Limit(int(getattr(metrics, name))).name.lower()


def _next(metrics: "Metrics") -> str:
    """What would bind next, and how far away that is."""
    if math.isinf(metrics.limit_factor):
        return ""
    better, following = f"{metrics.limit_factor:.3g}× better", _limit(metrics, "next_limit")
    return f"; once that is {better}, {following} becomes the limit"


COMMAND = Command(
    run=point,
    panel=Panel.COMPUTE,
    examples=(
        "jaxlimits point --llm llama3-405b --chip h200 --tp-size 8",
        "jaxlimits point --llm llama3-405b --chip h200 --tp-size 8 --batch-size 16 --seq-len 32768",
        "jaxlimits point --llm kimi-k2 --chip b200 --tp-size 16 --set weight_bits=4.25 --json",
    ),
    for_newcomers=True,
)
