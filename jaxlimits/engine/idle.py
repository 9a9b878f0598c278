"""Settings without effect: fields on which nothing that is asked depends.

One mechanism tells them all: the program of a point, traced with the switches and the parts of the
model that the point uses, has each field as an input. A field that no operation takes is idle.
"""

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jax.extend.core import Var

from jaxlimits import schema
from jaxlimits.engine.part_bits import Static, moving_with
from jaxlimits.engine.sensitivity import FITS_REQUEST, point_model
from jaxlimits.grid.constraints import constraints_on
from jaxlimits.grid.requirements import Requirement
from jaxlimits.grid.rules import Rules
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
        ("output_len", "prefill_chunk", "prefix_share", "prefill_batch", "calls_per_answer"),
        "set input_len",
    ),
    "draft": "set speculation=draft",
    "ep_size": "name a model with experts",
    "cp_size": "set kv_sharding=heads",
    "dense_tp_size": "set ep_size above 1, of a model with experts",
    "redundant_experts": "set ep_size above 1, of a model with experts",
    "ffn_micro_batches": "set ffn_chips",
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
    static = _static(scenario)
    moved = {part for part in schema.OPTIONAL_PARTS if {*moving} & {*schema.part_fields(part)}}
    used = _used(_traced(static, moved), _in_order(set(outputs)), precision)
    return _with_setters(used, scenario)


def _static(scenario: Scenario) -> dict[str, Any]:
    """Every static field of a grid but the switches that vary; parts with factors have own bits."""
    static = scenario.fixed_static()
    apart = {schema.PART_BITS[part] for part in _scaled_parts(scenario)}
    return {**static, "own_bits": tuple(sorted({*static["own_bits"], *apart}))}


def _scaled_parts(scenario: Scenario) -> set[str]:
    """Bits of parts on which there is a factor."""
    given = (*scenario.base, *(name for columns in scenario.columns for name in columns))
    factored = {schema.scaled_field(name) for name in given}
    return {part for part in schema.PART_BITS if part in factored}


def _with_setters(used: Collection[str], scenario: Scenario) -> frozenset[str]:
    """Fields in use, and those that set a part in use with a factor but no value of its own."""
    parts = (_scaled_parts(scenario) - scenario.own) & {*used}
    return frozenset({*used, *(schema.SETTERS[part] for part in parts)})


def _traced(static: Mapping[str, Any], moved: Collection[str] = ()) -> Static:
    """The static fields under which a point is traced, some parts of the model with it."""
    choices = {**static, **dict.fromkeys(moved, True)}
    if not static["routed_experts"]:
        choices["expert_parallel"] = False  # ranks without experts: what it adds is traced, and 0
    return tuple(sorted(choices.items()))


@functools.lru_cache(maxsize=256)
def _used(static: Static, outputs: tuple[str, ...], precision: str) -> frozenset[str]:
    """Fields that the program of some outputs takes, under static fields."""
    with jax.enable_x64(precision == "float64"):
        fields = dict.fromkeys(schema.FIELDS, jax.ShapeDtypeStruct((), np.dtype(precision)))
        jaxpr = point_model(fields, static).only(outputs).traced.jaxpr
    taken = {one for operation in jaxpr.eqns for one in operation.invars if isinstance(one, Var)}
    taken |= {one for one in jaxpr.outvars if isinstance(one, Var)}
    named = zip(sorted(schema.FIELDS), jaxpr.invars, strict=True)
    used = {name for name, variable in named if variable in taken}
    setters = schema.SETTERS.values()
    return frozenset({*used, *(name for name in setters if used & {*moving_with(name, static)})})


def used_in_grid(
    scenario: Scenario,
    names: Iterable[str],
    *,
    requirements: Iterable[Requirement] = (),
    wanted: Collection[str],
    precision: str = "float32",
) -> frozenset[str]:
    """Return the fields on which any of some outputs depends, under any switches of a grid.

    Parameters
    ----------
    scenario
        The grid.
    names
        Metrics, sensitivities, fields, prices, and variables of requirements.
    requirements
        Those that the grid has.
    wanted
        Fields that somebody asks about: once all are found, no more switches are tried.
    precision
        That of the grid, whose programs then serve both.
    """
    budgets = {budget.of for budget in scenario.rules.budgets}
    names = {*names, *budgets, *(["feasible"] if budgets else [])}
    solved = [asked for asked in requirements if names & asked.quantities.keys()]
    names -= {name for asked in solved for name in asked.quantities}
    asked_of = ((name, schema.sensitivity(name)) for name in names)
    metrics = {name if asked is None else asked.metric for name, asked in asked_of}
    used = {asked.field for asked in solved} | names & schema.FIELDS.keys()
    used |= _priced(scenario.rules, names)
    fixed = _static(scenario)
    for choice in scenario.choices():
        if used.issuperset(wanted):
            break
        static = {**fixed, **choice}
        used |= _used(_traced(static), _in_order(metrics & schema.OUTPUTS.keys()), precision)
        for asked in solved:
            used |= _used_by(asked, static, precision)
        used |= _with_setters(used | _priced(scenario.rules, used), scenario)
    return frozenset(used)


def _used_by(asked: Requirement, static: Mapping[str, Any], precision: str) -> set[str]:
    """Fields on which the answer to a requirement depends: what fits and what is admitted count."""
    response = schema.sensitivity(asked.metric)
    metric = asked.metric if response is None else response.metric
    moved = {part for part in schema.OPTIONAL_PARTS if asked.field in schema.part_fields(part)}
    outputs = _in_order({metric, "limit", "feasible", FITS_REQUEST})
    rules = constraints_on(asked.field, static)
    admitting = {field for rule in rules for field in rule.fields}
    return {*_used(_traced(static, moved), outputs, precision), *admitting}


def _priced(rules: Rules, names: Collection[str]) -> set[str]:
    """Fields on which prices rest that have some names, or that others of them rest on."""
    found = set(names)
    for price in reversed(rules.prices):
        if price.name in found:
            found |= {term.field for term in price.terms}
    return found & schema.FIELDS.keys()


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def idle_settings(
    scenario: Scenario,
    settings: Mapping[str, Iterable[str]],
    outputs: Iterable[str],
    *,
    moving: Collection[str] = (),
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
    moving
        Fields that may take other values than the point's, as what is solved for.
    precision
        That of the point's metrics, whose program then serves both.
    """
    moved = {name: fields_that_differ(scenario, fields) for name, fields in settings.items()}
    if not any(moved.values()):
        return []
    # To say that nothing is stated is a setting: what the field would give counts as what it takes.
    unset = {
        field
        for fields in moved.values()
        for field in fields
        if field in schema.FIELDS and scenario.base[field] == schema.FIELDS[field].unset
    }
    used = used_fields(scenario, outputs, moving={*moving, *unset}, precision=precision)
    scaled = {
        name: {schema.scaled_field(field) or field for field in fields}
        for name, fields in moved.items()
    }
    return [name for name, fields in scaled.items() if fields and used.isdisjoint(fields)]


def fields_that_differ(scenario: Scenario, names: Iterable[str]) -> list[str]:
    """Return which of some fields and factors that do not vary are not at their defaults."""
    defaults = schema.base_defaults()
    plain = {name: 1.0 if schema.scaled_field(name) else defaults.get(name) for name in names}
    return [name for name, default in plain.items() if scenario.base.get(name) != default]


def depends_on(scenario: Scenario, metric: str, field: str, *, precision: str = "float32") -> bool:
    """Whether a metric, or a sensitivity of one, depends on a field at a point."""
    asked = schema.sensitivity(metric)
    of = metric if asked is None else asked.metric
    return field in used_fields(scenario, [of], moving=(field,), precision=precision)


def remedy_of(name: str, scenario: Scenario, *, precision: str = "float32") -> str:
    """Return what would give effect to a setting on which no output of a grid depends.

    Another output, where one depends on it as the grid is; else a switch or another setting; empty
    where neither is known.
    """
    field = schema.scaled_field(name) or name
    for metric in schema.OF_THE_LIMIT:
        if field in used_in_grid(scenario, [metric], wanted=[field], precision=precision):
            return f"ask for an output that depends on it, as {metric}"
    return hint_for(name)


def hint_for(name: str) -> str:
    """Return the switch or the setting that would give effect to another one, where it is known."""
    return GIVES_EFFECT.get(name) or GIVES_EFFECT.get(name.removesuffix(schema.SCALE_SUFFIX)) or ""


def idle_in_words(name: str, remedy: str | None = None) -> str:
    """Say that a setting has no effect, and what would give it one."""
    if remedy is None:
        remedy = hint_for(name)
    says = f"{name} is set and changes nothing here"
    return f"{says}; for it to count, {remedy}" if remedy else says
