"""``jaxlimits study``: a whole study from one command."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxlimits.cli.options import AsJson, Settings, print_json
from jaxlimits.cli.sweep_command import progress_bar
from jaxlimits.errors import InputError

if TYPE_CHECKING:
    from jaxlimits.studies.outcome import Outcome


def study(
    name: Annotated[str | None, typer.Argument(help="Name of a study: see --list.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to make.", show_default="NAME")
    ] = None,
    settings: Settings = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The claims alone, without the families of systems.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the folder of an earlier run.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="List the studies with their claims and grids.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Regenerate a study: data, findings with verdicts, tables, figures and one report."""
    if listed:
        _show_list(as_json=as_json)
        return
    if name is None:
        remedy = "write `jaxlimits study paper`, or see `jaxlimits study --list`"
        raise InputError("no study is given", where="study", remedy=remedy)
    from jaxlimits.grid.spec import parse_overrides
    from jaxlimits.studies.runner import find_study, run_study

    asked, target = find_study(name), output or Path(name)
    overrides = parse_overrides(settings or [])
    started = time.perf_counter()
    with progress_bar(asked.title) as progress:
        outcome = run_study(
            asked, target, overrides=overrides, quick=quick, force=force, progress=progress
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
            for short, words in each[part].items():
                typer.echo(f"    {short:<16} {words}")
        typer.echo(f"\n  grids: {', '.join(each['grids'])}")


def _report(outcome: "Outcome", target: Path, seconds: float, *, as_json: bool) -> None:
    from jaxlimits.studies.runner import FINDINGS, finding_facts

    if as_json:
        findings = [finding_facts(claim, outcome) for claim in outcome.claims]
        print_json({"output": str(target), "seconds": round(seconds, 3), "findings": findings})
        return
    for claim in outcome.claims:
        finding = outcome.findings[claim.name]
        typer.echo(f"{finding.judged.verdict!s:<22} {claim.statement}")
        typer.echo(f"{'':<22} {finding.sentence}\n")
    typer.echo(f"wrote {target}/report.html, {FINDINGS}, data, tables, figures ({seconds:.1f} s)")
