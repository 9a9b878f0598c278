"""Settings without effect: fields on which nothing that is asked depends.

One mechanism tells them all: the program of a point, traced with the switches and the parts of the
model that the point uses, has each field as an input. A field that no operation takes is idle.
"""

from collections.abc import Collection, Iterable, Mapping

import jax
import numpy as np
from jax.extend.core import Var

from jaxlimits import schema
from jaxlimits.engine.part_bits import moving_with
from jaxlimits.engine.sensitivity import point_model
from jaxlimits.grid.scenario import Scenario

GIVES_EFFECT: Mapping[str, str] = {
    **dict.fromkeys(
        ("link_bw", "hop_latency", "interconnect"), "set collective_algorithm=auto or best"
    ),
    "link_bw_scale": "set collective_algorithm=auto or best, and link_bw if the chip states none",
    **dict.fromkeys(
        ("scale_up_size", "scale_out_bw", "scale_out_latency"),
        "set topology=rail and collective_algorithm=auto or best",
    ),
    **dict.fromkeys(
        ("mesh_rows", "router_latency"),
        "set topology=mesh-2d and collective_algorithm=auto or best",
    ),
    **dict.fromkeys(("acceptance", "draft_length"), "set speculation=draft or mtp"),
    **dict.fromkeys(
        ("output_len", "prefill_chunk", "prefill_batch", "calls_per_answer"), "set input_len"
    ),
    "draft": "set speculation=draft",
    "ep_size": "name a model with experts",
    "collectives_per_layer": "set collectives=fixed",
    "sram_bw": "set sram_capacity",
    "lpddr_bw": "set lpddr_capacity",
    "peak_vector_flops": "set vector_work=on",
}
"""What would give a field, or its scale factor, effect, where it is a switch or another field."""


def used_fields(
    scenario: Scenario,
    outputs: Iterable[str],
    *,
    moving: Collection[str] = (),
    precision: str = "float32",
) -> frozenset[str]:
    """Return the fields on which any of some outputs depends at a point.

    Parameters
    ----------
    scenario
        The point, without axes.
    outputs
        Metrics.
    moving
        Fields that may take other values than the point's: what rests on them is traced too.
    precision
        That of the point's metrics, whose program then serves both.
    """
    choices = scenario.fixed_static()
    if not choices["routed_experts"]:
        choices["expert_parallel"] = False  # ranks without experts: what it adds is traced, and 0
    rests = {part: schema.part_fields(part) for part in schema.OPTIONAL_PARTS}
    choices |= {part: True for part, fields in rests.items() if not set(moving).isdisjoint(fields)}
    with jax.enable_x64(precision == "float64"):
        fields = dict.fromkeys(schema.FIELDS, jax.ShapeDtypeStruct((), np.dtype(precision)))
        static = tuple(sorted(choices.items()))
        jaxpr = point_model(fields, static).only(outputs).traced.jaxpr
    taken = {one for operation in jaxpr.eqns for one in operation.invars if isinstance(one, Var)}
    taken |= {one for one in jaxpr.outvars if isinstance(one, Var)}
    named = zip(sorted(schema.FIELDS), jaxpr.invars, strict=True)
    used = {name for name, variable in named if variable in taken}
    setters = schema.SETTERS.values()
    return frozenset({*used, *(name for name in setters if used & {*moving_with(name, static)})})


def idle_settings(
    scenario: Scenario,
    settings: Mapping[str, Iterable[str]],
    outputs: Iterable[str],
    *,
    precision: str = "float32",
) -> list[str]:
    """Return the settings of a point that change none of some outputs.

    Parameters
    ----------
    scenario
        The point, without axes.
    settings
        What was set: the fields that each sets, one or those of a named record.
    outputs
        Metrics.
    precision
        That of the point's metrics, whose program then serves both.
    """
    defaults = schema.base_defaults()
    moved = {
        name: {field for field in fields if scenario.base.get(field) != defaults.get(field)}
        for name, fields in settings.items()
    }
    if not any(moved.values()):
        return []
    # To say that nothing is stated is a setting: what the field would give counts as what it takes.
    unset = {
        field
        for fields in moved.values()
        for field in fields
        if field in schema.FIELDS and scenario.base[field] == schema.FIELDS[field].unset
    }
    used = used_fields(scenario, outputs, moving=unset, precision=precision)
    scaled = {
        name: {schema.scaled_field(field) or field for field in fields}
        for name, fields in moved.items()
    }
    return [name for name, fields in scaled.items() if fields and used.isdisjoint(fields)]


def depends_on(scenario: Scenario, metric: str, field: str, *, precision: str = "float32") -> bool:
    """Whether a metric, or a sensitivity of one, depends on a field at a point."""
    asked = schema.sensitivity(metric)
    of = metric if asked is None else asked.metric
    return field in used_fields(scenario, [of], moving=(field,), precision=precision)


def idle_in_words(name: str) -> str:
    """Say that a setting has no effect, and what would give it one."""
    remedy = GIVES_EFFECT.get(name) or GIVES_EFFECT.get(name.removesuffix(schema.SCALE_SUFFIX))
    says = f"{name} is set and changes nothing here"
    return f"{says}; for it to count, {remedy}" if remedy else says
