"""Points whose layout is not valid: no number, no code, and none that fits.

A grid over several models has an axis of layouts of which some are valid for some models only. What
the model says at the other points does not count; it is replaced behind the model, so that all that
reads outputs (dense variables, reductions, searches) passes such points over as it does others
without a value. A grid whose layouts are all valid has no rule for them, and its program no mask.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxlimits.engine.part_bits import Static
from jaxlimits.engine.program import Values
from jaxlimits.grid.requirements import REASONS, Requirement
from jaxlimits.grid.rules import Rules
from jaxlimits.model.metrics import Limit
from jaxlimits.model.ping_pong import Busy
from jaxlimits.schema import is_output

PREFILL_LIMIT = "prefill_limit"
"""What binds the prefill of a request, beside the metrics of a point: codes as of ``limit``."""

FITS_REQUEST = "fits_request"
"""Whether a request fits in memory at its whole length, beside the metrics of a point."""

BUSY: Mapping[str, str] = {f"t_busy_{resource}": resource for resource in Busy._fields}
"""For how long one micro-batch keeps each resource busy where feed-forward parts lie on chips of
their own [s], beside the metrics of a point; whether or not it fits. There alone are they known.
"""

_NOTHING: Mapping[str, int] = {
    "feasible": 0,
    FITS_REQUEST: 0,
    **dict.fromkeys(("limit", "next_limit", PREFILL_LIMIT), Limit.NOT_COMPUTED),
}
"""What stands for an output of a point that cannot be, where it is not NaN."""


def without_invalid(
    found: Mapping[str, jax.Array], fields: Values, static: Static, rules: Rules
) -> dict[str, jax.Array]:
    """Return outputs of one point where its layout is valid, else nothing in their place.

    Fields and prices stay as they are: they say which point it is.

    Parameters
    ----------
    found
        Metrics, sensitivities, fields and prices by name.
    fields, static, rules
        As for :func:`jaxlimits.engine.sensitivity.outputs_at`, scale factors applied.
    """
    if rules.layouts is None:
        return dict(found)
    held = rules.layouts.holds(fields, dict(static))
    return {
        name: _chosen(held, value, _NOTHING.get(name, jnp.nan))
        if is_output(name) or name in _NOTHING
        else value
        for name, value in found.items()
    }


def without_excluded(
    found: Mapping[str, jax.Array],
    asked: Requirement,
    fields: Values,
    static: Static,
    rules: Rules,
) -> dict[str, jax.Array]:
    """Return what a requirement found where the layout is valid, else that it is excluded.

    Conditions on the unknown itself are the search's own.

    Parameters
    ----------
    found
        The variables of the requirement by name.
    asked
        The requirement.
    fields, static, rules
        As for :func:`without_invalid`.
    """
    if rules.layouts is None:
        return dict(found)
    held = rules.layouts.holds(fields, dict(static), sought=asked.field)
    excluded = {asked.reason: REASONS["unreachable_excluded"]}
    return {
        name: _chosen(held, value, excluded.get(name, jnp.nan)) for name, value in found.items()
    }


def _chosen(held: Any, value: jax.Array, nothing: float | int) -> jax.Array:
    return jnp.where(held, value, jnp.asarray(nothing, value.dtype))
