"""The grid file as text: found, parsed, and checked for its shape."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic

from jaxlimits.catalog.text_files import parse_toml, read_text
from jaxlimits.errors import InputError, suggestion, unknown_name

Raw = str | int | float | bool
Ends = Annotated[list[Raw], pydantic.Field(min_length=2, max_length=2)]
Precision = Literal["float32", "float64"]

_UNION_NAMES = (
    *("AxisTable", "RangeTable", "SensitivityTable"),
    *("str", "int", "float", "bool", "list[str]"),
)
"""What pydantic puts into the place of a finding for the members of a union."""

_PACKED = Path(__file__).parents[1] / "grids"
_CHECKOUT = Path(__file__).parents[2] / "grids"


class AxisTable(pydantic.BaseModel):
    """An axis written as a table: one form of values, and what is linked to it."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    values: list[Raw] | None = pydantic.Field(
        default=None, description="The values, in their order."
    )
    linear: Ends | None = pydantic.Field(
        default=None, description="First and last value of `num` values at equal distances."
    )
    geometric: Ends | None = pydantic.Field(
        default=None, description="First and last value of `num` values at equal ratios."
    )
    pow2: Ends | None = pydantic.Field(
        default=None, description="First and last value; every power of two from one to the other."
    )
    num: int | None = pydantic.Field(
        default=None, ge=2, le=100_000_000, description="The number of values of a range."
    )
    all: int | None = pydantic.Field(
        default=None,
        ge=1,
        le=65_536,
        description="For `layout`: every valid layout of at most this many chips.",
    )
    only: dict[str, list[Raw]] = pydantic.Field(
        default_factory=dict, description="For `layout`: the sizes to keep, as `{ pp_size = [1] }`."
    )
    linked: dict[str, list[Raw]] = pydantic.Field(
        default_factory=dict,
        alias="with",
        description="Fields that change with the axis: a list of the same length each.",
    )


class ReductionTable(pydantic.BaseModel):
    """A reduction of some axes; which others of its keys it takes, the engine knows."""

    model_config = pydantic.ConfigDict(extra="allow", strict=True)

    op: str = pydantic.Field(description="The name of the reduction.")
    of: str | list[str] = pydantic.Field(
        description="The metric that it reduces; several for a frontier."
    )
    over: list[str] | None = pydantic.Field(
        default=None, description="The axes that it reduces; all axes by default."
    )


class RequirementTable(pydantic.BaseModel):
    """A requirement: a field, and the target to which it must bring a metric."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    unknown: str = pydantic.Field(alias="for", description="The field to solve for.")
    of: str = pydantic.Field(default="utps", description="The metric that must reach the target.")
    at_least: Raw | None = pydantic.Field(
        default=None, description="The least value that the metric may have."
    )
    at_most: Raw | None = pydantic.Field(
        default=None, description="The largest value that the metric may have."
    )
    low: Raw | None = pydantic.Field(
        default=None, alias="from", description="The least value of the field to try."
    )
    high: Raw | None = pydantic.Field(
        default=None, alias="to", description="The largest value of the field to try."
    )
    among: list[Raw] | None = pydantic.Field(
        default=None, description="The values of the field to try."
    )
    pow2: Ends | None = pydantic.Field(
        default=None, description="First and last value; every power of two between them is tried."
    )
    keep: bool = pydantic.Field(
        default=True, description="Whether the file keeps the requirement's variables."
    )


class SensitivityTable(pydantic.BaseModel):
    """Keys of ``elasticities`` and their like: metrics, and the fields they answer to."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    of: list[str] = pydantic.Field(default_factory=lambda: ["utps"], description="The metrics.")
    by: list[str] = pydantic.Field(
        description="The fields, or products of two fields as `mem_bw * sync_latency`."
    )


class GridTables(pydantic.BaseModel):
    """Keys of a grid file.

    ``inner`` says of which form the tables within a key are.
    """

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    inner: ClassVar[Mapping[str, type[pydantic.BaseModel]]] = {
        "axes": AxisTable,
        "require": RequirementTable,
        **dict.fromkeys(("elasticities", "derivatives", "doublings"), SensitivityTable),
    }

    title: str = pydantic.Field(default="", description="The title of the result.")
    description: str = pydantic.Field(
        default="", description="A description, which the result keeps as its summary."
    )
    catalog: list[str] = pydantic.Field(
        default_factory=list, description="Catalog files with models and chips of your own."
    )
    outputs: list[str] | Literal["all"] | None = pydantic.Field(
        default=None, description="The metrics to keep; all metrics by default."
    )
    elasticities: SensitivityTable | list[str] | None = pydantic.Field(
        default=None, description="Fields by which to give elasticities, of `utps` or as a table."
    )
    derivatives: SensitivityTable | list[str] | None = pydantic.Field(
        default=None, description="Fields by which to give derivatives in SI units."
    )
    doublings: SensitivityTable | list[str] | None = pydantic.Field(
        default=None, description="Fields of which to give the gain from twice their value."
    )
    precision: Precision = pydantic.Field(
        default="float32", description="The precision in which points are computed and stored."
    )
    digits: int | None = pydantic.Field(
        default=None, ge=1, le=15, description="The number of significant digits to keep."
    )
    base: dict[str, Raw] = pydantic.Field(
        default_factory=dict,
        description="Fields, switches and names that are the same for all points.",
    )
    axes: dict[str, AxisTable | list[Raw]] = pydantic.Field(
        default_factory=dict, description="The axes: dimensions of the result, in this order."
    )
    require: dict[str, RequirementTable] = pydantic.Field(
        default_factory=dict, description="Requirements, each a table by its name."
    )
    reduce: dict[str, ReductionTable] = pydantic.Field(
        default_factory=dict, description="Reductions, each a table by its name."
    )
    llms: dict[str, dict[str, Any]] = pydantic.Field(
        default_factory=dict, description="Models of your own, by name."
    )
    chips: dict[str, dict[str, Any]] = pydantic.Field(
        default_factory=dict, description="Chips of your own, by name."
    )
    interconnects: dict[str, dict[str, Any]] = pydantic.Field(
        default_factory=dict, description="Interconnects of your own, by name."
    )
    assumptions: dict[str, dict[str, Any]] = pydantic.Field(
        default_factory=dict, description="Assumptions of your own, by name."
    )
    proposers: dict[str, dict[str, Any]] = pydantic.Field(
        default_factory=dict, description="Proposers of tokens of your own, by name."
    )
    fabrics: dict[str, dict[str, Any]] = pydantic.Field(
        default_factory=dict, description="Fabrics of your own, by name."
    )
    calibrations: dict[str, dict[str, Any]] = pydantic.Field(
        default_factory=dict, description="Calibrations of your own, by name."
    )

    @classmethod
    def form_at(cls, parts: list[str]) -> type[pydantic.BaseModel]:
        """Return the form of the table in which a key, given by its parts, stands."""
        return cls.inner.get(parts[0], cls)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GridFile:
    """A grid file: its name, its text, its tables.

    ``folder`` is where the catalog files that it names are looked for, ``axes_key`` the table in
    which what varies stands.
    """

    where: str
    stem: str
    folder: Path
    text: str
    tables: GridTables
    axes_key: str = "axes"

    def __repr__(self) -> str:
        return f"GridFile({self.where}: {len(self.text.splitlines())} lines)"


def shipped_grids() -> Mapping[str, Path]:
    """Return the grids that come with the package, by name."""
    folder = _PACKED if _PACKED.is_dir() else _CHECKOUT
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_grid(grid: str | Path, *, tables: type[GridTables] = GridTables) -> GridFile:
    """Read a grid file, given by path or by the name of a shipped one.

    Parameters
    ----------
    grid
        Path or name.
    tables
        Keys that the file may have.

    Raises
    ------
    InputError
        No such file, malformed TOML, unknown or misshapen keys.
    """
    path = _find(grid)
    text = read_text(path, where=str(grid))
    return parse_grid(text, where=str(grid), stem=path.stem, folder=path.parent, tables=tables)


def parse_grid(
    text: str, *, where: str, stem: str, folder: Path, tables: type[GridTables] = GridTables
) -> GridFile:
    """Parse the text of a grid file."""
    content = parse_toml(text, where=where)
    if not content:
        remedy = "state a [base] with llm and chip, and [axes] to sweep"
        raise InputError("is an empty grid", where=where, remedy=remedy)
    try:
        checked = tables.model_validate(content)
    except pydantic.ValidationError as error:
        raise explained(error, where, tables.form_at) from None
    return GridFile(where=where, stem=stem, folder=folder, text=text, tables=checked)


def _find(grid: str | Path) -> Path:
    path = Path(grid)
    try:
        if path.is_file():
            return path
    except OSError as error:  # a name too long
        raise InputError(f"cannot be read: {error.strerror}", where=str(grid)) from None
    shipped = shipped_grids()
    if str(grid) in shipped:
        return shipped[str(grid)]
    if path.suffix or len(path.parts) > 1 or path.is_dir():
        what = "is a folder" if path.is_dir() else "no such file"
        remedy = "or name a shipped grid, as paper or smoke; grids/README.md shows them all"
        raise InputError(what, where=str(grid), remedy=remedy)
    raise unknown_name("grid", str(grid), shipped)


def explained(
    error: pydantic.ValidationError,
    where: str,
    table_at: Callable[[list[str]], type[pydantic.BaseModel]],
    *,
    under: Sequence[str] = (),
) -> InputError:
    """Turn the first finding of the shape check into the package's own error.

    An unknown key comes before what is missing: one may be the other, mistyped.
    ``table_at`` gives the shape of the table in which a key, given by its parts, stands; ``under``
    are the parts of the key under which what was checked stands in its file.
    """
    findings = error.errors()
    unknown = (finding for finding in findings if finding["type"] == "extra_forbidden")
    finding = next(unknown, findings[0])
    location = [*under, *(str(part) for part in finding["loc"])]
    parts = [part for part in location if part not in _UNION_NAMES and "[" not in part]
    key = ".".join(parts)
    if finding["type"] == "extra_forbidden":
        fields = table_at(parts).model_fields
        known = [field.alias or name for name, field in fields.items()]
        problem = f"unknown key {parts[-1]!r}"
        return InputError(problem, where=where, key=key, remedy=suggestion(parts[-1], known))
    given = finding["input"]
    value = given if isinstance(given, Raw | list | None) else None
    if parts[0] in ("axes", "vary") and len(parts) == 2:
        problem = "must be a list of values, or a table of a range"
        remedy = 'write [1, 2, 4] or { geometric = ["1 TB/s", "8 TB/s"], num = 16 }'
        return InputError(problem, where=where, key=key, value=value, remedy=remedy)
    if finding["type"] in ("too_short", "too_long"):
        return InputError("must be [first, last]", where=where, key=key, value=value)
    says = finding["msg"].removeprefix("Input ").partition(" or instance of ")[0]
    return InputError(says.replace("dictionary", "table"), where=where, key=key, value=value)
