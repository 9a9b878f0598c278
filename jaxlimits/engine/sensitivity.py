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
import numpy as np

from jaxlimits.engine.masks import (
    BUSY,
    FITS_REQUEST,
    PREFILL_LIMIT,
    without_excluded,
    without_invalid,
)
from jaxlimits.engine.part_bits import Static, moving_with, scaled, split_off
from jaxlimits.engine.program import Program, Types, Values, trace
from jaxlimits.engine.requirement import Trial, answer
from jaxlimits.grid.constraints import constraints_on
from jaxlimits.grid.requirements import Requirement
from jaxlimits.grid.rules import NO_RULES, Rules
from jaxlimits.model.evaluate import fits_request, metrics_of, prefill_limit
from jaxlimits.model.metrics import OF_THE_PREFILL, REQUESTED
from jaxlimits.model.records import RECORDS
from jaxlimits.model.terms import step_terms
from jaxlimits.schema import (
    FIELDS,
    OPTIONAL_PARTS,
    PART_BITS,
    SCALE_SUFFIX,
    SETTERS,
    Sensitivity,
    field_names,
    part_fields,
    sensitivity,
)

Function = Callable[[Values], jax.Array]

_NO_MESH = jax.sharding.AbstractMesh((), ())


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
        Prices, which stand for fields (a sensitivity then holds them fixed), and layouts that are
        not valid at every point.
    """
    fields, static = effective_fields(values, static)
    fields = rules.priced(fields)
    models = functools.partial(point_model, fields)
    known = {**split_off(fields, static, PART_BITS)[0], **models(static)(fields)}
    solved: dict[str, jax.Array] = {}
    for asked in requirements:
        if not asked.quantities.keys().isdisjoint(names):
            answered = solve(asked, fields, static, target=values[asked.aim])
            solved |= without_excluded(answered, asked, fields, static, rules)
    found = {}
    for name in sorted(set(names) - solved.keys()):
        asked = sensitivity(name)
        found[name] = known[name] if asked is None else differentiate(asked, fields, static, models)
    found = {**without_invalid(found, fields, static, rules), **solved}
    return {name: found[name] for name in sorted(names)}


def point_model(fields: Types, static: Static) -> Program:
    """Return the program of a point's metrics, traced once for all that is asked of any such point.

    Parameters
    ----------
    fields
        Every field, scale factors applied; only their types count.
    static
        Every static field of the deployment.
    """
    types = tuple(sorted((name, np.dtype(value.dtype)) for name, value in fields.items()))
    return _traced_model(types, static)


@functools.lru_cache(maxsize=64)
def _traced_model(types: tuple[tuple[str, np.dtype], ...], static: Static) -> Program:
    def metrics(fields: Values) -> dict[str, Any]:
        terms = step_terms(*assemble(fields, static))
        beside = {FITS_REQUEST: fits_request(terms), PREFILL_LIMIT: prefill_limit(terms)}
        busy = terms.busy
        if busy is not None:
            beside |= {name: getattr(busy, resource) for name, resource in BUSY.items()}
        return {**vars(metrics_of(terms)), **beside}

    # What is traced on a mesh bears it, and could be used on no other: on none, it serves all.
    with jax.sharding.use_abstract_mesh(_NO_MESH):
        return trace(metrics, {name: jax.ShapeDtypeStruct((), kind) for name, kind in types})


def solve(
    asked: Requirement, fields: Values, static: Static, *, target: jax.Array
) -> dict[str, jax.Array]:
    """Solve a requirement at one point; its variables by their names."""
    fields, static = split_off(fields, static, [asked.field])
    moved = {part for part in OPTIONAL_PARTS if asked.field in part_fields(part)}
    general = tuple((name, name in moved or choice) for name, choice in static)
    trial = _trial(asked, fields, general, dict(static))
    found = answer(asked, trial, target=target, here=fields[asked.field])
    return {
        asked.name: found.value,
        asked.reached: found.reached,
        asked.reason: found.reason,
        asked.place: found.place,
    }


def _trial(asked: Requirement, fields: Values, general: Static, static: Mapping[str, Any]) -> Trial:
    """What a value of a requirement's unknown comes to at a point.

    Parameters
    ----------
    general, static
        Static fields that hold whatever the unknown is, and those of the point.
    """
    models = functools.partial(point_model, fields)
    model = models(general)
    rules = [rule.holds for rule in constraints_on(asked.field, static)]
    response = sensitivity(asked.metric)
    metric = asked.metric if response is None else response.metric
    fits = FITS_REQUEST if asked.metric in REQUESTED else "feasible"
    binds = PREFILL_LIMIT if metric in OF_THE_PREFILL else "limit"
    outcomes, fitting = model.only([metric, binds]), model.only([fits])

    def at(value: jax.Array) -> Values:
        return {**fields, asked.field: value}

    def outcome(value: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = outcomes(at(value))
        if response is None:
            return found[metric], found[binds]
        return differentiate(response, at(value), general, models), found[binds]

    def allowed(value: jax.Array) -> jax.Array:
        held = (holds(at(value)) for holds in rules)
        return functools.reduce(jnp.logical_and, held, jnp.array(True))

    return Trial(outcome, lambda value: fitting(at(value))[fits], allowed)


def effective_fields(values: Values, static: Static) -> tuple[dict[str, jax.Array], Static]:
    """Return every field with its scale factor applied, and the static fields that then hold."""
    fields = {name: values[name] for name in FIELDS}
    for name in FIELDS.keys() - {*PART_BITS, *SETTERS.values()}:
        factor = values.get(f"{name}{SCALE_SUFFIX}")
        if factor is not None:
            fields[name] = fields[name] * factor
    return scaled(fields, values, static)


def assemble(fields: Values, static: Static) -> tuple[Any, ...]:
    """Build the records of one point, in the model's order, from the values of their fields."""
    records: dict[str, dict[str, Any]] = {
        record: {name: fields[field] for name, field in field_names(record).items()}
        for record in RECORDS
    }
    records["deployment"] |= dict(static)
    return tuple(kind(**records[record]) for record, kind in RECORDS.items())


def differentiate(
    asked: Sensitivity, fields: Values, static: Static, models: Callable[[Static], Program]
) -> jax.Array:
    r"""Derivative, elasticity or gain from doubling of a metric at one point.

    .. math:: \frac{\partial m}{\partial x}, \qquad
              \frac{\partial \ln m}{\partial \ln x} = \frac{x}{m}\frac{\partial m}{\partial x},
              \qquad \frac{m(2x)}{m(x)}

    and, by two fields, the derivative of that by the second. At a kink, as where compute takes just
    as long as memory, it is the mean of both sides. NaN where the point does not fit.

    A part of the weights keeps its bits while others change, ``weight_bits`` changes all parts that
    follow it: its elasticity is the sum of theirs.

    Parameters
    ----------
    asked
        What is asked.
    fields, static
        The point.
    models
        Metrics from fields, under static fields.
    """
    following = {field: moving_with(field, static) for field in asked.by}
    fields, apart = split_off(fields, static, asked.by)
    program = models(apart).only([asked.metric])

    def metric(fields: Values) -> jax.Array:
        return program(fields)[asked.metric]

    first, *second = asked.by
    if asked.kind == "doubling":
        twice = {name: 2.0 * fields[name] for name in following[first]}
        return _share(metric({**fields, **twice}), metric(fields))
    relative = asked.kind == "elasticity"

    def change(fields: Values) -> jax.Array:
        value, slope = _along(metric, following[first], fields, relative=relative)
        return _share(slope, value) if relative else slope

    for field in second:
        return _along(change, following[field], fields, relative=relative)[1]
    return change(fields)


def _share(change: jax.Array, value: jax.Array) -> jax.Array:
    """A change as a share of a metric; a metric that is zero counts as one."""
    return change / jnp.where(value == 0.0, 1.0, value)


def _along(
    function: Function, names: Sequence[str], fields: Values, *, relative: bool
) -> tuple[jax.Array, jax.Array]:
    """A function's value, and its change by fields that move together, or by their logarithms."""
    values = tuple(jnp.asarray(fields[name]) for name in names)
    steps = values if relative else tuple(jnp.ones_like(value) for value in values)
    return jax.jvp(
        lambda *moved: function({**fields, **dict(zip(names, moved, strict=True))}), values, steps
    )
