"""Points of the model, evaluated and differentiated many at a time.

Points of one choice of switches are one batch: their program is traced once, and run by NumPy.
Batches have a fixed length, so that the few operations that are JAX's are compiled once.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jaxlimits.engine.program import Program, trace
from jaxlimits.model.collectives import sync
from jaxlimits.model.evaluate import evaluate
from tests.elementwise import at_columns
from tests.helpers import NUMBERS, Scenario

BATCH = 128
"""Points of a batch; it is filled up."""


class Slopes(NamedTuple):
    """Ask for the derivative of a metric by every numeric field, in float64."""

    scenario: Scenario
    output: str = "utps"


class Single(NamedTuple):
    """Ask for a point in float32."""

    scenario: Scenario


class Plain(NamedTuple):
    """Ask for a point in float64 by the program of its own switches: to compare bits."""

    scenario: Scenario


class Sync(NamedTuple):
    """Ask for the synchronisation of a point alone: its total, its latency, its payload [s]."""

    scenario: Scenario


Ask = Scenario | Slopes | Single | Plain | Sync
"""What a law can ask for: a scenario alone stands for its metrics in float64."""


def answered(asks: Sequence[Ask]) -> list[Any]:
    """Answer questions in their order, those of one kind and one choice of switches together.

    Where some have further tiers of memory, the others have them too, empty: one program is theirs.
    """
    if any(
        _scenario(ask).deployment.sram_tier or _scenario(ask).deployment.lpddr_tier for ask in asks
    ):
        asks = [ask if isinstance(ask, Plain) else _with_tiers(ask) for ask in asks]
    groups: dict[Any, list[int]] = {}
    for place, ask in enumerate(asks):
        groups.setdefault(_batch_key(ask), []).append(place)
    found: list[Any] = [None] * len(asks)
    for places in groups.values():
        for start in range(0, len(places), BATCH):
            batch = places[start : start + BATCH]
            answers = _answer_batch([asks[place] for place in batch])
            for place, answer in zip(batch, answers, strict=True):
                found[place] = answer
    return found


def gradient_x64(scenario: Scenario, output: str = "utps") -> dict[str, float]:
    """Return the derivative of a metric by every numeric field, in float64."""
    return answered([Slopes(scenario, output)])[0]


def elasticities(scenario: Scenario, names: Iterable[str], output: str = "utps") -> list[float]:
    """Return the share by which a metric changes for a share of change in each field."""
    point, slopes = answered([Plain(scenario), Slopes(scenario, output)])
    value = getattr(point, output)
    return [slopes[name] * scenario[name] / value for name in names]


def _scenario(ask: Ask) -> Scenario:
    return ask if isinstance(ask, Scenario) else ask.scenario


def _with_tiers(ask: Any) -> Any:
    scenario = _scenario(ask)
    tiers = {"sram_tier": True, "lpddr_tier": True}
    tiered = scenario._replace(deployment=dataclasses.replace(scenario.deployment, **tiers))
    return tiered if isinstance(ask, Scenario) else ask._replace(scenario=tiered)


def metrics_program(scenario: Scenario) -> Program:
    """The operations that give the metrics of a scenario's choice of switches, in float64."""
    _, program = _program(jax.tree.structure(scenario), np.float64, is_sync=False)
    return program


def _batch_key(ask: Ask) -> Any:
    return type(ask), getattr(ask, "output", None), jax.tree.structure(_scenario(ask))


def _answer_batch(asks: Sequence[Ask]) -> Iterator[Any]:
    first = asks[0]
    if isinstance(first, Slopes):
        yield from map(_slopes_of, asks)
        return
    dtype = _dtype(first)
    rows = [jax.tree.leaves(_scenario(ask)) for ask in asks]
    rows += rows[-1:] * (BATCH - len(rows))
    columns = [np.array(column, dtype) for column in zip(*rows, strict=True)]
    with jax.enable_x64(dtype is np.float64):
        kind, found = _found(first, columns)
        arrays = [np.asarray(column).tolist() for column in found.values()]
    for row in list(zip(*arrays, strict=True))[: len(asks)]:
        yield kind(**dict(zip(found, row, strict=True)))


def _found(ask: Ask, columns: list[np.ndarray]) -> tuple[type, Mapping[str, Any]]:
    """Columns of what answers a batch of questions of one kind, and the type of an answer."""
    structure = jax.tree.structure(_scenario(ask))
    kind, program = _program(structure, _dtype(ask), is_sync=isinstance(ask, Sync))
    found = at_columns(program.traced, _in_order(program, columns))
    return kind, dict(zip(program.outputs, found, strict=True))


@functools.cache
def _program(structure: Any, dtype: type, *, is_sync: bool) -> tuple[type, Program]:
    """The operations of one point, none of them without need or twice; and what they give."""
    kinds: list[type] = []

    def named(values: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        point = jax.tree.unflatten(structure, [values[name] for name in NUMBERS])
        found = sync(point.chip, point.llm, point.deployment) if is_sync else evaluate(*point)
        kinds.append(type(found))
        return _fields(found)

    program = trace(named, dict.fromkeys(NUMBERS, jax.ShapeDtypeStruct((), dtype)))
    return kinds[0], program


@functools.cache
def _slopes(structure: Any, output: str) -> tuple[Program, ClosedJaxpr]:
    """The operations of one metric, and those that give its change along a direction."""
    _, program = _program(structure, np.float64, is_sync=False)
    asked = program.only([output])
    run = jaxpr_as_fun(asked.traced)
    numbers = (np.float64(0.0),) * len(asked.inputs)
    along = jax.make_jaxpr(lambda at, direction: jax.jvp(run, at, direction)[1])
    return asked, along(numbers, numbers)


def _slopes_of(ask: Slopes) -> dict[str, float]:
    """The derivative by every field: at the same point, along each."""
    with jax.enable_x64(True):
        program, along = _slopes(jax.tree.structure(ask.scenario), ask.output)
        size = len(NUMBERS)
        point = [np.full(size, ask.scenario[name], np.float64) for name in program.inputs]
        (found,) = at_columns(along, [*point, *np.eye(size)])
        return dict(zip(program.inputs, found.tolist(), strict=True))


def _in_order(program: Program, columns: Sequence[Any]) -> list[Any]:
    """Columns of all fields in the order in which a program takes them."""
    by_name = dict(zip(NUMBERS, columns, strict=True))
    return [by_name[name] for name in program.inputs]


def _fields(found: Any) -> dict[str, Any]:
    return {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}


def _dtype(ask: Ask) -> Any:
    return np.float32 if isinstance(ask, Single) else np.float64
