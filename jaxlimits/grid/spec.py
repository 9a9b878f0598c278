"""The grid as data: names resolved, values in SI units, nothing said twice."""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from jaxlimits import schema
from jaxlimits.catalog.entries import KINDS
from jaxlimits.catalog.loader import Catalog, extended, load_catalog, with_models
from jaxlimits.catalog.text_files import read_toml
from jaxlimits.errors import InputError
from jaxlimits.grid.axes import Axis, check_name, read_axis, read_value
from jaxlimits.grid.file import GridFile, GridTables, Precision
from jaxlimits.grid.layouts import deciding_names, sizes_of
from jaxlimits.grid.outputs import outputs_of
from jaxlimits.grid.requirements import Requirement, read_requirement, refuse_taken_names
from jaxlimits.grid.stated import refuse_two_contexts, refuse_unstated


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class GridSpec:
    """A grid, read and checked, but for its reductions: these are the engine's.

    Parameters
    ----------
    file
        The grid file it comes from.
    overrides
        What was set beside the file, as text: ``{"mem_bw": "8 TB/s"}``.
    base
        Fields and scale factors that are set and do not vary, in SI units.
    names
        What :data:`jaxlimits.schema.NAMED` lists, where it is named and does not vary.
    switches
        Every static field that does not vary.
    axes
        Dimensions in their order.
    outputs
        What to keep whole: metrics in the model's order, then what is asked of them.
    requirements
        Unknowns to solve for, by which some outputs are named.
    precision
        ``"float32"`` or ``"float64"``.
    catalog
        The catalog with the grid's own entries.
    memory
        Memory budget in bytes for chunks in flight; ``None`` chooses one from the device.
    portable
        Whether chunks are the same on every machine, whatever the memory.
    fast
        Whether a compiled loop computes what is reduced, rather than XLA alone.
    digits
        Significant digits to which dense outputs are rounded; all of them where it is ``None``.
    """

    file: GridFile
    overrides: Mapping[str, str]
    base: Mapping[str, float]
    names: Mapping[str, str]
    switches: Mapping[str, str]
    axes: tuple[Axis, ...]
    outputs: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    precision: Precision
    catalog: Catalog
    memory: float | None = None
    portable: bool = False
    fast: bool = False
    digits: int | None = None

    def __repr__(self) -> str:
        axes = " × ".join(f"{axis.name} {len(axis)}" for axis in self.axes)
        kept = f"{len(self.outputs)} outputs, {len(self.file.tables.reduce)} reductions"
        return f"GridSpec({self.file.stem}: {axes}; {self.num_points:,} points, {kept})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values on each axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def num_points(self) -> int:
        """Number of points of the grid."""
        return math.prod(self.shape)

    @property
    def named(self) -> set[str]:
        """Every name that the grid sets or varies."""
        return _named(self.axes, {**self.base, **self.names})


def build_spec(
    file: GridFile,
    catalog: Catalog,
    *,
    overrides: Mapping[str, str] | None = None,
    precision: Precision | None = None,
    point: bool = False,
    beside: Collection[str] = (),
) -> GridSpec:
    """Resolve a grid file.

    Parameters
    ----------
    file
        The grid file.
    catalog
        Every entry that it may name: see :func:`grid_catalog`.
    overrides
        Values by name that take precedence over ``[base]``.
    precision
        Takes precedence over the file's.
    point
        Whether a grid without axes will do.
    beside
        Names that something else than the grid varies.

    Raises
    ------
    InputError
        Any name or value that cannot be used.
    """
    tables, where, overrides = file.tables, file.where, overrides or {}
    if not (tables.axes or point):
        remedy = "give at least one axis, or evaluate one point with `jaxlimits point`"
        raise InputError("nothing varies", where=where, key=file.axes_key, remedy=remedy)
    settings = _settings(file, overrides)
    axes, catalog = _axes(file, settings, catalog)
    _refuse_twice(axes, settings, file=file, overridden=overrides)
    _require_names(axes, settings, where=where)
    named = _named(axes, settings) | set(beside)
    requirements = _requirements(tables, axes, where=where)
    for asked in requirements:
        key = f"require.{asked.name}"
        refuse_unstated([asked.metric], named | {asked.field}, where=where, key=key)
    unknown = {*beside, *(asked.field for asked in requirements)}
    lengths = _given("input_len", axes, settings)
    requested = "input_len" in unknown or any(float(length) > 0.0 for length in lengths)
    refuse_two_contexts(named | unknown, requested=requested, where=where)
    outputs = outputs_of(tables, requirements, named=named, where=where)
    return GridSpec(
        file=file,
        overrides={name: str(raw) for name, raw in overrides.items()},
        base={name: float(value) for name, value in settings.items() if schema.is_numeric(name)},
        names={name: str(settings[name]) for name in schema.NAMED if name in settings},
        switches=_fixed_switches(axes, settings),
        axes=axes,
        outputs=outputs,
        requirements=requirements,
        precision=precision or tables.precision,
        catalog=catalog,
        digits=tables.digits,
    )


def grid_catalog(file: GridFile, *files: str | Path) -> Catalog:
    """Return the shipped catalog with the entries of files, of the grid's files, and its own.

    Parameters
    ----------
    file
        A grid: the files under its ``catalog`` key lie beside it, its own entries in its tables.
    *files
        Further catalog files.
    """
    beside = [file.folder / name for name in file.tables.catalog]
    for name, path in zip(file.tables.catalog, beside, strict=True):
        if not path.is_file():
            remedy = "name a file beside the grid"
            raise InputError(
                "no such file", where=file.where, key="catalog", value=name, remedy=remedy
            )
    catalog = extended(load_catalog(*files), ((str(path), read_toml(path)) for path in beside))
    own = {kind: getattr(file.tables, kind) for kind in KINDS}
    return extended(catalog, [(file.where, own)])


def _settings(file: GridFile, overrides: Mapping[str, str]) -> dict[str, float | str]:
    """Every value of ``[base]``, overrides in place."""
    settings: dict[str, float | str] = {}
    for source, prefix, where in (
        (file.tables.base, "base.", file.where),
        (overrides, "", "`overrides`"),
    ):
        for name, raw in source.items():
            key = f"{prefix}{name}"
            check_name(name, where=where, key=key)
            value = read_value(name, raw, where=where, key=key)
            if name == schema.LAYOUT:
                settings |= sizes_of(value, source, where=where, key=key)
            else:
                settings[name] = value
    return settings


def _axes(
    file: GridFile, settings: Mapping[str, float | str], catalog: Catalog
) -> tuple[tuple[Axis, ...], Catalog]:
    """Every axis, and the catalog with the models that are named; layouts need these."""
    where = file.where
    rest = {name: raw for name, raw in file.tables.axes.items() if name != schema.LAYOUT}
    read = {
        name: read_axis(name, raw, where=where, table=file.axes_key) for name, raw in rest.items()
    }
    catalog = with_models(catalog, _llms(read.values(), settings), where=where, folder=file.folder)
    if schema.LAYOUT in file.tables.axes:
        llms = _models_of_layouts(read.values(), settings, catalog, where=where)
        raw = file.tables.axes[schema.LAYOUT]
        read[schema.LAYOUT] = read_axis(
            schema.LAYOUT, raw, where=where, table=file.axes_key, llms=llms
        )
    return tuple(read[name] for name in file.tables.axes), catalog


def _models_of_layouts(
    axes: Iterable[Axis],
    settings: Mapping[str, float | str],
    catalog: Catalog,
    *,
    where: str,
) -> list[dict[str, float | str]]:
    """Models with the values of a grid that decide which layouts are valid: one for each case."""
    deciding = {"llm", *deciding_names()}
    cases = [{name: value for name, value in settings.items() if name in deciding}]
    for axis in axes:
        columns = {n: c for n, c in _columns_of(axis).items() if n in deciding}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        cases = [{**case, **row} for case in cases for row in (rows or [{}])]
    distinct = {tuple(sorted(case.items())): case for case in cases if "llm" in case}
    return [
        {**catalog.values("llm", str(case.pop("llm")), where=where, key="llm"), **case}
        for case in distinct.values()
    ]


def _refuse_twice(
    axes: Iterable[Axis],
    settings: Mapping[str, object],
    *,
    file: GridFile,
    overridden: Mapping[str, str],
) -> None:
    """Raise where two axes, or an axis and a setting, give the same field."""
    seen: dict[str, str] = {}
    for axis in axes:
        for name in (axis.name, *axis.linked):
            if name in seen:
                problem = f"is set twice, by the axes {seen[name]} and {axis.name}"
                key = f"{file.axes_key}.{name}"
                raise InputError(problem, where=file.where, key=key, remedy="keep one")
            seen[name] = axis.name
    for name in settings:
        if name in seen:
            place = "`overrides`" if name in overridden else f"{file.where}: base"
            remedy = "keep one: a name is either fixed or an axis"
            problem = f"is set twice, here and by the axis {seen[name]}"
            raise InputError(problem, where=place, key=name, remedy=remedy)


def _require_names(axes: Iterable[Axis], settings: Mapping[str, object], *, where: str) -> None:
    varying = {name for axis in axes for name in (axis.name, *axis.linked)}
    for name in schema.REQUIRED:
        if name not in settings and name not in varying:
            remedy = (
                f'write {name} = "NAME" in [base] (see `jaxlimits catalog`), or make it an axis'
            )
            raise InputError(f"no {name} is given", where=where, key="base", remedy=remedy)


def _llms(axes: Iterable[Axis], settings: Mapping[str, object]) -> list[str]:
    """Every model that a grid names, drafts too."""
    along = {name: column for axis in axes for name, column in _columns_of(axis).items()}
    fixed = {name: (settings[name],) for name in ("llm", "draft") if name in settings}
    columns = [{**along, **fixed}.get(name, ()) for name in ("llm", "draft")]
    return [str(name) for column in columns for name in column]


def _columns_of(axis: Axis) -> dict[str, tuple]:
    return {axis.name: axis.values, **axis.linked}


def _fixed_switches(axes: Iterable[Axis], settings: Mapping[str, float | str]) -> dict[str, str]:
    chosen = {name: str(settings[name]) for name in schema.SWITCHES if name in settings}
    varying = {axis.name for axis in axes}
    every = {**schema.switch_defaults(), **chosen}
    return {name: choice for name, choice in every.items() if name not in varying}


def _named(axes: Iterable[Axis], settings: Mapping[str, object]) -> set[str]:
    """Every name that the grid sets."""
    return {name for axis in axes for name in (axis.name, *axis.linked)} | set(settings)


def _given(
    name: str, axes: Iterable[Axis], settings: Mapping[str, float | str]
) -> list[float | str]:
    """Every value that a grid gives to a name."""
    fixed = [settings[name]] if name in settings else []
    return [*fixed, *(value for axis in axes for value in _columns_of(axis).get(name, ()))]


def _requirements(
    tables: GridTables, axes: tuple[Axis, ...], *, where: str
) -> tuple[Requirement, ...]:
    requirements = tuple(
        read_requirement(name, table, where=where, key=f"require.{name}")
        for name, table in tables.require.items()
    )
    refuse_taken_names(requirements, axes, where=where)
    return requirements
