"""The problem as numbers: what may vary, what is to be best, and within which budgets."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxlimits import schema, units
from jaxlimits.codesign.problem_file import (
    BudgetTable,
    PriceTable,
    ProblemFile,
    RangeTable,
    TermTable,
)
from jaxlimits.errors import InputError, unknown_name
from jaxlimits.grid.checks import check_scenario
from jaxlimits.grid.file import AxisTable, GridFile, GridTables
from jaxlimits.grid.rules import Budget, Price, Term
from jaxlimits.grid.scenario import Scenario, bind
from jaxlimits.grid.spec import GridSpec, build_spec, grid_catalog
from jaxlimits.grid.stated import refuse_unstated
from jaxlimits.model.fields import Quantity
from jaxlimits.values import parse_number

_LONGEST_SWEEP = 1000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """A field that may take any value between two, in SI units."""

    name: str
    lower: float
    upper: float


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A problem, read and checked.

    Parameters
    ----------
    file
        Where it comes from.
    spec, scenario
        It as a grid, resolved and as numbers: an axis for each field that varies (a continuous one
        has its two ends), prices and budgets as the grid's rules.
    ranges
        Fields that vary continuously.
    objective, maximise
        What is to be best, and whether more of it is better.
    swept
        Which budget has several limits, if any.
    limits
        Limits of that budget in SI units, rising; one place where there is none.
    """

    file: ProblemFile
    spec: GridSpec
    scenario: Scenario
    ranges: tuple[Range, ...]
    objective: str
    maximise: bool
    swept: int | None
    limits: tuple[float, ...]

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Budgets in the order of the file."""
        return self.scenario.rules.budgets

    def limits_at(self, place: int) -> np.ndarray:
        """Return the limits of all budgets at one place of the sweep."""
        limits = np.array([budget.limit for budget in self.budgets])
        if self.swept is not None:
            limits[self.swept] = self.limits[place]
        return limits

    def describe(self, name: str) -> Quantity:
        """Return the meaning of a metric, a field or a price."""
        return describe(name, self.scenario.rules.prices)


def describe(name: str, prices: tuple[Price, ...]) -> Quantity:
    """Return the meaning of a metric, a field or a price of a problem's own."""
    for price in prices:
        if price.name == name and name not in schema.FIELDS:
            meaning = f"{name}, at coefficients that are the problem's own"
            return Quantity(unit=price.unit, display=price.unit, meaning=meaning)
    return schema.describe(name)


def budget_name(budget: Budget) -> str:
    """Return what a budget is called in results: ``power_at_most``."""
    return f"{budget.of}_{'at_most' if budget.most else 'at_least'}"


def build_problem(file: ProblemFile, *catalog: str | Path) -> Problem:
    """Resolve a problem file, with further catalog files.

    Raises
    ------
    InputError
        Any name or value that cannot be used, by the file and the key.
    """
    where, tables = file.where, file.tables
    ranges = {
        name: _read_range(name, raw, where=where)
        for name, raw in tables.vary.items()
        if isinstance(raw, RangeTable) and (raw.start is not None or raw.stop is not None)
    }
    spec = _as_grid(file, ranges, *catalog)
    scenario = bind(spec)
    prices = _read_prices(tables.price, spec, where=where)
    limits = [
        _read_budget(table, prices, where=where, key=f"budget.{table.of}")
        for table in tables.budget
    ]
    budgets = tuple(budget for budget, _ in limits)
    swept = _swept([values for _, values in limits], budgets, where=where)
    _refuse_same(budgets, where=where)
    objective, maximise = _read_objective(file, prices)
    for key, name in (("objective", objective), *((f"budget.{b.of}", b.of) for b in budgets)):
        refuse_unstated([name], spec.named, where=where, key=key)
        why = scenario.why_absent(name)
        if why is not None:
            raise InputError(f"{name} is absent: {why}", where=where, key=key)
    check_scenario(scenario)
    rules = dataclasses.replace(scenario.rules, prices=prices, budgets=budgets)
    return Problem(
        file=file,
        spec=spec,
        scenario=dataclasses.replace(scenario, rules=rules),
        ranges=tuple(ranges.values()),
        objective=objective,
        maximise=maximise,
        swept=swept,
        limits=(math.nan,) if swept is None else limits[swept][1],
    )


def _as_grid(file: ProblemFile, ranges: Mapping[str, Range], *catalog: str | Path) -> GridSpec:
    """Resolve what a problem shares with a grid; a continuous field is an axis of its two ends."""
    tables = file.tables
    axes: dict[str, Any] = dict(tables.vary)
    for name in ranges:
        raw = tables.vary[name]
        assert isinstance(raw, RangeTable)
        axes[name] = AxisTable(values=[raw.start, raw.stop])  # pyright: ignore[reportArgumentType]
    shared = {"title", "description", "catalog", "base", "llms", "chips"}
    grid = GridFile(
        where=file.where,
        stem=file.stem,
        folder=file.folder,
        text=file.text,
        tables=GridTables(**tables.model_dump(include=shared), axes=axes, precision="float64"),
        axes_key="vary",
    )
    return build_spec(grid, grid_catalog(grid, *catalog))


def _read_range(name: str, raw: RangeTable, *, where: str) -> Range:
    key = f"vary.{name}"
    if not schema.is_numeric(name):
        if name in schema.writable():
            remedy = "list the names"
            raise InputError("names have no range", where=where, key=key, remedy=remedy)
        raise unknown_name("field", name, schema.writable(), where=where, key=key)
    info = schema.describe(name)
    if info.whole or info.allowed:
        remedy = "list the values, or write { pow2 = [1, 8] }"
        problem = f"must be {info.bounds}, which no continuous range gives"
        raise InputError(problem, where=where, key=key, remedy=remedy)
    given = raw.model_fields_set
    if given != {"start", "stop"}:
        problem = "needs both from and to, and nothing else"
        remedy = 'write { from = "1 TB/s", to = "8 TB/s" } or list the values'
        raise InputError(problem, where=where, key=key, remedy=remedy)
    # Logarithms of values: none may be zero.
    above = dataclasses.replace(info, positive=True)
    lower = parse_number(above, raw.start, where=where, key=f"{key}.from")
    upper = parse_number(above, raw.stop, where=where, key=f"{key}.to")
    if lower >= upper:
        problem = f"from {raw.start!r} is not below to {raw.stop!r}"
        raise InputError(problem, where=where, key=key, remedy="write the smaller one first")
    return Range(name=name, lower=lower, upper=upper)


def _read_prices(
    tables: Mapping[str, PriceTable], spec: GridSpec, *, where: str
) -> tuple[Price, ...]:
    prices: tuple[Price, ...] = ()
    for name, table in tables.items():
        prices += (_read_price(name, table, prices, spec, where=where),)
    return prices


def _read_price(
    name: str, table: PriceTable, prices: tuple[Price, ...], spec: GridSpec, *, where: str
) -> Price:
    key = f"price.{name}"
    unit = _price_unit(name, table, spec, where=where)
    amount = Quantity(unit=unit, display=unit, meaning=name)
    constant = 0.0
    if table.constant is not None:
        constant = parse_number(amount, table.constant, where=where, key=f"{key}.constant")
    if not table.terms:
        remedy = f"write [{key}.terms] with what it grows with"
        raise InputError("has no terms", where=where, key=key, remedy=remedy)
    terms = [
        _read_term(field, term, amount, prices, where=where, key=f"{key}.terms.{field}")
        for field, term in table.terms.items()
    ]
    return Price(name=name, unit=unit, constant=constant, terms=tuple(terms))


def _price_unit(name: str, table: PriceTable, spec: GridSpec, *, where: str) -> str:
    """The unit of a price: that of the field whose place it takes, or its own."""
    key = f"price.{name}"
    given = {*spec.base, *(n for axis in spec.axes for n in (axis.name, *axis.linked))}
    if name in given:
        remedy = "keep one: a field is set, varies, or is priced"
        raise InputError("is given twice, here and as a value", where=where, key=key, remedy=remedy)
    if name in schema.FIELDS:
        if schema.FIELDS[name].whole or schema.FIELDS[name].allowed:
            raise InputError("a whole number cannot be priced", where=where, key=key)
        if table.unit is not None:
            problem = f"the field's unit is {schema.FIELDS[name].unit}"
            raise InputError(problem, where=where, key=f"{key}.unit", remedy="leave it out")
        return schema.FIELDS[name].unit
    if not name.isidentifier() or schema.is_output(name) or name in schema.writable():
        remedy = "choose a field, or a name of letters and digits that is neither field nor metric"
        raise InputError(f"{name!r} cannot be priced", where=where, key=key, remedy=remedy)
    if table.unit is None:
        remedy = 'write unit = "m^2", or price a field of the model, as die_area'
        raise InputError("has no unit", where=where, key=key, remedy=remedy)
    try:
        units.cf_unit(table.unit)
    except units.UnitError as error:
        raise InputError(str(error), where=where, key=f"{key}.unit") from None
    return table.unit


def _read_term(
    field: str,
    table: TermTable,
    amount: Quantity,
    prices: tuple[Price, ...],
    *,
    where: str,
    key: str,
) -> Term:
    known = [*schema.FIELDS, *(price.name for price in prices)]
    if field not in known:
        raise unknown_name("field", field, known, where=where, key=key)
    base = Quantity(unit=describe(field, prices).unit, display="", meaning="", positive=True)
    at = parse_number(base, table.at, where=where, key=f"{key}.at")
    add = parse_number(amount, table.add, where=where, key=f"{key}.add")
    if not math.isfinite(table.power) or table.power == 0.0 or abs(table.power) > 8.0:
        remedy = "leave it out for 1; a constant stands under constant"
        problem = "must be between -8 and 8, and not 0"
        raise InputError(problem, where=where, key=f"{key}.power", value=table.power, remedy=remedy)
    return Term(field=field, factor=add / at**table.power, power=table.power)


def _read_budget(
    table: BudgetTable, prices: tuple[Price, ...], *, where: str, key: str
) -> tuple[Budget, tuple[float, ...]]:
    """A budget, and its limits: more than one where it is swept."""
    info = _measured(table.of, prices, where=where, key=key)
    if (table.at_most is None) == (table.at_least is None):
        remedy = 'write at_most = "20 kW" or at_least = "1000 token/s"'
        raise InputError("needs one bound", where=where, key=key, remedy=remedy)
    most = table.at_most is not None
    raw = table.at_most if most else table.at_least
    assert raw is not None
    positive = dataclasses.replace(info, lower=0.0, positive=True, whole=False, allowed=())
    key = f"{key}.{'at_most' if most else 'at_least'}"
    limits = _limits(raw, positive, where=where, key=key)
    return Budget(of=table.of, most=most, limit=limits[0]), limits


def _limits(raw: Any, info: Quantity, *, where: str, key: str) -> tuple[float, ...]:
    if isinstance(raw, list):
        raw = AxisTable(values=raw)
    if not isinstance(raw, AxisTable):
        return (parse_number(info, raw, where=where, key=key),)
    form = next((n for n in ("values", "linear", "geometric") if getattr(raw, n)), None)
    remedy = 'write a list of values, or { geometric = ["1 kW", "100 kW"], num = 16 }'
    if form is None or raw.model_fields_set - {form, "num"}:
        raise InputError("is not a sweep of limits", where=where, key=key, remedy=remedy)
    values = [parse_number(info, value, where=where, key=key) for value in getattr(raw, form)]
    if (form == "values") != (raw.num is None) or (raw.num or 0) > _LONGEST_SWEEP:
        problem = f"a range needs num, of at most {_LONGEST_SWEEP}; a list has none"
        raise InputError(problem, where=where, key=key, remedy=remedy)
    if form != "values":
        spread = np.linspace if form == "linear" else np.geomspace
        first, last = values
        values = spread(first, last, raw.num or 2).tolist()
    if len(set(values)) < max(2, len(values)):
        problem = "a sweep has two or more limits, all different"
        raise InputError(problem, where=where, key=key, remedy=remedy)
    return tuple(sorted(values))


def _swept(
    limits: list[tuple[float, ...]], budgets: tuple[Budget, ...], *, where: str
) -> int | None:
    swept = [place for place, values in enumerate(limits) if len(values) > 1]
    if len(swept) > 1:
        names = " and ".join(budget_name(budgets[place]) for place in swept)
        problem = f"{names} are both swept"
        raise InputError(problem, where=where, key="budget", remedy="give one of them one limit")
    return swept[0] if swept else None


def _refuse_same(budgets: tuple[Budget, ...], *, where: str) -> None:
    names = [budget_name(budget) for budget in budgets]
    for name in names:
        if names.count(name) > 1:
            problem = f"{name} is given twice"
            raise InputError(problem, where=where, key="budget", remedy="keep one")


def _read_objective(file: ProblemFile, prices: tuple[Price, ...]) -> tuple[str, bool]:
    table = file.tables.objective
    if (table.maximise is None) == (table.minimise is None):
        remedy = 'write [objective] maximise = "utps", or minimise'
        problem = "is missing" if table.maximise is None else "has both maximise and minimise"
        raise InputError(problem, where=file.where, key="objective", remedy=remedy)
    maximise = table.maximise is not None
    name = table.maximise if table.maximise is not None else table.minimise
    assert name is not None
    key = f"objective.{'maximise' if maximise else 'minimise'}"
    _measured(name, prices, where=file.where, key=key)
    return name, maximise


def _measured(name: str, prices: tuple[Price, ...], *, where: str, key: str) -> Quantity:
    """The meaning of what an objective or a budget names: it must change smoothly."""
    known = [*schema.CONTINUOUS, *schema.FIELDS, *(price.name for price in prices)]
    if name not in known:
        raise unknown_name("metric, field or price", name, known, where=where, key=key)
    return describe(name, prices)
