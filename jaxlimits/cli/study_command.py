"""``jaxlimits study``: a whole study from one command."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxlimits.cli.options import AsJson, Settings, overrides_of, print_json
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.sweep_command import progress_bar
from jaxlimits.cli.tables import label, print_table, text
from jaxlimits.errors import InputError

if TYPE_CHECKING:
    from jaxlimits.studies.outcome import Outcome


def study(
    name: Annotated[
        str | None, typer.Argument(help="The name of a study; --list shows them all.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The folder to write.", show_default="NAME"),
    ] = None,
    overrides: Settings = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Test the claims only, without the families of systems.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the folder of an earlier run.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="List the studies with their claims and grids.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Reproduce a study: its data, its findings with verdicts, tables, figures and a report."""
    if listed:
        _show_list(as_json=as_json)
        return
    if name is None:
        remedy = "write `jaxlimits study paper`, or see `jaxlimits study --list`"
        raise InputError("no study is given", where="study", remedy=remedy)
    from jaxlimits.studies.runner import find_study, run_study

    asked, target = find_study(name), output or Path(name)
    fixed = overrides_of(overrides)
    started = time.perf_counter()
    with progress_bar(asked.title) as progress:
        outcome = run_study(
            asked, target, overrides=fixed, quick=quick, force=force, progress=progress
        )
    _report(outcome, target, time.perf_counter() - started, as_json=as_json)


def _show_list(*, as_json: bool) -> None:
    from jaxlimits.studies.paper import STUDIES

    facts = [
        {
            "study": each.name,
            "title": each.title,
            "claims": {claim.name: claim.statement for claim in each.claims},
            "families": {family.name: family.title for family in each.families},
            "grids": list(each.grids()),
        }
        for each in STUDIES.values()
    ]
    if as_json:
        print_json(facts)
        return
    for each in facts:
        typer.echo(f"{each['study']}  {each['title']}")
        for part in ("claims", "families"):
            typer.echo(f"\n  {part}")
            print_table((label(), text()), list(each[part].items()), indent=4)
        typer.echo("")
        print_table((label(), text()), [("grids", ", ".join(each["grids"]))], indent=2)


def _report(outcome: "Outcome", target: Path, seconds: float, *, as_json: bool) -> None:
    from jaxlimits.studies.runner import FINDINGS, finding_facts

    if as_json:
        findings = [finding_facts(claim, outcome) for claim in outcome.claims]
        print_json({"output": str(target), "seconds": round(seconds, 3), "findings": findings})
        return
    found = [(claim, outcome.findings[claim.name]) for claim in outcome.claims]
    rows = [
        row
        for claim, finding in found
        for row in ((finding.judged.words, claim.statement), ("", finding.sentence), "")
    ]
    print_table((label(), text()), rows)
    typer.echo(f"wrote {target}/report.html, {FINDINGS}, data, tables, figures ({seconds:.1f} s)")


COMMAND = Command(
    run=study,
    panel=Panel.COMPUTE,
    examples=("jaxlimits study --list",),
)
