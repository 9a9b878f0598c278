"""From a grid's names and overrides to plain numbers: one value, or one column, for every field.

``--set`` wins over ``[base]``. These, or an axis over the field itself, win over the entry of the
catalog that ``llm``, ``chip``, ``calibration`` or ``fabric`` names, and that wins over the record's
default.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from jaxlimits import schema
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.rules import NO_RULES, Rules
from jaxlimits.grid.spec import GridSpec

Columns = Mapping[str, np.ndarray]
"""Values of each field along one axis, by the field's name."""


PROMISES: Mapping[str, tuple[tuple[str, ...], float]] = {
    "expert_parallel": (("ep_size",), 1.0),
    "sparse_attention": (("num_sparse_layers", "draft_num_sparse_layers"), 0.0),
    "sram_tier": (("sram_capacity",), 0.0),
    "lpddr_tier": (("lpddr_capacity",), 0.0),
    "requests": (("input_len",), 0.0),
}
"""Flags of the deployment that spare terms where no field of some exceeds a value anywhere."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """A grid as numbers; with no axes, one point.

    Parameters
    ----------
    where
        What to name in an error.
    base
        Fields and scale factors that do not vary.
    switches
        Static fields that do not vary.
    axes
        Dimensions in their order.
    columns
        For each axis the fields that vary along it; none for a switch.
    rules
        Prices and budgets.
    """

    where: str
    base: Mapping[str, float]
    switches: Mapping[str, str]
    axes: tuple[Axis, ...] = ()
    columns: tuple[Columns, ...] = ()
    rules: Rules = NO_RULES

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values on each axis."""
        return tuple(len(axis) for axis in self.axes)

    def effective(self, name: str) -> np.ndarray:
        """Return a field's value, its scale factor applied, shaped to broadcast over the axes."""
        factor = self._plain(f"{name}{schema.SCALE_SUFFIX}", missing=1.0)
        return np.asarray(self._plain(name) * factor)  # numpy makes a scalar of a single product

    def reaches(self, name: str, *, above: float) -> bool:
        """Whether a field exceeds a value anywhere in the grid."""
        return bool(np.any(self.effective(name) > above))

    def fixed_static(self) -> dict[str, str | bool]:
        """Return every static field of the deployment but the switches that vary."""
        needed = {
            flag: any(self.reaches(name, above=least) for name in names)
            for flag, (names, least) in PROMISES.items()
        }
        return {**self.switches, **needed}

    def choice_at(self, key: tuple[int, ...]) -> dict[str, str]:
        """Return the switches that vary: the place of a chunk on a switch's axis is its choice."""
        return {
            axis.name: str(axis.values[index])
            for axis, index in zip(self.axes, key, strict=True)
            if axis.name in schema.SWITCHES
        }

    def choices(self) -> Iterator[dict[str, str]]:
        """Yield every combination of switches that the grid has."""
        varying = [axis for axis in self.axes if axis.name in schema.SWITCHES]
        for combination in itertools.product(*(axis.values for axis in varying)):
            chosen = zip(varying, combination, strict=True)
            yield {**self.switches, **{axis.name: str(choice) for axis, choice in chosen}}

    def _plain(self, name: str, *, missing: float | None = None) -> np.ndarray:
        rank = len(self.columns)
        for position, columns in enumerate(self.columns):
            if name in columns:
                return columns[name].reshape([-1 if i == position else 1 for i in range(rank)])
        value = self.base.get(name, missing)
        return np.full([1] * rank, value, dtype=np.float64)


def bind(spec: GridSpec) -> Scenario:
    """Resolve every name of a grid to numbers.

    Raises
    ------
    InputError
        A name that the catalog lacks, or an entry with a value that its field cannot take.
    """
    base = schema.base_defaults()
    for record, name in spec.names.items():
        base |= spec.catalog.values(record, name, where=_place(spec, record), key=record)
    base |= spec.base
    direct = {name for axis in spec.axes for name in (axis.name, *axis.linked)}
    taken = set(spec.base) | direct
    columns = []
    for axis in spec.axes:
        constant, along = _split(_columns(axis, spec, taken=taken))
        base |= constant
        columns.append(along)
    varying = {name for fields in columns for name in fields}
    return Scenario(
        where=spec.file.where,
        base={name: value for name, value in base.items() if name not in varying},
        switches=spec.switches,
        axes=spec.axes,
        columns=tuple(columns),
    )


def _columns(axis: Axis, spec: GridSpec, *, taken: set[str]) -> dict[str, np.ndarray]:
    """The numeric fields that an axis sets; those of named records give way to ``taken``."""
    columns: dict[str, np.ndarray] = {}
    for name, values in {axis.name: axis.values, **axis.linked}.items():
        if name in schema.NAMED:
            table = _record_table(spec, name, values)
            columns |= {field: column for field, column in table.items() if field not in taken}
        elif name not in schema.SWITCHES:
            columns[name] = np.asarray(values, dtype=np.float64)
    return columns


def _record_table(
    spec: GridSpec, record: str, names: tuple[float, ...] | tuple[str, ...]
) -> dict[str, np.ndarray]:
    """One column for each field of the named records."""
    place = {"where": spec.file.where, "key": f"{spec.file.axes_key}.{record}"}
    rows = [spec.catalog.values(record, str(name), **place) for name in names]
    return {field: np.array([row[field] for row in rows]) for field in rows[0]}


def _split(columns: Columns) -> tuple[dict[str, float], Columns]:
    """Part what is the same all along an axis from what varies.

    Terms that rest on constants alone then stay scalars. An axis keeps its columns where none
    varies, since it has to be mapped over something.
    """
    varying = {name: column for name, column in columns.items() if np.any(column != column[0])}
    if not varying:
        return {}, columns
    constant = {n: float(column[0]) for n, column in columns.items() if n not in varying}
    return constant, varying


def _place(spec: GridSpec, name: str) -> str:
    return "--set" if name in spec.overrides else f"{spec.file.where}: base"
