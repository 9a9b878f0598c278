"""``jaxlimits validate``: published figures beside this build's."""

import dataclasses
from typing import TYPE_CHECKING

import typer

from jaxlimits.cli.options import AsJson, Settings, overrides_of, print_json
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import label, number, print_table, text

if TYPE_CHECKING:
    from jaxlimits.studies.anchors import Anchor

EXIT_OFF = 1


def validate(overrides: Settings = None, as_json: AsJson = False) -> None:
    """Check this build against every published figure.

    The exit code is 1 if one is off.
    """
    from jaxlimits.errors import placed
    from jaxlimits.studies.anchors import check_anchors

    with placed("validate"):
        anchors = list(check_anchors(overrides_of(overrides)))
    off = [anchor for anchor in anchors if anchor.verdict == "OFF"]
    known = [anchor for anchor in anchors if anchor.verdict == "known"]
    if as_json:
        listed = [dataclasses.asdict(anchor) for anchor in anchors]
        print_json({"anchors": listed, "off": [anchor.name for anchor in off]})
    else:
        _print_anchors(anchors)
        held = len(anchors) - len(off) - len(known)
        differ = f", {len(known)} differs for a known reason" if known else ""
        typer.echo(f"\n{held} of {len(anchors)} anchors hold{differ}, {len(off)} are off")
    if off:
        raise typer.Exit(EXIT_OFF)


def _print_anchors(anchors: "list[Anchor]") -> None:
    columns = (
        *(text("anchor"), number("stated"), number("computed"), label("unit")),
        *(label("verdict"), label("status"), text()),
    )
    rows = [
        [
            *(each.name, f"{each.stated:g}", f"{each.value:.4g}", each.unit),
            *(each.verdict, each.status, each.remark),
        ]
        for each in anchors
    ]
    print_table(columns, rows)


COMMAND = Command(
    run=validate,
    panel=Panel.COMPARE,
    examples=("jaxlimits validate",),
)
