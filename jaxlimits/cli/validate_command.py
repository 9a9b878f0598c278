"""``jaxlimits validate``: published figures beside this build's."""

import dataclasses

import typer

from jaxlimits.cli.options import AsJson, Settings, print_json

EXIT_OFF = 1


def validate(settings: Settings = None, as_json: AsJson = False) -> None:
    """Check this build against every published anchor; exit with 1 where one is off."""
    from jaxlimits.errors import placed
    from jaxlimits.grid.spec import parse_overrides
    from jaxlimits.studies.anchors import check_anchors

    with placed("validate"):
        anchors = list(check_anchors(parse_overrides(settings or [])))
    off = [anchor for anchor in anchors if anchor.verdict == "OFF"]
    known = [anchor for anchor in anchors if anchor.verdict == "known"]
    if as_json:
        listed = [dataclasses.asdict(anchor) for anchor in anchors]
        print_json({"anchors": listed, "off": [anchor.name for anchor in off]})
    else:
        width = max(len(anchor.name) for anchor in anchors)
        for anchor in anchors:
            figures = f"{anchor.stated:>8g} {anchor.value:>10.4g} {anchor.unit:<8}"
            line = f"{anchor.verdict:<5} {anchor.name:<{width}} {figures} {anchor.status:<9}"
            typer.echo(f"{line} {anchor.remark}".rstrip())
        held = len(anchors) - len(off) - len(known)
        differ = f", {len(known)} differs for a known reason" if known else ""
        typer.echo(f"\n{held} of {len(anchors)} anchors hold{differ}, {len(off)} are off")
    if off:
        raise typer.Exit(EXIT_OFF)
