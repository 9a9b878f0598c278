"""The grid as data: names resolved, values in SI units, nothing said twice."""

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from jaxlimits import schema
from jaxlimits.catalog.entries import KINDS
from jaxlimits.catalog.loader import Catalog, extended, load_catalog, with_models
from jaxlimits.catalog.text_files import read_toml
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.axes import Axis, check_name, read_axis, read_value
from jaxlimits.grid.file import GridFile, GridTables, Precision, SensitivityTable
from jaxlimits.grid.layouts import deciding_names, sizes_of
from jaxlimits.grid.requirements import Requirement, read_requirement, refuse_taken_names

_SENSITIVITIES = {
    "elasticities": "elasticity",
    "derivatives": "derivative",
    "doublings": "doubling",
}
"""Keys of a grid file, and the kind of sensitivity that each lists."""


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
    outputs = _outputs(tables, requirements, named=named, where=where)
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


def refuse_two_contexts(named: Collection[str], *, requested: bool, where: str = "") -> None:
    """Raise where a context is stated beside a request, which has a context of its own.

    Parameters
    ----------
    named
        Every name that is set, varied or solved for.
    requested
        Whether an ``input_len`` above 0 is stated, or one is solved for.
    where
        What to name in an error.

    Raises
    ------
    InputError
        With both names and what to leave out.
    """
    stated = next(
        (name for name in ("seq_len", f"seq_len{schema.SCALE_SUFFIX}") if name in named), None
    )
    if stated is None or not requested:
        return
    problem = (
        "is stated beside a request, whose lengths set the context: decode steps are at"
        " input_len + output_len / 2, and input_len + output_len has to fit"
    )
    remedy = f"leave out {stated}, or input_len and output_len"
    raise InputError(problem, where=where, key=stated, remedy=remedy)


_CALLS_FOR = {
    "calibration": ("a calibration", 'calibration = "vllm" or another'),
    "input_len": ("a request", "input_len = 4096 or another length"),
}
"""What metrics need, by the name to set, and how it is written."""


def refuse_unstated(
    metrics: Iterable[str], named: Collection[str], *, where: str = "", key: str
) -> None:
    """Raise where a metric, or one that a sensitivity is of, says nothing for lack of a setting.

    Parameters
    ----------
    metrics
        Metrics, sensitivities of metrics, or anything else, which is passed over.
    named
        Every name that is set, varied or solved for.
    where, key
        What to name in an error.

    Raises
    ------
    InputError
        A calibrated metric without a calibration, one of a request without a request.
    """
    unstated = schema.unstated_metrics(named)
    for name in metrics:
        asked = schema.sensitivity(name)
        metric = name if asked is None else asked.metric
        if metric in unstated:
            setting = next(s for s, found in schema.CONDITIONAL.items() if metric in found)
            needed, example = _CALLS_FOR[setting]
            remedy = f"state {example}, in [base], as an axis or by `overrides`"
            raise InputError(f"needs {needed}", where=where, key=key, value=name, remedy=remedy)


def _requirements(
    tables: GridTables, axes: tuple[Axis, ...], *, where: str
) -> tuple[Requirement, ...]:
    requirements = tuple(
        read_requirement(name, table, where=where, key=f"require.{name}")
        for name, table in tables.require.items()
    )
    refuse_taken_names(requirements, axes, where=where)
    return requirements


def _outputs(
    tables: GridTables,
    requirements: Iterable[Requirement],
    *,
    named: Collection[str],
    where: str,
) -> tuple[str, ...]:
    """Outputs to keep whole: metrics in the model's order, sensitivities, requirements.

    Where something is reduced or required only what is named, else all metrics by default; with
    sensitivities comes ``limit``, which says on which side of a kink a point lies. Calibrated
    metrics are there where a calibration is named, those of a request where one is stated, and
    only there.
    """
    sensitivities = list(_sensitivities(tables, where=where))
    kept = [asked for asked in requirements if tables.require[asked.name].keep]
    outputs = tables.outputs
    if outputs is None and (tables.reduce or sensitivities or tables.require):
        outputs = []
    elif outputs is None or outputs == "all":
        unstated = schema.unstated_metrics(named)
        outputs = [name for name in schema.OUTPUTS if name not in unstated]
    elif not (outputs or tables.reduce or sensitivities or kept):
        raise InputError("is empty", where=where, key="outputs", remedy="leave it out to keep all")
    for name in outputs:
        if not schema.is_output(name):
            raise unknown_name("output", name, schema.OUTPUTS, where=where, key="outputs")
    refuse_unstated([*outputs, *sensitivities], named, where=where, key="outputs")
    if len(set(outputs)) != len(outputs):
        raise InputError("has a name twice", where=where, key="outputs", value=outputs)
    asked = dict.fromkeys([name for name in outputs if name not in schema.OUTPUTS] + sensitivities)
    metrics = {*outputs, *(["limit"] if asked else [])}
    required = [name for asked in kept for name in asked.quantities]
    return (*(name for name in schema.OUTPUTS if name in metrics), *asked, *required)


def _sensitivities(tables: GridTables, *, where: str) -> Iterator[str]:
    """Names of the outputs that ``elasticities``, ``derivatives`` and ``doublings`` ask for."""
    for key, kind in _SENSITIVITIES.items():
        table = getattr(tables, key)
        if isinstance(table, list):
            table = SensitivityTable(by=table)
        for metric, text in itertools.product(*((table.of, table.by) if table else ((), ()))):
            if metric not in schema.CONTINUOUS:
                raise unknown_name("metric", metric, schema.CONTINUOUS, where=where, key=key)
            by = tuple(field.strip() for field in text.split("*"))
            for field in by:
                if field not in schema.FIELDS:
                    raise unknown_name("field", field, schema.FIELDS, where=where, key=key)
            if len(by) > schema.SENSITIVITIES[kind]:
                remedy = "write one field, or for a second order 'mem_bw * sync_latency'"
                raise InputError("too many fields", where=where, key=key, value=text, remedy=remedy)
            yield schema.Sensitivity(metric=metric, by=by, kind=kind).name
