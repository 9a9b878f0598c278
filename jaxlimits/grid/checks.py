"""The check of every combination of values that a grid makes."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator

import numpy as np

from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.grid.constraints import CONSTRAINTS, REMARKS, Constraint, constraints_on
from jaxlimits.grid.scenario import Scenario


def check_scenario(scenario: Scenario) -> None:
    """Raise on the first combination of values that cannot be.

    Raises
    ------
    InputError
        With the fields' values and the remedy.
    """
    for name in schema.FIELDS:
        _check_scaled(scenario, name)
    masked = scenario.rules.layouts
    _check_constraints(
        scenario, [r for r in CONSTRAINTS if masked is None or r not in masked.rules]
    )
    if masked is not None and not masked.whole_parts:
        for layout in _without_a_point(scenario):
            _check_constraints(layout, masked.rules)


def _check_constraints(scenario: Scenario, constraints: Iterable[Constraint]) -> None:
    combinations = list(scenario.choices())
    for constraint in constraints:
        needed = constraint.needs.items()
        if any(needed <= switches.items() for switches in combinations):
            _check_constraint(scenario, constraint)


def _without_a_point(scenario: Scenario) -> Iterator[Scenario]:
    """Yield the grid of each layout that is written and valid at no point, for what it lacks."""
    names = [axis.name for axis in scenario.axes]
    place = names.index(schema.LAYOUT)
    others = tuple(axis for axis in range(len(names)) if axis != place)
    held = scenario.valid_layouts().any(others)
    for number in np.flatnonzero(~held):
        columns = {n: column[[number]] for n, column in scenario.columns[place].items()}
        axis = scenario.axes[place]
        alone = dataclasses.replace(axis, values=(axis.values[number],), linked={})
        yield dataclasses.replace(
            scenario,
            axes=(*scenario.axes[:place], alone, *scenario.axes[place + 1 :]),
            columns=(*scenario.columns[:place], columns, *scenario.columns[place + 1 :]),
            rules=dataclasses.replace(scenario.rules, layouts=None),
        )


def admitted(scenario: Scenario, name: str) -> np.ndarray:
    """Return where a grid without axes of switches admits values of a field, point by point."""
    held = np.ones(scenario.shape, bool)
    for constraint in constraints_on(name, scenario.switches):
        arrays = {field: scenario.effective(field) for field in constraint.fields}
        held = held & np.asarray(constraint.holds(arrays))
    return held


def _check_scaled(scenario: Scenario, name: str) -> None:
    """Check the products of a field and its scale factor against the field's own bounds."""
    scale = f"{name}{schema.SCALE_SUFFIX}"
    if scale not in scenario.base and not any(scale in columns for columns in scenario.columns):
        return
    info = schema.FIELDS[name]
    products = scenario.effective(name)
    products = products[~np.isnan(products)]  # what a chip does not state
    if not products.size:
        return
    interval = not (info.whole or info.allowed)
    for value in (products.min(), products.max()) if interval else np.unique(products):
        nearest = float(np.round(value))  # 100 * 0.57 is 56.99999999999999
        meant = nearest if info.whole and abs(value - nearest) <= 1e-9 * value else float(value)
        if not info.admits(meant):
            problem = f"makes {name} {value:g} [{info.unit}], which must be {info.bounds}"
            remedy = "choose other factors"
            raise InputError(problem, where=scenario.where, key=scale, remedy=remedy)


def _check_constraint(scenario: Scenario, constraint: Constraint) -> None:
    values = _failing(scenario, constraint)
    if values:
        problem = f"{constraint.says}, but {values}"
        raise InputError(problem, where=scenario.where, remedy=constraint.remedy)


def _failing(scenario: Scenario, constraint: Constraint) -> str:
    """Values of the first point at which a condition does not hold; empty where it always does."""
    arrays = {name: scenario.effective(name) for name in constraint.fields}
    fails = ~np.asarray(constraint.holds(arrays))
    if not fails.any():
        return ""
    whole = np.broadcast_shapes(fails.shape, *(array.shape for array in arrays.values()))
    first = np.unravel_index(int(np.argmax(np.broadcast_to(fails, whole))), whole)
    found = {name: np.broadcast_to(array, whole)[first] for name, array in arrays.items()}
    values = ", ".join(f"{name} = {value:g}" for name, value in found.items())
    return values or ", ".join(f"{name} = {choice!r}" for name, choice in constraint.needs.items())


def remarks_in_words(scenario: Scenario, stated: Collection[str]) -> list[str]:
    """Say what is evaluated though no machine would be so, one sentence each.

    Parameters
    ----------
    scenario
        A point or a grid, whose values do not exclude each other.
    stated
        Every name that is set or varied, and the fields that named interconnects state.
    """
    combinations = list(scenario.choices())
    told = [
        _first_failure(scenario, remark)
        for remark in REMARKS
        if not {*remark.unless} & {*stated}
        and any(remark.needs.items() <= switches.items() for switches in combinations)
    ]
    return [*dict.fromkeys(sentence for sentence in told if sentence)]


def _first_failure(scenario: Scenario, remark: Constraint) -> str:
    """A remark with the values of the first point that it is true of; empty where it is of none."""
    found = _failing(scenario, remark)
    return f"{remark.says}, as at {found}; {remark.remedy}" if found else ""
