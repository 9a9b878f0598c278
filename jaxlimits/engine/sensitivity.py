"""Outputs at one point: metrics as they are, how they answer to fields, and what they require.

Derivatives are taken forwards, one field at a time. A tangent then lives on the axes that its terms
depend on, as the terms themselves do, and only the last operations touch every point of a grid;
taken backwards, every term of the model would have a cotangent of the grid's full size.
"""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxlimits.engine.program import Program, Values, trace
from jaxlimits.engine.requirement import Trial, answer
from jaxlimits.grid.constraints import CONSTRAINTS
from jaxlimits.grid.requirements import Requirement
from jaxlimits.grid.rules import NO_RULES, Rules
from jaxlimits.model.evaluate import fits_request, metrics_of, step_terms
from jaxlimits.model.metrics import REQUESTED
from jaxlimits.model.records import RECORDS
from jaxlimits.schema import (
    FIELDS,
    OPTIONAL_PARTS,
    SCALE_SUFFIX,
    Sensitivity,
    field_names,
    part_fields,
    sensitivity,
)

Static = tuple[tuple[str, str | bool], ...]
Function = Callable[[Values], jax.Array]

FITS_REQUEST = "fits_request"
"""Whether a request fits in memory at its whole length, beside the metrics of a point."""


def outputs_at(
    values: Values,
    static: Static,
    names: Collection[str],
    requirements: Sequence[Requirement] = (),
    rules: Rules = NO_RULES,
) -> dict[str, jax.Array]:
    """Evaluate outputs at one point.

    Parameters
    ----------
    values
        Every field by its name [SI]; ``<field>_scale`` multiplies its field. The target of each
        requirement too.
    static
        Every static field of the deployment.
    names
        Metrics, fields, prices, sensitivities as :func:`jaxlimits.schema.sensitivity` reads them,
        and variables of requirements.
    requirements
        Unknowns to solve for where one of their variables is named.
    rules
        Prices, which stand for fields (a sensitivity then holds them fixed).
    """
    fields = rules.priced(effective_fields(values))
    model = _model(fields, static)
    known = {**fields, **model(fields)}
    found = {
        name: value
        for asked in requirements
        if not asked.quantities.keys().isdisjoint(names)
        for name, value in solve(asked, fields, static, target=values[asked.aim]).items()
    }
    for name in set(names) - found.keys():
        asked = sensitivity(name)
        found[name] = known[name] if asked is None else differentiate(asked, fields, model)
    return {name: found[name] for name in sorted(names)}


def _model(fields: Values, static: Static) -> Program:
    """The metrics of a point from its fields, traced once for all that is asked of them."""

    def metrics(fields: Values) -> dict[str, Any]:
        terms = step_terms(*assemble(fields, static))
        return {**vars(metrics_of(terms)), FITS_REQUEST: fits_request(terms)}

    return trace(metrics, fields)


def solve(
    asked: Requirement, fields: Values, static: Static, *, target: jax.Array
) -> dict[str, jax.Array]:
    """Solve a requirement at one point; its variables by their names."""
    moved = {part for part in OPTIONAL_PARTS if asked.field in part_fields(part)}
    general = tuple((name, name in moved or choice) for name, choice in static)
    trial = _trial(asked, fields, _model(fields, general), dict(static))
    found = answer(asked, trial, target=target, here=fields[asked.field])
    return {asked.name: found.value, asked.reached: found.reached, asked.reason: found.reason}


def _trial(
    asked: Requirement, fields: Values, model: Program, static: Mapping[str, str | bool]
) -> Trial:
    """What a value of a requirement's unknown comes to at a point."""
    rules = [
        rule.holds
        for rule in CONSTRAINTS
        if asked.field in rule.fields and rule.needs.items() <= static.items()
    ]
    response = sensitivity(asked.metric)
    metric = asked.metric if response is None else response.metric
    fits = FITS_REQUEST if asked.metric in REQUESTED else "feasible"
    outcomes, fitting = model.only([metric, "limit"]), model.only([fits])

    def at(value: jax.Array) -> Values:
        return {**fields, asked.field: value}

    def outcome(value: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = outcomes(at(value))
        if response is None:
            return found[metric], found["limit"]
        return differentiate(response, at(value), model), found["limit"]

    def allowed(value: jax.Array) -> jax.Array:
        held = (holds(at(value)) for holds in rules)
        return functools.reduce(jnp.logical_and, held, jnp.array(True))

    return Trial(outcome, lambda value: fitting(at(value))[fits], allowed)


def effective_fields(values: Values) -> dict[str, jax.Array]:
    """Return every field with its scale factor applied."""
    scaled = {name: values.get(f"{name}{SCALE_SUFFIX}") for name in FIELDS}
    return {
        name: values[name] if scale is None else values[name] * scale
        for name, scale in scaled.items()
    }


def assemble(fields: Values, static: Static) -> tuple[Any, ...]:
    """Build the records of one point, in the model's order, from the values of their fields."""
    records: dict[str, dict[str, Any]] = {
        record: {name: fields[field] for name, field in field_names(record).items()}
        for record in RECORDS
    }
    records["deployment"] |= dict(static)
    return tuple(kind(**records[record]) for record, kind in RECORDS.items())


def differentiate(asked: Sensitivity, fields: Values, model: Program) -> jax.Array:
    r"""Derivative, elasticity or gain from doubling of a metric at one point.

    .. math:: \frac{\partial m}{\partial x}, \qquad
              \frac{\partial \ln m}{\partial \ln x} = \frac{x}{m}\frac{\partial m}{\partial x},
              \qquad \frac{m(2x)}{m(x)}

    and, by two fields, the derivative of that by the second. At a kink, as where compute takes just
    as long as memory, it is the mean of both sides. NaN where the point does not fit.
    """
    program = model.only([asked.metric])

    def metric(fields: Values) -> jax.Array:
        return program(fields)[asked.metric]

    first, *second = asked.by
    if asked.kind == "doubling":
        return _share(metric({**fields, first: 2.0 * fields[first]}), metric(fields))
    relative = asked.kind == "elasticity"

    def change(fields: Values) -> jax.Array:
        value, slope = _along(metric, first, fields, relative=relative)
        return _share(slope, value) if relative else slope

    for field in second:
        return _along(change, field, fields, relative=relative)[1]
    return change(fields)


def _share(change: jax.Array, value: jax.Array) -> jax.Array:
    """A change as a share of a metric; a metric that is zero counts as one."""
    return change / jnp.where(value == 0.0, 1.0, value)


def _along(
    function: Function, field: str, fields: Values, *, relative: bool
) -> tuple[jax.Array, jax.Array]:
    """A function's value, and its change by one field, or by the logarithm of one."""
    value = jnp.asarray(fields[field])
    step = value if relative else jnp.ones_like(value)
    return jax.jvp(lambda v: function({**fields, field: v}), (value,), (step,))
