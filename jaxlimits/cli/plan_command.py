"""``jaxlimits plan``: the fewest chips that serve a workload within its targets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli import completion
from jaxlimits.cli.options import (
    AsJson,
    Assume,
    Catalogs,
    Force,
    Model,
    Settings,
    check_result,
    overrides_of,
    print_json,
    write_result,
)
from jaxlimits.cli.pairs import pairs
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import Row, label, number, print_filled, print_table, text

if TYPE_CHECKING:
    from jaxlimits.planning.choice import Choice
    from jaxlimits.planning.plan import Plan

_TEXTS = ("kind", "chip", "layout", "binds")
"""Columns of choices that are words."""


def plan(
    llm: Model,
    chip: Annotated[
        list[str],
        typer.Option(
            help="A chip that may be used: its name in the catalog. Repeatable.",
            autocompletion=completion.chips,
        ),
    ],
    rate: Annotated[
        str | None, typer.Option(help="How many requests come, as '10 request/s'.")
    ] = None,
    input_len: Annotated[int | None, typer.Option(help="Tokens of a prompt.")] = None,
    output_len: Annotated[int | None, typer.Option(help="Tokens of an answer.")] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="A trace of requests, CSV or JSON lines, for lengths and rate."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="'ttft <= 1 s', 'p99 tpot <= 20 ms/token', 'power <= 1 MW'. Repeatable."),
    ] = None,
    minimise: Annotated[
        str,
        typer.Option(
            "--minimise", "--minimize", help="What to have least of: num_chips, power, cost_rate."
        ),
    ] = "num_chips",
    most: Annotated[int, typer.Option(help="How many chips one group has at most.")] = 64,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIZE=VALUES",
            help="Consider these sizes only, as pp_size='1, 2'; with ffn_chips='0, 4, 8' also"
            " machines that decode with such numbers of chips for feed-forward parts alone.",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--top", help="How many choices to show.")] = 5,
    calibration: Annotated[
        str | None, typer.Option(help="Predict what an engine needs too, as vllm.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write the choices, and what each tpot and each rate takes, to this .nc file.",
        ),
    ] = None,
    force: Force = False,
    overrides: Settings = None,
    assume: Assume = None,
    catalogs: Catalogs = None,
    as_json: AsJson = False,
) -> None:
    """Find the fewest chips that serve requests within targets, and a bound for every schedule.

    The search tries every valid layout of every chip at every batch: machines that prefill and
    decode in one, and machines that do one of the two.
    """
    from jaxlimits.errors import placed
    from jaxlimits.planning.plan import plan as find_plan

    check_result(output, force=force)
    settings: dict[str, Any] = overrides_of(overrides, assume)
    if calibration is not None:
        settings["calibration"] = calibration
    with placed("plan"):
        workload = _workload(rate, input_len, output_len, trace)
        sizes = {name: _numbers(name, values) for name, values in _only(only).items()}
        found = find_plan(
            llm,
            chip,
            workload,
            targets=target or (),
            minimise=minimise,
            most=most,
            only=sizes,
            count=count,
            frontier=output is not None,
            catalog=tuple(catalogs or []),
            **settings,
        )
        rests_on = _rests_on(found, settings, catalogs or [])
    if as_json:
        print_json({**_facts(found), "rests_on": rests_on})
    else:
        _print(found, rests_on)
    if output is not None:
        write_result(found.dataset, output, force=force, quiet=as_json)
    if not found.is_met:
        raise typer.Exit(1)


def _workload(
    rate: str | None, input_len: int | None, output_len: int | None, trace: Path | None
) -> Any:
    from jaxlimits.errors import InputError
    from jaxlimits.planning.traces import read_trace
    from jaxlimits.planning.workload import Workload

    if trace is not None:
        if input_len is not None or output_len is not None:
            problem = "holds the lengths, which are stated beside it"
            raise InputError(problem, key="trace", remedy="leave out --input-len and --output-len")
        return read_trace(trace, rate=rate)
    if rate is None or input_len is None or output_len is None:
        remedy = "give --rate, --input-len and --output-len, or --trace FILE"
        raise InputError("states no workload", remedy=remedy)
    return Workload.of_lengths([(input_len, output_len)], rate=rate)


def _only(given: list[str] | None) -> dict[str, str]:
    return pairs(given, "--only", example="pp_size='1, 2'")


def _numbers(name: str, values: str) -> list[float]:
    from jaxlimits.errors import unknown_name
    from jaxlimits.grid.axes import read_value
    from jaxlimits.schema import LAYOUT_SIZES

    if name not in LAYOUT_SIZES:
        raise unknown_name("size", name, LAYOUT_SIZES, where="--only")
    return [read_value(name, part.strip(), where="--only", key=name) for part in values.split(",")]


def _rests_on(found: "Plan", settings: dict[str, Any], catalogs: list[Path]) -> list[str]:
    """Bits and conventions of the plan's first machine, and what a target without a word is of."""
    from jaxlimits.catalog.loader import load_catalog
    from jaxlimits.grid.assumptions import assumptions_in_words
    from jaxlimits.points.named_point import point_bits, point_scenario

    catalog = load_catalog(*catalogs)
    group = found.choices[0].groups[-1] if found.choices else None
    chip = group.chip if group else found.machines_of[0]
    layout = {"layout": group.layout.name} if group else {}
    values = {**settings, **layout, **found.workload.mean_request}
    scenario = point_scenario(found.llm, chip, values, catalog=catalog)
    return [
        point_bits(scenario, found.llm, values, catalog=catalog),
        assumptions_in_words(scenario, values),
    ]


def _facts(found: "Plan") -> dict[str, Any]:
    from jaxlimits.schema import output

    return {
        "llm": found.llm,
        "chips": list(found.machines_of),
        "workload": {
            "rate": found.workload.rate,
            "input_len": found.workload.mean_input_len,
            "output_len": found.workload.mean_output_len,
            "prefix_share": found.workload.prefix_share,
            "source": found.workload.source,
        },
        "targets": [target.words for target in found.targets],
        "minimised": found.minimised,
        "unit": output(found.minimised).unit,
        "bound": {
            "least": found.least,
            "in_fractions": found.bound.value,
            "prices": found.prices,
        },
        "layouts": found.layouts,
        "layouts_apart": found.layouts_apart,
        "choices": [_choice(choice) for choice in found.choices],
        "predicted": None if found.predicted is None else _choice(found.predicted),
        "exceeded": [target.words for target in found.exceeded],
        "binds": found.binds,
        "misses": [
            {
                "target": miss.target.words,
                "nearest": miss.value,
                "factor": miss.factor,
                "chip": miss.chip,
                "layout": miss.layout.name,
                "limit": miss.limit,
            }
            for miss in found.misses
        ],
    }


def _choice(choice: "Choice") -> dict[str, Any]:
    from jaxlimits.planning.engine_flags import engine_flags

    return {
        "kind": choice.kind,
        **choice.totals,
        "tpot": choice.tpot,
        "ttft": choice.ttft,
        "request_rate": choice.rate,
        "groups": [
            {
                "role": group.role,
                "chip": group.chip,
                "layout": group.layout.name,
                "batch_size": group.batch_size,
                "count": group.count,
                "request_rate": group.rate,
                "limit": group.limit,
                "engines": engine_flags(group.layout, group.batch_size),
            }
            for group in choice.groups
        ],
    }


def _print(found: "Plan", rests_on: list[str]) -> None:
    from jaxlimits.planning.in_words import COLUMNS, answer, margins, rows_of, tried
    from jaxlimits.planning.workload import rate_in_words

    work = found.workload
    mean = " in the mean" if len(work.shares) > 1 else ""
    lengths = f"{work.mean_input_len:,.0f} tokens in and {work.mean_output_len:,.0f} out{mean}"
    if work.prefix_share > 0.0:
        lengths += f", {work.prefix_share:.1%} of each prompt reused"
    typer.echo(f"{found.llm}: {rate_in_words(work.rate)} of {lengths} ({work.source})")
    for line in rests_on:
        print_filled(line)
    targets = "; ".join(target.words for target in found.targets) or "none but the rate"
    typer.echo(f"targets: {targets}")
    print_filled(tried(found))
    typer.echo()
    if not found.choices:
        _print_misses(found)
        return
    lead, *rest = answer(found)
    typer.echo("\n  ".join([lead, *rest]) + "\n")
    rows = [row for choice in found.choices for row in rows_of(choice)]
    columns = [label(head) if head in _TEXTS else number(head) for head in COLUMNS]
    print_table(columns, rows, indent=2)
    typer.echo("\n  " + "\n  ".join(margins(found)))
    _print_engines(found.choices[0])


def _print_engines(choice: "Choice") -> None:
    from jaxlimits.planning.engine_flags import engine_flags

    rows: list[Row] = []
    for group in choice.groups:
        flags = engine_flags(group.layout, group.batch_size)
        end = "as" if flags else "has no options in these engines"
        rows.append(f"\n  {group.count} × {group.chip} {group.layout.name} ({group.role}) {end}")
        rows += list(flags.items())
    print_table((label(), text()), rows, indent=2)


def _print_misses(found: "Plan") -> None:
    from jaxlimits.planning.in_words import misses

    typer.echo("no layout reaches the targets")
    for line in misses(found):
        typer.echo(f"  {line}")


COMMAND = Command(
    run=plan,
    panel=Panel.ASK,
    examples=(
        "jaxlimits plan --llm llama3-70b --chip h200 --rate '10 request/s' --input-len 8192"
        " --output-len 1024 --target 'ttft <= 1 s' --target 'tpot <= 20 ms/token'"
        " --set weight_bits=8 --most 8",
    ),
)
