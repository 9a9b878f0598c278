"""``jaxlimits solve``: what a field must be so that a metric reaches a target."""

import dataclasses
import math
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli.options import (
    AsJson,
    Assume,
    BatchSize,
    Catalogs,
    DpSize,
    EpSize,
    Force,
    Machine,
    Model,
    PpSize,
    Result,
    SeqLen,
    Settings,
    TpSize,
    Values,
    check_result,
    point_values,
    print_json,
    write_result,
)
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import label, number, print_filled, print_table
from jaxlimits.errors import IdleSettingWarning

if TYPE_CHECKING:
    from jaxlimits.questions.solve import Solution


def solve(
    solve_for: Annotated[
        str,
        typer.Option(
            "--for", metavar="FIELD", help="The field to solve for; any numeric field will do."
        ),
    ],
    target: Annotated[
        str,
        typer.Option(help="A metric and its value: utps=2000, 'tpot<=20 ms/token', 'power<=9 kW'."),
    ],
    llm: Model,
    chip: Machine,
    low: Annotated[str | None, typer.Option("--from", help="The least value to consider.")] = None,
    high: Annotated[str | None, typer.Option("--to", help="The largest value to consider.")] = None,
    among: Annotated[
        str | None, typer.Option(help="Consider these values only, as '8, 16, 72'.")
    ] = None,
    tp_size: TpSize = None,
    pp_size: PpSize = None,
    ep_size: EpSize = None,
    dp_size: DpSize = None,
    batch_size: BatchSize = None,
    seq_len: SeqLen = None,
    overrides: Settings = None,
    assume: Assume = None,
    output: Result = None,
    force: Force = False,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Find the value of a field at which a metric reaches a target.

    The answer is the least value where more of the field helps, as the least bandwidth or the
    fewest chips, and the largest value otherwise, as the largest latency. A table require.NAME in a
    grid file asks the same at every point of the grid: see `jaxlimits sweep`.
    """
    from jaxlimits.catalog.loader import load_catalog
    from jaxlimits.grid.assumptions import assumptions_in_words
    from jaxlimits.points.named_point import (
        idle_in_point,
        point_bits,
        point_scenario,
        remarks_on_point,
    )
    from jaxlimits.questions.solve import solve as solve_point

    sizes = {
        "tp_size": tp_size,
        "pp_size": pp_size,
        "ep_size": ep_size,
        "dp_size": dp_size,
        "batch_size": batch_size,
        "seq_len": seq_len,
        "assume": assume,
    }
    values = point_values(sizes, overrides, where="solve")
    check_result(output, force=force)
    catalog = load_catalog(*(catalogs or []))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdleSettingWarning)  # said beneath what is asked
        found = solve_point(
            llm,
            chip,
            solve_for=solve_for,
            target=target,
            low=low,
            high=high,
            among=None if among is None else [part.strip() for part in among.split(",")],
            catalog=catalog,
            **values,
        )
    point = {"llm": llm, "chip": chip, **values}
    beside = (found.asked.field,)
    scenario = point_scenario(llm, chip, values, catalog=catalog, beside=beside)
    bits = point_bits(scenario, llm, values, catalog=catalog)
    rests_on = assumptions_in_words(scenario, values, sought=found.asked.field)
    idle = idle_in_point(scenario, values, catalog=catalog, moving=beside, precision="float64")
    there = {**scenario.base, **({found.asked.field: found.value} if found.is_met else {})}
    answered = dataclasses.replace(scenario, base=there)
    remarks = remarks_on_point(answered, values, catalog=catalog)
    if as_json:
        words = {"bits": bits, "rests_on": rests_on, "idle": idle, "remarks": remarks}
        print_json({**_facts(found, point), **words})
    else:
        _print_table(
            found, point, "\n".join([bits, rests_on, *idle, *(f"note: {each}" for each in remarks)])
        )
    if output is not None:
        write_result(found.dataset, output, force=force, quiet=as_json)


def _facts(found: "Solution", point: Values) -> dict[str, Any]:
    from jaxlimits.schema import FIELDS, OUTPUTS

    asked = found.asked
    return {
        "point": point,
        "for": asked.field,
        "unit": FIELDS[asked.field].unit,
        "target": {
            "metric": asked.metric,
            "at_least" if asked.at_least else "at_most": asked.target,
            "unit": OUTPUTS[asked.metric].unit,
        },
        "from": asked.low,
        "to": asked.high,
        "tried": _searched(found),
        "among": list(asked.candidates) if len(asked.candidates) <= _LISTED else None,
        "reason": found.reason,
        "depends": found.depends,
        "needed": {
            "value": found.value,
            "best_value": found.reached_at,
            asked.metric: found.reached,
            "limit": found.binds,
        },
        "now": {
            "value": found.now,
            asked.metric: getattr(found.metrics_now, asked.metric),
            "limit": found.binds_now,
        },
        "factor": found.factor,
        "limit_of": "prefill" if found.is_of_the_prefill else "decode step",
    }


def _print_table(found: "Solution", point: Values, rests_on: str) -> None:
    from jaxlimits.schema import FIELDS, OUTPUTS
    from jaxlimits.units import show

    facts, asked = _facts(found, point), found.asked
    unit, metric_unit = FIELDS[asked.field].unit, OUTPUTS[asked.metric].unit
    given = "".join(f"  {name}={value}" for name, value in list(point.items())[2:])
    print_filled(f"{point['llm']} on {point['chip']}{given}\n{rests_on}\n")
    relation = "at least" if asked.at_least else "at most"
    print_filled(
        f"{asked.metric} {relation} {show(asked.target, metric_unit)}: {_verdict(found)}\n"
    )
    rows = []
    for name, title in (("needed", "needed" if found.is_met else "best"), ("now", "now")):
        row = facts[name]
        value = _shown(row.get("best_value", row["value"]), unit)
        metric = _shown(row[asked.metric], metric_unit)
        rows.append((title, value, metric, (row["limit"] or "").replace("_", " ")))
    if not math.isnan(found.factor):
        rows.append(("factor", f"{found.factor:.4g}", "", ""))
    columns = (label(), number(asked.field), number(asked.metric), label("binds"))
    print_table(columns, rows, indent=2)
    print_filled(f"\n  {asked.field}: {FIELDS[asked.field].meaning}; {_searched(found)}")


def _shown(value: float, unit: str) -> str:
    from jaxlimits.units import show

    return "–" if math.isnan(value) else show(value, unit, digits=4)


def _verdict(found: "Solution") -> str:
    asked = found.asked
    binding = found.reason.removeprefix("unreachable_")
    if not found.depends:
        outcome = "reached by every value" if found.is_met else "unreachable by it"
        return f"{asked.metric} does not depend on {asked.field}: {outcome}"
    if found.reason == "unreachable_capacity":
        return f"unreachable by {asked.field}: the memory is full first"
    if found.reason == "unreachable_excluded":
        return f"unreachable: the other fields admit no such {asked.field}"
    if not found.is_met:
        what = " the prefill" if found.is_of_the_prefill else ""
        return f"unreachable by {asked.field}: {binding} binds{what}"
    return {
        "met": "reached",
        "met_everywhere": "reached by every value",
        "met_where_it_fits": "reached by every value that fits in memory",
    }[found.reason]


def _searched(found: "Solution") -> str:
    from jaxlimits.schema import FIELDS
    from jaxlimits.units import show

    asked = found.asked
    unit = FIELDS[asked.field].unit
    span = f"{show(asked.low, unit)} to {show(asked.high, unit)}"
    if not asked.candidates:
        return f"sought from {span}"
    count = len(asked.candidates)
    if count > 1 and count == asked.high - asked.low + 1:
        return f"every whole number from {span} was tried"
    return f"{count} values from {span} were tried"


_LISTED = 64
"""Candidates that JSON lists; of more it says the ends."""


COMMAND = Command(
    run=solve,
    panel=Panel.ASK,
    examples=(
        "jaxlimits solve --for sync_latency --target utps=2000 --llm llama3-405b"
        " --chip xpu-hbm4 --tp-size 128",
        "jaxlimits solve --for batch_size --target 'tpot <= 20 ms/token' --llm llama3-70b"
        " --chip h100 --tp-size 8 --json",
        "jaxlimits solve --for tp_size --among '8, 16, 32, 72' --target utps=100"
        " --llm deepseek-v3 --chip b200",
    ),
)
