"""``jaxlimits diff``: what differs between two results."""

import difflib
import math
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxlimits.cli.options import AsJson, print_json
from jaxlimits.cli.registry import Command, Panel
from jaxlimits.cli.tables import Row, glued, label, number, print_filled, print_table, text
from jaxlimits.errors import InputError, ResultError

if TYPE_CHECKING:
    from jaxlimits.questions.difference import Difference
    from jaxlimits.questions.differing_variables import Place, VariableDifference

EXIT_DIFFERENT = 1

_FOLLOWS = (
    *("content_hash", "source", "bits", "rests_on", "overrides."),
    *("catalog.chips", "catalog.llms"),
)
"""Attributes, and beginnings of their names, that say again what others do."""

_WIDEST = 60
"""Characters of a setting that are shown."""

_SHOWN_VALUES = 6
_SHOWN_CHANGES = 3
_SHOWN_LINES = 12


def diff(
    first: Annotated[Path, typer.Argument(help="A result.")],
    second: Annotated[Path, typer.Argument(help="Another result.")],
    within: Annotated[
        float,
        typer.Option(min=0.0, help="The relative difference up to which numbers count as equal."),
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two results: settings, axes, variables, and where most.

    The exit code is 0 if nothing differs except when they were made, 1 if anything does, and 2 if
    one cannot be read. Results of any size are read a block at a time.
    """
    from jaxlimits.questions.difference import diff as difference

    try:
        found = difference(first, second, within=within)
    except (ResultError, RuntimeError) as error:  # 1 would say that they differ
        if isinstance(error, RuntimeError) and not str(error).startswith("NetCDF:"):
            raise
        raise InputError(str(error)) from None
    if as_json:
        print_json(_facts(found))
    elif found.is_equal:
        count = sum(each.points for each in found.variables.values())
        typer.echo(f"nothing differs ({len(found.variables)} variables, {count:,} values)")
    else:
        _print(found, str(first), str(second))
    if not found.is_equal:
        raise typer.Exit(EXIT_DIFFERENT)


def _facts(found: "Difference") -> dict[str, Any]:
    import dataclasses

    def of(each: "VariableDifference") -> dict[str, Any]:
        changes = [
            {"from": one, "to": other, "points": count}
            for (one, other), count in each.changes.items()
        ]
        facts = {field.name: getattr(each, field.name) for field in dataclasses.fields(each)}
        return {**facts, "changes": changes}

    return {
        "equal": found.is_equal,
        "attributes": {name: list(pair) for name, pair in found.attributes.items()},
        "axes": {name: dataclasses.asdict(axis) for name, axis in found.axes.items()},
        "only_first": list(found.only_first),
        "only_second": list(found.only_second),
        "variables": {name: of(each) for name, each in found.variables.items()},
    }


def _print(found: "Difference", first: str, second: str) -> None:
    sections = (
        lambda: _print_settings(found, first, second),
        lambda: _print_axes(found, first, second),
        lambda: _print_variables(found, first, second),
    )
    printed = False
    for section, holds in zip(sections, _held(found), strict=True):
        if holds:
            if printed:
                typer.echo("")
            section()
            printed = True


def _held(found: "Difference") -> tuple[bool, bool, bool]:
    beside = bool(found.axes or found.only_first or found.only_second)
    return bool(found.attributes), beside, bool(found.variables)


def _print_settings(found: "Difference", first: str, second: str) -> None:
    told = {name: pair for name, pair in found.attributes.items() if not _follows(name)}
    told = told or dict(found.attributes)
    lined = {name for name, pair in told.items() if any("\n" in str(each) for each in pair)}
    rows = [
        (_short(name), *(_said(name, each) for each in pair))
        for name, pair in told.items()
        if name not in lined
    ]
    typer.echo("settings")
    if rows:
        print_table((label(), text(first), text(second)), rows, indent=2)
    for name in sorted(lined):
        one, other = (str(each or "").splitlines() for each in told[name])
        marked = [
            line
            for line in difflib.unified_diff(one, other, lineterm="", n=0)
            if line[:1] in "+-" and line[:3] not in ("+++", "---")
        ]
        typer.echo(f"  lines of {name}: - {first}, + {second}")
        for line in marked[:_SHOWN_LINES]:
            typer.echo(f"    {line}")
        if len(marked) > _SHOWN_LINES:
            typer.echo(f"    … and {len(marked) - _SHOWN_LINES} more")


def _follows(name: str) -> bool:
    return any(name == each or (each[-1] == "." and name.startswith(each)) for each in _FOLLOWS)


def _short(name: str) -> str:
    """A setting by its own name; those of catalog entries keep their place."""
    return name.removeprefix("scenario.")


def _said(name: str, value: Any) -> str:
    from jaxlimits.schema import FIELDS
    from jaxlimits.units import show

    if value is None or value == "":
        return "–"
    field = FIELDS.get(_short(name))
    if field is None or isinstance(value, str):
        return textwrap.shorten(str(value), _WIDEST, placeholder=" …")
    return show(value, field.unit)


def _print_axes(found: "Difference", first: str, second: str) -> None:
    typer.echo("what only one has")
    rows: list[Row] = []
    for name, axis in found.axes.items():
        for file, values in ((first, axis.only_first), (second, axis.only_second)):
            if values:
                rows.append((file, name, f"{len(values)} values: {_listed(name, values)}"))
    for file, names in ((first, found.only_first), (second, found.only_second)):
        if names:
            rows.append((file, "", ", ".join(names)))
    print_table((label(), label(), text()), rows, indent=2)


def _listed(name: str, values: tuple[Any, ...]) -> str:
    texts = [_coordinate(name, value) for value in values]
    if len(texts) > _SHOWN_VALUES:
        texts = [*texts[: _SHOWN_VALUES - 1], "…", texts[-1]]
    return ", ".join(texts)


def _coordinate(name: str, value: Any) -> str:
    from jaxlimits import schema
    from jaxlimits.units import show

    if isinstance(value, str) or not schema.is_numeric(name):
        return str(value) if isinstance(value, (str, int)) else f"{value:.6g}"
    return show(value, schema.describe(name).unit)


def _print_variables(found: "Difference", first: str, second: str) -> None:
    typer.echo("variables" if _differ(found) else "variables: none differs")
    rows = list(_variable_rows(found, first, second))
    if rows:
        columns = (label(), number("points that differ"), number("by up to"), text("at"))
        print_table(columns, rows, indent=2)
    equal = [name for name, each in found.variables.items() if each.is_equal]
    unlike: dict[str, list[str]] = {}
    for name, each in found.variables.items():
        if each.unlike:
            unlike.setdefault(each.unlike, []).append(name)
    for words, names in {**({"the same": equal} if equal else {}), **unlike}.items():
        shown = names if len(names) <= _SHOWN_LINES else [*names[:_SHOWN_LINES], "…"]
        print_filled(f"  {words} ({len(names)}): {', '.join(shown)}")


def _differ(found: "Difference") -> bool:
    return any(not each.is_equal for each in found.variables.values())


def _variable_rows(found: "Difference", first: str, second: str) -> Iterator[Row]:
    """A row for each thing that is said of a variable; the first has its name."""
    for name, each in found.variables.items():
        if each.is_equal or each.unlike:
            continue
        said = list(_said_of(name, each, first, second))
        lead = (name, f"{each.differing:,} of {each.points:,}")
        for most, where in said:
            yield *lead, most, where
            lead = ("", "")


def _said_of(
    name: str, each: "VariableDifference", first: str, second: str
) -> Iterator[tuple[str, str]]:
    if each.changes:
        yield "", _changes(each)
    if each.absolute_at:
        yield _quantity(name, each.absolute), _place(each.absolute_at)
    if each.relative_at:
        same = (
            "at the same point"
            if each.relative_at == each.absolute_at
            else _place(each.relative_at)
        )
        yield _share(each.relative), same
    for file, count in ((first, each.only_first), (second, each.only_second)):
        if count:
            yield "", f"{count:,} have a value only in {file}"


def _changes(each: "VariableDifference") -> str:
    listed = list(each.changes.items())
    texts = [f"{one} → {other}: {count:,}" for (one, other), count in listed[:_SHOWN_CHANGES]]
    more = len(listed) - len(texts)
    return "; ".join([*texts, *([f"and {more} more changes"] if more > 0 else [])])


def _place(place: "Place") -> str:
    return ", ".join(glued(f"{name} {_coordinate(name, value)}") for name, value in place.items())


def _quantity(name: str, value: float) -> str:
    from jaxlimits import schema
    from jaxlimits.units import show

    known = schema.is_output(name) or schema.is_numeric(name)
    return show(value, schema.describe(name).unit) if known else f"{value:.4g}"


def _share(value: float) -> str:
    return "∞" if math.isinf(value) else f"{100.0 * value:,.3g} %"


COMMAND = Command(
    run=diff,
    panel=Panel.LOOK,
    examples=("jaxlimits diff smoke.nc smoke.nc", "jaxlimits diff smoke.nc smoke.nc --json"),
)
