"""The check of every combination of values that a grid makes."""

import numpy as np

from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.grid.constraints import CONSTRAINTS, Constraint, constraints_on
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
    combinations = list(scenario.choices())
    for constraint in CONSTRAINTS:
        needed = constraint.needs.items()
        if any(needed <= switches.items() for switches in combinations):
            _check_constraint(scenario, constraint)


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
    arrays = {name: scenario.effective(name) for name in constraint.fields}
    fails = ~np.asarray(constraint.holds(arrays))
    if not fails.any():
        return
    first = np.unravel_index(int(np.argmax(fails)), fails.shape)
    whole = {name: np.broadcast_to(array, fails.shape)[first] for name, array in arrays.items()}
    values = ", ".join(f"{name} = {value:g}" for name, value in whole.items())
    values = values or ", ".join(
        f"{name} = {choice!r}" for name, choice in constraint.needs.items()
    )
    raise InputError(
        f"{constraint.says}, but {values}", where=scenario.where, remedy=constraint.remedy
    )
