"""Points of the model, evaluated and differentiated many at a time.

Points of one choice of switches are one batch of a fixed length, so that every operation is
compiled once, whatever is asked.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxlimits.model.collectives import sync
from jaxlimits.model.evaluate import evaluate
from tests.helpers import COMBINATIONS, Scenario, evaluate_x64

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
    """Answer questions in their order, those of one kind and one choice of switches together."""
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


def _batch_key(ask: Ask) -> Any:
    return type(ask), getattr(ask, "output", None), jax.tree.structure(_scenario(ask))


def _answer_batch(asks: Sequence[Ask]) -> Iterator[Any]:
    first = asks[0]
    dtype = np.float32 if isinstance(first, Single) else np.float64
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
    compiled, mapped = _both_ways(type(ask), getattr(ask, "output", None))
    is_compiled = not isinstance(ask, Slopes | Plain | Sync) and _is_usual(_scenario(ask))
    return compiled if is_compiled else mapped


@functools.cache
def _both_ways(kind: type, output: str | None) -> tuple[Callable, Callable]:
    def answer(scenario: Scenario) -> Any:
        if kind is Sync:
            return sync(scenario.chip, scenario.llm, scenario.deployment)
        return evaluate(*scenario)

    def metric(scenario: Scenario) -> jax.Array:
        return getattr(evaluate(*scenario), str(output))

    mapped = jax.vmap(jax.grad(metric) if kind is Slopes else answer)
    return jax.jit(mapped), mapped


def _is_usual(scenario: Scenario) -> bool:
    plain = not any(scenario[name] for name in ("input_len", "sram_capacity", "lpddr_capacity"))
    return plain and scenario.switches in COMBINATIONS.values()
