"""Points of the model, evaluated and differentiated many at a time.

Points of one choice of switches are one batch of a fixed length, so that every operation is
compiled once, whatever is asked.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from jaxlimits.engine.program import trace
from jaxlimits.model.collectives import sync
from jaxlimits.model.evaluate import evaluate
from tests.helpers import COMBINATIONS, NUMBERS, Scenario, evaluate_x64

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
    """Ask for a point in float64, operation by operation whatever its switches: to compare bits."""

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
    slopes = gradient_x64(scenario, output)
    value = getattr(evaluate_x64(*scenario), output)
    return [slopes[name] * scenario[name] / value for name in names]


def _scenario(ask: Ask) -> Scenario:
    return ask if isinstance(ask, Scenario) else ask.scenario


def _with_tiers(ask: Any) -> Any:
    scenario = _scenario(ask)
    tiers = {"sram_tier": True, "lpddr_tier": True}
    tiered = scenario._replace(deployment=dataclasses.replace(scenario.deployment, **tiers))
    return tiered if isinstance(ask, Scenario) else ask._replace(scenario=tiered)


def _batch_key(ask: Ask) -> Any:
    return type(ask), getattr(ask, "output", None), jax.tree.structure(_scenario(ask))


def _answer_batch(asks: Sequence[Ask]) -> Iterator[Any]:
    first = asks[0]
    dtype = _dtype(first)
    rows = [jax.tree.leaves(_scenario(ask)) for ask in asks]
    rows += rows[-1:] * (BATCH - len(rows))
    columns = [np.array(column, dtype) for column in zip(*rows, strict=True)]
    points = jax.tree.unflatten(jax.tree.structure(_scenario(first)), columns)
    with jax.enable_x64(dtype is np.float64):
        found = _batched(first)(points)
        arrays = [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(found)]
    kind = jax.tree.structure(found)
    for row in list(zip(*arrays, strict=True))[: len(asks)]:
        yield _read(jax.tree.unflatten(kind, row))


def _read(answer: Any) -> Any:
    if isinstance(answer, Scenario):  # the slopes
        return answer.numbers
    return answer


def _batched(ask: Ask) -> Callable[[Scenario], Any]:
    """Return what answers a batch of questions of one kind.

    The usual combinations occur in dozens of laws and are compiled. Any other occurs in a few: to
    run its operations one by one takes a fraction of what compiling them takes.
    """
    kind, output = type(ask), getattr(ask, "output", None)
    if not isinstance(ask, Slopes | Plain | Sync) and _is_usual(_scenario(ask)):
        return _compiled(kind, output)
    return _operations(kind, output, jax.tree.structure(_scenario(ask)), _dtype(ask))


@functools.cache
def _compiled(kind: type, output: str | None) -> Callable[[Scenario], Any]:
    return jax.jit(jax.vmap(functools.partial(_answer, kind, output)))


@functools.cache
def _operations(kind: type, output: str | None, structure: Any, dtype: Any) -> Callable:
    """What answers a batch operation by operation, none of them without need or twice."""
    kinds: list[Any] = []

    def named(values: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        point = jax.tree.unflatten(structure, [values[name] for name in NUMBERS])
        leaves, found = jax.tree.flatten(_answer(kind, output, point))
        kinds.append(found)
        return {f"{place:04}": leaf for place, leaf in enumerate(leaves)}

    scalars = dict.fromkeys(NUMBERS, jnp.zeros((), dtype))
    columns = dict.fromkeys(NUMBERS, jnp.zeros(BATCH, dtype))
    operations = jax.make_jaxpr(jax.vmap(trace(named, scalars)))(columns)
    run = jaxpr_as_fun(operations)

    def answer(points: Scenario) -> Any:
        given = dict(zip(NUMBERS, jax.tree.leaves(points), strict=True))
        return jax.tree.unflatten(kinds[0], run(*jax.tree.leaves(given)))

    return answer


def _answer(kind: type, output: str | None, scenario: Scenario) -> Any:
    if kind is Slopes:
        return jax.grad(lambda point: getattr(evaluate(*point), str(output)))(scenario)
    if kind is Sync:
        return sync(scenario.chip, scenario.llm, scenario.deployment)
    return evaluate(*scenario)


def _dtype(ask: Ask) -> Any:
    return np.float32 if isinstance(ask, Single) else np.float64


def _is_usual(scenario: Scenario) -> bool:
    plain = not any(scenario[name] for name in ("input_len", "sram_capacity", "lpddr_capacity"))
    return plain and scenario.switches in COMBINATIONS.values()
