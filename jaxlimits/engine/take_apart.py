"""One point taken apart: its operators and roofs beside its metrics, as numbers."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlimits.engine.mappings import make_room
from jaxlimits.engine.program import UNFUSED
from jaxlimits.engine.sensitivity import Static, Values, assemble, effective_fields
from jaxlimits.grid.scenario import Scenario
from jaxlimits.model.anatomy import Anatomy, step_anatomy
from jaxlimits.model.capacity import weight_bytes
from jaxlimits.model.evaluate import evaluate
from jaxlimits.model.experts import stored_experts
from jaxlimits.model.metrics import Metrics
from jaxlimits.model.serving import decoding
from jaxlimits.model.weights import count_weights, stored_weights
from jaxlimits.schema import SETTERS


def take_apart(scenario: Scenario) -> tuple[Anatomy, Metrics]:
    """Evaluate one point and its operators in float64.

    Parameters
    ----------
    scenario
        One point: every axis that it has is of one value.
    """
    along = {name: column for columns in scenario.columns for name, column in columns.items()}
    values = {**scenario.base, **{name: column.item() for name, column in along.items()}}
    static = {**scenario.fixed_static(), **scenario.choice_at((0,) * len(scenario.axes))}
    make_room()
    with jax.enable_x64(True):
        run = _unfused if jax.default_backend() == "cpu" else _fused
        return jax.tree.map(np.float64, run(_real(values), static=tuple(sorted(static.items()))))


def present_value(scenario: Scenario, name: str) -> float:
    """Return a field's value at one point; of ``weight_bits`` that nobody set, the stored mean.

    Parameters
    ----------
    scenario
        One point, without axes.
    name
        The field.
    """
    value = float(scenario.effective(name))
    if value > 0.0 or name not in SETTERS.values():
        return value
    if name != "weight_bits":
        part = next(part for part, setter in SETTERS.items() if setter == name)
        return float(scenario.effective(part))
    static = tuple(sorted(scenario.fixed_static().items()))
    with jax.enable_x64(True):
        values = {field: jnp.asarray(number) for field, number in scenario.base.items()}
        _, llm, deployment, *_ = assemble(*effective_fields(values, static))
        counted = count_weights(llm, deployment)
        elements = stored_weights(counted, experts=stored_experts(llm, deployment))
        return float(8.0 * weight_bytes(llm, deployment) / elements)


def _real(values: Mapping[str, Any]) -> dict[str, np.float64]:
    return {name: np.float64(value) for name, value in values.items()}


def _taken_apart(values: Values, static: Static) -> tuple[Anatomy, Metrics]:
    chip, llm, deployment, site, request, draft, calibration, fabric = assemble(
        *effective_fields(values, static)
    )
    metrics = evaluate(chip, llm, deployment, site, request, draft, calibration, fabric)
    return step_anatomy(chip, llm, draft, decoding(deployment, request), request), metrics


_fused, _unfused = (
    jax.jit(_taken_apart, static_argnames=("static",), compiler_options=options)
    for options in (None, UNFUSED)
)
