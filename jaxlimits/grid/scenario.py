"""From a grid's names and overrides to plain numbers: one value, or one column, for every field.

``overrides`` win over ``[base]``. These, or an axis over the field itself, win over what a named
``interconnect`` states, that over the entry of the catalog that ``llm``, ``chip``, ``calibration``
or ``fabric`` names, and that over the record's default.
"""

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.grid.axes import Axis
from jaxlimits.grid.file import AxisTable
from jaxlimits.grid.layouts import Validity
from jaxlimits.grid.rules import NO_RULES, Rules
from jaxlimits.grid.spec import GridSpec

Columns = Mapping[str, np.ndarray]
"""Values of each field along one axis, by the field's name."""


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
    general
        Whether no term is spared: one program then serves every value of the fields.
    unstated
        Chips that state no power or no price, by the field of :data:`jaxlimits.schema.INPUTS` that
        is NaN for them.
    own
        Bits of parts of a model that somebody states: ``weight_bits`` and ``kv_bits`` leave them
        alone.
    """

    where: str
    base: Mapping[str, float]
    switches: Mapping[str, str]
    axes: tuple[Axis, ...] = ()
    columns: tuple[Columns, ...] = ()
    rules: Rules = NO_RULES
    general: bool = False
    unstated: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    own: frozenset[str] = frozenset()

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values on each axis."""
        return tuple(len(axis) for axis in self.axes)

    def effective(self, name: str) -> np.ndarray:
        """Return a field's value, its scale factor applied, shaped to broadcast over the axes."""
        factor = self._factor(name)
        if name in schema.PART_BITS and name not in self.own:
            setter = schema.SETTERS[name]
            factor = factor * self._factor(setter)
            given = self._plain(setter)
            return np.asarray(np.where(given > 0.0, given, self._plain(name)) * factor)
        return np.asarray(self._plain(name) * factor)  # numpy makes a scalar of a single product

    def reaches(self, name: str, *, above: float) -> bool:
        """Whether a field exceeds a value anywhere in the grid."""
        return bool(np.any(self.effective(name) > above))

    def valid_layouts(self) -> np.ndarray:
        """Return where the layout is valid, of a shape that broadcasts over the axes.

        Each axis has its length where it decides, else 1; true alone where all layouts are valid.
        """
        held = np.ones([1] * len(self.axes), bool)
        for rule in () if self.rules.layouts is None else self.rules.layouts.rules:
            fields = {name: self.effective(name) for name in rule.fields}
            held = held & (np.asarray(rule.holds(fields)) | ~self._applies(rule.needs))
        return held

    def _applies(self, needs: Mapping[str, str]) -> np.ndarray:
        """Where switches have some settings, along the axes of those that vary."""
        found = np.ones([1] * len(self.axes), bool)
        for place, axis in enumerate(self.axes):
            if axis.name in needs:
                shape = [-1 if each == place else 1 for each in range(len(self.axes))]
                chosen = [str(choice) == needs[axis.name] for choice in axis.values]
                found = found & np.array(chosen).reshape(shape)
        return found & all(self.switches.get(n, choice) == choice for n, choice in needs.items())

    def fixed_static(self) -> dict[str, Any]:
        """Return every static field of the deployment but the switches that vary."""
        used = {name: self.general or self._uses(name) for name in schema.OPTIONAL_PARTS}
        own_bits = tuple(sorted(schema.PART_BITS[n] for n in self.own if n in schema.PART_BITS))
        return {**self.switches, **used, "own_bits": own_bits}

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

    def why_absent(self, name: str) -> str | None:
        """Return why a metric, or a sensitivity of one, is NaN for some chips, if it is."""
        lacking = {
            field: self.unstated[field]
            for field in schema.inputs_of(name)
            if field in self.unstated and self._lacks(field, name).any()
        }
        groups: dict[tuple[str, ...], list[str]] = {}
        for field, chips in lacking.items():
            groups.setdefault(chips, []).append(field)
        return "; ".join(absence(fields, chips) for chips, fields in groups.items()) or None

    def is_absent(self, name: str) -> bool:
        """Whether a metric, or a sensitivity of one, is NaN for every chip, as none states why."""
        return any(self._lacks(field, name).all() for field in schema.inputs_of(name))

    def _lacks(self, field: str, name: str) -> np.ndarray:
        """Where a metric is NaN for lack of a field; one in dollars needs none of a rented chip."""
        asked = schema.sensitivity(name)
        metric = name if asked is None else asked.metric
        lacking = np.isnan(self.effective(field))
        for rent, metrics in schema.RENTED.items():
            if metric in metrics:
                lacking = lacking & ~(self.effective(rent) > 0.0)
        return np.asarray(lacking)  # numpy makes a scalar of a single one

    def _uses(self, part: str) -> bool:
        info = schema.OPTIONAL_PARTS[part]
        numbers = (self.effective(name) for name in schema.part_fields(part))
        return any(info.may_be_used(number) for number in numbers)

    def _factor(self, name: str) -> np.ndarray | float:
        """The scale factor of a field; 1 where none is given, which most fields have not."""
        scale = f"{name}{schema.SCALE_SUFFIX}"
        given = scale in self.base or any(scale in columns for columns in self.columns)
        return self._plain(scale) if given else 1.0

    def _plain(self, name: str) -> np.ndarray:
        rank = len(self.columns)
        for position, columns in enumerate(self.columns):
            if name in columns:
                return columns[name].reshape([-1 if i == position else 1 for i in range(rank)])
        return np.full([1] * rank, self.base.get(name), dtype=np.float64)


_WORDS = {"base_power": "power", "chip_price": "price"}


def absence(fields: Sequence[str], chips: Sequence[str]) -> str:
    """Return why metrics that rest on fields of :data:`jaxlimits.schema.INPUTS` are absent.

    Parameters
    ----------
    fields
        Those that are NaN.
    chips
        Names of the chips for which they are.
    """
    what = " and ".join(f"no {_WORDS[field]}" for field in fields)
    named = " and ".join(repr(chip) for chip in chips[:3]) + (" and others" if chips[3:] else "")
    stated = ", and ".join(" or ".join(schema.STATED_BY[field]) for field in fields)
    return f"{what} stated for chip {named}: state {stated}, or `assume=gpu` or another preset"


def refuse_absent(metrics: Iterable[str], scenario: Scenario, *, key: str) -> None:
    """Raise where a metric is asked for, and no chip states what it rests on.

    Raises
    ------
    InputError
        With what is not stated.
    """
    for name in metrics:
        if scenario.is_absent(name):
            problem = f"{name} is absent: {scenario.why_absent(name) or 'its inputs are NaN'}"
            raise InputError(problem, where=scenario.where, key=key)


def bind(spec: GridSpec) -> Scenario:
    """Resolve every name of a grid to numbers.

    Raises
    ------
    InputError
        A name that the catalog lacks, or an entry with a value that its field cannot take.
    """
    direct = {name for axis in spec.axes for name in (axis.name, *axis.linked)}
    taken = set(spec.base) | direct
    base = schema.base_defaults()
    for record, name in spec.names.items():
        if record not in schema.ASSUMED:
            place = {"where": _place(spec, record), "key": record}
            base |= _entry_values(spec, record, name, taken=taken, **place)
    base |= spec.base
    overlaid = overlaid_fields(spec)
    columns = []
    for axis in spec.axes:
        constant, along = _split(_columns(axis, spec, base=base, taken=taken, overlaid=overlaid))
        base |= constant
        columns.append(along)
    varying = {name for fields in columns for name in fields}
    scenario = Scenario(
        unstated=_unstated(spec, taken=taken),
        where=spec.file.where,
        base={name: value for name, value in base.items() if name not in varying},
        switches=spec.switches,
        axes=spec.axes,
        columns=tuple(columns),
        own=own_parts(taken),
    )
    return with_masked_layouts(scenario, _validity(spec))


def _validity(spec: GridSpec) -> Validity | None:
    """What the layouts of an axis keep, as they are listed or found; ``None`` without such axis."""
    raw = spec.file.tables.axes.get(schema.LAYOUT)
    if raw is None:
        return None
    table = raw if isinstance(raw, AxisTable) else AxisTable()
    found = table.all is not None
    return Validity(whole_parts=found, saves_copies=found and "cp_size" not in table.only)


def with_masked_layouts(scenario: Scenario, validity: Validity | None) -> Scenario:
    """Return a scenario whose rules leave out layouts where these are not valid, if any is not."""
    if validity is None:
        return scenario
    masked = dataclasses.replace(scenario.rules, layouts=validity)
    found = dataclasses.replace(scenario, rules=masked)
    return scenario if found.valid_layouts().all() else found


def _entry_values(
    spec: GridSpec, record: str, name: str, *, taken: Collection[str], **place: str
) -> dict[str, float]:
    """A named record's values; a chip's power and price as what is set beside it has them."""
    if record != "chip":
        return spec.catalog.values(record, name, **place)
    solved_for = {asked.field for asked in spec.requirements}
    assume = spec.names.get("assume")
    return spec.catalog.values(record, name, beside={*taken, *solved_for}, assume=assume, **place)


def _unstated(spec: GridSpec, *, taken: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Chips of a grid that state no power or no price, by the field that is NaN."""
    columns = [{axis.name: axis.values, **axis.linked}.get("chip", ()) for axis in spec.axes]
    fixed = [spec.names["chip"]] if "chip" in spec.names else []
    chips = [str(name) for name in itertools.chain(fixed, *columns)]
    place = _axis_place(spec, "chip")
    rows = [_entry_values(spec, "chip", name, taken=taken, **place) for name in chips]
    found = {
        field: tuple(name for name, row in zip(chips, rows, strict=True) if math.isnan(row[field]))
        for field in schema.INPUTS
        if field not in taken
    }
    return {field: names for field, names in found.items() if names}


def own_parts(stated: Collection[str]) -> frozenset[str]:
    """Return the bits of parts of a model among names that somebody states."""
    return frozenset(schema.STATED_BITS.keys() & set(stated))


def overlaid_fields(spec: GridSpec) -> set[str]:
    """Return the fields that an interconnect states, wherever in the grid it is named."""
    found: set[str] = set()
    for kind in schema.OVERLAID:
        columns = [{axis.name: axis.values, **axis.linked}.get(kind, ()) for axis in spec.axes]
        fixed = [spec.names[kind]] if kind in spec.names else []
        for name in itertools.chain(fixed, *columns):
            found |= spec.catalog.values(kind, str(name), **_axis_place(spec, kind)).keys()
    return found


def _columns(
    axis: Axis,
    spec: GridSpec,
    *,
    base: Mapping[str, float],
    taken: set[str],
    overlaid: set[str],
) -> dict[str, np.ndarray]:
    """The numeric fields that an axis sets; those of named records give way to ``taken``.

    A chip's give way to those that an interconnect states on another axis or for the whole grid.
    """
    given = {axis.name: axis.values, **axis.linked}
    columns: dict[str, np.ndarray] = {}
    for name in sorted(given, key=lambda name: name in schema.OVERLAID):  # they lie over the rest
        if name in schema.OVERLAID:
            table = _overlay_table(spec, name, given[name], under={**base, **columns})
        elif name in schema.NAMED:
            hidden = overlaid if given.keys().isdisjoint(schema.OVERLAID) else set()
            table = _record_table(spec, name, given[name], taken=taken)
            table = {field: column for field, column in table.items() if field not in hidden}
        elif name == schema.LAYOUT or name in schema.SWITCHES:
            continue  # a layout's sizes are linked to it
        else:
            columns[name] = np.asarray(given[name], dtype=np.float64)
            continue
        columns |= {field: column for field, column in table.items() if field not in taken}
    return columns


def _overlay_table(
    spec: GridSpec,
    kind: str,
    names: tuple[float, ...] | tuple[str, ...],
    *,
    under: Mapping[str, float | np.ndarray],
) -> dict[str, np.ndarray]:
    """One column for each field that any of the entries states, elsewhere as it is under them."""
    place = _axis_place(spec, kind)
    rows = [spec.catalog.values(kind, str(name), **place) for name in names]
    table: dict[str, np.ndarray] = {}
    for field in dict.fromkeys(field for row in rows for field in row):
        lacking = [str(name) for name, row in zip(names, rows, strict=True) if field not in row]
        if lacking and field not in under:
            problem = f"{lacking[0]!r} states no {field}, and another axis varies it"
            remedy = f"state {field} in each of them, in [base], or link the {kind}s to that axis"
            raise InputError(problem, **place, remedy=remedy)
        below = np.broadcast_to(under.get(field, np.nan), (len(rows),))
        table[field] = np.array([row.get(field, old) for row, old in zip(rows, below, strict=True)])
    return table


def _record_table(
    spec: GridSpec,
    record: str,
    names: tuple[float, ...] | tuple[str, ...],
    *,
    taken: Collection[str],
) -> dict[str, np.ndarray]:
    """One column for each field of the named records."""
    place = _axis_place(spec, record)
    rows = [_entry_values(spec, record, str(name), taken=taken, **place) for name in names]
    return {field: np.array([row[field] for row in rows]) for field in rows[0]}


def _split(columns: Columns) -> tuple[dict[str, float], Columns]:
    """Part what is the same all along an axis from what varies.

    Terms that rest on constants alone then stay scalars. An axis keeps its columns where none
    varies, since it has to be mapped over something.
    """
    varying = {name: column for name, column in columns.items() if not _is_constant(column)}
    if not varying:
        return {}, columns
    constant = {n: float(column[0]) for n, column in columns.items() if n not in varying}
    return constant, varying


def _is_constant(column: np.ndarray) -> bool:
    return bool(np.all(column == column[0]) or np.all(np.isnan(column)))


def _axis_place(spec: GridSpec, name: str) -> dict[str, str]:
    return {"where": spec.file.where, "key": f"{spec.file.axes_key}.{name}"}


def _place(spec: GridSpec, name: str) -> str:
    return "`overrides`" if name in spec.overrides else f"{spec.file.where}: base"
