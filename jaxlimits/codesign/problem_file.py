"""The problem file as text: found, parsed, and checked for its shape."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from jaxlimits.catalog.text_files import parse_toml, read_text
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.file import AxisTable, Raw, explained

_STRICT = pydantic.ConfigDict(extra="forbid", strict=True)

_SHIPPED = Path(__file__).with_name("problems")


class RangeTable(AxisTable):
    """What a field may be: anything from one value to another, or the values of an axis."""

    start: Raw | None = pydantic.Field(
        default=None, alias="from", description="The least value of a continuous field."
    )
    stop: Raw | None = pydantic.Field(
        default=None, alias="to", description="The largest value of a continuous field."
    )


class TermTable(pydantic.BaseModel):
    """One term of a price: so much at one value of a field, in proportion to a power of it."""

    model_config = _STRICT

    add: Raw = pydantic.Field(description="What the term adds at the reference value.")
    at: Raw = pydantic.Field(description="The reference value of the field.")
    power: float = pydantic.Field(
        default=1.0, description="The power of the field to which the term is proportional."
    )


class PriceTable(pydantic.BaseModel):
    """A quantity that is the sum of terms of fields."""

    model_config = _STRICT

    unit: str | None = pydantic.Field(default=None, description="The unit of the quantity.")
    constant: Raw | None = pydantic.Field(
        default=None, description="The part that does not depend on any field."
    )
    terms: dict[str, TermTable] = pydantic.Field(
        default_factory=dict, description="The terms, by field."
    )


class BudgetTable(pydantic.BaseModel):
    """A bound on a metric, a field or a price; over a range of bounds, a frontier."""

    model_config = _STRICT

    of: str = pydantic.Field(description="The metric, field or price that is bounded.")
    at_most: AxisTable | list[Raw] | Raw | None = pydantic.Field(
        default=None, description="The upper bound; several values give a frontier."
    )
    at_least: AxisTable | list[Raw] | Raw | None = pydantic.Field(
        default=None, description="The lower bound; several values give a frontier."
    )


class ObjectiveTable(pydantic.BaseModel):
    """What is to be as large, or as small, as can be."""

    model_config = _STRICT

    maximise: str | None = pydantic.Field(
        default=None, description="The metric or price to maximise."
    )
    minimise: str | None = pydantic.Field(
        default=None, description="The metric or price to minimise."
    )


class ProblemTables(pydantic.BaseModel):
    """Keys of a problem file."""

    model_config = _STRICT

    title: str = pydantic.Field(default="", description="The title of the result.")
    description: str = pydantic.Field(
        default="", description="A description, which the result keeps as its summary."
    )
    catalog: list[str] = pydantic.Field(
        default_factory=list, description="Catalog files with models and chips of your own."
    )
    starts: int = pydantic.Field(
        default=8, ge=1, le=1024, description="The number of starting points of the search."
    )
    seed: int = pydantic.Field(
        default=0, ge=0, le=2**32 - 1, description="The seed of the starting points."
    )
    base: dict[str, Raw] = pydantic.Field(
        default_factory=dict,
        description="Fields, switches and names that are the same for all designs.",
    )
    vary: dict[str, RangeTable | list[Raw]] = pydantic.Field(
        default_factory=dict, description="The fields that the search varies, with their ranges."
    )
    price: dict[str, PriceTable] = pydantic.Field(
        default_factory=dict, description="Quantities that are sums of terms of fields, by name."
    )
    objective: ObjectiveTable = pydantic.Field(
        default_factory=ObjectiveTable, description="What to maximise or to minimise."
    )
    budget: list[BudgetTable] = pydantic.Field(
        default_factory=list, description="The bounds that a design must keep."
    )
    llms: dict[str, dict[str, Any]] = pydantic.Field(
        default_factory=dict, description="Models of your own, by name."
    )
    chips: dict[str, dict[str, Any]] = pydantic.Field(
        default_factory=dict, description="Chips of your own, by name."
    )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ProblemFile:
    """A problem: its name, its text, what was given beside it, and the tables of both.

    ``folder`` is where the catalog files that it names are looked for.
    """

    where: str
    stem: str
    folder: Path
    text: str
    options: Mapping[str, Any]
    tables: ProblemTables


def shipped_problems() -> Mapping[str, Path]:
    """Return the problems that come with the package, by name."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.toml"))}


def read_problem(problem: str | Path | None, options: Mapping[str, Any]) -> ProblemFile:
    """Read a problem file, given by path or by the name of a shipped one.

    Parameters
    ----------
    problem
        The file; without one, the options alone state the problem.
    options
        Keys of a problem file that win over the file's: tables key by key, and a budget over
        another of the same quantity and direction.

    Raises
    ------
    InputError
        No such file, malformed TOML, unknown or misshapen keys.
    """
    where, stem, folder, text = "optimise", "optimise", Path(), ""
    if problem is not None:
        path = _find(problem)
        where, stem, folder = str(problem), path.stem, path.parent
        text = read_text(path, where=where)
    content = parse_toml(text, where=where)
    if not content and not options:
        remedy = "state [base], [vary] and [objective]"
        raise InputError("is an empty problem", where=where, remedy=remedy)
    tables = _checked(_merged(_checked(content, where), options), where)
    return ProblemFile(
        where=where, stem=stem, folder=folder, text=text, options=options, tables=tables
    )


def _checked(content: Mapping[str, Any], where: str) -> ProblemTables:
    try:
        return ProblemTables.model_validate(content)
    except pydantic.ValidationError as error:
        raise explained(error, where, _table_at) from None


def _merged(tables: ProblemTables, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a problem with options in their places."""
    content = tables.model_dump(by_alias=True, exclude_unset=True)
    for key, given in options.items():
        if key == "budget":
            kept = [b for b in content.get(key, []) if not any(_same(b, new) for new in given)]
            content[key] = [*kept, *given]
        elif isinstance(given, Mapping) and key != "objective":
            content[key] = {**content.get(key, {}), **given}
        else:
            content[key] = given
    return content


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two budgets bound the same quantity from the same side."""
    return one["of"] == other["of"] and ("at_most" in one) == ("at_most" in other)


def _find(problem: str | Path) -> Path:
    path, shipped = Path(problem), shipped_problems()
    try:
        if path.is_file():
            return path
    except OSError as error:  # a name too long
        raise InputError(f"cannot be read: {error.strerror}", where=str(problem)) from None
    if str(problem) in shipped:
        return shipped[str(problem)]
    if path.suffix or len(path.parts) > 1 or path.is_dir():
        what = "is a folder" if path.is_dir() else "no such file"
        remedy = f"or name a shipped problem: {', '.join(shipped)}"
        raise InputError(what, where=str(problem), remedy=remedy)
    raise unknown_name("problem", str(problem), shipped)


def _table_at(parts: list[str]) -> type[pydantic.BaseModel]:
    """The shape of the table in which a key stands."""
    tables = {"vary": RangeTable, "budget": BudgetTable, "objective": ObjectiveTable}
    if parts[0] == "price" and len(parts) > 2:
        return TermTable if parts[2] == "terms" else PriceTable
    return tables.get(parts[0], ProblemTables) if len(parts) > 1 else ProblemTables
