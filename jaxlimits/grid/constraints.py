"""What must hold between fields, checked on every combination that a grid makes of them."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from jaxlimits import schema
from jaxlimits.errors import InputError
from jaxlimits.grid.scenario import Scenario

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Constraint:
    """A condition between fields.

    Parameters
    ----------
    fields
        Names of the fields; the first is the one to blame.
    holds
        Function of their arrays: where the condition holds.
    says, remedy
        The condition in words, and what to do.
    needs
        Switch settings under which it applies, by name.
    """

    fields: tuple[str, ...]
    holds: Callable[[Arrays], np.ndarray]
    says: str
    remedy: str
    needs: Mapping[str, str] = dataclasses.field(default_factory=dict)


CONSTRAINTS = (
    Constraint(
        fields=("ep_size", "tp_size", "dp_size"),
        holds=lambda f: (f["tp_size"] * f["dp_size"]) % f["ep_size"] == 0.0,
        says="ep_size must divide tp_size * dp_size",
        remedy="choose another ep_size, or link the axes",
    ),
    Constraint(
        fields=("ep_size", "num_experts"),
        holds=lambda f: f["num_experts"] % f["ep_size"] == 0.0,
        says="ep_size must divide num_experts",
        remedy="choose another ep_size, or link the axes",
    ),
    Constraint(
        fields=("experts_per_token", "num_experts"),
        holds=lambda f: f["experts_per_token"] <= f["num_experts"],
        says="a token cannot use more experts than there are",
        remedy="lower experts_per_token, or link the axes",
    ),
    Constraint(
        fields=("num_moe_layers", "num_layers"),
        holds=lambda f: f["num_moe_layers"] <= f["num_layers"],
        says="there cannot be more MoE layers than layers",
        remedy="lower num_moe_layers, or link the axes",
    ),
    Constraint(
        fields=("num_windowed_layers", "num_chunked_layers", "num_sparse_layers", "num_layers"),
        holds=lambda f: (
            f["num_windowed_layers"] + f["num_chunked_layers"] + f["num_sparse_layers"]
            <= f["num_layers"]
        ),
        says="there cannot be more windowed, chunked and sparse layers than layers",
        remedy="lower their number, or link the axes",
    ),
    Constraint(
        fields=("index_topk", "num_sparse_layers"),
        holds=lambda f: (f["index_topk"] >= 1.0) | (f["num_sparse_layers"] == 0.0),
        says="a sparse layer selects at least one token",
        remedy="state index_topk",
    ),
    Constraint(
        fields=("nominal_active_params", "nominal_params"),
        holds=lambda f: (
            (f["nominal_active_params"] > 0.0) & (f["nominal_active_params"] <= f["nominal_params"])
        ),
        says="nominal accounting needs both totals, active at most the whole",
        remedy="state nominal_params and nominal_active_params, or choose accounting = 'full'",
        needs={"accounting": "nominal"},
    ),
    Constraint(
        fields=("nominal_active_params", "nominal_params", "num_experts", "experts_per_token"),
        holds=lambda f: (
            f["nominal_active_params"] * (f["num_experts"] - f["experts_per_token"])
            >= f["experts_per_token"] * (f["nominal_params"] - f["nominal_active_params"])
        ),
        says="the experts in use hold more than the nominal active total",
        remedy="raise nominal_active_params, or choose accounting = 'full'",
        needs={"accounting": "nominal"},
    ),
)


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


def _check_scaled(scenario: Scenario, name: str) -> None:
    """Check the products of a field and its scale factor against the field's own bounds."""
    scale = f"{name}{schema.SCALE_SUFFIX}"
    if scale not in scenario.base and not any(scale in columns for columns in scenario.columns):
        return
    info = schema.FIELDS[name]
    products = scenario.effective(name)
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
    fails = ~constraint.holds(arrays)
    if not fails.any():
        return
    first = np.unravel_index(int(np.argmax(fails)), fails.shape)
    whole = {name: np.broadcast_to(array, fails.shape)[first] for name, array in arrays.items()}
    values = ", ".join(f"{name} = {value:g}" for name, value in whole.items())
    raise InputError(
        f"{constraint.says}, but {values}", where=scenario.where, remedy=constraint.remedy
    )
