"""The model's program as a script for a browser: its metrics, and what must hold between fields.

Switches are at their defaults, and every number of a point is an input. Drafts and the calibrated
overlay are left out: the metrics that rest on them are not outputs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxlimits import schema
from jaxlimits.engine.javascript import javascript
from jaxlimits.engine.operations import Flat, flatten
from jaxlimits.engine.program import Types, Values, trace
from jaxlimits.engine.sensitivity import FITS_REQUEST, PREFILL_LIMIT, point_model
from jaxlimits.grid.constraints import CONSTRAINTS, REMARKS, Constraint

METRICS = (*schema.OF_THE_LIMIT, *schema.REQUESTED)
"""Metrics that the script computes."""

UNUSED: Sequence[tuple[str, ...]] = (("expert_parallel", "ffn_groups"), ())
"""Optional parts that each program lacks, the quickest program first; the last one lacks none."""

_APART = ("num_experts", "experts_per_token", "num_layers", "hidden_size")
"""Fields of a model that may move alone, as along an axis of a map, and then should be quick."""


def page_rules(rules: Sequence[Constraint]) -> list[Constraint]:
    """Return the conditions between fields that apply under the default switches."""
    defaults = schema.switch_defaults()
    return [rule for rule in rules if rule.needs.items() <= defaults.items()]


def page_script() -> str:
    """Return a script that lists the programs of the model in ``jaxlimits.PROGRAMS``.

    Each has what :func:`~jaxlimits.engine.javascript.javascript` gives. Beside the metrics,
    ``prefill_limit`` and ``fits_request`` there are ``rule_N`` and ``remark_N``: whether the N-th
    of :func:`page_rules` holds. ``without`` lists fields with a bound each: a program serves the
    points at which no such field exceeds its bound.
    """
    members = {own: "llm" for own in schema.field_names("llm").values() if own not in _APART}
    with jax.enable_x64(True):
        programs = [(_bounds(unused), page_program(unused)) for unused in UNUSED]
    return javascript(programs, together=members)


def page_program(unused: Sequence[str] = ()) -> Flat:
    """Return the operations of a point, in float64 where ``jax.enable_x64`` is on.

    Parameters
    ----------
    unused
        Optional parts that are not traced.
    """
    parts = {name: name not in unused for name in schema.OPTIONAL_PARTS}
    static: dict[str, Any] = {**schema.switch_defaults(), **parts, "own_bits": ()}
    scalar = jax.ShapeDtypeStruct((), np.float64)
    values: Types = dict.fromkeys(schema.FIELDS, scalar)
    model = point_model(values, tuple(sorted(static.items())))
    model = model.only([*METRICS, FITS_REQUEST, PREFILL_LIMIT])
    return flatten(trace(lambda at: {**model(at), **_held(at)}, values))


def _held(values: Values) -> dict[str, jax.Array]:
    """Whether each condition between fields holds."""
    named = {"rule": page_rules(CONSTRAINTS), "remark": page_rules(REMARKS)}
    return {
        f"{kind}_{number}": rule.holds(values)
        for kind, rules in named.items()
        for number, rule in enumerate(rules)
    }


def _bounds(unused: Sequence[str]) -> Mapping[str, float]:
    """The fields of some parts, and the value that none may exceed where the parts are unused."""
    return {
        field: schema.OPTIONAL_PARTS[part].above
        for part in unused
        for field in schema.part_fields(part)
    }
